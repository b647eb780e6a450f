// SPDX-License-Identifier: Apache-2.0
//
// Executables: made, submitted several at a time, dropped in any order, and failing.
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "unit/runtime/replay_fixture.hpp"

namespace segue::test {
namespace {

class ExecutableTest : public ReplayTest {
 protected:
  ExecutableTest() : ReplayTest(two_queues()) {}
  static DeviceOptions two_queues() {
    DeviceOptions options;
    options.queue_count = 2;
    options.profile = false;
    return options;
  }
  /// push(value slot, state): state = 3 * state + value.
  [[nodiscard]] Executable pushes(const CompileOptions& options = {}) {
    return compile(capture([&](CommandEncoder& encoder) {
                     const BytesSlot slot{"value"};
                     encoder.dispatch(push_, {KernelArg::bytes(1U, {&slot, 1}), a_.view()},
                                      groups(1));
                   }),
                   options);
  }
  [[nodiscard]] std::uint32_t state() const { return read_words(a_.view())[0]; }

  const Buffer a_ = make_words(Words(4), "a");
  const Buffer b_ = make_words(Words(4), "b");
};

TEST_F(ExecutableTest, PlansOnceAndReplays) {  // rows F1, F4
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(next_, {a_.view(), b_.view()}, groups(1));
    encoder.dispatch(next_, {b_.view(), a_.view()}, groups(1));
  }));
  EXPECT_EQ(executable.report().dispatches, 2U);
  EXPECT_EQ(executable.report().barriers, 1U);
  EXPECT_TRUE(executable.certify().minimal());
  ASSERT_EQ(executable.barriers().size(), 1U);
  EXPECT_EQ(executable.barriers()[0].earlier_label, "next");
  EXPECT_EQ(executable.barriers()[0].buffer_label, "b");
  for (int i = 0; i < 10; ++i) run(executable);
  EXPECT_EQ(read_words(a_.view()), Words(4, 20));
}

TEST_F(ExecutableTest, EmptyGraphsReplay) {  // row F1
  Executable executable = compile(capture([](CommandEncoder&) {}));
  run(executable);
  EXPECT_EQ(executable.report().dispatches, 0U);
  EXPECT_TRUE(executable.certify().valid());
}

TEST_F(ExecutableTest, EmptyHandlesRefuseAndHaveNothing) {  // row K4
  Executable empty;
  const auto expect_empty = [](const auto& result) {
    expect_failure(result, ErrorCode::kInvalidState, {"The executable is empty"});
  };
  expect_empty(empty.submit());
  expect_empty(empty.submit_and_wait());
  expect_empty(empty.slot("x"));
  expect_empty(empty.set(SlotId{0}, 1U));
  expect_empty(empty.set(SlotId{0}, a_.view()));
  expect_empty(empty.set(SlotId{0}, Extent3{1, 1, 1}));
  expect_empty(empty.load(SlotId{0}, a_.view()));
  empty.set_profiling(true);
  EXPECT_TRUE(empty.slots().empty());
  EXPECT_TRUE(empty.barriers().empty());
  EXPECT_EQ(empty.report().dispatches, 0U);
  EXPECT_EQ(empty.placement().buffers, 0U);
  EXPECT_EQ(empty.certify().dispatches, 0U);
}

TEST_F(ExecutableTest, OptionsOutOfRangeAreRefused) {  // rows F1, K4
  const Graph graph = capture([](CommandEncoder&) {});
  for (const unsigned count : {0U, 257U}) {
    CompileOptions options;
    options.max_in_flight = count;
    expect_failure(graph.compile(device(), options), ErrorCode::kInvalidArgument,
                   {std::to_string(count) + " replays in flight; it has 1 to 256"});
  }
  CompileOptions options;
  options.queue = 2;
  expect_failure(graph.compile(device(), options), ErrorCode::kInvalidArgument,
                 {"Queue 2 is chosen", "made with 2"});
  const FakeSetup other = open_fake();
  expect_failure(graph.compile(other.device), ErrorCode::kInvalidArgument, {"another device"});
  expect_failure(graph.compile(Device()), ErrorCode::kInvalidArgument, {"\"none\""});
  expect_failure(Graph().compile(device()), ErrorCode::kInvalidState, {"The graph is empty"});
}

