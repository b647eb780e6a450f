// SPDX-License-Identifier: Apache-2.0
//
// Which submissions are refused because they could never run or never signal, and which are not.
#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "support/test_seed.hpp"
#include "unit/runtime/timeline_fixture.hpp"

namespace segue::test {
namespace {

class TimelineOrder : public TimelineFixture {
 protected:
  ~TimelineOrder() override { run_all(); }
  Buffer buffer_ = make_buffer(64);
};

TEST_F(TimelineOrder, NothingSignalsWhatIsWaitedForBeforeItOnItsQueue) {  // row G10, C8
  const Submission waiting = submit({.waits = {{t_, 5}}, .label = "waiting"});
  expect_refused({.signals = {{t_, 5}}, .label = "late"},
                 {"Value 5 of timeline \"t\"", "\"late\"", "\"waiting\"", "waits for value 5"});
  expect_refused({.signals = {{t_, 4}}, .label = "late"}, {"Value 4", "waits for value 5"});
  const Submission above = submit({.signals = {{t_, 6}}});
  EXPECT_EQ(run_all(), 0U) << "The host may signal 5.";
  const Submission other = submit({.queue = 1, .signals = {{t_, 5}}});
  EXPECT_EQ(run_all(), 3U);
}

TEST_F(TimelineOrder, NothingSignalsWhatIsWaitedForByWhatItConflictsWith) {  // row G10, C8
  const Submission waiting =
      submit({.waits = {{t_, 1}}, .label = "waiting", .writes = buffer_.view()});
  expect_refused({.queue = 1, .signals = {{t_, 1}}, .writes = buffer_.view()},
                 {"comes after submission \"waiting\""});
  const Submission apart = submit({.queue = 1, .signals = {{t_, 1}}});
  EXPECT_EQ(run_all(), 2U);
}

TEST_F(TimelineOrder, NothingSignalsWhatIsWaitedForByWhatItWaitsFor) {  // row G10, C8
  const Submission waiting = submit({.waits = {{t_, 1}}, .signals = {{u_, 1}}, .label = "waiting"});
  const Submission between = submit({.queue = 2, .waits = {{u_, 1}}, .signals = {{u_, 2}}});
  expect_refused({.queue = 1, .waits = {{u_, 2}}, .signals = {{t_, 1}}},
                 {"comes after submission \"waiting\""});
  ASSERT_TRUE(t_.signal(1).has_value());
  EXPECT_EQ(run_all(), 2U);
}

TEST_F(TimelineOrder, WhatSignalsMoreThanIsWaitedForNeedNotComeBefore) {  // row G10
  const Submission waiting = submit({.waits = {{t_, 1}}, .signals = {{u_, 9}}});
  const Submission other = submit({.queue = 1, .waits = {{u_, 3}}, .signals = {{t_, 1}}});
  EXPECT_EQ(run_all(), 0U);
  ASSERT_TRUE(u_.signal(3).has_value()) << "It is below 9.";
  EXPECT_EQ(run_all(), 2U);
}

TEST_F(TimelineOrder, SignalsGoUpAlongAQueue) {  // row G10
  const Submission first = submit({.signals = {{t_, 5}}, .label = "first"});
  expect_refused({.signals = {{t_, 5}}}, {"Value 5", "\"first\"", "signals value 5"});
  expect_refused({.signals = {{t_, 3}}}, {"Value 3", "signals value 5"});
  const Submission second = submit({.signals = {{t_, 6}}});
  EXPECT_EQ(run_all(), 2U);
  EXPECT_EQ(t_.value().value(), 6U);
}

TEST_F(TimelineOrder, WhatIsWaitedForMayBeSubmittedLater) {  // row G10
  const Submission last = submit({.queue = 0, .waits = {{t_, 2}}, .signals = {{t_, 3}}});
  const Submission middle = submit({.queue = 1, .waits = {{t_, 1}}, .signals = {{t_, 2}}});
  const Submission first = submit({.queue = 2, .signals = {{t_, 1}}});
  EXPECT_EQ(run_all(), 3U);
  EXPECT_EQ(t_.value().value(), 3U);
}

TEST_F(TimelineOrder, NothingIsSubmittedThatIsPassedByWhatWaitsForIt) {  // row G10
  const Submission later = submit({.queue = 0, .waits = {{u_, 1}}, .signals = {{t_, 3}}});
  expect_refused({.queue = 1, .signals = {{u_, 1}, {t_, 5}}, .label = "earlier"},
                 {"Value 3 of timeline \"t\"", "\"earlier\"", "signals value 5"});
  const Submission earlier = submit({.queue = 1, .signals = {{u_, 1}, {t_, 2}}});
  EXPECT_EQ(run_all(), 2U);
}

TEST_F(TimelineOrder, TheHostStaysBelowWhatIsToBeSignalled) {  // row G10
  const Submission waiting =
      submit({.waits = {{u_, 1}}, .signals = {{t_, 5}}, .label = "signaller"});
  expect_failure(t_.signal(5), ErrorCode::kInvalidArgument,
                 {"value 5", "\"t\"", "\"signaller\"", "is to signal 5"});
  expect_failure(t_.signal(6), ErrorCode::kInvalidArgument, {"value 6", "is to signal 5"});
  EXPECT_TRUE(t_.signal(4).has_value());
  ASSERT_TRUE(u_.signal(1).has_value());
  EXPECT_EQ(run_all(), 1U);
  EXPECT_TRUE(t_.signal(6).has_value());
}

TEST_F(TimelineOrder, AValueMayBeReachedBetweenRecordingAndCommit) {  // row G10
  CommandEncoder encoder = make_encoder();
  encoder.signal(t_, 1);
  ASSERT_TRUE(t_.signal(2).has_value());
  EXPECT_TRUE(encoder.status().has_value());
  expect_failure(encoder.commit(), ErrorCode::kInvalidArgument, {"Value 1", "reached 2"});
}

// -- Random programs

/// Submissions that come to three queues. Each queue signals a timeline of its own, and waits for
/// those of the others at random; nobody else signals.
class RandomSubmissions {
 public:
  struct Each {
    unsigned queue = 0;
    std::uint64_t signals = 0;
    std::map<unsigned, std::uint64_t> waits;  // by timeline
  };

