// SPDX-License-Identifier: Apache-2.0
#include "unit/ops/llama_program.hpp"

#include "ops/fusion_patterns.hpp"

namespace segue::test {
namespace {

struct Declared {
  const char* name;
  const char* parameters;  // as FusionProgram::add_kernel() takes them
  std::uint32_t items_per_group;
};
constexpr Declared kKernels[] = {
    {"rms_norm", "rwp", 1},
    {"rms_norm_weighted", "rrwp", 1},
    {"add", "rrwp", 32},
    {"mul", "rrwp", 32},
    {"silu_mul", "rrwp", 32},
    {"rope_interleaved", "rwp", 1},
    {"rope_neox", "rwp", 1},
    {"kv_append_f32", "rwp", 1},
    {"kv_append_f16", "rwp", 1},
    {"attention_f16", "rrrwp", 1},
    {"add_rms_norm", "rrwwp", 1},
    {"add_rms_norm_weighted", "rrrwwp", 1},
    {"rope_kv_append_interleaved_f32", "rwp", 1},
    {"rope_kv_append_interleaved_f16", "rwp", 1},
    {"rope_kv_append_neox_f32", "rwp", 1},
};
constexpr Declared kProducts[] = {
    {"mat_vec_", "rrwp", 16},
    {"mat_vec_add_", "rrrwp", 16},
    {"mat_vec_silu_mul_", "rrrwp", 16},
    {"mat_vec2_", "rrrwwp", 16},
    {"mat_vec3_", "rrrrwwwp", 16},
    {"norm_mat_vec_", "rrrwp", 16},
    {"norm_mat_vec_silu_mul_", "rrrrwp", 16},
    {"norm_mat_vec2_", "rrrrwwp", 16},
    {"norm_mat_vec3_", "rrrrrwwwp", 16},
    {"norm_mat_vec3_rope_kv_append_interleaved_f16_", "rrrrrwwwp", 16},
    {"norm_mat_vec3_rope_kv_append_interleaved_f32_", "rrrrrwwwp", 16},
};

}  // namespace

LlamaTest::LlamaTest() {
  const auto declare = [this](const std::string& name, const Declared& declared) {
    Kernel added = program.add_kernel(name, declared.parameters);
    program.kernel(added).signature.items_per_group = declared.items_per_group;
    kernels_.emplace(name, added);
  };
  for (const Declared& each : kKernels) declare(each.name, each);
  for (const char* weights : {"f32", "q8_0_tile16_int8"}) {
    for (const Declared& each : kProducts) declare(std::string(each.name) + weights, each);
  }
}

Kernel LlamaTest::kernel(std::string_view name) const {
  const auto found = kernels_.find(name);
  return found != kernels_.end() ? found->second : Kernel();
}

std::uint32_t LlamaTest::add_buffer(std::string_view label, std::uint64_t floats, bool transient) {
  return program.add_buffer(label, transient, floats * 4);
}

LlamaTest::Activations LlamaTest::add_activations() {
  const auto add = [this](const char* label, std::uint32_t floats, bool transient = true) {
    return view(add_buffer(label, floats, transient), floats);
  };
  Activations a;
  a.residual = add("residual", kWidth, false);
  a.normed = add("normed", kWidth);
  a.scaled = add("scaled", kWidth);
  a.query = add("query", kWidth);
  a.key = add("key", kKvWidth);
  a.value = add("value", kKvWidth);
  a.attended = add("attended", kWidth);
  a.projected = add("projected", kWidth);
  a.gate = add("gate", kFeedForward);
  a.up = add("up", kFeedForward);
  a.gated = add("gated", kFeedForward);
  return a;
}

void LlamaTest::record_layer(const Activations& a, std::uint32_t position) {
  const auto weights = [this](std::uint32_t floats) {
    return view(add_buffer("weights", floats), floats);
  };
  const View keys = weights(kContext * kKvWidth / 2), values = weights(kContext * kKvWidth / 2);
  rms_norm(a.residual, a.normed);
  mul(a.normed, weights(kWidth), a.scaled, kWidth, kWidth);
  product(weights(8), a.scaled, a.query, kWidth, kWidth);
  product(weights(8), a.scaled, a.key, kKvWidth, kWidth);
  product(weights(8), a.scaled, a.value, kKvWidth, kWidth);
  rope(a.query, a.query, kWidth / kHead, position);
  rope(a.key, a.key, kKvWidth / kHead, position);
  kv_append(a.key, keys, position);
  kv_append(a.value, values, position);
  record("attention_f16", OpKind::kSdpa, {a.query, keys, values, a.attended},
         base::AttentionParams{1, 4, 2, kHead, position, 0.25F}, 4);
  product(weights(8), a.attended, a.projected, kWidth, kWidth);
  add(a.residual, a.projected, a.residual, kWidth, kWidth);
  rms_norm(a.residual, a.normed);
  mul(a.normed, weights(kWidth), a.scaled, kWidth, kWidth);
  product(weights(8), a.scaled, a.gate, kFeedForward, kWidth);
  product(weights(8), a.scaled, a.up, kFeedForward, kWidth);
  silu_mul(a.gate, a.up, a.gated, kFeedForward);
  product(weights(8), a.gated, a.projected, kWidth, kFeedForward);
  add(a.residual, a.projected, a.residual, kWidth, kWidth);
}

graph::FusionResult LlamaTest::fuse() {
  const auto patterns = ops::fusion_patterns(
      ops::FusionKernels([this](std::string_view name) { return kernel(name); }));
  auto result = graph::fuse(program.list(), patterns);
  EXPECT_TRUE(result) << result.error().message;
  return result ? *std::move(result) : graph::FusionResult{ir::CommandList(), {}};
}

std::vector<std::string> LlamaTest::names(const ir::CommandList& list) {
  std::vector<std::string> names;
  for (const ir::Command& command : list.commands())
    names.push_back(command.kernel != nullptr ? command.kernel->name : "|");
  return names;
}

std::string LlamaTest::refusal(std::string_view pattern) {
  const graph::FusionResult result = fuse();
  for (const FusionReport::Fired& fired : result.report.fired) {
    if (fired.pattern == pattern && fired.count != 0) return "The pattern fires.";
  }
  std::string reasons;
  for (const FusionRefusal& each : result.report.refusals) {
    if (each.pattern == pattern) reasons += each.reason;
  }
  return reasons;
}

}  // namespace segue::test
