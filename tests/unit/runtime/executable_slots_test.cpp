// SPDX-License-Identifier: Apache-2.0
//
// Values of slots between replays, and what a submission refuses of them.
#include <array>
#include <cstddef>

#include "unit/runtime/replay_fixture.hpp"

namespace segue::test {
namespace {

using ::testing::HasSubstr;

class ExecutableSlotsTest : public ReplayTest {
 protected:
  void store(CommandEncoder& encoder, std::uint32_t value, const BytesSlot& slot,
             const BufferView& target) const {
    encoder.dispatch(store_, {KernelArg::bytes(value, {&slot, 1}), target}, groups(1));
  }
  /// next(source slot, target slot).
  [[nodiscard]] Executable next_between(const BufferView& source, const BufferView& target) {
    return compile(capture([&](CommandEncoder& encoder) {
      encoder.dispatch(
          next_, {KernelArg::slot("source", source), KernelArg::slot("target", target)}, groups(1));
    }));
  }
  /// Two independent dispatches: one writes the slot "x" (default a), one writes b.
  [[nodiscard]] Executable writes_beside_b(Schedule schedule = Schedule::kCriticalPath) {
    CompileOptions options;
    options.schedule = schedule;
    return compile(capture([&](CommandEncoder& encoder) {
                     encoder.dispatch(writer_, {KernelArg::slot("x", a_.view())}, groups(1),
                                      {.label = "to slot"});
                     encoder.dispatch(writer_, {b_.view()}, groups(1), {.label = "to b"});
                   }),
                   options);
  }
  const Kernel writer_ = writer();
  const Kernel reader_ = reader();
  const Buffer a_ = make_words(Words(4, 1), "a");
  const Buffer b_ = make_words(Words(4, 2), "b");
  const Buffer c_ = make_words(Words(4, 3), "c");
};

TEST_F(ExecutableSlotsTest, KeepTheirValueUntilSetAgain) {  // row F2
  Executable executable =
      compile(capture([&](CommandEncoder& encoder) { store(encoder, 7, {"value"}, a_.view()); }));
  std::vector<std::uint32_t> seen;
  for (int replay = 0; replay < 12; ++replay) {
    if (replay == 2) set(executable, "value", 8);
    if (replay == 9) set(executable, "value", 9);
    run(executable);
    seen.push_back(read_words(a_.view())[0]);
  }
  EXPECT_EQ(seen, (Words{7, 7, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9}));
}

TEST_F(ExecutableSlotsTest, GraphAndOtherExecutablesKeepTheDefault) {  // row F2
  const Graph graph =
      capture([&](CommandEncoder& encoder) { store(encoder, 7, {"value"}, a_.view()); });
  Executable one = compile(graph);
  set(one, "value", 8);
  run(one);
  Executable other = compile(graph);
  run(other);
  EXPECT_EQ(read_words(a_.view())[0], 7U);
}

TEST_F(ExecutableSlotsTest, AreFoundByName) {  // rows F2, K4
  Executable executable = next_between(a_.view(), b_.view());
  EXPECT_NE(executable.slot("source").value(), executable.slot("target").value());
  expect_failure(executable.slot("sauce"), ErrorCode::kNotFound,
                 {"The executable has no slot \"sauce\"; it has source, target"});
  const Executable none = compile(capture([](CommandEncoder&) {}));
  expect_failure(none.slot("x"), ErrorCode::kNotFound, {"no slot \"x\"; it has none"});
}

TEST_F(ExecutableSlotsTest, RefuseValuesOfAnotherKind) {  // rows F2, K4
  Executable executable = next_between(a_.view(), b_.view());
  const SlotId source = executable.slot("source").value();
  expect_failure(executable.set(source, 5U), ErrorCode::kInvalidArgument,
                 {"Slot \"source\" takes a view, but inline bytes is given"});
  expect_failure(executable.set(source, Extent3{1, 1, 1}), ErrorCode::kInvalidArgument,
                 {"Slot \"source\" takes a view, but a grid is given"});
  expect_failure(executable.load(source, a_.view()), ErrorCode::kInvalidArgument,
                 {"Slot \"source\" takes a view"});
  expect_failure(executable.set(SlotId{2}, a_.view()), ErrorCode::kInvalidArgument,
                 {"The executable has 2 slots, and none with the number 2"});
}

TEST_F(ExecutableSlotsTest, BytesKeepTheirSizeAndLargestValue) {  // rows F2, K4
  Executable executable = compile(
      capture([&](CommandEncoder& encoder) { store(encoder, 7, {"value", 0, 0, 9}, a_.view()); }));
  const SlotId value = executable.slot("value").value();
  expect_failure(executable.set(value, std::uint64_t{1}), ErrorCode::kInvalidArgument,
                 {"Slot \"value\" is given 8 bytes but has 4"});
  expect_failure(executable.set(value, 10U), ErrorCode::kInvalidArgument,
                 {"Slot \"value\" is set to 10, but takes at most 9"});
  run(executable);
  EXPECT_EQ(read_words(a_.view())[0], 7U) << "What is refused changes nothing.";
  EXPECT_TRUE(executable.set(value, 9U).has_value());
}

TEST_F(ExecutableSlotsTest, ViewsKeepSizeDeviceAndAccess) {  // rows F2, K4
  Executable executable = next_between(a_.view(), b_.view());
  const SlotId target = executable.slot("target").value();
  expect_failure(executable.set(target, c_.view(0, 8).value()), ErrorCode::kInvalidArgument,
                 {"Slot \"target\" is given a view of 8 bytes but was recorded with 16"});
  expect_failure(executable.set(target, BufferView()), ErrorCode::kInvalidArgument,
                 {"Slot \"target\" is given an empty view"});
  const FakeSetup other = open_fake();
  const Buffer foreign = other.device.create_buffer({.size_bytes = 16}).value();
  expect_failure(executable.set(target, foreign.view()), ErrorCode::kInvalidArgument,
                 {"Slot \"target\" is given a view of another device"});
  std::array<std::uint32_t, 4> words{};
  const Buffer constant =
      device().import_host_memory(std::as_bytes(std::span(words)), {.label = "constant"}).value();
  expect_failure(executable.set(target, constant.view()), ErrorCode::kInvalidArgument,
                 {"Slot \"target\" is written", "\"constant\" was imported as read-only"});
  EXPECT_TRUE(executable.set(executable.slot("source").value(), constant.view()).has_value());
  run(executable);
  EXPECT_EQ(read_words(b_.view()), Words(4, 1));
}

TEST_F(ExecutableSlotsTest, ViewsKeepTheStrictestAlignment) {  // rows F2, K4
  Parameter target = buffer_parameter("target", Access::kWrite);
  target.alignment = 8;
  const Kernel aligned = add_kernel("aligned", {target});
  const Buffer big = make_buffer(64, "big");
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(aligned, {KernelArg::slot("x", a_.view())}, groups(1));
    encoder.dispatch(writer_, {KernelArg::slot("x", a_.view())}, groups(1));
  }));
  const SlotId x = executable.slot("x").value();
  expect_failure(executable.set(x, big.view(4, 16).value()), ErrorCode::kInvalidArgument,
                 {"begins at byte 4", "\"big\"", "its alignment is 8 bytes"});
  EXPECT_TRUE(executable.set(x, big.view(8, 16).value()).has_value());
}

