// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/kernel_layout.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/fail.hpp"

namespace segue::metal {
namespace {

constexpr std::string_view kGrid = "segue_grid";
constexpr std::string_view kViewSizes = "segue_view_sizes";

template <class... Args>
std::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return base::fail(ErrorCode::kCompileFailed, format, std::forward<Args>(args)...);
}

bool is_hidden(const ReflectedBuffer& buffer) {
  return buffer.name == kGrid || buffer.name == kViewSizes;
}

/// What the backend binds by itself follows the arguments, in either order, without a gap: the
/// whole table up to there is bound.
Result<> check_hidden(const MslReflection& reflection, std::size_t arguments) {
  const auto hidden =
      static_cast<std::size_t>(std::ranges::count_if(reflection.buffers, is_hidden));
  for (const ReflectedBuffer& buffer : reflection.buffers) {
    if (!is_hidden(buffer) || (buffer.index >= arguments && buffer.index < arguments + hidden))
      continue;
    return refuse("\"{}\" is at buffer index {}; it belongs right behind the {} arguments.",
                  buffer.name, buffer.index, arguments);
  }
  return {};
}

/// The buffers that are arguments, in order.
std::vector<const ReflectedBuffer*> arguments_of(const MslReflection& reflection) {
  std::vector<const ReflectedBuffer*> arguments;
  for (const ReflectedBuffer& buffer : reflection.buffers)
    if (!is_hidden(buffer)) arguments.push_back(&buffer);
  std::ranges::sort(arguments, {}, &ReflectedBuffer::index);
  return arguments;
}

Parameter parameter_of(const ReflectedBuffer& buffer) {
  Parameter parameter;
  parameter.name = buffer.name;
  parameter.access = buffer.access;
  if (buffer.is_struct && buffer.access == Access::kRead) {
    parameter.kind = ParameterKind::kBytes;
    parameter.size_bytes = buffer.size_bytes;
  } else {
    parameter.alignment = std::max(buffer.alignment, 1U);
  }
  return parameter;
}

bool covers(Access declared, Access used) {
  return (!reads(used) || reads(declared)) && (!writes(used) || writes(declared));
}

std::string_view name_of(Access access) {
  switch (access) {
    case Access::kRead: return "read";
    case Access::kWrite: return "write";
    case Access::kReadWrite: return "read and write";
  }
  return "";
}

Result<> reconcile_bytes(const Parameter& declared, const ReflectedBuffer& buffer,
                         Parameter& parameter) {
  if (writes(buffer.access)) {
    return refuse("Parameter \"{}\" is declared as inline bytes, but the code writes \"{}\".",
                  declared.name, buffer.name);
  }
  if (declared.size_bytes != 0 && buffer.is_struct && declared.size_bytes < buffer.size_bytes) {
    return refuse("Parameter \"{}\" is declared with {} bytes, but \"{}\" has {}.", declared.name,
                  declared.size_bytes, buffer.name, buffer.size_bytes);
  }
  parameter.kind = ParameterKind::kBytes;
  parameter.access = Access::kRead;
  parameter.alignment = 1;
  parameter.size_bytes = declared.size_bytes;
  return {};
}

Result<> reconcile_buffer(const Parameter& declared, const ReflectedBuffer& buffer,
                          Parameter& parameter) {
  // What is not const counts as read and written for Metal, whatever the code does.
  const bool ok = !declared.access_known ||
                  (buffer.access == Access::kReadWrite ? writes(declared.access)
                                                       : covers(declared.access, buffer.access));
  if (!ok) {
    return refuse("Parameter \"{}\" is declared as {}, but the code's access to \"{}\" is {}.",
                  declared.name, name_of(declared.access), buffer.name, name_of(buffer.access));
  }
  parameter.kind = ParameterKind::kBuffer;
  parameter.size_bytes = 0;
  parameter.access = declared.access_known ? declared.access : Access::kReadWrite;
  parameter.access_known = declared.access_known;
  parameter.alignment = std::max({declared.alignment, buffer.alignment, 1U});
  return {};
}

Result<> reconcile_parameter(const Parameter& declared, const ReflectedBuffer* buffer,
                             std::size_t index, Parameter& parameter) {
  const bool is_shared = declared.kind == ParameterKind::kShared;
  if (is_shared != (parameter.kind == ParameterKind::kShared)) {
    return refuse("Parameter {} (\"{}\") is declared as {}, but in the code it is {}.", index,
                  declared.name, is_shared ? "shared memory" : "an argument",
                  is_shared ? "an argument" : "shared memory");
  }
  if (!is_shared) {
    SEGUE_TRY(declared.kind == ParameterKind::kBytes
                  ? reconcile_bytes(declared, *buffer, parameter)
                  : reconcile_buffer(declared, *buffer, parameter));
  } else if (declared.sizing != SharedSizing::kLaunch) {
    return refuse("Shared parameter \"{}\" must be sized at launch, as threadgroup arguments are.",
                  declared.name);
  }
  if (!declared.name.empty()) parameter.name = declared.name;
  return {};
}

}  // namespace

