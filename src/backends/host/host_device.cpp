// SPDX-License-Identifier: Apache-2.0
#include "backends/host/host_device.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "backends/host/host_context.hpp"
#include "backends/host/host_memory.hpp"
#include "backends/host/host_program.hpp"
#include "backends/host/host_queue.hpp"
#include "backends/host/host_timeline.hpp"
#include "backends/host/kernel_program.hpp"
#include "backends/host/kernels/builtin.hpp"
#include "backends/host/system_info.hpp"
#include "base/fail.hpp"

namespace segue::host {
namespace {

constexpr unsigned kMaxThreads = 256;

// None of these is the processor's; they keep every product of them within 64 bits and mistakes
// small.
Limits host_limits() {
  Limits limits;
  limits.max_buffer_bytes = std::uint64_t{1} << 46;
  limits.max_view_bytes = limits.max_buffer_bytes;
  limits.view_offset_alignment = 1;
  limits.max_arguments = kMaxArguments;
  limits.max_inline_bytes = 64 << 10;
  limits.max_shared_memory_bytes = 1 << 20;
  limits.max_group_threads = 1 << 16;
  limits.max_group_size = {1 << 16, 1 << 16, 1 << 16};
  limits.max_group_count = {0x7FFFFFFF, 0xFFFF, 0xFFFF};
  limits.host_import_alignment = 1;
  limits.max_submissions_in_flight = 64;
  return limits;
}

Features host_features() {
  Features features;
  features.unified_memory = true;
  features.indirect_dispatch = true;
  features.gpu_timestamps = true;
#if defined(SEGUE_CHECK_LIFETIMES)
  features.lifetime_checks = true;
#endif
  return features;
}

/// Threads for `options`: a race needs two to be seen.
unsigned thread_count(const HostOptions& options) {
  if (options.parallelism == Parallelism::kNever) return 1;
  if (options.threads != 0) return options.threads;
  const unsigned processors = std::min(usable_processor_count(), kMaxThreads);
  return options.parallelism == Parallelism::kAlways ? std::max(processors, 2U) : processors;
}

class HostDevice final : public hal::Device {
 public:
  explicit HostDevice(const HostOptions& options)
      : name_(processor_name()),
        context_(std::make_shared<HostContext>(options, thread_count(options))) {}

  [[nodiscard]] std::string_view backend() const override { return "host"; }
  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] std::string_view clock_name() const override { return "host steady clock"; }
  [[nodiscard]] const Limits& limits() const override { return limits_; }
  [[nodiscard]] const Features& features() const override { return features_; }

  /// What the device holds already, and what the system could give it beyond that.
  [[nodiscard]] std::optional<std::uint64_t> memory_budget() const override {
    const std::optional<std::uint64_t> available = available_memory_bytes();
    if (!available) return std::nullopt;
    return *available + allocated_bytes_->load(std::memory_order_relaxed);
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> allocate(
      const hal::MemoryRequest& request) override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY(context_->check_fault("allocate", ErrorCode::kOutOfMemory));
    return allocate_memory(request, allocated_bytes_);
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> import_host(std::byte* data,
                                                                 std::uint64_t /*size_bytes*/,
                                                                 bool /*writable*/) override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY(context_->check_fault("import", ErrorCode::kBackend));
    return wrap_memory(data);
  }

  [[nodiscard]] Result<> write(hal::Memory& destination, std::uint64_t offset,
                               std::span<const std::byte> source) override {
    std::ranges::copy(source, destination.host + offset);
    return {};
  }
  [[nodiscard]] Result<> read(hal::Memory& source, std::uint64_t offset,
                              std::span<std::byte> destination) override {
    std::copy_n(source.host + offset, destination.size(), destination.begin());
    return {};
  }
  [[nodiscard]] Result<> fill(hal::Memory& destination, std::uint64_t offset,
                              std::uint64_t size_bytes, std::byte value) override {
    std::fill_n(destination.host + offset, size_bytes, value);
    return {};
  }

  [[nodiscard]] Result<base::Ref<ir::Kernel>> compile(
      const KernelSource& source, std::span<const SpecConstant> constants) override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY(context_->check_fault("compile", ErrorCode::kCompileFailed));
    return compile_kernel(source, constants, limits_, kernel_indices_);
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Queue>> create_queue() override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY(context_->check_fault("create_queue", ErrorCode::kBackend));
    return std::make_unique<HostQueue>(context_);
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> create_timeline(
      std::uint64_t initial, std::string_view /*label*/) override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY(context_->check_fault("create_timeline", ErrorCode::kOutOfMemory));
    return std::make_unique<HostTimeline>(context_, initial);
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> import_timeline(
      const NativeHandle& handle, std::string_view label) override {
    return base::fail(ErrorCode::kUnsupported,
                      "Timeline \"{}\" cannot be imported from a handle of type \"{}\": those of "
                      "the host device are not shared.",
                      label, handle.type);
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Program>> link(
      std::span<const hal::ProgramInstance> instances) override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY(context_->check_fault("link", ErrorCode::kBackend));
    return std::make_unique<HostProgram>(context_, instances);
  }

  [[nodiscard]] std::vector<KernelSource> builtin_kernels() const override {
    return host::builtin_kernels();
  }
  [[nodiscard]] NativeHandle native_handle() const override { return {"host.none", nullptr, 0}; }

 private:
  std::string name_;
  Limits limits_ = host_limits();
  Features features_ = host_features();
  std::shared_ptr<HostContext> context_;
  std::shared_ptr<base::IndexAllocator> kernel_indices_ = std::make_shared<base::IndexAllocator>();
  AllocatedBytes allocated_bytes_ = std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace

Result<std::shared_ptr<hal::Device>> create_hal_device(const HostOptions& options) {
  if (options.threads > kMaxThreads) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The host device is asked for {} threads; at most {} are allowed.",
                      options.threads, kMaxThreads);
  }
  if (options.reverse_groups && options.parallelism != Parallelism::kNever) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The host device is to reverse groups, which needs Parallelism::kNever.");
  }
  return std::make_shared<HostDevice>(options);
}

}  // namespace segue::host
