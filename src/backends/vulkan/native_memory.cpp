// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/native_memory.hpp"

#include <bit>
#include <utility>

#include "backends/vulkan/memory_types.hpp"
#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

constexpr VkExternalMemoryHandleTypeFlagBits kHostAllocation =
    VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;

/// The driver refuses an import in one of its calls.
std::unexpected<Error> refused(const Error& error, const std::byte* data, VkDeviceSize size) {
  std::unexpected<Error> refusal = base::fail(
      error.code == ErrorCode::kDeviceLost ? error.code : ErrorCode::kUnsupported,
      "The driver does not import the {} bytes at address {:#x} as memory of the device. {}", size,
      std::bit_cast<std::uintptr_t>(data), error.message);
  refusal.error().native = error.native;
  return refusal;
}

/// A type that the pointer and the buffer allow and that needs no flush, the cached ones first.
std::optional<std::uint32_t> import_type(const Context& context, std::uint32_t type_bits) {
  const auto types = ranked_types(context.memory, type_bits, MemoryUse::kReadback);
  return types.empty() ? std::nullopt : std::optional(types.front());
}

}  // namespace

NativeMemory::~NativeMemory() {
  if (context_ == nullptr) return;
  const Context& context = *context_;
  if (host_ != nullptr) context.api.UnmapMemory(context.device, memory_);
  if (buffer_ != VK_NULL_HANDLE) context.api.DestroyBuffer(context.device, buffer_, nullptr);
  if (memory_ != VK_NULL_HANDLE) context.api.FreeMemory(context.device, memory_, nullptr);
}

void NativeMemory::swap(NativeMemory& other) noexcept {
  std::swap(context_, other.context_);
  std::swap(buffer_, other.buffer_);
  std::swap(memory_, other.memory_);
  std::swap(host_, other.host_);
}

Result<VkMemoryRequirements> NativeMemory::create_buffer(VkDeviceSize size, const void* next) {
  const Context& context = *context_;
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.pNext = next;
  info.size = size;
  info.usage = kBufferUsage;
  info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  VkBuffer buffer = VK_NULL_HANDLE;  // Members only get what was made: outputs of a failed call are
                                     // undefined.
  SEGUE_VK_TRY(context, CreateBuffer, context.device, &info, nullptr, &buffer);
  buffer_ = buffer;
  VkMemoryRequirements requirements{};
  context.api.GetBufferMemoryRequirements(context.device, buffer_, &requirements);
  return requirements;
}

Result<> NativeMemory::allocate_and_bind(const VkMemoryAllocateInfo& info) {
  const Context& context = *context_;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  SEGUE_VK_TRY(context, AllocateMemory, context.device, &info, nullptr, &memory);
  memory_ = memory;
  SEGUE_VK_TRY(context, BindBufferMemory, context.device, buffer_, memory_, 0);
  return {};
}

Result<NativeMemory> NativeMemory::allocate(const ContextPointer& pointer,
                                            const NativeMemoryInfo& info) {
  const Context& context = *pointer;
  NativeMemory made(pointer);
  SEGUE_TRY_ASSIGN(const VkMemoryRequirements requirements, made.create_buffer(info.size, nullptr));

  VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  allocate.allocationSize = requirements.size;
  allocate.memoryTypeIndex = info.type;
  VkMemoryDedicatedAllocateInfo dedicated{VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO};
  dedicated.buffer = made.buffer_;
  if (info.dedicated) allocate.pNext = &dedicated;
  VkMemoryPriorityAllocateInfoEXT priority{VK_STRUCTURE_TYPE_MEMORY_PRIORITY_ALLOCATE_INFO_EXT};
  priority.priority = 0.5F;
  if (context.traits.memory_priority) {
    priority.pNext = allocate.pNext;
    allocate.pNext = &priority;
  }
  SEGUE_TRY(made.allocate_and_bind(allocate));
  if (info.map) {
    void* data = nullptr;
    SEGUE_VK_TRY(context, MapMemory, context.device, made.memory_, 0, VK_WHOLE_SIZE, 0, &data);
    made.host_ = static_cast<std::byte*>(data);
  }
  context.set_name(VK_OBJECT_TYPE_BUFFER, made.buffer_, info.label);
  context.set_name(VK_OBJECT_TYPE_DEVICE_MEMORY, made.memory_, info.label);
  return made;
}

Result<NativeMemory> NativeMemory::import_host(const ContextPointer& pointer, std::byte* data,
                                               VkDeviceSize size) {
  const Context& context = *pointer;
  if (!context.traits.host_import || context.api.GetMemoryHostPointerPropertiesEXT == nullptr) {
    return base::fail(ErrorCode::kUnsupported,
                      "Device \"{}\" imports no host memory (VK_EXT_external_memory_host).",
                      context.name);
  }
  VkMemoryHostPointerPropertiesEXT properties{VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
  auto asked = context.check("vkGetMemoryHostPointerPropertiesEXT",
                             context.api.GetMemoryHostPointerPropertiesEXT(
                                 context.device, kHostAllocation, data, &properties));
  if (!asked) return refused(asked.error(), data, size);

  NativeMemory made(pointer);
  VkExternalMemoryBufferCreateInfo external{VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO};
  external.handleTypes = kHostAllocation;
  auto requirements = made.create_buffer(size, &external);
  if (!requirements) return refused(requirements.error(), data, size);
  const auto type = import_type(context, properties.memoryTypeBits & requirements->memoryTypeBits);
  if (!type || requirements->size > size) {
    return base::fail(ErrorCode::kUnsupported,
                      "The driver does not import the {} bytes at address {:#x} as memory of the "
                      "device: {}.",
                      size, std::bit_cast<std::uintptr_t>(data),
                      type ? fmt::format("its buffer of that size needs {}", requirements->size)
                           : "it has no coherent memory type for them");
  }
  VkImportMemoryHostPointerInfoEXT import{VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT};
  import.handleType = kHostAllocation;
  import.pHostPointer = data;
  VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  allocate.pNext = &import;
  allocate.allocationSize = size;
  allocate.memoryTypeIndex = *type;
  const Result<> allocated = made.allocate_and_bind(allocate);
  if (!allocated) return refused(allocated.error(), data, size);
  return made;
}

Result<VkMemoryRequirements> buffer_requirements(const ContextPointer& context) {
  const VkDeviceSize any = 65536;
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = any;
  info.usage = kBufferUsage;
  info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  VkBuffer probe = VK_NULL_HANDLE;
  SEGUE_VK_TRY(*context, CreateBuffer, context->device, &info, nullptr, &probe);
  VkMemoryRequirements requirements{};
  context->api.GetBufferMemoryRequirements(context->device, probe, &requirements);
  context->api.DestroyBuffer(context->device, probe, nullptr);
  return requirements;
}

}  // namespace segue::vulkan