TEST_F(ExecutableTest, ReplaysInFlightAreAsOneAfterAnother) {  // rows F2, F4
  CompileOptions options;
  options.max_in_flight = 8;
  Executable executable = pushes(options);
  std::uint32_t want = 0;
  for (int round = 0; round < 3; ++round) {
    std::vector<Submission> works;
    for (std::uint32_t i = 0; i < 8; ++i) {
      if (i % 3 != 1) set(executable, "value", 10 * i);  // the others keep the value
      want = 3 * want + (i % 3 == 1 ? 10 * (i - 1) : 10 * i);
      works.push_back(executable.submit().value());
    }
    ASSERT_EQ(queue().pending().size(), 8U);
    queue().complete_all();
    for (Submission& work : works) ASSERT_TRUE(work.wait().has_value());
    ASSERT_EQ(state(), want);
  }
}

TEST_F(ExecutableTest, EachInstanceTakesAChangeOnce) {  // rows F1, F2
  int updates = 0;
  hal().options.fail_call = [&updates](std::string_view call) {
    updates += call == "update" ? 1 : 0;
    return false;
  };
  CompileOptions options;
  options.max_in_flight = 2;
  Executable executable = pushes(options);
  for (int i = 0; i < 3; ++i) run(executable);
  EXPECT_EQ(updates, 0);
  set(executable, "value", 5);
  for (int i = 0; i < 3; ++i) run(executable);
  EXPECT_EQ(updates, 1) << "One after the other, they use one instance.";
  for (int i = 0; i < 3; ++i) {
    Submission first = executable.submit().value();
    Submission second = executable.submit().value();
    queue().complete_all();
    EXPECT_TRUE(first.wait().has_value());
    EXPECT_TRUE(second.wait().has_value());
  }
  EXPECT_EQ(updates, 2);
}

TEST_F(ExecutableTest, OneMoreThanMayBeInFlightWaits) {  // row F4
  CompileOptions options;
  options.max_in_flight = 2;
  Executable executable = pushes(options);
  const Submission first = executable.submit().value();
  const Submission second = executable.submit().value();
  std::atomic<bool> submitted{false};
  std::thread third([&] {
    set(executable, "value", 5);
    EXPECT_TRUE(executable.submit().has_value());
    submitted = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(submitted);
  EXPECT_EQ(queue().pending().size(), 2U);
  queue().complete_next();
  third.join();
  EXPECT_TRUE(submitted);
  queue().complete_all();
  EXPECT_EQ(state(), 3U * (3 * 1 + 1) + 5);
}

TEST_F(ExecutableTest, ReplaysInFlightKeepTheirViews) {  // rows F2, H1
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(next_, {KernelArg::slot("source", a_.view()), b_.view()}, groups(1));
  }));
  const int before = hal().live_memories();
  std::vector<Submission> works;
  for (std::uint32_t i = 0; i < 3; ++i) {
    set(executable, "source", make_words(Words(4, 10 * i)).view());
    works.push_back(executable.submit().value());
  }
  set(executable, "source", a_.view());
  EXPECT_EQ(hal().live_memories(), before + 3);
  for (std::uint32_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue().complete_next());
    // Mapping would wait for the replays behind it.
    std::uint32_t first = 0;
    std::memcpy(&first, b_.state()->host, sizeof(first));
    EXPECT_EQ(first, 10 * i + 1);
  }
  EXPECT_EQ(hal().live_memories(), before);
}

TEST_F(ExecutableTest, RunsOnItsQueueAfterWhatItConflictsWith) {  // rows C8, F4
  CompileOptions options;
  options.queue = 1;
  Executable executable = pushes(options);
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(push_, {KernelArg::bytes(5U), a_.view()}, groups(1));
  const Submission direct = encoder.commit().value();
  const Submission replay = executable.submit().value();
  ASSERT_EQ(queue(1).pending().size(), 1U);
  EXPECT_FALSE(queue(1).complete_next()) << "It waits for the other queue.";
  EXPECT_TRUE(queue(0).complete_next());
  EXPECT_TRUE(queue(1).complete_next());
  EXPECT_EQ(state(), 3U * 5 + 1);
}

