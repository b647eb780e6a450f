// SPDX-License-Identifier: Apache-2.0
#include "spirv/signature.hpp"

#include <algorithm>
#include <utility>

namespace segue::spirv {
namespace {

Access access_of(const BlockInfo& block) {
  if (!block.writes) return Access::kRead;
  return block.reads ? Access::kReadWrite : Access::kWrite;
}

Parameter parameter_of(const BlockInfo& block) {
  Parameter parameter;
  parameter.name = block.name;
  if (block.uniform) {
    parameter.kind = ParameterKind::kBytes;
    parameter.access = Access::kRead;
    parameter.size_bytes = block.size_bytes;
  } else {
    parameter.access = access_of(block);
    parameter.alignment = block.alignment;
  }
  return parameter;
}

}  // namespace

Signature signature_of(const ShaderReflection& reflection, const Specialisation& specialisation) {
  Signature signature;
  for (const BlockInfo& block : reflection.blocks) {
    if (block.grid) {
      signature.guards_ragged_edges = block.reads;
    } else {
      signature.parameters.push_back(parameter_of(block));
    }
  }
  for (const SharedInfo& shared : reflection.shared) {
    if (!shared.count_id) continue;
    Parameter parameter;
    parameter.name = shared.name;
    parameter.kind = ParameterKind::kShared;
    parameter.sizing = SharedSizing::kLaunch;
    if (specialisation.contains(*shared.count_id)) {
      parameter.sizing = SharedSizing::kSpecialisation;
      parameter.size_bytes =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(shared.size_bytes, UINT32_MAX));
    }
    signature.parameters.push_back(std::move(parameter));
  }
  signature.group_size = reflection.group_size;
  signature.fixed_group_size = !std::ranges::all_of(reflection.group_size_ids,
                                                    [](const auto& id) { return id.has_value(); });
  signature.items_per_group = reflection.items_per_group;
  signature.batch_per_group = reflection.batch_per_group;
  return signature;
}

}  // namespace segue::spirv
