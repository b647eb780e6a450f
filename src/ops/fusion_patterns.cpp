// SPDX-License-Identifier: Apache-2.0
//
// The order of the patterns matters: norms get their weights before they are folded into products,
// a gated pair is taken before siblings in general, and an addition goes to the product before it
// rather than to the norm after it, which the next product can take. What takes a fused product and
// a fused rotation comes after both.
#include "ops/fusion_patterns.hpp"

#include <cstddef>
#include <utility>

#include "base/op_params.hpp"
#include "segue/fusion_patterns.hpp"

namespace segue::ops {
namespace {

FusionPattern weighted_norm_pattern(const KernelsPointer& kernels) {
  FusionPattern pattern;
  pattern.name = "rms_norm_weighted";
  pattern.steps = {
      {OpKind::kRmsNorm,
       [kernels](const FusionNode& node) { return node.runs(kernels->rms_norm); }},
      {OpKind::kElemMul, [kernels](const FusionNode& node) { return node.runs(kernels->mul); }}};
  pattern.links = {{FusionFlow::kEliminated, {0, 1}, {1, 0}}};
  pattern.fuse = [kernels](Nodes nodes) -> Fused {
    const auto norm = nodes[0].value<base::RmsNormParams>(2);
    const auto mul = nodes[1].value<base::ElementwiseParams>(3);
    if (!norm || !mul || mul->count != std::uint64_t{norm->rows} * norm->columns ||
        mul->period != norm->columns || !covers(nodes[0], kernels->rms_norm, norm->rows) ||
        !covers(nodes[1], kernels->mul, mul->count)) {
      return refuse("\"mul\" does not multiply each row of \"rms_norm\" by one row of weights.");
    }
    if (overlap(nodes[1].range(1), nodes[1].range(2)))
      return refuse("The result overwrites the weights.");
    const Kernel& kernel = kernels->rms_norm_weighted;
    return FusedDispatch{kernel,
                         OpKind::kRmsNorm,
                         groups(static_cast<std::uint32_t>(group_count(kernel, norm->rows))),
                         {FusedArgument::take(0, 0), FusedArgument::take(1, 1),
                          FusedArgument::take(1, 2), FusedArgument::bytes(*norm)}};
  };
  return pattern;
}

FusionPattern rope_kv_append_pattern(const KernelsPointer& kernels) {
  FusionPattern pattern;
  pattern.name = "rope_kv_append";
  const auto runs_one = [kernels](Kernel RopeKvAppend::* member) {
    return [kernels, member](const FusionNode& node) {
      for (const RopeKvAppend& each : kernels->ropes) {
        if (node.runs(each.*member)) return true;
      }
      return false;
    };
  };
  pattern.steps = {{OpKind::kRope, runs_one(&RopeKvAppend::rope)},
                   {OpKind::kKvAppend, runs_one(&RopeKvAppend::kv_append)}};
  pattern.links = {{FusionFlow::kEliminated, {0, 1}, {1, 0}}};
  pattern.fuse = [kernels](Nodes nodes) -> Fused {
    constexpr std::uint8_t kSize = 2;  // argument of both
    constexpr std::uint32_t kRopePosition = offsetof(base::RopeParams, position);
    constexpr std::uint32_t kAppendPosition = offsetof(base::KvAppendParams, position);
    const RopeKvAppend* kernel = nullptr;
    for (const RopeKvAppend& each : kernels->ropes) {
      if (nodes[0].runs(each.rope) && nodes[1].runs(each.kv_append)) kernel = &each;
    }
    if (kernel == nullptr) {
      return refuse("No kernel is \"{}\" and \"{}\" in one.", nodes[0].kernel_name(),
                    nodes[1].kernel_name());
    }
    const auto rope = nodes[0].value<base::RopeParams>(kSize);
    const auto append = nodes[1].value<base::KvAppendParams>(kSize);
    if (!rope || !append || rope->tokens != append->tokens ||
        std::uint64_t{rope->heads} * rope->head_size != append->columns) {
      return refuse("The rows that are appended are not those that are rotated.");
    }
    const std::uint64_t heads = std::uint64_t{rope->tokens} * rope->heads;
    if (!covers(nodes[0], kernel->rope, heads) ||
        !covers(nodes[1], kernel->kv_append, append->tokens)) {
      return refuse("A part of the rows is rotated or appended.");
    }
    const std::string_view slot = nodes[0].slot(kSize, kRopePosition);
    if (rope->position != append->position || slot != nodes[1].slot(kSize, kAppendPosition)) {
      return refuse("Position {} of the rotation is not always position {} in the cache.",
                    rope->position, append->position);
    }
    const base::RopeKvAppendParams size{rope->tokens,  rope->heads,    rope->head_size,
                                        rope->rotated, rope->position, rope->base};
    const FusedArgument::CarriedSlot position{
        {0, kSize}, kRopePosition, offsetof(base::RopeKvAppendParams, position)};
    return FusedDispatch{kernel->fused,
                         OpKind::kKvAppend,
                         groups(static_cast<std::uint32_t>(group_count(kernel->fused, heads))),
                         {FusedArgument::take(0, 0), FusedArgument::take(1, 1),
                          FusedArgument::bytes(size, {position})}};
  };
  return pattern;
}

FusionPattern add_norm_pattern(const KernelsPointer& kernels, bool weighted) {
  FusionPattern pattern;
  pattern.name = weighted ? "add_rms_norm_weighted" : "add_rms_norm";
  const Kernel& norm_kernel = weighted ? kernels->rms_norm_weighted : kernels->rms_norm;
  const Kernel& fused_kernel = weighted ? kernels->add_rms_norm_weighted : kernels->add_rms_norm;
  pattern.steps = {
      {OpKind::kElemAdd, [kernels](const FusionNode& node) { return node.runs(kernels->add); }},
      {OpKind::kRmsNorm, [norm_kernel](const FusionNode& node) { return node.runs(norm_kernel); }}};
  pattern.links = {{FusionFlow::kKept, {0, 2}, {1, 0}}};
  pattern.fuse = [kernels, weighted, norm_kernel, fused_kernel](Nodes nodes) -> Fused {
    const std::uint8_t y = weighted ? 2 : 1;
    const auto add = nodes[0].value<base::ElementwiseParams>(3);
    const auto norm = nodes[1].value<base::RmsNormParams>(y + 1U);
    if (!add || !norm || add->period != add->count ||
        add->count != std::uint64_t{norm->rows} * norm->columns ||
        !covers(nodes[0], kernels->add, add->count) || !covers(nodes[1], norm_kernel, norm->rows)) {
      return refuse("\"add\" does not add exactly the rows that \"{}\" takes, without repetition.",
                    norm_kernel.name());
    }
    for (const std::size_t operand : {0U, 1U}) {
      const AccessRange range = nodes[0].range(operand), sum = nodes[0].range(2);
      if (overlap(range, sum) && !same_bytes(range, sum))
        return refuse("The sum overlaps an operand without being the same view.");
    }
    if (weighted && overlap(nodes[1].range(1), nodes[1].range(y)))
      return refuse("The result overwrites the weights.");
    FusedDispatch fused{fused_kernel,
                        OpKind::kRmsNorm,
                        groups(static_cast<std::uint32_t>(group_count(fused_kernel, norm->rows))),
                        {FusedArgument::take(0, 0), FusedArgument::take(0, 1)}};
    if (weighted) fused.arguments.push_back(FusedArgument::take(1, 1));
    fused.arguments.push_back(FusedArgument::take(0, 2));
    fused.arguments.push_back(FusedArgument::take(1, y));
    fused.arguments.push_back(FusedArgument::bytes(*norm));
    return fused;
  };
  return pattern;
}

}  // namespace

std::vector<FusionPattern> fusion_patterns(FusionKernels kernels) {
  const auto shared = std::make_shared<const FusionKernels>(std::move(kernels));
  std::vector<FusionPattern> patterns;
  if (shared->rms_norm && shared->mul && shared->rms_norm_weighted)
    patterns.push_back(weighted_norm_pattern(shared));
  append_product_patterns(patterns, shared);
  append_norm_product_patterns(patterns, shared);
  if (!shared->ropes.empty()) patterns.push_back(rope_kv_append_pattern(shared));
  append_attention_input_patterns(patterns, shared);
  if (shared->add && shared->rms_norm_weighted && shared->add_rms_norm_weighted)
    patterns.push_back(add_norm_pattern(shared, true));
  if (shared->add && shared->rms_norm && shared->add_rms_norm)
    patterns.push_back(add_norm_pattern(shared, false));
  return patterns;
}

std::vector<FusionPattern> fusion_patterns(const Device& device) {
  const KernelLibrary& library = device.kernels();
  return fusion_patterns(FusionKernels([&library](std::string_view name) {
    if (!library.contains(name)) return Kernel();
    auto kernel = library.get(name);
    return kernel ? *std::move(kernel) : Kernel();
  }));
}

}  // namespace segue::ops