TEST_F(ExecutableSlotsTest, ViewsMoveTheWork) {  // row F2
  Executable executable = next_between(a_.view(), b_.view());
  run(executable);
  EXPECT_EQ(read_words(b_.view()), Words(4, 2));
  set(executable, "source", c_.view());
  run(executable);
  EXPECT_EQ(read_words(b_.view()), Words(4, 4));
  const Buffer big = make_buffer(64, "big");
  set(executable, "target", big.view(16, 16).value());
  run(executable);
  EXPECT_EQ(read_words(big.view(12, 24).value()), (Words{0, 4, 4, 4, 4, 0}));
}

TEST_F(ExecutableSlotsTest, GridsShrinkWithinTheirBound) {  // rows F2, K4
  Signature signature;
  signature.group_size = {4, 1, 1};
  KernelSource source = fake_kernel("wide");
  source.signature = signature;
  const Kernel wide = add_kernel(std::move(source));
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(wide, {}, threads(10, 3), {.grid_slot = "threads"});
    encoder.dispatch(wide, {}, groups(5), {.grid_slot = "groups"});
  }));
  const SlotId by_threads = executable.slot("threads").value();
  const SlotId by_groups = executable.slot("groups").value();
  expect_failure(executable.set(by_threads, Extent3{11, 1, 1}), ErrorCode::kInvalidArgument,
                 {"Slot \"threads\" is given a grid of 11x1x1", "recorded with 10x3x1"});
  expect_failure(executable.set(by_threads, Extent3{1, 1, 2}), ErrorCode::kInvalidArgument,
                 {"1x1x2"});
  ASSERT_TRUE(executable.set(by_threads, Extent3{5, 2, 1}).has_value());
  ASSERT_TRUE(executable.set(by_groups, Extent3{0, 1, 1}).has_value());
  Submission work = executable.submit().value();
  EXPECT_EQ(submitted_command(0).thread_count, (Extent3{5, 2, 1}));
  EXPECT_EQ(submitted_command(0).group_count, (Extent3{2, 2, 1}));
  EXPECT_TRUE(submitted_command(1).group_count.empty());
  queue().complete_all();
  ASSERT_TRUE(executable.set(by_groups, Extent3{5, 1, 1}).has_value());
  work = executable.submit().value();
  EXPECT_EQ(submitted_command(1).group_count, (Extent3{5, 1, 1}));
  EXPECT_EQ(submitted_command(1).thread_count, (Extent3{20, 1, 1}));
  queue().complete_all();
}

