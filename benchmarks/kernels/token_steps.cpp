// SPDX-License-Identifier: Apache-2.0
#include "token_steps.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include "base/op_params.hpp"
#include "support/run_host_kernel.hpp"

namespace segue::bench {
namespace {

using host::KernelArgument;
using test::buffer_argument;

constexpr std::uint32_t kLayers = 6;
constexpr std::uint32_t kWidth = 192;
constexpr std::uint32_t kHeads = 6;
constexpr std::uint32_t kKvHeads = 2;
constexpr std::uint32_t kHeadSize = 32;
constexpr std::uint32_t kKvWidth = kKvHeads * kHeadSize;
constexpr std::uint32_t kHidden = 512;
constexpr std::uint32_t kVocabulary = 2048;
constexpr std::uint32_t kContext = 256;
constexpr float kEpsilon = 1e-5F;
constexpr float kRopeBase = 10000.0F;
constexpr std::string_view kForm = "q8_0_tile16_int8";

std::string with_form(std::string_view prefix) { return std::string(prefix).append(kForm); }

}  // namespace

TokenSteps::TokenSteps(std::span<const KernelSource> kernels, bool fused, std::uint32_t position)
    : kernels_(kernels) {
  for (KernelArgument* activation :
       {&residual_, &normed_, &scaled_, &query_, &attended_, &projected_, &norm_weight_}) {
    *activation = floats(kWidth);
  }
  key_ = floats(kKvWidth);
  value_ = floats(kKvWidth);
  gate_ = floats(kHidden);
  up_ = floats(kHidden);
  gated_ = floats(kHidden);
  for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
    add_attention(fused, position);
    add_feed_forward(fused);
  }
  add_output(fused);
}

KernelArgument TokenSteps::floats(std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(memory_.size()));
  std::vector<std::byte>& bytes = memory_.emplace_back(count * sizeof(float));
  std::uniform_real_distribution<float> distribution(-1, 1);
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(float)) {
    const float value = distribution(random);
    std::memcpy(&bytes[i], &value, sizeof(value));
  }
  return buffer_argument(std::span(bytes));
}

/// Bytes whose scales are moderate numbers.
KernelArgument TokenSteps::weights(std::uint32_t rows, std::uint32_t columns) {
  std::mt19937 random(static_cast<unsigned>(memory_.size()));
  std::vector<std::byte>& bytes = memory_.emplace_back(std::size_t{rows} * columns / 32 * 34);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0x1BU);
  return buffer_argument(std::span(bytes));
}

template <class Params>
void TokenSteps::add(std::string_view name, Arguments buffers, const Params& params,
                     std::uint32_t items) {
  InlineBytes& bytes = params_.emplace_back();
  static_assert(sizeof(Params) <= sizeof(bytes));
  std::memcpy(&bytes, &params, sizeof(params));
  Step step{&test::find_kernel(kernels_, name), buffers, items};
  step.arguments.push_back({bytes.bytes, sizeof(params)});
  steps_.push_back(std::move(step));
}

void TokenSteps::add_attention(bool fused, std::uint32_t position) {
  const KernelArgument query = weights(kWidth, kWidth);
  const KernelArgument key = weights(kKvWidth, kWidth);
  const KernelArgument value = weights(kKvWidth, kWidth);
  const KernelArgument output = weights(kWidth, kWidth);
  const KernelArgument keys = floats(std::size_t{kContext} * kKvWidth);
  const KernelArgument values = floats(std::size_t{kContext} * kKvWidth);
  const auto multiply = [&](const KernelArgument& matrix, const KernelArgument& y,
                            std::uint32_t rows) {
    add(with_form("mat_vec_"), {matrix, scaled_, y}, base::MatMulParams{1, rows, kWidth}, rows);
  };
  const base::RopeParams rope{1, kHeads, kHeadSize, kHeadSize, position, kRopeBase};
  const base::RopeParams rope_keys{1, kKvHeads, kHeadSize, kHeadSize, position, kRopeBase};
  const base::KvAppendParams append{1, kKvWidth, position};
  if (fused) {
    add(with_form("norm_mat_vec3_rope_kv_append_interleaved_f32_"),
        {query, key, value, residual_, norm_weight_, query_, keys, values},
        base::NormMatVec3RopeKvAppendParams{{kWidth, kKvWidth, kKvWidth},
                                            kWidth,
                                            kEpsilon,
                                            kHeadSize,
                                            kHeadSize,
                                            position,
                                            kRopeBase},
        kWidth + 2 * kKvWidth);
  } else {
    add("rms_norm", {residual_, normed_}, base::RmsNormParams{1, kWidth, kEpsilon}, 1);
    add("mul", {normed_, norm_weight_, scaled_}, base::ElementwiseParams{kWidth, kWidth}, kWidth);
    multiply(query, query_, kWidth);
    multiply(key, key_, kKvWidth);
    multiply(value, value_, kKvWidth);
    add("rope_interleaved", {query_, query_}, rope, kHeads);
    add("rope_interleaved", {key_, key_}, rope_keys, kKvHeads);
    add("kv_append_f32", {key_, keys}, append, 1);
    add("kv_append_f32", {value_, values}, append, 1);
  }
  add("attention_f32", {query_, keys, values, attended_},
      base::AttentionParams{1, kHeads, kKvHeads, kHeadSize, position, 0.177F}, kHeads);
  // y apart from the residual, so that repetition does not let it grow.
  if (fused) {
    add(with_form("mat_vec_add_"), {output, attended_, residual_, projected_},
        base::FusedMatVecParams{{kWidth, 0, 0}, kWidth, 0}, kWidth);
  } else {
    add(with_form("mat_vec_"), {output, attended_, projected_},
        base::MatMulParams{1, kWidth, kWidth}, kWidth);
    add("add", {residual_, projected_, projected_}, base::ElementwiseParams{kWidth, kWidth},
        kWidth);
  }
}

