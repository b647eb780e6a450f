// SPDX-License-Identifier: Apache-2.0
//
// A graph submitted once: its first part runs while the rest is lowered.
#include <atomic>

#include "unit/runtime/replay_fixture.hpp"

namespace segue::test {
namespace {

class EarlyStartTest : public ReplayTest {
 protected:
  EarlyStartTest() {
    device().set_error_handler(
        [this](const Error& failure) { reported_.push_back(failure.message); });
  }
  void start_again() {
    const Words zeros(4);
    ASSERT_TRUE(device().upload(a_.view(), std::as_bytes(std::span(zeros))).has_value());
  }
  /// Pushes 0, 1, 2, ... to a: a chain.
  [[nodiscard]] Graph chain(std::uint32_t length) {
    return capture([&](CommandEncoder& encoder) {
      for (std::uint32_t i = 0; i < length; ++i)
        encoder.dispatch(push_, {KernelArg::bytes(i), a_.view()}, groups(1));
    });
  }
  [[nodiscard]] static std::uint32_t result(std::uint32_t length) {
    std::uint32_t state = 0;
    for (std::uint32_t i = 0; i < length; ++i) state = 3 * state + i;
    return state;
  }
  [[nodiscard]] static Error error(std::string message) {
    Error failure;
    failure.code = ErrorCode::kBackend;
    failure.message = std::move(message);
    return failure;
  }
  std::vector<std::string> reported_;
  const Buffer a_ = make_words(Words(4), "a");
};

TEST_F(EarlyStartTest, FirstPartHas64DispatchesOrATenth) {  // row E3
  for (const std::uint32_t length : {64U, 65U, 640U, 1000U}) {
    Submission work = chain(length).submit_early(device()).value();
    const std::vector<hal::Job*> jobs = queue().pending();
    ASSERT_EQ(jobs.size(), length > 64 ? 2U : 1U);
    EXPECT_EQ(jobs[0]->plan->order.size(), std::max(64U, length / 10));
    if (jobs.size() > 1) {
      EXPECT_EQ(jobs[1]->plan->order.size(), length - jobs[0]->plan->order.size());
    }
    queue().complete_all();
    ASSERT_TRUE(work.wait().has_value());
    EXPECT_EQ(read_words(a_.view())[0], result(length));
    start_again();
  }
}

TEST_F(EarlyStartTest, FirstPartStartsBeforeTheRestIsSubmitted) {  // row E3
  std::size_t ready = 0;
  int submits = 0;
  hal().options.fail_call = [&](std::string_view call) {
    if (call == "submit" && ++submits == 2) ready = queue().pending().size();
    return false;
  };
  Submission work = chain(100).submit_early(device()).value();
  EXPECT_EQ(ready, 1U);
  queue().complete_all();
}

TEST_F(EarlyStartTest, IsDoneWhenBothPartsAre) {  // row E3
  Submission work = chain(100).submit_early(device()).value();
  EXPECT_TRUE(queue().complete_next());
  EXPECT_FALSE(work.is_done());
  EXPECT_EQ(work.status(), SubmissionStatus::kPending);
  EXPECT_TRUE(queue().complete_next());
  EXPECT_EQ(work.status(), SubmissionStatus::kCompleted);
  EXPECT_EQ(work.label(), "early start");
}

TEST_F(EarlyStartTest, ErrorsOfEitherPartReachTheCaller) {  // rows E3, K3
  for (const bool first : {true, false}) {
    reported_.clear();
    {
      Submission work = chain(100).submit_early(device()).value();
      queue().complete_next(first ? std::optional(error("The first part fails.")) : std::nullopt);
      queue().complete_next(first ? std::nullopt : std::optional(error("The rest fails.")));
      EXPECT_EQ(work.status(), SubmissionStatus::kFailed);
      expect_failure(work.wait(), ErrorCode::kBackend,
                     {first ? "The first part fails" : "The rest fails"});
    }
    EXPECT_TRUE(reported_.empty()) << "Somebody waited for it.";
  }
}

TEST_F(EarlyStartTest, ErrorsThatNobodyWaitsForAreReportedOnce) {  // rows E3, G3
  for (const bool before : {true, false}) {
    reported_.clear();
    {
      Submission work = chain(100).submit_early(device()).value();
      if (before) queue().complete_next(error("The first part fails."));
      if (before) queue().complete_next(error("The rest fails."));
    }
    queue().complete_next(error("The first part fails."));
    queue().complete_next(error("The rest fails."));
    EXPECT_THAT(reported_, testing::ElementsAre("The first part fails.", "The rest fails."));
  }
}

TEST_F(EarlyStartTest, RestThatIsRefusedWaitsForWhatHasStarted) {  // rows E3, K3
  for (const bool first_fails : {false, true}) {
    int submits = 0;
    hal().options.fail_call = [&](std::string_view call) {
      if (call != "submit" || ++submits != 2) return false;
      queue().complete_next(first_fails ? std::optional(error("The first part fails."))
                                        : std::nullopt);
      return true;
    };
    expect_failure(chain(100).submit_early(device()), ErrorCode::kBackend,
                   {first_fails ? "The first part fails" : "refuses to submit"});
    EXPECT_TRUE(queue().pending().empty());
    hal().options.fail_call = {};
    start_again();
    Submission work = chain(100).submit_early(device()).value();
    queue().complete_all();
    EXPECT_TRUE(work.wait().has_value());
    EXPECT_EQ(read_words(a_.view())[0], result(100));
    start_again();
  }
  EXPECT_TRUE(reported_.empty());
}

TEST_F(EarlyStartTest, FirstPartThatIsRefusedSubmitsNothing) {  // rows E3, K3
  hal().options.fail_call = [](std::string_view call) { return call == "submit"; };
  expect_failure(chain(100).submit_early(device()), ErrorCode::kBackend, {"refuses to submit"});
  EXPECT_TRUE(queue().pending().empty());
}

TEST_F(EarlyStartTest, GraphsMustFitTheDevice) {  // rows E3, K4
  const FakeSetup other = open_fake();
  expect_failure(chain(1).submit_early(other.device), ErrorCode::kInvalidArgument,
                 {"captured on another device"});
  expect_failure(Graph().submit_early(device()), ErrorCode::kInvalidState, {"The graph is empty"});
}

TEST_F(EarlyStartTest, EmptyGraphsComplete) {  // row E3
  Submission work = chain(0).submit_early(device()).value();
  queue().complete_all();
  EXPECT_TRUE(work.wait().has_value());
}

TEST_F(EarlyStartTest, CountsAsTheWholePlan) {  // row J1
  const Graph graph = chain(100);
  device().reset_counters();
  Submission work = graph.submit_early(device()).value();
  queue().complete_all();
  const Counters counters = device().counters();
  EXPECT_EQ(counters.dispatches_executed, 100U);
  EXPECT_EQ(counters.barriers_issued, 98U) << "Between the parts the queue orders.";
  EXPECT_EQ(counters.barriers_inferred, 98U);
  EXPECT_EQ(counters.command_buffers, 2U);
}

TEST(EarlyStartLifetime, RecordingsGoWithTheDevice) {  // row K5
  for (int repeat = 0; repeat < 3; ++repeat) {
    const FakeSetup setup = open_fake();  // completes at once
    const Buffer buffer = setup.device.create_buffer({.size_bytes = 16}).value();
    CommandEncoder encoder = setup.device.create_encoder().value();
    encoder.start_capture();
    for (int i = 0; i < 200; ++i) encoder.fill(buffer.view(), std::byte{1});
    const Graph graph = encoder.take_capture().value();
    for (int i = 0; i < 3; ++i) {
      Submission one = graph.submit_early(setup.device).value();
      Submission two = graph.submit_early(setup.device).value();
      EXPECT_TRUE(two.wait().has_value());
      EXPECT_TRUE(one.wait().has_value());
    }
  }
}

}  // namespace
}  // namespace segue::test
