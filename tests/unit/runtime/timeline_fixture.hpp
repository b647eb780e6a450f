// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "segue/timeline.hpp"
#include "unit/runtime/replay_fixture.hpp"

namespace segue::test {

/// A device of three queues, and short ways to submit what waits and signals.
class TimelineFixture : public ReplayTest {
 protected:
  TimelineFixture() : ReplayTest(three_queues()) {
    device().set_error_handler([this](const Error& error) { reported_.push_back(error.message); });
  }
  ~TimelineFixture() override {
    device().set_error_handler([](const Error&) {});
  }
  static DeviceOptions three_queues() {
    DeviceOptions options;
    options.queue_count = 3;
    return options;
  }

  struct Work {
    unsigned queue = 0;
    std::vector<TimelinePoint> waits = {};
    std::vector<TimelinePoint> signals = {};
    std::string_view label = "work";
    BufferView writes = {};
  };
  Result<Submission> try_submit(const Work& work) {
    EncoderOptions options;
    options.queue = work.queue;
    CommandEncoder encoder = make_encoder(options);
    for (const TimelinePoint& point : work.waits) encoder.wait_for(point.timeline, point.value);
    for (const TimelinePoint& point : work.signals) encoder.signal(point.timeline, point.value);
    if (work.writes) encoder.fill(work.writes, std::byte{1});
    return encoder.commit(work.label);
  }
  Submission submit(const Work& work) {
    Result<Submission> submitted = try_submit(work);
    EXPECT_TRUE(submitted.has_value()) << submitted.error().to_string();
    return *std::move(submitted);
  }
  void expect_refused(const Work& work, std::initializer_list<std::string_view> parts) {
    expect_failure(try_submit(work), ErrorCode::kInvalidArgument, parts);
  }
  /// Runs all that can run, on all queues; how many.
  std::size_t run_all() {
    std::size_t count = 0;
    for (std::size_t before = 1; before != count;) {
      before = count;
      for (std::size_t i = 0; i < hal().queue_count(); ++i) count += queue(i).complete_all();
    }
    return count;
  }
  [[nodiscard]] static Error device_error() {
    return {ErrorCode::kBackend, "The device fails.", "model/layer", 3,
            NativeError{"fake", -7, "FAKE_ERROR"}};
  }

  std::vector<std::string> reported_;
  Timeline t_ = device().create_timeline(0, "t").value();
  Timeline u_ = device().create_timeline(0, "u").value();
};

}  // namespace segue::test
