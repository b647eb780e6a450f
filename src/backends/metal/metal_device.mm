// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/metal_device.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "backends/metal/device_shared.hpp"
#include "backends/metal/metal_program.hpp"
#include "backends/metal/metal_queue.hpp"
#include "backends/metal/metal_timeline.hpp"
#include "backends/metal/staging.hpp"
#include "base/fail.hpp"

namespace segue::metal {
namespace {

/// Every call has an autorelease pool of its own: callers may be threads that have none.
class MetalDevice final : public hal::Device {
 public:
  MetalDevice(ContextPointer context, DeviceSharedPointer shared)
      : context_(std::move(context)), shared_(std::move(shared)), staging_(shared_) {}

  [[nodiscard]] std::string_view backend() const override { return "metal"; }
  [[nodiscard]] std::string_view name() const override { return context_->name; }
  [[nodiscard]] std::string_view clock_name() const override { return "GPUStartTime"; }
  [[nodiscard]] const Limits& limits() const override { return context_->limits; }
  [[nodiscard]] const Features& features() const override { return context_->features; }
  [[nodiscard]] std::optional<std::uint64_t> memory_budget() const override {
    @autoreleasepool {
      const std::uint64_t budget = [context_->device.get() recommendedMaxWorkingSetSize];
      return budget == 0 ? std::nullopt : std::optional(budget);
    }
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> allocate(
      const hal::MemoryRequest& request) override {
    @autoreleasepool {
      SEGUE_TRY(context_->check_alive());
      SEGUE_TRY_ASSIGN(
          std::unique_ptr<MetalMemory> memory,
          allocate_memory(*context_, request.size_bytes, request.host_access, request.label));
      if (request.zero) SEGUE_TRY(fill(*memory, 0, request.size_bytes, std::byte{0}));
      return memory;
    }
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> import_host(std::byte* data,
                                                                 std::uint64_t size_bytes,
                                                                 bool /*writable*/) override {
    @autoreleasepool {
      SEGUE_TRY(context_->check_alive());
      SEGUE_TRY_ASSIGN(std::unique_ptr<MetalMemory> memory,
                       import_memory(*context_, data, size_bytes));
      return memory;
    }
  }

  [[nodiscard]] Result<> write(hal::Memory& destination, std::uint64_t offset,
                               std::span<const std::byte> source) override {
    if (destination.host == nullptr) return staging_.write(place(destination, offset), source);
    if (!source.empty()) std::memcpy(destination.host + offset, source.data(), source.size());
    return {};
  }
  [[nodiscard]] Result<> read(hal::Memory& source, std::uint64_t offset,
                              std::span<std::byte> destination) override {
    if (source.host == nullptr) return staging_.read(place(source, offset), destination);
    if (!destination.empty())
      std::memcpy(destination.data(), source.host + offset, destination.size());
    return {};
  }
  [[nodiscard]] Result<> fill(hal::Memory& destination, std::uint64_t offset,
                              std::uint64_t size_bytes, std::byte value) override {
    if (destination.host == nullptr)
      return staging_.fill(place(destination, offset), size_bytes, value);
    std::memset(destination.host + offset, std::to_integer<int>(value), size_bytes);
    return {};
  }
  void set_residency(hal::Memory& memory, bool resident) override {
    @autoreleasepool {
      static_cast<MetalMemory&>(memory).set_resident(shared_->residency, resident);
    }
  }

  [[nodiscard]] Result<base::Ref<ir::Kernel>> compile(
      const KernelSource& source, std::span<const SpecConstant> constants) override {
    @autoreleasepool {
      SEGUE_TRY(context_->check_alive());
      return compile_kernel(context_, source, constants);
    }
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Queue>> create_queue() override {
    @autoreleasepool {
      SEGUE_TRY_ASSIGN(std::unique_ptr<MetalQueue> queue, MetalQueue::create(shared_));
      return queue;
    }
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> create_timeline(
      std::uint64_t initial, std::string_view label) override {
    @autoreleasepool {
      SEGUE_TRY(context_->check_alive());
      SEGUE_TRY_ASSIGN(std::unique_ptr<MetalTimeline> timeline,
                       MetalTimeline::create(context_, initial, label));
      return timeline;
    }
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> import_timeline(
      const NativeHandle& handle, std::string_view label) override {
    @autoreleasepool {
      SEGUE_TRY(context_->check_alive());
      SEGUE_TRY_ASSIGN(std::unique_ptr<MetalTimeline> timeline,
                       MetalTimeline::import(context_, handle, label));
      return timeline;
    }
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Program>> link(
      std::span<const hal::ProgramInstance> instances) override {
    @autoreleasepool {
      SEGUE_TRY(context_->check_alive());
      SEGUE_TRY_ASSIGN(std::unique_ptr<MetalProgram> program,
                       MetalProgram::create(context_, *shared_->internal, instances));
      return program;
    }
  }

  [[nodiscard]] std::vector<KernelSource> builtin_kernels() const override {
    return metal::builtin_kernels();
  }
  [[nodiscard]] NativeHandle native_handle() const override {
    return {"MTLDevice", context_->device.get(), 0};
  }
  [[nodiscard]] bool is_lost() const override { return context_->lost(); }

 private:
  static BufferPlace place(const hal::Memory& memory, std::uint64_t offset) {
    return {static_cast<const MetalMemory&>(memory).buffer(), offset};
  }

  ContextPointer context_;
  DeviceSharedPointer shared_;
  Staging staging_;
};

}  // namespace

Result<std::shared_ptr<hal::Device>> create_hal_device(const MetalOptions& options) {
  @autoreleasepool {
    SEGUE_TRY_ASSIGN(ContextPointer context, create_context(options));
    auto shared = std::make_shared<DeviceShared>();
    shared->context = context;
    shared->internal = std::make_unique<InternalKernels>(context);
    SEGUE_TRY(shared->residency->prepare(*context));
    return std::make_shared<MetalDevice>(std::move(context), std::move(shared));
  }
}

}  // namespace segue::metal
