// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/hal.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/submission_state.hpp"
#include "segue/device.hpp"
#include "support/fake_hal.hpp"

namespace segue::test {

/// Expects an error of `code` whose message is a sentence with all of `parts` in it.
template <class T>
void expect_failure(const Result<T>& result, ErrorCode code,
                    std::initializer_list<std::string_view> parts) {
  ASSERT_FALSE(result.has_value());
  const std::string& message = result.error().message;
  EXPECT_EQ(to_string(result.error().code), to_string(code)) << message;
  ASSERT_FALSE(message.empty());
  EXPECT_TRUE(std::isupper(static_cast<unsigned char>(message.front())) != 0) << message;
  EXPECT_EQ(message.back(), '.') << message;
  for (const std::string_view part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << message << "\n  lacks: " << part;
}

/// A device that completes work when told, and short ways to make what recordings need.
class EncoderTest : public testing::Test {
 protected:
  explicit EncoderTest(const DeviceOptions& options = {})
      : setup_(open_fake(Completion::kManual, options)) {}

  [[nodiscard]] Buffer make_buffer(std::uint64_t size_bytes, std::string label = "buffer") {
    BufferDesc desc;
    desc.size_bytes = size_bytes;
    desc.label = std::move(label);
    return device().create_buffer(desc).value();
  }
  [[nodiscard]] Kernel add_kernel(KernelSource source) {
    const std::string name = source.name;
    EXPECT_TRUE(device().kernels().add(std::move(source)).has_value());
    return device().kernels().get(name).value();
  }
  [[nodiscard]] Kernel add_kernel(std::string name, std::vector<Parameter> parameters,
                                  FakeBody body = {}) {
    return add_kernel(fake_kernel(std::move(name), std::move(parameters), std::move(body)));
  }
  /// Kernels of one and of two buffers, which do nothing.
  [[nodiscard]] Kernel reader() {
    return add_kernel("reader", {buffer_parameter("source", Access::kRead)});
  }
  [[nodiscard]] Kernel writer() {
    return add_kernel("writer", {buffer_parameter("target", Access::kWrite)});
  }
  [[nodiscard]] Kernel mover() {
    return add_kernel("mover", {buffer_parameter("source", Access::kRead),
                                buffer_parameter("target", Access::kWrite)});
  }
  [[nodiscard]] CommandEncoder make_encoder(const EncoderOptions& options = {}) {
    return device().create_encoder(options).value();
  }
  [[nodiscard]] Device& device() { return setup_.device; }
  [[nodiscard]] FakeDevice& hal() { return *setup_.hal; }
  [[nodiscard]] FakeQueue& queue(std::size_t index = 0) { return setup_.hal->queue(index); }

  /// The only job that waits in the queue.
  [[nodiscard]] const ir::Plan& submitted_plan() {
    const std::vector<hal::Job*> jobs = queue().pending();
    EXPECT_EQ(jobs.size(), 1u);
    return *jobs.at(0)->plan;
  }
  /// Its first command.
  [[nodiscard]] const ir::Command& submitted_command(std::size_t index = 0) {
    return submitted_plan().list->commands()[index];
  }

  FakeSetup setup_;
};

/// The bytes of a view, read through the library.
[[nodiscard]] inline std::vector<std::uint8_t> read_bytes(const BufferView& view) {
  const auto mapped = view.map_read<std::uint8_t>().value();
  return {mapped.begin(), mapped.end()};
}

/// Records what may fail, and gives the recording's first error.
template <class Record>
[[nodiscard]] Result<> try_recording(CommandEncoder encoder, Record&& record) {
  record(encoder);
  Result<> status = encoder.status();
  const Result<Submission> committed = encoder.commit();
  EXPECT_EQ(status.has_value(), committed.has_value());
  return status;
}

}  // namespace segue::test
