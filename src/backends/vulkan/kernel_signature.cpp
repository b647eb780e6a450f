// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/kernel_signature.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

template <class... Args>
std::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return base::fail(ErrorCode::kCompileFailed, format, std::forward<Args>(args)...);
}

std::string_view kind_name(ParameterKind kind) {
  switch (kind) {
    case ParameterKind::kBuffer: return "a buffer";
    case ParameterKind::kBytes: return "inline bytes";
    case ParameterKind::kShared: return "shared memory";
  }
  return "";
}

std::string_view access_name(Access access) {
  switch (access) {
    case Access::kRead: return "read";
    case Access::kWrite: return "write";
    case Access::kReadWrite: return "read and write";
  }
  return "";
}

bool covers(Access declared, Access used) {
  return (!reads(used) || reads(declared)) && (!writes(used) || writes(declared));
}

/// Inline bytes that the code takes as a uniform block, or as a storage block that it only reads.
Result<> reconcile_bytes(const Parameter& declared, const spirv::BlockInfo& block,
                         Parameter& parameter) {
  if (block.uniform) {
    if (declared.size_bytes != 0 && declared.size_bytes != block.size_bytes) {
      return refuse("Parameter \"{}\" is declared with {} bytes, but block \"{}\" has {}.",
                    declared.name, declared.size_bytes, block.name, block.size_bytes);
    }
    return {};
  }
  if (block.writes) {
    return refuse("Parameter \"{}\" is declared as inline bytes, but the code writes \"{}\".",
                  declared.name, block.name);
  }
  if (declared.size_bytes != 0 && declared.size_bytes < block.size_bytes) {
    return refuse("Parameter \"{}\" is declared with {} bytes, but block \"{}\" has {}.",
                  declared.name, declared.size_bytes, block.name, block.size_bytes);
  }
  parameter.kind = ParameterKind::kBytes;
  parameter.access = Access::kRead;
  parameter.size_bytes = declared.size_bytes;
  return {};
}

Result<> reconcile_buffer(const Parameter& declared, Parameter& parameter) {
  if (declared.access_known && !covers(declared.access, parameter.access)) {
    return refuse("Parameter \"{}\" is declared as {}, but the code's access to \"{}\" is {}.",
                  declared.name, access_name(declared.access), parameter.name,
                  access_name(parameter.access));
  }
  parameter.access = declared.access_known ? declared.access : Access::kReadWrite;
  parameter.access_known = declared.access_known;
  parameter.alignment = std::max(declared.alignment, parameter.alignment);
  return {};
}

Result<> reconcile_shared(const Parameter& declared, const Parameter& parameter) {
  if (declared.sizing != parameter.sizing) {
    return refuse(
        "Shared parameter \"{}\" is sized by {} in the declared signature, but in the code by {}.",
        declared.name, declared.sizing == SharedSizing::kLaunch ? "the dispatch" : "the kernel",
        parameter.sizing == SharedSizing::kLaunch ? "the dispatch" : "a constant that is given");
  }
  return {};
}

Result<> reconcile_parameter(const Parameter& declared, const spirv::ShaderReflection& reflection,
                             std::size_t index, Parameter& parameter) {
  const bool block_as_bytes =
      declared.kind == ParameterKind::kBytes && parameter.kind == ParameterKind::kBuffer;
  if (declared.kind != parameter.kind && !block_as_bytes) {
    return refuse("Parameter {} (\"{}\") is declared as {}, but in the code it is {} (\"{}\").",
                  index, declared.name, kind_name(declared.kind), kind_name(parameter.kind),
                  parameter.name);
  }
  switch (declared.kind) {
    case ParameterKind::kBuffer: SEGUE_TRY(reconcile_buffer(declared, parameter)); break;
    case ParameterKind::kBytes:
      SEGUE_TRY(reconcile_bytes(declared, reflection.blocks[index], parameter));
      break;
    case ParameterKind::kShared: SEGUE_TRY(reconcile_shared(declared, parameter)); break;
  }
  if (!declared.name.empty()) parameter.name = declared.name;
  return {};
}

/// A declared group size of one thread is taken as none.
Result<> reconcile_group_size(const Signature& declared, const spirv::ShaderReflection& reflection,
                              Signature& signature) {
  const Extent3 wanted = declared.group_size;
  const Extent3 coded = signature.group_size;
  if (wanted == Extent3{} || wanted == coded) return {};
  const auto& ids = reflection.group_size_ids;
  if ((wanted.x != coded.x && !ids[0]) || (wanted.y != coded.y && !ids[1]) ||
      (wanted.z != coded.z && !ids[2])) {
    return refuse("The declared group size is {} x {} x {}, but the code's is {} x {} x {}.",
                  wanted.x, wanted.y, wanted.z, coded.x, coded.y, coded.z);
  }
  signature.group_size = wanted;
  return {};
}

}  // namespace

Result<Signature> reconcile(const Signature& declared, Signature reflected,
                            const spirv::ShaderReflection& reflection) {
  if (declared.parameters.size() != reflected.parameters.size()) {
    return refuse("The declared signature has {} parameters, but the code has {}.",
                  declared.parameters.size(), reflected.parameters.size());
  }
  for (std::size_t i = 0; i < reflected.parameters.size(); ++i) {
    SEGUE_TRY(reconcile_parameter(declared.parameters[i], reflection, i, reflected.parameters[i]));
  }
  SEGUE_TRY(reconcile_group_size(declared, reflection, reflected));
  reflected.guards_ragged_edges |= declared.guards_ragged_edges;
  reflected.fixed_group_size |= declared.fixed_group_size;
  if (declared.items_per_group != 1) reflected.items_per_group = declared.items_per_group;
  if (declared.batch_per_group != 0) reflected.batch_per_group = declared.batch_per_group;
  return reflected;
}

Result<> check_limits(const Signature& signature, const spirv::ShaderReflection& reflection,
                      const Limits& limits) {
  if (signature.argument_count() > limits.max_arguments) {
    return refuse("It takes {} arguments; at most {} are allowed.", signature.argument_count(),
                  limits.max_arguments);
  }
  for (const Parameter& parameter : signature.parameters) {
    if (parameter.kind == ParameterKind::kBytes && parameter.size_bytes > limits.max_inline_bytes) {
      return refuse("Parameter \"{}\" has {} inline bytes; at most {} are allowed.", parameter.name,
                    parameter.size_bytes, limits.max_inline_bytes);
    }
  }
  const Extent3 size = signature.group_size;
  const Extent3 most = limits.max_group_size;
  if (size.x > most.x || size.y > most.y || size.z > most.z ||
      size.count() > limits.max_group_threads) {
    return refuse("Its group size is {} x {} x {}; at most {} threads, {} x {} x {}, are allowed.",
                  size.x, size.y, size.z, limits.max_group_threads, most.x, most.y, most.z);
  }
  if (reflection.shared_bytes > limits.max_shared_memory_bytes) {
    return refuse("A group uses {} bytes of shared memory; at most {} are allowed.",
                  reflection.shared_bytes, limits.max_shared_memory_bytes);
  }
  if (signature.items_per_group == 0)
    return refuse("Its constant items_per_group is 0; at least 1 is allowed.");
  return {};
}

}  // namespace segue::vulkan
