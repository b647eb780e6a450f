// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

#include "backends/vulkan/block_allocator.hpp"
#include "backends/vulkan/memory_types.hpp"
#include "backends/vulkan/native_memory.hpp"
#include "backends/vulkan/vulkan_memory.hpp"
#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

constexpr VkDeviceSize kBlockBytes = VkDeviceSize{64} << 20;
constexpr VkDeviceSize kDedicatedFrom = VkDeviceSize{16} << 20;
/// Of a small heap a block takes no more than this part.
constexpr VkDeviceSize kBlocksPerHeap = 16;
constexpr VkDeviceSize kMinAlignment = 256;

/// Native memory that several requests share.
struct Block {
  Block(NativeMemory memory, VkDeviceSize size, VkDeviceSize granule, std::uint32_t memory_type)
      : native(std::move(memory)), ranges(size, granule), type(memory_type) {}

  NativeMemory native;
  BlockAllocator ranges;
  std::uint32_t type;
};

class Allocator;

class BlockMemory final : public VulkanMemory {
 public:
  BlockMemory(std::shared_ptr<Allocator> allocator, Block& block, const BufferRange& range);
  BlockMemory(const BlockMemory&) = delete;
  BlockMemory& operator=(const BlockMemory&) = delete;
  ~BlockMemory() override;

 private:
  std::shared_ptr<Allocator> allocator_;
  Block& block_;
};

class DedicatedMemory final : public VulkanMemory {
 public:
  DedicatedMemory(std::shared_ptr<Allocator> allocator, NativeMemory memory, VkDeviceSize size);
  DedicatedMemory(const DedicatedMemory&) = delete;
  DedicatedMemory& operator=(const DedicatedMemory&) = delete;
  ~DedicatedMemory() override;

  [[nodiscard]] VkDeviceMemory memory() const { return native_memory_.memory(); }

 private:
  std::shared_ptr<Allocator> allocator_;
  NativeMemory native_memory_;
};

/// What bounds a native allocation.
struct AllocationLimits {
  VkDeviceSize max_bytes = 0;
  const char* max_bytes_name = "";
  std::uint32_t max_count = 0;
};