// -- Views that overlap

TEST_F(ExecutableSlotsTest, OverlapsThatThePlanReliesOnAreRefused) {  // rows F3, K4
  for (const Schedule schedule :
       {Schedule::kRecorded, Schedule::kLookahead, Schedule::kCriticalPath, Schedule::kRandom}) {
    Executable executable = writes_beside_b(schedule);
    set(executable, "x", b_.view());
    expect_failure(executable.submit(), ErrorCode::kInvalidArgument,
                   {"Slot \"x\" names bytes 0 to 16 of buffer \"b\" (dispatch \"to slot\")",
                    "overlap bytes 0 to 16 of buffer \"b\" (dispatch \"to b\")"});
    EXPECT_TRUE(queue().pending().empty()) << "Nothing was submitted.";
    expect_failure(executable.submit(), ErrorCode::kInvalidArgument, {"Slot \"x\" names"});
    set(executable, "x", c_.view());
    run(executable);
  }
}

TEST_F(ExecutableSlotsTest, OverlapsAreFoundByTheByte) {  // row F3
  const Buffer big = make_buffer(64, "big");
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(writer_, {KernelArg::slot("x", a_.view())}, groups(1));
    encoder.dispatch(writer_, {big.view(16, 16).value()}, groups(1));
  }));
  set(executable, "x", big.view(0, 16).value());
  run(executable);
  set(executable, "x", big.view(32, 16).value());
  run(executable);
  set(executable, "x", big.view(31, 16).value());
  expect_failure(executable.submit(), ErrorCode::kInvalidArgument,
                 {"bytes 31 to 47 of buffer \"big\"", "bytes 16 to 32 of buffer \"big\""});
  set(executable, "x", big.view(1, 16).value());
  expect_failure(executable.submit(), ErrorCode::kInvalidArgument, {"bytes 1 to 17"});
}

