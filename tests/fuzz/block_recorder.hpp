// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "graph_recorder.hpp"

namespace segue::test {

/// Records sequences of operations that a fusion pattern looks for, each with a chance of something
/// that has to stop it: a second reader, an intermediate that lasts, a write in between, a barrier.
/// Whatever a block reads has been written before.
class BlockRecorder {
 public:
  explicit BlockRecorder(GraphRecorder& graph);

  void record();
  /// Writes what is left in transient memory to memory that lasts, so that results show it.
  void finish();

 private:
  void norm_and_mul();
  void add_and_norm();
  void product_and_add();
  void gated_pair();
  void siblings(std::uint32_t count);
  void norm_into_products();
  void rope_and_append();
  void attention_inputs();

  /// An operand that has content.
  [[nodiscard]] Tensor input();
  /// Where a result that the block itself reads goes: transient most of the time.
  [[nodiscard]] Tensor between();
  [[nodiscard]] Tensor wide_between();
  [[nodiscard]] Tensor output();
  [[nodiscard]] const WeightMatrix& matrix(const std::vector<WeightMatrix>& matrices,
                                           std::uint32_t type) const;
  /// Something that may come between two operations of a block.
  void disturb(const Tensor& intermediate);
  void copy_out(const Tensor& tensor);
  /// A weight matrix type for the whole block, so that its products run one kernel.
  [[nodiscard]] std::uint32_t any_type();

  GraphRecorder& graph_;
  const World& world_;
  const ops::Ops& ops_;
  CommandEncoder& encoder_;
  std::vector<Tensor> written_;  // transient tensors with content
  std::size_t next_narrow_ = 0;
  std::size_t next_wide_ = 0;
};

}  // namespace segue::test