TEST_F(ExecutableTest, DirectWorkWaitsForAReplaysSlots) {  // rows C8, F2
  CompileOptions options;
  options.queue = 1;
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
                                    encoder.fill(KernelArg::slot("x", a_.view()), std::byte{1});
                                  }),
                                  options);
  set(executable, "x", b_.view());
  const Submission replay = executable.submit().value();
  CommandEncoder encoder = make_encoder();
  encoder.fill(a_.view(), std::byte{2});
  const Submission other = encoder.commit().value();
  EXPECT_TRUE(queue(0).complete_next()) << "The default is not what the replay writes.";
  ASSERT_TRUE(encoder.begin().has_value());
  encoder.fill(b_.view(), std::byte{3});
  const Submission same = encoder.commit().value();
  EXPECT_FALSE(queue(0).complete_next());
  EXPECT_TRUE(queue(1).complete_next());
  EXPECT_TRUE(queue(0).complete_next());
  EXPECT_EQ(read_words(b_.view()), Words(4, 0x03030303));
}

TEST_F(ExecutableTest, HostMappingsHoldItUp) {  // rows C7, F2
  Executable executable = pushes();
  {
    const auto mapped = a_.view().map_read<std::uint32_t>().value();
    expect_failure(executable.submit(), ErrorCode::kBusy, {"The host maps buffer \"a\""});
    EXPECT_TRUE(queue().pending().empty());
  }
  for (int i = 0; i < 5; ++i) run(executable);  // every instance is free again
  EXPECT_EQ(state(), 121U);
}

// -- Lifetimes

TEST_F(ExecutableTest, MayGoWhileReplaysAreInFlight) {  // rows F4, K5
  std::vector<Submission> works;
  {
    Executable executable = pushes();
    for (int i = 0; i < 3; ++i) works.push_back(executable.submit().value());
  }
  queue().complete_all();
  for (Submission& work : works) EXPECT_TRUE(work.wait().has_value());
  EXPECT_EQ(state(), 13U);
}

TEST_F(ExecutableTest, OutlivesTheGraphAndTheBuffersItNames) {  // rows D4, H1
  const int before = hal().live_memories();
  {
    std::optional<Buffer> buffer = make_words(Words(4), "own");
    std::optional<Graph> graph = capture([&](CommandEncoder& encoder) {
      encoder.dispatch(next_, {buffer->view(), a_.view()}, groups(1));
    });
    Executable executable = compile(*graph);
    graph.reset();
    buffer.reset();
    EXPECT_EQ(hal().live_memories(), before + 1);
    run(executable);
  }
  EXPECT_EQ(hal().live_memories(), before);
  EXPECT_EQ(read_words(a_.view()), Words(4, 1));
}

TEST_F(ExecutableTest, SurvivesAMove) {  // row K5
  Executable executable = pushes();
  Executable moved = std::move(executable);
  run(moved);
  executable = std::move(moved);
  run(executable);
  EXPECT_EQ(state(), 4U);
}

TEST(ExecutableLifetime, HandlesGoInAnyOrder) {  // row K5
  // Bits of `order`: which of device, graph, executable and submission go before the work is done.
  for (unsigned order = 0; order < 16; ++order) {
    FakeSetup setup = open_fake(Completion::kManual);
    const std::shared_ptr<FakeDevice> hal = setup.hal;
    std::optional<Device> device = std::move(setup.device);
    std::optional<Buffer> buffer = device->create_buffer({.size_bytes = 16}).value();
    std::optional<CommandEncoder> encoder = device->create_encoder().value();
    encoder->start_capture();
    encoder->fill(KernelArg::slot("x", buffer->view()), std::byte{7});
    std::optional<Graph> graph = encoder->take_capture().value();
    encoder.reset();
    std::optional<Executable> executable = graph->compile(*device).value();
    std::optional<Submission> work = executable->submit().value();
    const auto drop = [&] {
      if (order & 1) device.reset();
      if (order & 2) graph.reset();
      if (order & 4) executable.reset();
      if (order & 8) work.reset();
    };
    drop();
    if (hal->queue_count() != 0) hal->queue().complete_all();  // else the device did as it went
    if (work) {
      EXPECT_TRUE(work->wait().has_value());
    }
    order ^= 15U;
    drop();
    order ^= 15U;
    EXPECT_EQ(read_bytes(buffer->view()), std::vector<std::uint8_t>(16, 7)) << order;
    buffer.reset();
    EXPECT_EQ(hal->live_memories(), 0) << order;
  }
}

