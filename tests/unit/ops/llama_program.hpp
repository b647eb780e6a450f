// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/op_params.hpp"
#include "unit/graph/fusion_program.hpp"

namespace segue::test {

/// Records operations as segue::ops does, over kernels that exist by name and signature only.
///
/// A layer is small: width 64, feed forward 96, 4 query and 2 key heads of 16, F16 cache of 8 rows.
class LlamaTest : public ::testing::Test {
 protected:
  using View = FusionProgram::View;
  using Options = FusionProgram::Options;

  static constexpr std::uint32_t kWidth = 64, kFeedForward = 96, kHead = 16, kKvWidth = 32;
  static constexpr std::uint32_t kContext = 8;

  LlamaTest();

  Kernel kernel(std::string_view name) const;
  void forget_kernel(std::string_view name) { kernels_.erase(std::string(name)); }
  std::uint32_t add_buffer(std::string_view label, std::uint64_t floats, bool transient = false);
  View view(std::uint32_t buffer, std::uint64_t floats, std::uint64_t first = 0) const {
    return {buffer, first * 4, (first + floats) * 4};
  }

  /// Appends a dispatch whose last argument is `params`, over the groups that `items` take.
  template <class Params>
  std::uint32_t record(std::string_view name, OpKind op, std::vector<View> views,
                       const Params& params, std::uint32_t items, Options options = {}) {
    const Kernel run = kernel(name);
    if (options.grid == Grid{}) {
      const std::uint32_t per_group = run.signature().items_per_group;
      options.grid = groups((items + per_group - 1) / per_group);
    }
    std::vector<FusionProgram::Arg> args(views.begin(), views.end());
    args.emplace_back(FusionProgram::bytes_of(params));
    return program.dispatch(op, run, args, options);
  }
  void rms_norm(View x, View y, std::uint32_t rows = 1, const Options& options = {}) {
    record("rms_norm", OpKind::kRmsNorm, {x, y}, base::RmsNormParams{rows, kWidth, 1e-5F}, rows,
           options);
  }
  void rms_norm_weighted(View x, View weight, View y, std::uint32_t rows = 1,
                         const Options& options = {}) {
    record("rms_norm_weighted", OpKind::kRmsNorm, {x, weight, y},
           base::RmsNormParams{rows, kWidth, 1e-5F}, rows, options);
  }
  void mul(View a, View b, View y, std::uint32_t count, std::uint32_t period,
           const Options& options = {}) {
    record("mul", OpKind::kElemMul, {a, b, y}, base::ElementwiseParams{count, period}, count,
           options);
  }
  void add(View a, View b, View y, std::uint32_t count, std::uint32_t period,
           const Options& options = {}) {
    record("add", OpKind::kElemAdd, {a, b, y}, base::ElementwiseParams{count, period}, count,
           options);
  }
  void silu_mul(View gate, View up, View y, std::uint32_t count, const Options& options = {}) {
    record("silu_mul", OpKind::kSiluMul, {gate, up, y}, base::ElementwiseParams{count, count},
           count, options);
  }
  void product(View w, View x, View y, std::uint32_t rows, std::uint32_t columns,
               const Options& options = {}, std::uint32_t tokens = 1) {
    record(std::string("mat_vec_") + form, OpKind::kMatVec, {w, x, y},
           base::MatMulParams{tokens, rows, columns}, rows, options);
  }
  void rope(View x, View y, std::uint32_t heads, std::uint32_t position,
            const Options& options = {}) {
    record("rope_interleaved", OpKind::kRope, {x, y},
           base::RopeParams{1, heads, kHead, kHead, position, 10000.0F}, heads, options);
  }
  void kv_append(View x, View cache, std::uint32_t position, const Options& options = {}) {
    record("kv_append_f16", OpKind::kKvAppend, {x, cache},
           base::KvAppendParams{1, kKvWidth, position}, 1, options);
  }

  /// The activations that layers share.
  struct Activations {
    View residual, normed, scaled, query, key, value, attended, projected, gate, up, gated;
  };
  Activations add_activations();
  /// One layer of one token, with weights and a cache of its own: 19 dispatches.
  void record_layer(const Activations& a, std::uint32_t position);

  /// The result of all patterns over the kernels that are left.
  graph::FusionResult fuse();
  /// The new list's kernels, in order.
  static std::vector<std::string> names(const ir::CommandList& list);
  /// The reason why the pattern leaves the only dispatches alone that it fits.
  std::string refusal(std::string_view pattern);

  FusionProgram program;
  std::string form = "q8_0_tile16_int8";

 private:
  std::map<std::string, Kernel, std::less<>> kernels_;
};

}  // namespace segue::test
