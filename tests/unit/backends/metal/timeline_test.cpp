// SPDX-License-Identifier: Apache-2.0
//
// Timelines as shared events, and how queues wait for one another.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using namespace std::chrono_literals;
using metal_double::Order;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint32_t kWords = 64;

struct Line {
  std::uint32_t factor, summand;
};

class MetalTimelines : public MetalTest {
 protected:
  void SetUp() override { use(machine_with(Order::kReversed)); }

  /// Two queues.
  void use_queues() {
    DeviceOptions options;
    options.queue_count = 2;
    use(machine_with(Order::kReversed), {}, options);
  }
  [[nodiscard]] CommandEncoder on_queue(unsigned queue) const {
    EncoderOptions options;
    options.queue = queue;
    return device_.create_encoder(options).value();
  }
};

TEST_F(MetalTimelines, AreWaitedForBeforeAndSignalledBehindThePass) {  // row G10
  const Kernel line = kernel("line");
  const Buffer x = buffer(kWords);
  const Timeline from = device_.create_timeline(0, "from").value();
  const Timeline to = device_.create_timeline(0, "to").value();
  CommandEncoder encoder = this->encoder();
  encoder.wait_for(from, 3);
  encoder.signal(to, 8);
  encoder.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
  metal_double::clear_log();
  Submission work = encoder.commit().value();
  EXPECT_THAT(log_with("Event"), ElementsAre("encodeWaitForEvent from 3", "encodeSignalEvent to 8",
                                             "encodeSignalEvent sharedEvent#1 1"));
  EXPECT_FALSE(work.is_done());
  EXPECT_EQ(to.value().value(), 0U);
  ASSERT_TRUE(from.signal(3).has_value());
  ASSERT_TRUE(to.wait(8).has_value());
  ASSERT_TRUE(work.wait().has_value());
  EXPECT_EQ(to.value().value(), 8U);
  EXPECT_THAT(words(x), Each(5U));
}

TEST_F(MetalTimelines, GiveUpWaitingAtADeadline) {  // row G10
  const Timeline timeline = device_.create_timeline(2).value();
  EXPECT_TRUE(timeline.wait_for(2, 0ns).has_value());
  EXPECT_EQ(timeline.wait_for(3, 0ns).error().code, ErrorCode::kTimeout);
  EXPECT_EQ(timeline.wait_for(3, 2ms).error().code, ErrorCode::kTimeout);
  EXPECT_EQ(timeline.wait_for(3, 120ms).error().code, ErrorCode::kTimeout);  // several look-ups
  std::thread other([&] { EXPECT_TRUE(timeline.signal(3).has_value()); });
  EXPECT_TRUE(timeline.wait_for(3, 1h).has_value());
  other.join();
}

TEST_F(MetalTimelines, OfTheBackendFailForWhatIsNotReached) {  // row G10
  const auto timeline = hal_->create_timeline(4, "steps").value();
  const Error reason{ErrorCode::kBackend, "It went wrong.", {}, {}, {}};
  Result<bool> waited = false;
  std::thread waiter([&] { waited = timeline->wait(9, std::nullopt); });
  timeline->fail(6, reason);
  waiter.join();
  ASSERT_FALSE(waited.has_value());  // though nothing raises the number to 9
  EXPECT_EQ(waited.error().message, "It went wrong.");
  // Jobs that wait for 6 go on; the host hears of the failure, but for what was reached before.
  EXPECT_EQ(timeline->value().value(), 6U);
  EXPECT_EQ(timeline->wait(6, std::nullopt).error().message, "It went wrong.");
  EXPECT_TRUE(timeline->wait(4, std::nullopt).value());
  // The first error stays, later signals of the host are of no consequence.
  timeline->fail(12, Error{ErrorCode::kBackend, "Again.", {}, {}, {}});
  EXPECT_EQ(timeline->value().value(), 12U);
  EXPECT_EQ(timeline->wait(10, std::nullopt).error().message, "It went wrong.");
  EXPECT_TRUE(timeline->signal(20).has_value());
  EXPECT_EQ(timeline->value().value(), 12U);
}

TEST_F(MetalTimelines, FailWithTheWorkThatWasToSignalThem) {  // rows G4, G10
  const Kernel line = kernel("line");
  const Buffer x = buffer(kWords);
  const Timeline timeline = device_.create_timeline().value();
  metal_double::fail_command_buffer(1, 3);
  CommandEncoder encoder = this->encoder();
  encoder.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
  encoder.signal(timeline, 1);
  Submission work = encoder.commit().value();
  EXPECT_FALSE(timeline.wait(1).has_value());
  EXPECT_FALSE(work.wait().has_value());
  EXPECT_FALSE(timeline.value().has_value());
}