TEST_F(ExecutableSlotsTest, OverlapsOfTwoSlotsAreFound) {  // row F3
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(writer_, {KernelArg::slot("x", a_.view())}, groups(1));
    encoder.dispatch(reader_, {KernelArg::slot("y", b_.view())}, groups(1));
  }));
  set(executable, "x", c_.view());
  set(executable, "y", c_.view());
  expect_failure(executable.submit(), ErrorCode::kInvalidArgument,
                 {"Slot \"x\" names", "buffer \"c\""});
}

TEST_F(ExecutableSlotsTest, OverlapsOfImportsAreFoundByAddress) {  // row F3
  alignas(16) std::array<std::byte, 64> memory{};
  const std::span<std::byte> all(memory);
  const Buffer one = device().import_host_memory(all, {.label = "one", .writable = true}).value();
  const Buffer two =
      device().import_host_memory(all.subspan(8), {.label = "two", .writable = true}).value();
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(writer_, {KernelArg::slot("x", a_.view())}, groups(1));
    encoder.dispatch(writer_, {one.view(16, 16).value()}, groups(1));
  }));
  set(executable, "x", two.view(0, 16).value());
  expect_failure(executable.submit(), ErrorCode::kInvalidArgument,
                 {"bytes 0 to 16 of buffer \"two\"", "bytes 16 to 32 of buffer \"one\""});
}

TEST_F(ExecutableSlotsTest, ReadsMayOverlap) {  // row F3
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(reader_, {KernelArg::slot("x", a_.view())}, groups(1));
    encoder.dispatch(reader_, {b_.view()}, groups(1));
  }));
  set(executable, "x", b_.view());
  run(executable);
}

TEST_F(ExecutableSlotsTest, OverlapsThatABarrierOrdersAreAllowed) {  // row F3
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(next_, {a_.view(), KernelArg::slot("x", b_.view())}, groups(1));
    encoder.memory_barrier();
    encoder.dispatch(next_, {c_.view(), a_.view()}, groups(1));
  }));
  set(executable, "x", c_.view());
  run(executable);
  EXPECT_EQ(read_words(a_.view()), Words(4, 3)) << "c is 2 by then";
}

TEST_F(ExecutableSlotsTest, OverlapsInAnotherOrderThanRecordedAreRefused) {  // row F3
  // The third runs before the second: a slot that makes it read what the second writes is too late.
  CompileOptions options;
  options.schedule = Schedule::kCriticalPath;
  const Buffer d = make_words(Words(4), "d");
  Executable executable =
      compile(capture([&](CommandEncoder& encoder) {
                encoder.dispatch(next_, {a_.view(), b_.view()}, groups(1));
                encoder.dispatch(next_, {b_.view(), c_.view()}, groups(1));
                encoder.dispatch(reader_, {KernelArg::slot("x", d.view())}, groups(1));
              }),
              options);
  set(executable, "x", c_.view());
  expect_failure(executable.submit(), ErrorCode::kInvalidArgument, {"Slot \"x\" names"});
}

TEST_F(ExecutableSlotsTest, SourceAndTargetOfACopyStayApart) {  // rows B7, F3
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.copy(KernelArg::slot("from", a_.view()), b_.view());
  }));
  set(executable, "from", b_.view());
  expect_failure(executable.submit(), ErrorCode::kInvalidArgument, {"Slot \"from\" names"});
}

TEST_F(ExecutableSlotsTest, TwoMaySwapTheirViews) {  // row F3
  Executable executable = next_between(a_.view(), b_.view());
  for (int replay = 0; replay < 10; ++replay) {
    const bool even = replay % 2 == 0;
    set(executable, "source", even ? a_.view() : b_.view());
    set(executable, "target", even ? b_.view() : a_.view());
    run(executable);
  }
  EXPECT_EQ(read_words(a_.view()), Words(4, 11));
  EXPECT_EQ(read_words(b_.view()), Words(4, 10));
}

// -- Values that the device reads itself

