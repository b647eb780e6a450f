// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/kernels/builtin.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "backends/vulkan/capabilities.hpp"
#include "backends/vulkan/vulkan_kernel.hpp"
#include "spirv/module.hpp"

namespace segue::vulkan {
namespace {

/// What a variant of a kernel asks of a device; nothing if there is no such variant.
std::optional<bool> has_variant(std::string_view variant, const DeviceTraits& traits) {
  if (variant == "coopmat") return traits.cooperative_matrix_nv;
  if (variant == "dot") return traits.integer_dot_product && traits.int8;
  return std::nullopt;
}

bool can_run(const BuiltinSpirv& kernel, const DeviceTraits& traits) {
  std::string_view rest = kernel.name;
  rest.remove_prefix(base_name(kernel.name).size());
  while (!rest.empty()) {
    rest.remove_prefix(1);  // '@'
    const std::string_view variant = rest.substr(0, rest.find('@'));
    if (!has_variant(variant, traits).value_or(false)) return false;
    rest.remove_prefix(variant.size());
  }
  return !missing_capability(spirv::leading_capabilities(kernel.words), traits);
}

/// Constants of the kernels that differ from their defaults, which are for GPUs.
std::vector<NamedConstant> tuning_of(std::string_view name, const DeviceTraits& traits) {
  // A device of few lanes runs the threads of a group one after the other: fewer cost less, and
  // barriers much.
  if (traits.subgroup_size > 8) return {};
  if (name.contains("mat_vec")) return {{"local_size", 64}, {"lanes_per_row", 32}};
  if (name.starts_with("attention")) return {{"local_size", 64}, {"tile_tokens", 0}};
  if (name == "sample") return {{"local_size", 64}};
  return {};
}

KernelSource make_source(std::string_view name, std::span<const std::uint32_t> words,
                         const DeviceTraits& traits) {
  KernelSource source;
  source.name = name;
  source.backend = "vulkan";
  source.entry_point = "main";
  auto code = std::make_shared<ShaderCode>();
  code->words = words;
  code->trusted = true;
  code->tuning = tuning_of(name, traits);
  source.native = std::move(code);
  return source;
}

}  // namespace

std::string_view base_name(std::string_view name) { return name.substr(0, name.find('@')); }

std::vector<KernelSource> choose_builtin(std::span<const BuiltinSpirv> kernels,
                                         const DeviceTraits& traits) {
  std::map<std::string_view, const BuiltinSpirv*> chosen;
  for (const BuiltinSpirv& kernel : kernels) {
    if (!can_run(kernel, traits)) continue;
    const BuiltinSpirv*& best = chosen[base_name(kernel.name)];
    const bool special = kernel.name != base_name(kernel.name);
    if (best == nullptr || special) best = &kernel;
  }
  std::vector<KernelSource> sources;
  for (const auto& [name, kernel] : chosen)
    sources.push_back(make_source(name, kernel->words, traits));
  return sources;
}

std::vector<KernelSource> builtin_kernels(const DeviceTraits& traits) {
  return choose_builtin(builtin_spirv(), traits);
}

}  // namespace segue::vulkan
