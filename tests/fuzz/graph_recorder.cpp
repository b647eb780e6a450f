// SPDX-License-Identifier: Apache-2.0
#include "graph_recorder.hpp"

#include <gtest/gtest.h>

#include <array>
#include <utility>

#include "block_recorder.hpp"

namespace segue::test {

GraphRecorder::GraphRecorder(const World& world, std::uint64_t seed)
    : world_(world), random_(seed) {
  Result<CommandEncoder> encoder = world.device().create_encoder();
  EXPECT_TRUE(encoder);
  encoder_ = *std::move(encoder);
}

bool GraphRecorder::chance(double probability) {
  return std::uniform_real_distribution<>(0, 1)(random_) < probability;
}

Graph GraphRecorder::record(std::uint32_t commands) {
  EXPECT_TRUE(encoder_.begin());
  defined_.assign(world_.transient.size(), false);
  encoder_.start_capture();
  BlockRecorder blocks(*this);
  const double block_share = chance(0.5) ? 0.5 : 0.05;
  while (encoder_.stats().commands < commands) {
    if (chance(0.03)) encoder_.memory_barrier();
    if (chance(block_share))
      blocks.record();
    else
      record_raw();
  }
  blocks.finish();
  Result<Graph> graph = encoder_.take_capture();
  EXPECT_TRUE(graph) << graph.error().message;
  return *std::move(graph);
}

void GraphRecorder::record_raw() {
  switch (below(10)) {
    case 0: return record_fill();
    case 1: return record_copy();
    case 2: return record_upload();
    default: return record_mix();
  }
}

void GraphRecorder::define(std::size_t transient) {
  if (defined_[transient]) return;
  defined_[transient] = true;
  encoder_.fill(world_.transient[transient].view(), static_cast<std::byte>(random_()));
}

BufferView GraphRecorder::random_view(std::uint64_t size_bytes) {
  const auto lasting = static_cast<std::uint32_t>(world_.lasting.size());
  const auto all = lasting + static_cast<std::uint32_t>(world_.transient.size());
  const std::uint32_t pick = below(all);
  if (pick >= lasting) define(pick - lasting);
  const Buffer& buffer = pick < lasting ? world_.lasting[pick] : world_.transient[pick - lasting];
  // Few distinct offsets, so that views are equal, adjacent or overlapping often.
  const std::uint64_t steps = (buffer.size_bytes() - size_bytes) / 16 + 1;
  const std::uint64_t offset = below(static_cast<std::uint32_t>(steps)) * 16;
  Result<BufferView> view = buffer.view(offset, size_bytes);
  EXPECT_TRUE(view);
  return *std::move(view);
}

void GraphRecorder::record_mix() {
  constexpr std::array<std::uint64_t, 5> kSizes = {16, 32, 40, 64, 128};
  const BufferView in = random_view(kSizes[below(kSizes.size())]);
  const BufferView out = random_view(kSizes[below(kSizes.size())]);
  const auto salt = static_cast<std::uint32_t>(random_());
  encoder_.dispatch(world_.mix, {in, out, KernelArg::bytes(salt)}, groups(1));
}

void GraphRecorder::record_fill() {
  encoder_.fill(random_view(16 + 16 * below(4)), static_cast<std::byte>(random_()));
}

void GraphRecorder::record_copy() {
  const std::uint64_t size = 16 + 16 * below(4);
  const BufferView from = random_view(size);
  const BufferView to = random_view(size);
  // Imports share memory, so different buffers may overlap as well: copy between those that cannot.
  const bool shares = from.buffer().label() == "import" && to.buffer().label() == "import";
  const bool same = from.buffer().native_handle().object == to.buffer().native_handle().object;
  if (shares || same || from.buffer().state() == to.buffer().state()) return record_mix();
  encoder_.copy(from, to);
}

void GraphRecorder::record_upload() {
  std::array<std::byte, 32> bytes{};
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_());
  encoder_.upload(random_view(bytes.size()), std::span<const std::byte>(bytes));
}

}  // namespace segue::test
