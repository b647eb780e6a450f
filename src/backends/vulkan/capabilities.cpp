// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/capabilities.hpp"

#include <fmt/format.h>

#include <spirv/unified1/spirv.hpp>

namespace segue::vulkan {
namespace {

/// Needs no feature, or one that every device must have that we open. Source: Vulkan 1.3
/// specification, appendix "SPIR-V Capabilities".
bool is_common(std::uint32_t capability) {
  switch (capability) {
    case spv::CapabilityMatrix:
    case spv::CapabilityShader:
    case spv::CapabilityGroupNonUniform:
    case spv::CapabilityGroupNonUniformVote:
    case spv::CapabilityGroupNonUniformArithmetic:
    case spv::CapabilityGroupNonUniformBallot:
    case spv::CapabilityGroupNonUniformShuffle:
    case spv::CapabilityGroupNonUniformShuffleRelative:
    case spv::CapabilityStorageBuffer16BitAccess:
    case spv::CapabilityStorageBuffer8BitAccess: return true;
    default: return false;
  }
}

bool has(std::uint32_t capability, const DeviceTraits& traits) {
  switch (capability) {
    case spv::CapabilityFloat16: return traits.float16;
    case spv::CapabilityInt8: return traits.int8;
    case spv::CapabilityInt16: return traits.int16;
    case spv::CapabilityInt64: return traits.int64;
    case spv::CapabilityVulkanMemoryModel:
    case spv::CapabilityVulkanMemoryModelDeviceScope: return traits.vulkan_memory_model;
    case spv::CapabilityDotProduct:
    case spv::CapabilityDotProductInputAll:
    case spv::CapabilityDotProductInput4x8BitPacked: return traits.integer_dot_product;
    case spv::CapabilityDotProductInput4x8Bit: return traits.integer_dot_product && traits.int8;
    case spv::CapabilityCooperativeMatrixNV: return traits.cooperative_matrix_nv;
    default: return is_common(capability);
  }
}

/// Those that users are likely to meet; any other is known by its number.
const char* name_of(std::uint32_t capability) {
#define SEGUE_CASE(name) \
  case spv::Capability##name: return #name;
  switch (capability) {
    SEGUE_CASE(Float16)
    SEGUE_CASE(Float64)
    SEGUE_CASE(Int8)
    SEGUE_CASE(Int16)
    SEGUE_CASE(Int64)
    SEGUE_CASE(Int64Atomics)
    SEGUE_CASE(Kernel)
    SEGUE_CASE(VulkanMemoryModel)
    SEGUE_CASE(VulkanMemoryModelDeviceScope)
    SEGUE_CASE(DotProduct)
    SEGUE_CASE(DotProductInputAll)
    SEGUE_CASE(DotProductInput4x8Bit)
    SEGUE_CASE(DotProductInput4x8BitPacked)
    SEGUE_CASE(CooperativeMatrixNV)
    SEGUE_CASE(GroupNonUniformClustered)
    SEGUE_CASE(GroupNonUniformQuad)
    SEGUE_CASE(UniformAndStorageBuffer8BitAccess)
    SEGUE_CASE(UniformAndStorageBuffer16BitAccess)
    SEGUE_CASE(StoragePushConstant8)
    SEGUE_CASE(StoragePushConstant16)
    SEGUE_CASE(PhysicalStorageBufferAddresses)
    SEGUE_CASE(VariablePointers)
    SEGUE_CASE(VariablePointersStorageBuffer)
    SEGUE_CASE(RuntimeDescriptorArray)
    SEGUE_CASE(ShaderClockKHR)
    SEGUE_CASE(SubgroupBallotKHR)
    SEGUE_CASE(SubgroupVoteKHR)
    SEGUE_CASE(AtomicFloat32AddEXT)
    SEGUE_CASE(WorkgroupMemoryExplicitLayoutKHR)
    SEGUE_CASE(ImageQuery)
    default: return nullptr;
  }
#undef SEGUE_CASE
}

}  // namespace

std::optional<std::string> missing_capability(std::span<const std::uint32_t> capabilities,
                                              const DeviceTraits& traits) {
  for (const std::uint32_t capability : capabilities) {
    if (has(capability, traits)) continue;
    const char* const name = name_of(capability);
    return name != nullptr ? fmt::format("{} ({})", name, capability)
                           : fmt::format("{}", capability);
  }
  return std::nullopt;
}

}  // namespace segue::vulkan
