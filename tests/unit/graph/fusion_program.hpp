// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "graph/fusion.hpp"
#include "ir/command_list.hpp"

namespace segue::test {

/// Builds a command list of kernels that exist by name and signature only.
class FusionProgram {
 public:
  struct View {
    std::uint32_t buffer = 0;
    std::uint64_t begin = 0, end = 64;
  };
  using Bytes = std::vector<std::byte>;
  using Arg = std::variant<View, std::uint32_t, Bytes>;  // a number: its bytes
  template <class T>
  static Bytes bytes_of(const T& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    return {bytes.begin(), bytes.end()};
  }
  struct SlotUse {
    std::uint32_t slot = 0;
    std::uint32_t argument = 0;
    std::uint32_t offset = 0;
  };
  struct Options {
    std::vector<SlotUse> slots = {};
    std::optional<std::vector<View>> reads = {};
    Grid grid = {};
    bool indirect = false;
    bool unannotated = false;
    std::string_view label = {}, scope = {};
  };

  std::uint32_t add_buffer(std::string_view label, bool transient, std::uint64_t bytes = 64,
                           std::uint64_t memory = 0);
  /// One letter a parameter: r, w, x (reads and writes), ? (unknown), b (4 inline bytes), p (any
  /// inline bytes).
  Kernel add_kernel(std::string_view name, std::string_view parameters);
  std::uint32_t add_slot(std::string_view name, ir::SlotKind kind, std::uint32_t value = 0);

  std::uint32_t dispatch(OpKind op, const Kernel& kernel, const std::vector<Arg>& args,
                         const Options& options);
  std::uint32_t dispatch(OpKind op, const Kernel& kernel, const std::vector<Arg>& args) {
    return dispatch(op, kernel, args, Options{});
  }
  void copy(View from, View to);
  void barrier();
  /// Forgets commands and buffers, and keeps the kernels.
  void clear();

  [[nodiscard]] const ir::CommandList& list() const { return list_; }
  [[nodiscard]] ir::Storage& storage(std::uint32_t buffer) { return *storages_[buffer]; }
  [[nodiscard]] ir::Kernel& kernel(const Kernel& handle) const { return *handle.impl(); }

 private:
  ir::Command start(ir::CommandKind kind) const;

  std::vector<base::Ref<ir::Storage>> storages_;
  std::vector<Kernel> kernels_;
  ir::CommandList list_;
};

/// What a test of one fusion needs: buffers, kernels, and patterns for each kind of link.
///
///   silu(x, y), mul(a, b, y)     -> silu_then_mul(x, b, y)      the value between is eliminated
///   add(a, b, y), norm(x, y)     -> add_norm(a, b, sum, y)      the sum is kept
///   product(w, x, y), twice      -> product2(w0, w1, x, y0, y1) x is shared
class FusionTest : public ::testing::Test {
 protected:
  using View = FusionProgram::View;
  using Options = FusionProgram::Options;

  FusionTest();

  std::uint32_t silu(View from, View to, const Options& options = {}) {
    return program.dispatch(OpKind::kSilu, silu_kernel, {from, to}, options);
  }
  std::uint32_t mul(View a, View b, View to, const Options& options = {}) {
    return program.dispatch(OpKind::kElemMul, mul_kernel, {a, b, to}, options);
  }
  std::uint32_t add(View a, View b, View to, const Options& options = {}) {
    return program.dispatch(OpKind::kElemAdd, add_kernel, {a, b, to}, options);
  }
  std::uint32_t norm(View from, View to, const Options& options = {}) {
    return program.dispatch(OpKind::kRmsNorm, norm_kernel, {from, to}, options);
  }
  std::uint32_t product(View w, View from, View to, const Options& options = {}) {
    return program.dispatch(OpKind::kMatVec, product_kernel, {w, from, to}, options);
  }

  /// The result, which the test expects to be no error.
  graph::FusionResult fuse(const std::vector<FusionPattern>& patterns);
  /// The reason for the only refusal of a fusion that does not fire; a sentence of the test's own
  /// otherwise.
  std::string refusal(const FusionPattern& pattern);
  /// The message of the error that a fusion must give.
  std::string error(const FusionPattern& pattern);
  /// The new list's kernels, in order; a hand-placed barrier is "|".
  static std::vector<std::string> kernels(const ir::CommandList& list);

  FusionProgram program;
  Kernel silu_kernel, mul_kernel, add_kernel, norm_kernel, product_kernel;
  Kernel silu_mul_kernel, add_norm_kernel, product2_kernel;
  FusionPattern eliminates, keeps, shares;
  View x, y, z, weights, out, spare;  // not transient
  View temp, other_temp;              // transient
};

}  // namespace segue::test
