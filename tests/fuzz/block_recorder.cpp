// SPDX-License-Identifier: Apache-2.0
#include "block_recorder.hpp"

#include <algorithm>
#include <array>

namespace segue::test {
namespace {

constexpr float kEpsilon = 1e-5F;
constexpr double kDisturbance = 0.06;

}  // namespace

BlockRecorder::BlockRecorder(GraphRecorder& graph)
    : graph_(graph), world_(graph.world_), ops_(graph.world_.ops()), encoder_(graph.encoder_) {}

void BlockRecorder::record() {
  switch (graph_.below(9)) {
    case 0: return norm_and_mul();
    case 1: return add_and_norm();
    case 2: return product_and_add();
    case 3: return gated_pair();
    case 4: return siblings(2);
    case 5: return siblings(3);
    case 6: return norm_into_products();
    case 7: return rope_and_append();
    default: return attention_inputs();
  }
}

void BlockRecorder::finish() {
  for (std::size_t i = 0; i < std::min<std::size_t>(written_.size(), 3); ++i)
    copy_out(written_[written_.size() - 1 - i]);
}

Tensor BlockRecorder::input() {
  if (!written_.empty() && graph_.chance(0.5))
    return written_[graph_.below(static_cast<std::uint32_t>(written_.size()))];
  return world_.kept_narrow[graph_.below(static_cast<std::uint32_t>(world_.kept_narrow.size()))];
}

Tensor BlockRecorder::between() {
  if (graph_.chance(kDisturbance)) return world_.kept_narrow[0];
  const Tensor tensor = world_.narrow[next_narrow_++ % world_.narrow.size()];
  // What it held before is gone.
  std::erase_if(written_, [&tensor](const Tensor& other) {
    return other.view.buffer().state() == tensor.view.buffer().state();
  });
  return tensor;
}

Tensor BlockRecorder::wide_between() {
  if (graph_.chance(kDisturbance)) return world_.kept_wide[0];
  return world_.wide[next_wide_++ % world_.wide.size()];
}

Tensor BlockRecorder::output() {
  if (graph_.chance(0.5))
    return world_.kept_narrow[graph_.below(static_cast<std::uint32_t>(world_.kept_narrow.size()))];
  const Tensor tensor = between();
  if (tensor.view.buffer().state() != world_.kept_narrow[0].view.buffer().state())
    written_.push_back(tensor);
  return tensor;
}

std::uint32_t BlockRecorder::any_type() { return graph_.below(2); }

const WeightMatrix& BlockRecorder::matrix(const std::vector<WeightMatrix>& matrices,
                                          std::uint32_t type) const {
  const auto types = static_cast<std::uint32_t>(matrices.size() / 4);
  return matrices[std::size_t{type % types} * 4 + graph_.below(4)];
}

void BlockRecorder::copy_out(const Tensor& tensor) {
  const auto count = static_cast<std::uint32_t>(world_.kept_narrow.size());
  const Tensor& to = tensor.columns == kWidth ? world_.kept_narrow[graph_.below(count)]
                                              : world_.kept_wide[graph_.below(count)];
  if (to.view.buffer().state() != tensor.view.buffer().state()) encoder_.copy(tensor.view, to.view);
}

void BlockRecorder::disturb(const Tensor& intermediate) {
  if (graph_.chance(kDisturbance)) copy_out(intermediate);  // a second reader
  if (graph_.chance(kDisturbance / 2)) encoder_.memory_barrier();
  if (graph_.chance(kDisturbance / 2)) {
    const BufferView view = intermediate.view;  // a third writer, of a part
    if (const auto part = view.subview(0, 16)) encoder_.fill(*part, std::byte{0});
  }
  if (graph_.chance(0.2)) graph_.record_raw();  // a bystander
}

void BlockRecorder::norm_and_mul() {
  const Tensor normed = between();
  ops_.rms_norm(encoder_, input(), normed, kEpsilon);
  disturb(normed);
  ops_.mul(encoder_, normed, world_.norm_weight, output());
}

void BlockRecorder::add_and_norm() {
  const Tensor a = input();
  const Tensor b = input();
  const Tensor sum = output();
  ops_.add(encoder_, a, b, sum);
  if (graph_.chance(0.5)) {
    ops_.rms_norm(encoder_, sum, output(), kEpsilon);
  } else {
    const Tensor normed = between();
    ops_.rms_norm(encoder_, sum, normed, kEpsilon);
    disturb(normed);
    ops_.mul(encoder_, normed, world_.norm_weight, output());
  }
}

void BlockRecorder::product_and_add() {
  const Tensor product = between();
  const std::uint32_t type = any_type();
  const Tensor x = input();
  if (x.view.buffer().state() == product.view.buffer().state()) return;
  ops_.mat_mul(encoder_, matrix(world_.square, type), x, product);
  disturb(product);
  const Tensor residual = input();
  const Tensor sum = graph_.chance(0.5) ? residual : output();
  if (graph_.chance(0.5))
    ops_.add(encoder_, residual, product, sum);
  else
    ops_.add(encoder_, product, residual, sum);
}

void BlockRecorder::gated_pair() {
  const Tensor x = input();
  const Tensor gate = wide_between();
  const Tensor up = wide_between();
  const Tensor gated = wide_between();
  const std::uint32_t type = any_type();
  const bool up_first = graph_.chance(0.3);
  ops_.mat_mul(encoder_, matrix(world_.up, type), x, up_first ? up : gate);
  disturb(up_first ? up : gate);
  ops_.mat_mul(encoder_, matrix(world_.up, graph_.chance(0.9) ? type : 1 - type), x,
               up_first ? gate : up);
  disturb(up_first ? gate : up);
  ops_.silu_mul(encoder_, gate, up, gated);
  ops_.mat_mul(encoder_, matrix(world_.down, 0), gated, output());
}

void BlockRecorder::siblings(std::uint32_t count) {
  const Tensor x = input();
  const std::uint32_t type = any_type();
  for (std::uint32_t i = 0; i < count; ++i) {
    const Tensor y = output();
    if (y.view.buffer().state() == x.view.buffer().state()) continue;
    ops_.mat_mul(encoder_, matrix(world_.square, graph_.chance(0.9) ? type : 1 - type), x, y);
    if (graph_.chance(0.2)) graph_.record_raw();
  }
}

void BlockRecorder::norm_into_products() {
  const Tensor normed = between();
  const Tensor scaled = between();
  if (normed.view.buffer().state() == scaled.view.buffer().state()) return;
  ops_.rms_norm(encoder_, input(), normed, kEpsilon);
  disturb(normed);
  ops_.mul(encoder_, normed, world_.norm_weight, scaled);
  disturb(scaled);
  const std::uint32_t type = any_type();
  const std::uint32_t count = 1 + graph_.below(3);
  if (graph_.chance(0.3)) {
    const Tensor gate = wide_between();
    const Tensor up = wide_between();
    ops_.mat_mul(encoder_, matrix(world_.up, type), scaled, gate);
    ops_.mat_mul(encoder_, matrix(world_.up, type), scaled, up);
    ops_.silu_mul(encoder_, gate, up, world_.kept_wide[graph_.below(3)]);
    return;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const Tensor y = output();
    if (y.view.buffer().state() == scaled.view.buffer().state()) continue;
    ops_.mat_mul(encoder_, matrix(world_.square, type), scaled, y);
  }
}

void BlockRecorder::rope_and_append() {
  const Tensor key = between();
  const Tensor x = input();
  ops::RopeOptions rope;
  rope.head_size = kHeadSize;
  const std::uint32_t position = graph_.below(kContext);
  rope.position = position;
  if (graph_.chance(0.5)) rope.pairs = ops::RopePairs::kNeox;
  if (graph_.chance(0.5) && x.view.buffer().state() != key.view.buffer().state()) {
    ops_.mat_mul(encoder_, matrix(world_.square, any_type()), x, key);  // rotated in place
    ops_.rope(encoder_, key, key, rope);
  } else {
    ops_.rope(encoder_, x, key, rope);
  }
  disturb(key);
  ops_.kv_append(encoder_, key, world_.cache,
                 graph_.chance(0.9) ? position : graph_.below(kContext));
}

void BlockRecorder::attention_inputs() {
  const Tensor x = input();
  const std::array<Tensor, 4> made{between(), between(), between(), between()};
  const auto& [scaled, query, key, value] = made;
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (made[i].view.buffer().state() == x.view.buffer().state()) return;
    for (std::size_t j = 0; j < i; ++j) {
      if (made[i].view.buffer().state() == made[j].view.buffer().state()) return;
    }
  }
  ops_.rms_norm_weighted(encoder_, x, world_.norm_weight, scaled, kEpsilon);
  const std::uint32_t type = any_type();
  for (const Tensor& each : {query, key, value})
    ops_.mat_mul(encoder_, matrix(world_.square, type), scaled, each);
  disturb(made[1 + graph_.below(3)]);
  ops::RopeOptions rope;
  rope.head_size = kHeadSize;
  const std::uint32_t position = graph_.below(kContext);
  rope.position = position;
  if (graph_.chance(0.2)) rope.pairs = ops::RopePairs::kNeox;
  ops_.rope(encoder_, query, query, rope);
  ops_.rope(encoder_, key, key, rope);
  ops_.kv_append(encoder_, key, world_.cache, position);
  ops_.kv_append(encoder_, value, world_.value_cache,
                 graph_.chance(0.9) ? position : graph_.below(kContext));
  copy_out(query);
}

}  // namespace segue::test