Result<KernelLayout> layout_of(const MslReflection& reflection) {
  KernelLayout layout;
  for (const ReflectedBuffer& buffer : reflection.buffers) {
    if (buffer.name == kGrid) layout.grid_index = static_cast<int>(buffer.index);
    if (buffer.name == kViewSizes) layout.view_sizes_index = static_cast<int>(buffer.index);
  }
  for (const ReflectedBuffer* buffer : arguments_of(reflection)) {
    const std::size_t expected = layout.signature.parameters.size();
    if (buffer->index != expected) {
      return refuse("Argument \"{}\" is at buffer index {}; {} is the next one.", buffer->name,
                    buffer->index, expected);
    }
    layout.signature.parameters.push_back(parameter_of(*buffer));
  }
  SEGUE_TRY(check_hidden(reflection, layout.signature.parameters.size()));
  layout.view_sizes_count = static_cast<std::uint32_t>(layout.signature.parameters.size());
  auto threadgroups = reflection.threadgroups;
  std::ranges::sort(threadgroups, {}, &ReflectedThreadgroup::index);
  for (const ReflectedThreadgroup& shared : threadgroups) {
    if (shared.index != layout.threadgroup_indices.size()) {
      return refuse("Argument \"{}\" is at threadgroup index {}; {} is the next one.", shared.name,
                    shared.index, layout.threadgroup_indices.size());
    }
    Parameter parameter;
    parameter.name = shared.name;
    parameter.kind = ParameterKind::kShared;
    parameter.sizing = SharedSizing::kLaunch;
    layout.signature.parameters.push_back(std::move(parameter));
    layout.threadgroup_indices.push_back(shared.index);
  }
  layout.signature.group_size = {reflection.simd_width, 1, 1};
  layout.signature.guards_ragged_edges = layout.grid_index >= 0;
  return layout;
}

Result<> reconcile(const Signature& declared, const MslReflection& reflection,
                   KernelLayout& layout) {
  Signature& signature = layout.signature;
  if (declared.parameters.size() != signature.parameters.size()) {
    return refuse("The declared signature has {} parameters, but the code has {}.",
                  declared.parameters.size(), signature.parameters.size());
  }
  const std::vector<const ReflectedBuffer*> buffers = arguments_of(reflection);
  for (std::size_t i = 0; i < signature.parameters.size(); ++i) {
    const ReflectedBuffer* const buffer = i < buffers.size() ? buffers[i] : nullptr;
    SEGUE_TRY(reconcile_parameter(declared.parameters[i], buffer, i, signature.parameters[i]));
  }
  // A declared group size of one thread is taken as none.
  if (declared.group_size != Extent3{}) signature.group_size = declared.group_size;
  signature.guards_ragged_edges |= declared.guards_ragged_edges;
  signature.fixed_group_size |= declared.fixed_group_size;
  if (declared.items_per_group != 1) signature.items_per_group = declared.items_per_group;
  if (declared.batch_per_group != 0) signature.batch_per_group = declared.batch_per_group;
  return {};
}

Result<> check_limits(const Signature& signature, const Limits& limits) {
  if (signature.argument_count() > limits.max_arguments) {
    return refuse("It takes {} arguments; at most {} are allowed.", signature.argument_count(),
                  limits.max_arguments);
  }
  const Extent3 size = signature.group_size;
  if (size.count() > limits.max_group_threads) {
    return refuse("Its group size is {} x {} x {}; at most {} threads are allowed.", size.x, size.y,
                  size.z, limits.max_group_threads);
  }
  return {};
}

}  // namespace segue::metal