TEST_F(ExecutableSlotsTest, LoadedValuesAreReadAtEachReplay) {  // row F2
  const Buffer source = make_words({0, 5}, "source");
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    store(encoder, 1, {"value", 0, 0, 6}, a_.view());
    encoder.dispatch(next_, {a_.view(0, 4).value(), source.view(4, 4).value()}, groups(1));
  }));
  const SlotId value = executable.slot("value").value();
  ASSERT_TRUE(executable.load(value, source.view(4, 4).value()).has_value());
  std::vector<std::uint32_t> seen;
  for (int replay = 0; replay < 4; ++replay) {
    run(executable);
    seen.push_back(read_words(a_.view())[0]);
  }
  EXPECT_EQ(seen, (Words{5, 6, 6, 6})) << "7 is taken as 6";
  set(executable, "value", 3);
  run(executable);
  EXPECT_EQ(read_words(a_.view())[0], 3U);
}

TEST_F(ExecutableSlotsTest, LoadsAreChecked) {  // rows F2, K4
  Executable executable =
      compile(capture([&](CommandEncoder& encoder) { store(encoder, 1, {"value"}, a_.view()); }));
  const SlotId value = executable.slot("value").value();
  expect_failure(executable.load(value, b_.view()), ErrorCode::kInvalidArgument,
                 {"Slot \"value\" has 4 bytes and is to be loaded from 16 bytes at offset 0"});
  expect_failure(executable.load(value, b_.view(2, 4).value()), ErrorCode::kInvalidArgument,
                 {"loaded from 4 bytes at offset 2"});
  expect_failure(executable.load(value, BufferView()), ErrorCode::kInvalidArgument,
                 {"loaded from an empty view"});
  const Buffer transient = device().create_buffer({.size_bytes = 4, .transient = true}).value();
  expect_failure(executable.load(value, transient.view()), ErrorCode::kInvalidArgument,
                 {"whose content is transient"});

  const std::array<std::uint16_t, 4> parts{};
  const BytesSlot odd{"odd", 2, 4};
  Executable other = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(store_, {KernelArg::bytes(parts, {&odd, 1}), a_.view()}, groups(1));
  }));
  expect_failure(other.load(other.slot("odd").value(), b_.view(0, 4).value()),
                 ErrorCode::kInvalidArgument, {"Slot \"odd\" begins at byte 2 of an argument"});
}

TEST_F(ExecutableSlotsTest, BuffersLiveAsLongAsASlotNamesThem) {  // rows F2, H1
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    store(encoder, 1, {"value"}, a_.view());
    encoder.fill(KernelArg::slot("filled", b_.view()), std::byte{1});
  }));
  const int before = hal().live_memories();
  const SlotId value = executable.slot("value").value();
  ASSERT_TRUE(executable.load(value, make_words({5}, "loaded").view()).has_value());
  set(executable, "filled", make_buffer(16, "bound").view());
  EXPECT_EQ(hal().live_memories(), before + 2);
  run(executable);
  EXPECT_EQ(read_words(a_.view())[0], 5U);
  ASSERT_TRUE(executable.set(value, 6U).has_value());
  set(executable, "filled", b_.view());
  EXPECT_EQ(hal().live_memories(), before);
  Submission work = executable.submit().value();
  const auto& job = static_cast<const runtime::SubmissionState&>(*queue().pending().at(0));
  for (const ir::ResourceUse& use : job.resources()) {
    EXPECT_TRUE(use.storage == a_.view().buffer().state() ||
                use.storage == b_.view().buffer().state());
  }
  queue().complete_all();
}

TEST_F(ExecutableSlotsTest, LoadsWaitForTheirSource) {  // rows C8, F2
  Executable executable =
      compile(capture([&](CommandEncoder& encoder) { store(encoder, 1, {"value"}, a_.view()); }));
  ASSERT_TRUE(executable.load(executable.slot("value").value(), b_.view(0, 4).value()).has_value());
  Submission work = executable.submit().value();
  const Words zeros(4);
  const Result<> busy =
      device().upload(b_.view(), std::as_bytes(std::span(zeros)), WaitMode::kDontWait);
  expect_failure(busy, ErrorCode::kBusy, {"\"b\""});
  queue().complete_all();
}

}  // namespace
}  // namespace segue::test