void TokenSteps::add_feed_forward(bool fused) {
  const KernelArgument gate = weights(kHidden, kWidth);
  const KernelArgument up = weights(kHidden, kWidth);
  const KernelArgument down = weights(kWidth, kHidden);
  if (fused) {
    add(with_form("norm_mat_vec_silu_mul_"), {gate, up, residual_, norm_weight_, gated_},
        base::FusedMatVecParams{{kHidden, 0, 0}, kWidth, kEpsilon}, kHidden);
    add(with_form("mat_vec_add_"), {down, gated_, residual_, projected_},
        base::FusedMatVecParams{{kWidth, 0, 0}, kHidden, 0}, kWidth);
    return;
  }
  add("rms_norm", {residual_, normed_}, base::RmsNormParams{1, kWidth, kEpsilon}, 1);
  add("mul", {normed_, norm_weight_, scaled_}, base::ElementwiseParams{kWidth, kWidth}, kWidth);
  add(with_form("mat_vec_"), {gate, scaled_, gate_}, base::MatMulParams{1, kHidden, kWidth},
      kHidden);
  add(with_form("mat_vec_"), {up, scaled_, up_}, base::MatMulParams{1, kHidden, kWidth}, kHidden);
  add("silu_mul", {gate_, up_, gated_}, base::ElementwiseParams{kHidden, kHidden}, kHidden);
  add(with_form("mat_vec_"), {down, gated_, projected_}, base::MatMulParams{1, kWidth, kHidden},
      kWidth);
  add("add", {residual_, projected_, projected_}, base::ElementwiseParams{kWidth, kWidth}, kWidth);
}

void TokenSteps::add_output(bool fused) {
  const KernelArgument output = weights(kVocabulary, kWidth);
  const KernelArgument logits = floats(kVocabulary);
  const KernelArgument token = floats(1);
  if (fused) {
    add(with_form("norm_mat_vec_"), {output, residual_, norm_weight_, logits},
        base::FusedMatVecParams{{kVocabulary, 0, 0}, kWidth, kEpsilon}, kVocabulary);
  } else {
    add("rms_norm", {residual_, normed_}, base::RmsNormParams{1, kWidth, kEpsilon}, 1);
    add("mul", {normed_, norm_weight_, scaled_}, base::ElementwiseParams{kWidth, kWidth}, kWidth);
    add(with_form("mat_vec_"), {output, scaled_, logits},
        base::MatMulParams{1, kVocabulary, kWidth}, kVocabulary);
  }
  add("argmax", {logits, token}, base::ArgmaxParams{1, kVocabulary}, 1);
}

void TokenSteps::run(std::string_view name) const {
  for (const Step& step : steps_) {
    if (!name.empty() && step.kernel->name != name) continue;
    test::run_host_kernel(*step.kernel, step.arguments, test::groups_for(*step.kernel, step.items));
  }
}

std::size_t TokenSteps::count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      steps_, [&](const Step& step) { return name.empty() || step.kernel->name == name; }));
}

std::vector<std::string> TokenSteps::names() const {
  std::vector<std::string> names;
  for (const Step& step : steps_) {
    if (std::ranges::find(names, step.kernel->name) == names.end())
      names.push_back(step.kernel->name);
  }
  return names;
}

}  // namespace segue::bench