// -- Failures

TEST_F(ExecutableTest, FailedCallsLeaveEverythingUsable) {  // row K3
  const Graph graph = capture([&](CommandEncoder& encoder) {
    const BytesSlot slot{"value"};
    encoder.dispatch(push_, {KernelArg::bytes(1U, {&slot, 1}), a_.view()}, groups(1));
  });
  std::string failing = "link";
  hal().options.fail_call = [&failing](std::string_view call) { return call == failing; };
  expect_failure(graph.compile(device()), ErrorCode::kBackend, {"refuses to link"});
  failing = "";
  CompileOptions options;
  options.max_in_flight = 2;
  Executable executable = compile(graph, options);
  for (int round = 0; round < 4; ++round) {
    failing = "update";
    set(executable, "value", 10);
    expect_failure(executable.submit(), ErrorCode::kBackend, {"refuses to update"});
    failing = "submit";
    expect_failure(executable.submit(), ErrorCode::kBackend, {"refuses to submit"});
    EXPECT_TRUE(queue().pending().empty());
    failing = "";
    const std::uint32_t before = state();
    run(executable);
    EXPECT_EQ(state(), 3 * before + 10);
  }
}

TEST_F(ExecutableTest, FailedUpdatesAreMadeUpFor) {  // row K3
  CompileOptions options;
  options.max_in_flight = 1;
  Executable executable = pushes(options);
  int updates = 0;
  hal().options.fail_call = [&updates](std::string_view call) {
    return call == "update" && ++updates == 1;
  };
  set(executable, "value", 5);
  EXPECT_FALSE(executable.submit().has_value());
  run(executable);
  EXPECT_EQ(updates, 2);
  run(executable);
  EXPECT_EQ(updates, 2);
}

TEST_F(ExecutableTest, FailedUpdatesKeepNothingAlive) {  // rows K3, H1
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.fill(KernelArg::slot("x", a_.view()), std::byte{1});
  }));
  const int before = hal().live_memories();
  bool fail = true;
  hal().options.fail_call = [&fail](std::string_view call) { return fail && call == "update"; };
  set(executable, "x", make_words(Words(4)).view());
  EXPECT_FALSE(executable.submit().has_value());
  fail = false;
  set(executable, "x", a_.view());
  EXPECT_EQ(hal().live_memories(), before);
  run(executable);
  EXPECT_EQ(read_words(a_.view()), Words(4, 0x01010101));
}

TEST_F(ExecutableTest, FailedReplaysFreeTheirInstance) {  // rows K3, F4
  CompileOptions options;
  options.max_in_flight = 1;
  Executable executable = pushes(options);
  for (int i = 0; i < 3; ++i) {
    Submission work = executable.submit("replay").value();
    Error error;
    error.code = ErrorCode::kBackend;
    error.message = "The device chokes.";
    queue().complete_next(error);
    expect_failure(work.wait(), ErrorCode::kBackend, {"The device chokes"});
    EXPECT_EQ(work.label(), "replay");
  }
  run(executable);
  EXPECT_EQ(state(), 1U);
}

TEST_F(ExecutableTest, LostDevicesRefuse) {  // row K3
  const Graph graph = capture([](CommandEncoder&) {});
  Executable executable = pushes();
  Submission work = executable.submit().value();
  Error error;
  error.code = ErrorCode::kDeviceLost;
  error.message = "The device is gone.";
  queue().complete_next(error);
  EXPECT_FALSE(work.wait().has_value());
  EXPECT_EQ(executable.submit().error().code, ErrorCode::kDeviceLost);
  EXPECT_EQ(graph.compile(device()).error().code, ErrorCode::kDeviceLost);
}