AllocationLimits allocation_limits(const Context& context) {
  VkPhysicalDeviceMaintenance3Properties maintenance3{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
  VkPhysicalDeviceMaintenance4Properties maintenance4{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES};
  maintenance4.pNext = &maintenance3;
  VkPhysicalDeviceProperties2 properties{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  properties.pNext = &maintenance4;
  context.api.GetPhysicalDeviceProperties2(context.physical, &properties);
  AllocationLimits limits;
  limits.max_count = properties.properties.limits.maxMemoryAllocationCount;
  limits.max_bytes = maintenance3.maxMemoryAllocationSize;
  limits.max_bytes_name = "maxMemoryAllocationSize";
  if (maintenance4.maxBufferSize < limits.max_bytes) {
    limits.max_bytes = maintenance4.maxBufferSize;
    limits.max_bytes_name = "maxBufferSize";
  }
  return limits;
}

bool is_out_of_device_memory(const Error& error) {
  return error.native && error.native->code == VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

class Allocator final : public MemoryAllocator {
 public:
  Allocator(ContextPointer context, const VkMemoryRequirements& requirements);

  Result<std::unique_ptr<VulkanMemory>> allocate(const AllocationRequest& request) override;
  Result<std::unique_ptr<VulkanMemory>> import_host(std::byte* data,
                                                    std::uint64_t size_bytes) override;
  [[nodiscard]] bool device_memory_is_visible() const override;
  bool set_priority(const VulkanMemory& memory, float priority) override;
  [[nodiscard]] std::optional<std::uint64_t> budget() const override;
  [[nodiscard]] std::size_t block_count() const override { return native_count_.load(); }

  void give_back(Block& block, const BufferRange& range);
  void forget_native() { native_count_.fetch_sub(1); }

 private:
  Result<std::unique_ptr<VulkanMemory>> allocate_from(std::uint32_t type,
                                                      const AllocationRequest& request);
  Result<std::unique_ptr<VulkanMemory>> allocate_dedicated(std::uint32_t type,
                                                           const AllocationRequest& request);
  std::unique_ptr<VulkanMemory> allocate_in(Block& block, const AllocationRequest& request);
  Result<> count_native();
  Result<NativeMemory> allocate_native(const NativeMemoryInfo& info);
  bool release_spares();
  [[nodiscard]] Error out_of_memory(const Error& cause, const AllocationRequest& request,
                                    std::uint32_t type) const;
  [[nodiscard]] std::vector<std::uint32_t> types_for(MemoryUse use) const {
    return ranked_types(context_->memory, type_bits_, use);
  }
  [[nodiscard]] VkDeviceSize block_bytes(std::uint32_t type) const;
  [[nodiscard]] std::optional<VkDeviceSize> heap_budget(std::uint32_t heap) const;

  const ContextPointer context_;
  const std::uint32_t type_bits_;
  const VkDeviceSize granule_;
  const AllocationLimits limits_;
  std::atomic<std::uint32_t> native_count_{0};
  std::mutex mutex_;  ///< Of the blocks.
  std::vector<std::unique_ptr<Block>> blocks_;
};

BlockMemory::BlockMemory(std::shared_ptr<Allocator> allocator, Block& block,
                         const BufferRange& range)
    : allocator_(std::move(allocator)), block_(block) {
  set_range(range);
}

BlockMemory::~BlockMemory() { allocator_->give_back(block_, range()); }

DedicatedMemory::DedicatedMemory(std::shared_ptr<Allocator> allocator, NativeMemory memory,
                                 VkDeviceSize size)
    : allocator_(std::move(allocator)), native_memory_(std::move(memory)) {
  set_range({native_memory_.buffer(), 0, size});
}

DedicatedMemory::~DedicatedMemory() {
  native_memory_ = {};
  allocator_->forget_native();
}

Allocator::Allocator(ContextPointer context, const VkMemoryRequirements& requirements)
    : context_(std::move(context)),
      type_bits_(requirements.memoryTypeBits),
      // A power of two, as all of these are.
      granule_(std::max<VkDeviceSize>(
          {kMinAlignment, requirements.alignment, context_->traits.storage_alignment,
           context_->traits.uniform_alignment, context_->properties.limits.nonCoherentAtomSize})),
      limits_(allocation_limits(*context_)) {}

Result<std::unique_ptr<VulkanMemory>> Allocator::allocate(const AllocationRequest& request) {
  SEGUE_TRY(context_->check_alive());
  if (request.size_bytes > limits_.max_bytes) {
    return base::fail(ErrorCode::kOutOfMemory,
                      "Device \"{}\" gives at most {} bytes in one piece ({}) but \"{}\" needs {}.",
                      context_->name, limits_.max_bytes, limits_.max_bytes_name, request.label,
                      request.size_bytes);
  }
  const std::vector<std::uint32_t> types = types_for(request.use);
  if (types.empty()) {
    return base::fail(ErrorCode::kUnsupported,
                      "Device \"{}\" has no memory of the kind that \"{}\" needs.", context_->name,
                      request.label);
  }
  std::optional<Error> first;
  for (const std::uint32_t type : types) {
    auto memory = allocate_from(type, request);
    // Blocks that are kept for later, of whatever type, may be in the way in the same heap.
    const bool spares_may_help = !memory && (is_out_of_device_memory(memory.error()) ||
                                             memory.error().code == ErrorCode::kOutOfMemory);
    if (spares_may_help && release_spares()) memory = allocate_from(type, request);
    if (memory) return memory;
    if (!is_out_of_device_memory(memory.error())) {
      if (memory.error().code != ErrorCode::kOutOfMemory) return memory;
      return std::unexpected(out_of_memory(memory.error(), request, type));
    }
    if (!first) first = out_of_memory(memory.error(), request, type);
  }
  return std::unexpected(*std::move(first));
}

Result<std::unique_ptr<VulkanMemory>> Allocator::allocate_from(std::uint32_t type,
                                                               const AllocationRequest& request) {
  const VkDeviceSize block_size = block_bytes(type);
  if (request.size_bytes > std::min(kDedicatedFrom, block_size / 4))
    return allocate_dedicated(type, request);

  const std::lock_guard lock(mutex_);
  for (const std::unique_ptr<Block>& block : blocks_) {
    if (block->type != type) continue;
    if (auto memory = allocate_in(*block, request)) return memory;
  }
  NativeMemoryInfo info;
  info.size = block_size;
  info.type = type;
  info.map = is_host_coherent(context_->memory, type);
  info.label = "segue block";
  auto native = allocate_native(info);
  if (!native) {
    // The heap may have room for this request, if not for a block.
    if (is_out_of_device_memory(native.error())) return allocate_dedicated(type, request);
    return std::unexpected(std::move(native).error());
  }
  blocks_.push_back(std::make_unique<Block>(*std::move(native), block_size, granule_, type));
  return allocate_in(*blocks_.back(), request);
}

std::unique_ptr<VulkanMemory> Allocator::allocate_in(Block& block,
                                                     const AllocationRequest& request) {
  const std::optional<VkDeviceSize> offset = block.ranges.take(request.size_bytes);
  if (!offset) return nullptr;
  const BufferRange range{block.native.buffer(), *offset, request.size_bytes};
  auto memory = std::make_unique<BlockMemory>(
      std::static_pointer_cast<Allocator>(shared_from_this()), block, range);
  if (request.use != MemoryUse::kDeviceOnly && block.native.host() != nullptr) {
    memory->host = block.native.host() + *offset;
    memory->host_cached = is_host_cached(context_->memory, block.type);
  }
  return memory;
}

Result<std::unique_ptr<VulkanMemory>> Allocator::allocate_dedicated(
    std::uint32_t type, const AllocationRequest& request) {
  NativeMemoryInfo info;
  info.size = std::max<VkDeviceSize>(request.size_bytes, 1);
  info.type = type;
  info.map = request.use != MemoryUse::kDeviceOnly && is_host_coherent(context_->memory, type);
  info.dedicated = true;
  info.label = request.label;
  SEGUE_TRY_ASSIGN(NativeMemory native, allocate_native(info));
  std::byte* const host = native.host();
  auto memory =
      std::make_unique<DedicatedMemory>(std::static_pointer_cast<Allocator>(shared_from_this()),
                                        std::move(native), request.size_bytes);
  memory->host = host;
  memory->host_cached = host != nullptr && is_host_cached(context_->memory, type);
  return memory;
}

/// Counts a native allocation before it is made; forget_native() is called when it is gone.
Result<> Allocator::count_native() {
  if (native_count_.fetch_add(1) < limits_.max_count) return {};
  forget_native();
  return base::fail(ErrorCode::kOutOfMemory,
                    "The device has all of its {} allocations (maxMemoryAllocationCount).",
                    limits_.max_count);
}

Result<NativeMemory> Allocator::allocate_native(const NativeMemoryInfo& info) {
  SEGUE_TRY(count_native());
  auto native = NativeMemory::allocate(context_, info);
  if (!native) forget_native();
  return native;
}

Result<std::unique_ptr<VulkanMemory>> Allocator::import_host(std::byte* data,
                                                             std::uint64_t size_bytes) {
  SEGUE_TRY(context_->check_alive());
  SEGUE_TRY(count_native());
  auto native = NativeMemory::import_host(context_, data, size_bytes);
  if (!native) {
    forget_native();
    return std::unexpected(std::move(native).error());
  }
  auto memory = std::make_unique<DedicatedMemory>(
      std::static_pointer_cast<Allocator>(shared_from_this()), *std::move(native), size_bytes);
  memory->host = data;
  memory->host_cached = true;
  return memory;
}

void Allocator::give_back(Block& block, const BufferRange& range) {
  std::unique_ptr<Block> unused;  // destroyed without the lock
  {
    const std::lock_guard lock(mutex_);
    block.ranges.give_back(range.offset, range.size);
    if (!block.ranges.empty()) return;
    const bool has_spare = std::ranges::any_of(blocks_, [&block](const auto& other) {
      return other.get() != &block && other->type == block.type && other->ranges.empty();
    });
    if (!has_spare) return;
    const auto place = std::ranges::find(blocks_, &block, &std::unique_ptr<Block>::get);
    unused = std::move(*place);
    blocks_.erase(place);
  }
  unused.reset();
  forget_native();
}

/// Gives all empty blocks back; whether there were any.
bool Allocator::release_spares() {
  const std::lock_guard lock(mutex_);
  const std::size_t released =
      std::erase_if(blocks_, [](const auto& block) { return block->ranges.empty(); });
  native_count_.fetch_sub(static_cast<std::uint32_t>(released));
  return released != 0;
}

VkDeviceSize Allocator::block_bytes(std::uint32_t type) const {
  const std::uint32_t heap = context_->memory.memoryTypes[type].heapIndex;
  const VkDeviceSize share = context_->memory.memoryHeaps[heap].size / kBlocksPerHeap;
  const VkDeviceSize size = std::min({kBlockBytes, share, limits_.max_bytes});
  return std::max(size / granule_ * granule_, granule_);
}

bool Allocator::device_memory_is_visible() const {
  const std::vector<std::uint32_t> types = types_for(MemoryUse::kDevice);
  return !types.empty() && is_host_coherent(context_->memory, types.front());
}

bool Allocator::set_priority(const VulkanMemory& memory, float priority) {
  const auto* const dedicated = dynamic_cast<const DedicatedMemory*>(&memory);
  if (dedicated == nullptr || !context_->traits.memory_priority ||
      context_->api.SetDeviceMemoryPriorityEXT == nullptr)
    return false;
  context_->api.SetDeviceMemoryPriorityEXT(context_->device, dedicated->memory(), priority);
  return true;
}

std::optional<VkDeviceSize> Allocator::heap_budget(std::uint32_t heap) const {
  if (!context_->traits.memory_budget) return std::nullopt;
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budgets{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 properties{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
  properties.pNext = &budgets;
  context_->api.GetPhysicalDeviceMemoryProperties2(context_->physical, &properties);
  return budgets.heapBudget[heap];
}

std::optional<std::uint64_t> Allocator::budget() const {
  const std::vector<std::uint32_t> types = types_for(MemoryUse::kDevice);
  if (types.empty()) return std::nullopt;
  return heap_budget(context_->memory.memoryTypes[types.front()].heapIndex);
}

Error Allocator::out_of_memory(const Error& cause, const AllocationRequest& request,
                               std::uint32_t type) const {
  const std::uint32_t heap = context_->memory.memoryTypes[type].heapIndex;
  const std::optional<VkDeviceSize> budget = heap_budget(heap);
  Error error;
  error.code = ErrorCode::kOutOfMemory;
  error.message = fmt::format(
      "Device \"{}\" does not give {} bytes for \"{}\" from its heap of {} bytes{}. {}",
      context_->name, request.size_bytes, request.label, context_->memory.memoryHeaps[heap].size,
      budget ? fmt::format(", of which this process may use {}", *budget) : "", cause.message);
  error.native = cause.native;
  return error;
}

}  // namespace

Result<std::shared_ptr<MemoryAllocator>> MemoryAllocator::create(ContextPointer context) {
  SEGUE_TRY_ASSIGN(const VkMemoryRequirements requirements, buffer_requirements(context));
  return std::make_shared<Allocator>(std::move(context), requirements);
}

}  // namespace segue::vulkan