TEST_F(MetalTimelines, AreSharedByTwoDevices) {  // rows G10, G9
  metal_double::Options machine = machine_with(Order::kReversed);
  machine.devices = {"Left", "Right"};
  use(machine);
  MetalOptions second;
  second.index = 1;
  Device right = create_device({}, second).value();
  EXPECT_EQ(device_.name(), "Left");
  EXPECT_EQ(right.name(), "Right");
  {
    const Timeline here = device_.create_timeline(1, "shared").value();
    const NativeHandle handle = here.export_handle().value();
    EXPECT_EQ(handle.type, "metal.shared_event_handle");
    const Timeline there = right.import_timeline(handle, "imported").value();
    EXPECT_EQ(there.value().value(), 1U);

    // The right one goes on when the left one is done.
    const Kernel line = kernel("line");
    const Buffer x = buffer(kWords);
    CommandEncoder waiting = right.create_encoder().value();
    waiting.wait_for(there, 2);
    waiting.signal(there, 3);
    Submission last = waiting.commit().value();
    EXPECT_FALSE(last.is_done());
    CommandEncoder first = this->encoder();
    first.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
    first.signal(here, 2);
    ASSERT_TRUE(first.commit().has_value());
    ASSERT_TRUE(here.wait(3).has_value());
    ASSERT_TRUE(last.wait().has_value());
    EXPECT_EQ(here.value().value(), 3U);
    EXPECT_THAT(log_with("encodeWaitForEvent", 1), SizeIs(1));
  }
  right = {};
}

TEST_F(MetalTimelines, AreImportedFromTheirOwnHandlesOnly) {  // rows G10, K4
  int something = 0;
  const Result<Timeline> wrong = device_.import_timeline({"fd", &something, 0});
  ASSERT_FALSE(wrong.has_value());
  EXPECT_THAT(wrong.error().message, HasSubstr("\"metal.shared_event_handle\" is allowed"));
  EXPECT_FALSE(device_.import_timeline({"metal.shared_event_handle", nullptr, 0}).has_value());
}

// Queues.

TEST_F(MetalTimelines, OrderQueuesThatShareMemory) {  // rows C8, C12
  use_queues();
  const Kernel line = kernel("line");
  const Buffer x = buffer(kWords);
  metal_double::hold_execution(true);
  CommandEncoder first = on_queue(0), second = on_queue(1);
  first.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
  second.dispatch(line, {x.view(), KernelArg::bytes(Line{3, 0})}, threads(kWords));
  metal_double::clear_log();
  ASSERT_TRUE(first.commit().has_value());
  ASSERT_TRUE(second.commit().has_value());
  EXPECT_THAT(log_with("Event"),
              ElementsAre("encodeSignalEvent sharedEvent#1 1", "encodeWaitForEvent sharedEvent#1 1",
                          "encodeSignalEvent sharedEvent#2 1"));
  EXPECT_THAT(log_with("Fence"), ElementsAre("updateFence fence#1", "updateFence fence#2"));
  metal_double::hold_execution(false);
  EXPECT_THAT(words(x), Each(15U));
  EXPECT_EQ(device_.counters().boundary_waits, 1U);
}

TEST_F(MetalTimelines, LeaveQueuesAloneThatShareNothing) {  // row C8
  use_queues();
  const Kernel line = kernel("line");
  const Buffer x = buffer(kWords), y = buffer(kWords);
  metal_double::hold_execution(true);
  CommandEncoder first = on_queue(0), second = on_queue(1);
  first.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
  second.dispatch(line, {y.view(), KernelArg::bytes(Line{3, 4})}, threads(kWords));
  ASSERT_TRUE(first.commit().has_value());
  ASSERT_TRUE(second.commit().has_value());
  EXPECT_THAT(log_with("encodeWaitForEvent"), IsEmpty());
  metal_double::hold_execution(false);
  EXPECT_THAT(words(x), Each(5U));
  EXPECT_THAT(words(y), Each(4U));
}

TEST_F(MetalTimelines, LetOtherQueuesGoOnWhenOneFails) {  // rows G4, K3
  use_queues();
  const Kernel line = kernel("line");
  const Buffer x = buffer(kWords);
  const Timeline go = device_.create_timeline(0, "go").value();
  metal_double::fail_command_buffer(1, 3);
  CommandEncoder first = on_queue(0), second = on_queue(1);
  first.wait_for(go, 1);  // so that it fails when the other one waits already
  first.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
  second.dispatch(line, {x.view(), KernelArg::bytes(Line{1, 7})}, threads(kWords));
  Submission failing = first.commit().value(), following = second.commit().value();
  EXPECT_EQ(log_count("encodeWaitForEvent sharedEvent"), 1U);
  ASSERT_TRUE(go.signal(1).has_value());
  const Result<> failed = failing.wait();
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, ErrorCode::kBackend);
  EXPECT_TRUE(following.wait().has_value());
  EXPECT_THAT(words(x), Each(7U));
}

}  // namespace
}  // namespace segue::metal
