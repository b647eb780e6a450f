// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "segue/executable.hpp"
#include "segue/graph.hpp"
#include "unit/runtime/encoder_fixture.hpp"

namespace segue::test {

using Words = std::vector<std::uint32_t>;

/// Kernels whose results tell which arguments they had, and short ways to capture and replay.
class ReplayTest : public EncoderTest {
 protected:
  explicit ReplayTest(const DeviceOptions& options = {}) : EncoderTest(options) {}

  /// Captures what `record(encoder)` does.
  template <class Record>
  [[nodiscard]] Graph capture(Record&& record, const EncoderOptions& options = {}) {
    CommandEncoder encoder = make_encoder(options);
    encoder.start_capture();
    record(encoder);
    Result<Graph> graph = encoder.take_capture();
    EXPECT_TRUE(graph.has_value()) << graph.error().to_string();
    return *std::move(graph);
  }
  [[nodiscard]] Executable compile(const Graph& graph, const CompileOptions& options = {}) {
    Result<Executable> made = graph.compile(device(), options);
    EXPECT_TRUE(made.has_value()) << made.error().to_string();
    return *std::move(made);
  }
  /// One replay, from start to end.
  void run(Executable& executable) {
    Result<Submission> work = executable.submit();
    ASSERT_TRUE(work.has_value()) << work.error().to_string();
    queue().complete_all();
    const Result<> done = work->wait();
    EXPECT_TRUE(done.has_value()) << done.error().to_string();
  }
  static void set(Executable& executable, std::string_view slot, std::uint32_t value) {
    const Result<> done = executable.set(executable.slot(slot).value(), value);
    EXPECT_TRUE(done.has_value()) << done.error().to_string();
  }
  static void set(Executable& executable, std::string_view slot, const BufferView& view) {
    const Result<> done = executable.set(executable.slot(slot).value(), view);
    EXPECT_TRUE(done.has_value()) << done.error().to_string();
  }
  [[nodiscard]] Buffer make_words(const Words& values, std::string label = "words") {
    Buffer buffer = make_buffer(4 * values.size(), std::move(label));
    EXPECT_TRUE(device().upload(buffer.view(), std::as_bytes(std::span(values))).has_value());
    return buffer;
  }
  [[nodiscard]] static Words read_words(const BufferView& view) {
    const auto mapped = view.map_read<std::uint32_t>().value();
    return {mapped.begin(), mapped.end()};
  }

  /// store(value, target): copies the value's bytes to the target's beginning.
  const Kernel store_ =
      add_kernel("store", {bytes_parameter("value"), buffer_parameter("target", Access::kWrite)},
                 [](std::span<const FakeArgument> arguments) {
                   std::memcpy(arguments[1].data, arguments[0].data,
                               std::min(arguments[0].size_bytes, arguments[1].size_bytes));
                 });
  /// push(value, state): state = 3 * state + value, so that order matters.
  const Kernel push_ = add_kernel(
      "push", {bytes_parameter("value", 4), buffer_parameter("state", Access::kReadWrite)},
      [](std::span<const FakeArgument> arguments) {
        std::uint32_t& state = arguments[1].as<std::uint32_t>()[0];
        state = 3 * state + arguments[0].as<std::uint32_t>()[0];
      });
  /// next(source, target): target = source + 1, word by word.
  const Kernel next_ = add_kernel(
      "next",
      {buffer_parameter("source", Access::kRead), buffer_parameter("target", Access::kWrite)},
      [](std::span<const FakeArgument> arguments) {
        const auto source = arguments[0].as<std::uint32_t>();
        std::ranges::transform(source, arguments[1].as<std::uint32_t>().begin(),
                               [](std::uint32_t word) { return word + 1; });
      });
};

}  // namespace segue::test