  explicit RandomSubmissions(std::uint64_t seed) : random_(seed) {}

  Each draw() {
    Each each{below(3), 0, {}};
    each.signals = submitted_[each.queue] + 1 + below(2);
    for (unsigned i = below(3); i-- > 0;) {
      const unsigned timeline = below(3);
      const std::uint64_t value = submitted_[timeline] + below(6);
      if (timeline != each.queue && value >= 2) each.waits[timeline] = value - 2;
    }
    return each;
  }
  void add(const Each& each) {
    submitted_[each.queue] = each.signals;
    accepted_.push_back(each);
  }
  /// Which run when nobody else signals, found by running them; also `last`, if it is given.
  /// `behind`: also those which only wait for others on their queue to fail.
  [[nodiscard]] std::vector<bool> simulate(const Each* last, bool behind = false) const {
    std::vector<Each> all = accepted_;
    if (last != nullptr) all.push_back(*last);
    std::vector<bool> done(all.size());
    std::array<std::uint64_t, 3> values{};
    const auto ready = [&values](const Each& each) {
      return std::ranges::all_of(
          each.waits, [&](const auto& wait) { return values[wait.first] >= wait.second; });
    };
    for (bool changed = true; changed;) {
      changed = false;
      std::array<bool, 3> blocked{};
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (done[i] || blocked[all[i].queue]) continue;
        if (!ready(all[i])) {
          blocked[all[i].queue] = true;
          continue;
        }
        values[all[i].queue] = all[i].signals;
        done[i] = changed = true;
      }
    }
    for (std::size_t i = 0; behind && i < all.size(); ++i) done[i] = done[i] || ready(all[i]);
    return done;
  }
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }

 private:
  std::mt19937_64 random_;
  std::array<std::uint64_t, 3> submitted_{};
  std::vector<Each> accepted_;
};

TEST(TimelineRandom, EverythingEndsAsItCanAndOnlyTheHopelessIsRefused) {  // row G10
  std::mt19937_64 seeds(test_seed());
  std::size_t refused = 0, failed = 0, completed = 0;
  for (int round = 0; round < 200; ++round) {
    RandomSubmissions program(seeds());
    DeviceOptions options;
    options.queue_count = 3;
    options.error_handler = [](const Error&) {};
    FakeSetup setup = open_fake(Completion::kManual, options);
    std::vector<Timeline> timelines;
    for (int i = 0; i < 3; ++i) timelines.push_back(setup.device.create_timeline().value());
    std::vector<Submission> works;
    for (int i = 0; i < 25; ++i) {
      const RandomSubmissions::Each each = program.draw();
      EncoderOptions encoder_options;
      encoder_options.queue = each.queue;
      CommandEncoder encoder = setup.device.create_encoder(encoder_options).value();
      for (const auto& [timeline, value] : each.waits) encoder.wait_for(timelines[timeline], value);
      encoder.signal(timelines[each.queue], each.signals);
      Result<Submission> work = encoder.commit();
      if (work) {
        program.add(each);
        works.push_back(*std::move(work));
      } else {
        ASSERT_EQ(to_string(work.error().code), "InvalidArgument") << work.error().to_string();
        ASSERT_FALSE(program.simulate(&each).back()) << work.error().to_string();
        ++refused;
      }
      if (program.below(4) == 0) setup.hal->queue(program.below(3)).complete_next();
    }
    const std::vector<bool> want = program.simulate(nullptr, true);
    while (!timelines.empty())
      timelines.erase(timelines.begin() +
                      program.below(static_cast<std::uint32_t>(timelines.size())));
    for (int i = 0; i < 100; ++i) setup.hal->queue(program.below(3)).complete_next();
    for (std::size_t i = 0; i < 3 * works.size(); ++i) setup.hal->queue(i % 3).complete_all();
    for (std::size_t i = 0; i < works.size(); ++i) {
      ASSERT_TRUE(works[i].is_done()) << "round " << round << ", submission " << i;
      ASSERT_EQ(works[i].wait().has_value(), want[i]) << "round " << round << ", submission " << i;
      ++(want[i] ? completed : failed);
    }
    EXPECT_EQ(setup.hal->live_timelines(), 0);
  }
  EXPECT_GT(refused, 20U);
  EXPECT_GT(failed, 100U);
  EXPECT_GT(completed, 1000U);
}

}  // namespace
}  // namespace segue::test
