// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/vulkan_device.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "backends/vulkan/command_frame.hpp"
#include "backends/vulkan/pipeline_cache.hpp"
#include "backends/vulkan/staging.hpp"
#include "backends/vulkan/vulkan_program.hpp"
#include "backends/vulkan/vulkan_queue.hpp"
#include "backends/vulkan/vulkan_timeline.hpp"
#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

class VulkanDevice final : public hal::Device {
 public:
  [[nodiscard]] static Result<std::shared_ptr<VulkanDevice>> create(ContextPointer context,
                                                                    unsigned queue_count) {
    auto device = std::make_shared<VulkanDevice>();
    device->queue_count_ = queue_count;
    auto shared = std::make_shared<DeviceShared>();
    shared->context = context;
    SEGUE_TRY_ASSIGN(shared->allocator, MemoryAllocator::create(context));
    SEGUE_TRY_ASSIGN(shared->clock, DeviceClock::create(*context));
    shared->kernel_indices = std::make_shared<base::IndexAllocator>();
    shared->internal = std::make_unique<InternalKernels>(context, shared->kernel_indices);
    device->context_ = std::move(context);
    device->shared_ = std::move(shared);
    // The queue that jobs come to last: copies then wait for no job where the driver has several.
    device->staging_ = std::make_unique<StagingRing>(device->context_, device->shared_->allocator,
                                                     *device->context_->queues.back());
    return device;
  }

  ~VulkanDevice() override {
    if (context_ != nullptr && !context_->lost()) save_pipeline_cache(*context_);
  }

  [[nodiscard]] std::string_view backend() const override { return "vulkan"; }
  [[nodiscard]] std::string_view name() const override { return context_->name; }
  [[nodiscard]] std::string_view clock_name() const override {
    return shared_->clock.calibrated() ? "CLOCK_MONOTONIC" : "Vulkan device clock";
  }
  [[nodiscard]] const Limits& limits() const override { return context_->limits; }
  [[nodiscard]] const Features& features() const override { return context_->features; }
  [[nodiscard]] std::optional<std::uint64_t> memory_budget() const override {
    return shared_->allocator->budget();
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> allocate(
      const hal::MemoryRequest& request) override {
    SEGUE_TRY(context_->check_alive());
    return allocate_memory(*shared_->allocator, *staging_, request);
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> import_host(std::byte* data,
                                                                 std::uint64_t size_bytes,
                                                                 bool /*writable*/) override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY_ASSIGN(std::unique_ptr<VulkanMemory> memory,
                     shared_->allocator->import_host(data, size_bytes));
    return memory;
  }

  [[nodiscard]] Result<> write(hal::Memory& destination, std::uint64_t offset,
                               std::span<const std::byte> source) override {
    return staging_->write(range(destination), offset, source);
  }
  [[nodiscard]] Result<> read(hal::Memory& source, std::uint64_t offset,
                              std::span<std::byte> destination) override {
    return staging_->read(range(source), offset, destination);
  }
  [[nodiscard]] Result<> fill(hal::Memory& destination, std::uint64_t offset,
                              std::uint64_t size_bytes, std::byte value) override {
    return staging_->fill(range(destination), offset, size_bytes, value);
  }
  void set_residency(hal::Memory& memory, bool resident) override {
    shared_->allocator->set_priority(static_cast<VulkanMemory&>(memory), resident ? 1.0F : 0.5F);
  }

  [[nodiscard]] Result<base::Ref<ir::Kernel>> compile(
      const KernelSource& source, std::span<const SpecConstant> constants) override {
    SEGUE_TRY(context_->check_alive());
    return compile_kernel(context_, source, constants, shared_->kernel_indices);
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Queue>> create_queue() override {
    SEGUE_TRY(context_->check_alive());
    auto& natives = context_->queues;
    NativeQueue& native = *natives[created_queues_++ % natives.size()];
    // The staging ring uses the last one.
    const bool shares = queue_count_ > natives.size() || &native == natives.back().get();
    SEGUE_TRY_ASSIGN(std::unique_ptr<VulkanQueue> queue,
                     VulkanQueue::create(shared_, native, shares));
    return queue;
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> create_timeline(
      std::uint64_t initial, std::string_view label) override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY_ASSIGN(std::unique_ptr<VulkanTimeline> timeline,
                     VulkanTimeline::create(context_, initial, label));
    return timeline;
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> import_timeline(
      const NativeHandle& handle, std::string_view label) override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY_ASSIGN(std::unique_ptr<VulkanTimeline> timeline,
                     VulkanTimeline::import(context_, handle, label));
    return timeline;
  }

  [[nodiscard]] Result<std::unique_ptr<hal::Program>> link(
      std::span<const hal::ProgramInstance> instances) override {
    SEGUE_TRY(context_->check_alive());
    SEGUE_TRY_ASSIGN(std::unique_ptr<VulkanProgram> program,
                     VulkanProgram::create(shared_, instances));
    return program;
  }

  [[nodiscard]] std::vector<KernelSource> builtin_kernels() const override {
    std::vector<KernelSource> kernels = vulkan::builtin_kernels(context_->traits);
    std::erase_if(kernels, [](const KernelSource& source) {
      return source.name.starts_with(kInternalPrefix);
    });
    return kernels;
  }
  [[nodiscard]] NativeHandle native_handle() const override {
    return {"VkDevice", context_->device, 0};
  }
  [[nodiscard]] bool is_lost() const override { return context_->lost(); }

 private:
  static const BufferRange& range(const hal::Memory& memory) {
    return static_cast<const VulkanMemory&>(memory).range();
  }

  ContextPointer context_;
  DeviceSharedPointer shared_;
  std::unique_ptr<StagingRing> staging_;
  unsigned queue_count_ = 1;
  std::size_t created_queues_ = 0;
};

}  // namespace

Result<std::shared_ptr<hal::Device>> create_hal_device(const VulkanOptions& options,
                                                       unsigned queue_count, const ApiHook& hook) {
  SEGUE_TRY_ASSIGN(ContextPointer context, create_context(options, hook));
  SEGUE_TRY(open_pipeline_cache(*context, options.pipeline_cache_directory));
  SEGUE_TRY_ASSIGN(std::shared_ptr<VulkanDevice> device,
                   VulkanDevice::create(std::move(context), queue_count));
  return device;
}

}  // namespace segue::vulkan