// -- Counters

TEST_F(ExecutableTest, CountsAsDirectEncodingDoes) {  // rows D5, J1
  const auto record = [&](CommandEncoder& encoder) {
    encoder.dispatch(next_, {a_.view(), b_.view()}, groups(1));
    encoder.dispatch(next_, {b_.view(), a_.view()}, groups(1));
    encoder.memory_barrier();
    encoder.fill(b_.view(), std::byte{1});
  };
  CompileOptions options;
  options.schedule = Schedule::kRecorded;
  Executable executable = compile(capture(record), options);
  device().reset_counters();
  CommandEncoder encoder = make_encoder();
  record(encoder);
  Submission work = encoder.commit().value();
  queue().complete_all();
  const Counters direct = device().counters();
  device().reset_counters();
  run(executable);
  const Counters replayed = device().counters();
  EXPECT_EQ(direct.dispatches_executed, 3U);
  EXPECT_EQ(replayed.dispatches_executed, direct.dispatches_executed);
  EXPECT_EQ(replayed.barriers_issued, direct.barriers_issued);
  EXPECT_EQ(replayed.barriers_inferred, direct.barriers_inferred);
  EXPECT_EQ(replayed.concurrent, direct.concurrent);
  EXPECT_EQ(replayed.command_buffers, 1U);
  EXPECT_EQ(replayed.dispatches_recorded, 0U);
  EXPECT_EQ(replayed.syncs, 0U);
}

// -- Transient buffers

TEST_F(ExecutableTest, TransientsShareMemory) {  // row E9
  const auto transient = [&](std::string label) {
    return device()
        .create_buffer({.size_bytes = 1024, .transient = true, .label = std::move(label)})
        .value();
  };
  const Buffer t1 = transient("t1"), t2 = transient("t2"), t3 = transient("t3");
  const Graph graph = capture([&](CommandEncoder& encoder) {
    encoder.fill(t1.view(), std::byte{1});
    encoder.dispatch(next_, {t1.view(), t2.view()}, groups(1));
    encoder.dispatch(next_, {t2.view(), t3.view()}, groups(1));
    encoder.dispatch(next_, {t3.view(0, 16).value(), KernelArg::slot("out", a_.view())}, groups(1));
  });
  const int before = hal().live_memories();
  Executable executable = compile(graph);
  EXPECT_EQ(hal().live_memories(), before + 1);
  EXPECT_EQ(executable.placement().buffers, 3U);
  EXPECT_EQ(executable.placement().separate_bytes, 3072U);
  EXPECT_EQ(executable.placement().placed_bytes, 2048U);
  EXPECT_EQ(executable.placement().barriers_added, 0U);
  EXPECT_TRUE(executable.certify().minimal());
  run(executable);
  EXPECT_EQ(read_words(a_.view()), Words(4, 0x01010104));
  expect_failure(executable.set(executable.slot("out").value(), t1.view(0, 16).value()),
                 ErrorCode::kInvalidArgument, {"Slot \"out\" is given", "\"t1\"", "has placed"});

  CompileOptions options;
  options.place_transients = false;
  Executable apart = compile(graph, options);
  EXPECT_EQ(hal().live_memories(), before + 4);
  EXPECT_EQ(apart.placement().buffers, 0U);
  run(apart);
  EXPECT_EQ(read_words(a_.view()), Words(4, 0x01010104));
}

TEST_F(ExecutableTest, TransientsThatSlotsNameGoAndComeBack) {  // rows E9, F2
  const Buffer t = device().create_buffer({.size_bytes = 16, .transient = true}).value();
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(next_, {b_.view(), KernelArg::slot("between", t.view())}, groups(1));
    encoder.dispatch(next_, {KernelArg::slot("between", t.view()), a_.view()}, groups(1));
  }));
  const Buffer other = make_words(Words(4), "other");
  set(executable, "between", other.view());
  run(executable);
  EXPECT_EQ(read_words(other.view()), Words(4, 1));
  set(executable, "between", t.view());
  run(executable);
  EXPECT_EQ(read_words(a_.view()), Words(4, 2));
}

}  // namespace
}  // namespace segue::test
