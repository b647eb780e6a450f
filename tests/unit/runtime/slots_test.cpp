// SPDX-License-Identifier: Apache-2.0
//
// Slots as they are recorded: what the uses of a name must agree in, and what direct encoding makes
// of them.
#include <array>

#include "unit/runtime/replay_fixture.hpp"

namespace segue::test {
namespace {

class SlotsTest : public ReplayTest {
 protected:
  /// Expects that the recording is refused, directly and while capturing.
  template <class Record>
  void expect_refused(Record&& record, std::initializer_list<std::string_view> parts) {
    expect_failure(try_recording(make_encoder(), record), ErrorCode::kInvalidArgument, parts);
    CommandEncoder capturing = make_encoder();
    capturing.start_capture();
    record(capturing);
    expect_failure(capturing.take_capture(), ErrorCode::kInvalidArgument, parts);
    EXPECT_TRUE(queue().pending().empty());
  }
  /// store() of one word whose bytes are a slot.
  void store_word(CommandEncoder& encoder, std::uint32_t value, const BytesSlot& slot,
                  const BufferView& target) const {
    encoder.dispatch(store_, {KernelArg::bytes(value, {&slot, 1}), target}, groups(1));
  }
  const Buffer a_ = make_words(Words(4, 1), "a");
  const Buffer b_ = make_words(Words(4, 2), "b");
};

TEST_F(SlotsTest, DirectEncodingUsesTheDefaults) {  // rows A1, A6
  CommandEncoder encoder = make_encoder();
  store_word(encoder, 7, {"value"}, a_.view());
  encoder.dispatch(next_,
                   {KernelArg::slot("source", a_.view()), KernelArg::slot("target", b_.view())},
                   groups(1), {.grid_slot = "rows"});
  Submission work = encoder.commit().value();
  EXPECT_EQ(submitted_plan().group_count(), 2U) << "Slots are tracked by their defaults.";
  queue().complete_all();
  ASSERT_TRUE(work.wait().has_value());
  EXPECT_EQ(read_words(b_.view()), (Words{8, 2, 2, 2}));
}

TEST_F(SlotsTest, UsesOfANameAreOneSlot) {  // row A1
  const Graph graph = capture([&](CommandEncoder& encoder) {
    store_word(encoder, 7, {"value", 0, 0, 9}, a_.view());
    store_word(encoder, 7, {"value", 0, 0, 8}, b_.view());
    encoder.fill(KernelArg::slot("target", a_.view()), std::byte{1});
    encoder.dispatch(next_, {KernelArg::slot("target", a_.view()), b_.view()}, groups(5),
                     {.grid_slot = "rows"});
  });
  const std::vector<SlotInfo> slots = graph.slots();
  ASSERT_EQ(slots.size(), 3U);
  EXPECT_EQ(slots[0].name, "value");
  EXPECT_EQ(slots[0].type, SlotType::kBytes);
  EXPECT_EQ(slots[0].size_bytes, 4U);
  EXPECT_EQ(slots[0].max, 8U) << "the strictest of the uses";
  EXPECT_EQ(slots[1].name, "target");
  EXPECT_EQ(slots[1].type, SlotType::kView);
  EXPECT_EQ(slots[1].size_bytes, 16U);
  EXPECT_EQ(slots[2].type, SlotType::kGrid);
  EXPECT_EQ(slots[2].bound, (Extent3{5, 1, 1}));
}

TEST_F(SlotsTest, FillsCopiesAndUploadsTakeSlots) {  // row A1
  const Graph graph = capture([&](CommandEncoder& encoder) {
    encoder.fill(KernelArg::slot("filled", a_.view()), std::byte{9});
    encoder.copy(KernelArg::slot("from", a_.view()), KernelArg::slot("to", b_.view()));
    const std::array<std::uint32_t, 4> words{1, 2, 3, 4};
    const BytesSlot part{"part", 4, 8};
    encoder.upload(KernelArg::slot("up", a_.view()), KernelArg::bytes(words, {&part, 1}));
  });
  ASSERT_EQ(graph.slots().size(), 5U);
  Executable executable = compile(graph);
  const Buffer c = make_words(Words(4, 5), "c");
  set(executable, "filled", c.view());
  ASSERT_TRUE(executable.set(executable.slot("part").value(), std::array{8U, 9U}).has_value());
  run(executable);
  EXPECT_EQ(read_words(c.view()), Words(4, 0x09090909));
  EXPECT_EQ(read_words(b_.view()), Words(4, 1)) << "the copy reads what is not filled any more";
  EXPECT_EQ(read_words(a_.view()), (Words{1, 8, 9, 4}));
}

TEST_F(SlotsTest, PartsOfOneArgumentAreSlotsOfTheirOwn) {  // row A1
  const std::array<std::uint32_t, 4> words{1, 2, 3, 4};
  const Graph graph = capture([&](CommandEncoder& encoder) {
    const std::array<BytesSlot, 2> parts{BytesSlot{"first", 0, 4}, BytesSlot{"last", 8}};
    encoder.dispatch(store_, {KernelArg::bytes(words, parts), a_.view()}, groups(1));
  });
  Executable executable = compile(graph);
  EXPECT_EQ(executable.slots()[1].size_bytes, 8U) << "up to the argument's end";
  set(executable, "first", 10);
  run(executable);
  EXPECT_EQ(read_words(a_.view()), (Words{10, 2, 3, 4}));
  ASSERT_TRUE(executable.set(executable.slot("last").value(), std::array{30U, 40U}).has_value());
  run(executable);
  EXPECT_EQ(read_words(a_.view()), (Words{10, 2, 30, 40}));
}

TEST_F(SlotsTest, NeedAName) {  // rows A6, K4
  expect_refused([&](CommandEncoder& encoder) { store_word(encoder, 1, {""}, a_.view()); },
                 {"A slot has an empty name", "at least one character"});
  expect_refused(
      [&](CommandEncoder& encoder) { encoder.fill(KernelArg::slot("", a_.view()), std::byte{1}); },
      {"A slot has an empty name"});
}

TEST_F(SlotsTest, KeepTheirKind) {  // rows A6, K4
  expect_refused(
      [&](CommandEncoder& encoder) {
        store_word(encoder, 1, {"x"}, a_.view());
        encoder.fill(KernelArg::slot("x", a_.view()), std::byte{1});
      },
      {"Slot \"x\" is a view here but inline bytes before"});
  expect_refused(
      [&](CommandEncoder& encoder) {
        encoder.fill(KernelArg::slot("x", a_.view()), std::byte{1});
        encoder.dispatch(next_, {a_.view(), b_.view()}, groups(1), {.grid_slot = "x"});
      },
      {"Slot \"x\" is a grid here but a view before"});
}

TEST_F(SlotsTest, KeepTheirSize) {  // rows A6, K4
  expect_refused(
      [&](CommandEncoder& encoder) {
        encoder.fill(KernelArg::slot("x", a_.view()), std::byte{1});
        encoder.fill(KernelArg::slot("x", a_.view(0, 8).value()), std::byte{1});
      },
      {"Slot \"x\" has 8 bytes here but 16 before"});
}

TEST_F(SlotsTest, KeepTheirDefault) {  // rows A6, F2, K4
  const std::initializer_list<std::string_view> sentence{"Slot \"x\" has another default here"};
  expect_refused(
      [&](CommandEncoder& encoder) {
        encoder.fill(KernelArg::slot("x", a_.view()), std::byte{1});
        encoder.fill(KernelArg::slot("x", b_.view()), std::byte{1});
      },
      sentence);
  expect_refused(
      [&](CommandEncoder& encoder) {
        encoder.fill(KernelArg::slot("x", a_.view(0, 4).value()), std::byte{1});
        encoder.fill(KernelArg::slot("x", a_.view(4, 4).value()), std::byte{1});
      },
      sentence);
  expect_refused(
      [&](CommandEncoder& encoder) {
        store_word(encoder, 1, {"x"}, a_.view());
        store_word(encoder, 2, {"x"}, a_.view());
      },
      sentence);
  expect_refused(
      [&](CommandEncoder& encoder) {
        encoder.dispatch(next_, {a_.view(), b_.view()}, groups(1), {.grid_slot = "x"});
        encoder.dispatch(next_, {a_.view(), b_.view()}, groups(2), {.grid_slot = "x"});
      },
      sentence);
}

TEST_F(SlotsTest, CoverBytesThatTheArgumentHas) {  // rows A6, K4
  expect_refused([&](CommandEncoder& encoder) { store_word(encoder, 1, {"x", 2, 4}, a_.view()); },
                 {"Slot \"x\" covers bytes 2 to 6 of an argument of 4 bytes"});
  expect_refused([&](CommandEncoder& encoder) { store_word(encoder, 1, {"x", 4}, a_.view()); },
                 {"Slot \"x\" covers bytes 4 to 5 of an argument of 4 bytes"});
  expect_refused(
      [&](CommandEncoder& encoder) { store_word(encoder, 1, {"x", 4000000000}, a_.view()); },
      {"Slot \"x\" covers bytes 4000000000 to 4000000001 of an argument of 4 bytes"});
}

TEST_F(SlotsTest, OfOneArgumentShareNoByte) {  // rows A6, K4
  expect_refused(
      [&](CommandEncoder& encoder) {
        const std::array<BytesSlot, 2> parts{BytesSlot{"x", 0, 3}, BytesSlot{"y", 2, 2}};
        encoder.dispatch(store_, {KernelArg::bytes(1U, parts), a_.view()}, groups(1));
      },
      {"Slot \"y\" begins at byte 2", "slot \"x\" ends at byte 3"});
}

TEST_F(SlotsTest, LargestValuesAreForNumbersOf4Bytes) {  // rows A6, K4
  expect_refused(
      [&](CommandEncoder& encoder) {
        const BytesSlot slot{"x", 0, 8, 5};
        encoder.dispatch(store_, {KernelArg::bytes(std::uint64_t{1}, {&slot, 1}), a_.view()},
                         groups(1));
      },
      {"Slot \"x\" has 8 bytes and a largest value; that is for 4 bytes"});
}

TEST_F(SlotsTest, DefaultsObeyTheLargestValueOfEveryUse) {  // rows A6, K4
  expect_refused(
      [&](CommandEncoder& encoder) { store_word(encoder, 6, {"x", 0, 0, 5}, a_.view()); },
      {"Slot \"x\" is 6 by default, but takes at most 5"});
  expect_refused(
      [&](CommandEncoder& encoder) {
        store_word(encoder, 6, {"x"}, a_.view());
        store_word(encoder, 6, {"x", 0, 0, 5}, a_.view());
      },
      {"Slot \"x\" is 6 by default, but takes at most 5"});
}

TEST_F(SlotsTest, IndirectGridsAreTheDevicesOwn) {  // rows A6, K4
  expect_refused(
      [&](CommandEncoder& encoder) {
        const std::array<KernelArg, 2> args{a_.view(), b_.view()};
        encoder.dispatch_indirect(next_, args, a_.view(), {1, 1, 1}, {.grid_slot = "x"});
      },
      {"An indirect dispatch has a slot \"x\" for its grid"});
}

TEST_F(SlotsTest, OfViewsGoWithoutExplicitRanges) {  // rows A6, K4
  const std::array<BufferView, 1> reads{a_.view()};
  expect_refused(
      [&](CommandEncoder& encoder) {
        encoder.dispatch(next_, {KernelArg::slot("x", a_.view()), b_.view()}, groups(1),
                         {.reads = reads});
      },
      {"A dispatch has a slot for a view and explicit ranges"});
}

TEST_F(SlotsTest, StatefulFormCarriesThem) {  // rows A1, B9
  const Graph graph = capture([&](CommandEncoder& encoder) {
    const std::uint32_t seven = 7;
    encoder.set_kernel(store_);
    {
      const std::string name = "a name that is gone before the dispatch";
      const BytesSlot slot{name};
      encoder.set_argument(0, KernelArg::bytes(seven, {&slot, 1}));
      encoder.set_argument(1, KernelArg::slot("target of a long name, gone as well", a_.view()));
    }
    encoder.dispatch_groups({1, 1, 1});
  });
  ASSERT_EQ(graph.slots().size(), 2U);
  EXPECT_EQ(graph.slots()[0].name, "a name that is gone before the dispatch");
}

}  // namespace
}  // namespace segue::test
