// SPDX-License-Identifier: Apache-2.0
//
// The inputs of attention for one token in one dispatch: three products, of which one is rotated,
// one is rotated into the cache of keys, and one goes to the cache of values. Five dispatches of
// two levels become one of a level; neither keys nor values pass through memory on their way to the
// cache.
#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "base/op_params.hpp"
#include "ops/fusion_patterns.hpp"

namespace segue::ops {
namespace {

constexpr std::uint8_t kProducts = 0, kQuery = 1, kKey = 2, kValue = 3;  // dispatches
constexpr std::uint8_t kFirstResult = 5, kProductsSize = 8;              // arguments of kProducts
constexpr std::uint8_t kSize = 2;                                        // argument of the others

const AttentionInputs* find_kernels(const FusionKernels& kernels, Nodes nodes) {
  const auto found = std::ranges::find_if(kernels.attention_inputs, [&](const auto& each) {
    return nodes[kProducts].runs(each.products) && nodes[kQuery].runs(each.rope) &&
           nodes[kKey].runs(each.rope_kv_append) && nodes[kValue].runs(each.kv_append);
  });
  return found != kernels.attention_inputs.end() ? &*found : nullptr;
}

Fused fuse_attention_inputs(const FusionKernels& all, Nodes nodes) {
  const AttentionInputs* kernels = find_kernels(all, nodes);
  if (kernels == nullptr) {
    return refuse("No kernel is \"{}\", \"{}\", \"{}\" and \"{}\" in one.",
                  nodes[kProducts].kernel_name(), nodes[kQuery].kernel_name(),
                  nodes[kKey].kernel_name(), nodes[kValue].kernel_name());
  }
  const auto shape = nodes[kProducts].value<base::FusedMatVecParams>(kProductsSize);
  const auto query = nodes[kQuery].value<base::RopeParams>(kSize);
  const auto key = nodes[kKey].value<base::RopeKvAppendParams>(kSize);
  const auto value = nodes[kValue].value<base::KvAppendParams>(kSize);
  if (!shape || !query || !key || !value) return refuse("One of the dispatches has no size.");
  if (query->tokens != 1 || key->tokens != 1 || value->tokens != 1 ||
      std::uint64_t{query->heads} * query->head_size != shape->rows[0] ||
      std::uint64_t{key->heads} * key->head_size != shape->rows[1] ||
      value->columns != shape->rows[2]) {
    return refuse("What is rotated and appended are not the {}, {} and {} rows of the products.",
                  shape->rows[0], shape->rows[1], shape->rows[2]);
  }
  if (nodes[kProducts].grid() != product_grid(kernels->products, shape->rows) ||
      !covers(nodes[kQuery], kernels->rope, query->heads) ||
      !covers(nodes[kKey], kernels->rope_kv_append, key->heads) ||
      !covers(nodes[kValue], kernels->kv_append, 1)) {
    return refuse("A part of the rows is multiplied, rotated or appended.");
  }
  if (query->head_size != key->head_size || query->rotated != key->rotated ||
      query->base != key->base) {
    return refuse("The query is rotated in other ways than the key.");
  }
  if (query->head_size % 2 != 0 || query->rotated % 2 != 0) {
    return refuse("A head has {} values, of which {} are rotated; both must be even numbers.",
                  query->head_size, query->rotated);
  }
  struct Position {
    std::uint8_t node;
    std::uint32_t value, offset;
  };
  const Position first{kQuery, query->position, offsetof(base::RopeParams, position)};
  for (const Position other :
       {Position{kKey, key->position, offsetof(base::RopeKvAppendParams, position)},
        Position{kValue, value->position, offsetof(base::KvAppendParams, position)}}) {
    if (first.value != other.value || nodes[first.node].slot(kSize, first.offset) !=
                                          nodes[other.node].slot(kSize, other.offset)) {
      return refuse("Position {} of the query is not always position {} of the {}.", first.value,
                    other.value, other.node == kKey ? "key" : "value");
    }
  }
  using Params = base::NormMatVec3RopeKvAppendParams;
  const Params size{{shape->rows[0], shape->rows[1], shape->rows[2]},
                    shape->columns,
                    shape->epsilon,
                    query->head_size,
                    query->rotated,
                    query->position,
                    query->base};
  FusedDispatch fused{kernels->fused, OpKind::kMatVec, {}, {}};
  fused.grid = product_grid(fused.kernel, size.rows);
  for (std::uint8_t i = 0; i < kFirstResult; ++i)
    fused.arguments.push_back(FusedArgument::take(kProducts, i));
  for (const std::uint8_t node : {kQuery, kKey, kValue})
    fused.arguments.push_back(FusedArgument::take(node, 1));
  fused.arguments.push_back(
      FusedArgument::bytes(size, {{{kQuery, kSize}, first.offset, offsetof(Params, position)}}));
  return fused;
}

}  // namespace

void append_attention_input_patterns(std::vector<FusionPattern>& patterns,
                                     const KernelsPointer& kernels) {
  if (kernels->attention_inputs.empty()) return;
  const auto step = [&kernels](OpKind op, Kernel AttentionInputs::* member) {
    return FusionStep{op, [kernels, member](const FusionNode& node) {
                        return std::ranges::any_of(
                            kernels->attention_inputs,
                            [&](const auto& each) { return node.runs(each.*member); });
                      }};
  };
  FusionPattern pattern;
  pattern.name = "norm_mat_vec3_rope_kv_append";
  pattern.steps = {step(OpKind::kMatVec, &AttentionInputs::products),
                   step(OpKind::kRope, &AttentionInputs::rope),
                   step(OpKind::kKvAppend, &AttentionInputs::rope_kv_append),
                   step(OpKind::kKvAppend, &AttentionInputs::kv_append)};
  for (const std::uint8_t node : {kQuery, kKey, kValue}) {
    const auto result = static_cast<std::uint8_t>(kFirstResult + node - kQuery);
    pattern.links.push_back({FusionFlow::kEliminated, {kProducts, result}, {node, 0}});
  }
  pattern.fuse = [kernels](Nodes nodes) { return fuse_attention_inputs(*kernels, nodes); };
  patterns.push_back(std::move(pattern));
}

}  // namespace segue::ops
