// SPDX-License-Identifier: Apache-2.0
//
// Slots of replays, from indirect command buffers and by encoding again.
#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/test_seed.hpp"
#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using testing::Each;
using Words = std::vector<std::uint32_t>;

constexpr std::uint32_t kWords = 64;

struct Line {
  std::uint32_t factor, summand;
};
constexpr BytesSlot kFactor{"factor", 0, 4};
constexpr BytesSlot kSummand{"summand", 4, 4};
constexpr BytesSlot kBoth[] = {kFactor, kSummand};

class MetalReplaySlots : public MetalTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    MetalOptions options;
    options.indirect_command_buffers = GetParam();
    use(machine_with(metal_double::Order::kRandom), options);
    line_ = kernel("line");
    line_to_ = kernel("line_to");
  }
  void TearDown() override {
    line_ = {};
    line_to_ = {};
    MetalTest::TearDown();
  }
  template <class Record>
  [[nodiscard]] Executable compile(Record&& record, unsigned in_flight = 1) const {
    CommandEncoder encoder = this->encoder();
    encoder.start_capture();
    record(encoder);
    CompileOptions options;
    options.max_in_flight = in_flight;
    return encoder.take_capture().value().compile(device_, options).value();
  }
  static SlotId slot(const Executable& executable, std::string_view name) {
    return executable.slot(name).value();
  }
  static void by(Words& words, Line line) {
    for (std::uint32_t& word : words) word = line.factor * word + line.summand;
  }
  static void by_to(const Words& x, Words& y, Line line) {
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = line.factor * x[i] + line.summand + 5 * y[i];
  }

  Kernel line_, line_to_;
};

TEST_P(MetalReplaySlots, OfBytesKeepTheirValueUntilTheyAreSetAgain) {  // row F2
  Words expected = counting(kWords);
  const Buffer x = buffer_of(expected);
  Executable executable = compile([&](CommandEncoder& encoder) {
    encoder.dispatch(line_, {x.view(), KernelArg::bytes(Line{3, 1}, kBoth)}, threads(kWords));
    encoder.dispatch(line_, {x.view(), KernelArg::bytes(Line{3, 9}, {&kFactor, 1})},
                     threads(kWords));
  });
  const auto replay = [&](Line first, Line second) {
    ASSERT_TRUE(executable.submit_and_wait().has_value());
    by(expected, first);
    by(expected, second);
    EXPECT_EQ(words(x), expected);
  };
  replay({3, 1}, {3, 9});
  ASSERT_TRUE(executable.set(slot(executable, "factor"), std::uint32_t{7}).has_value());
  replay({7, 1}, {7, 9});
  replay({7, 1}, {7, 9});
  ASSERT_TRUE(executable.set(slot(executable, "summand"), std::uint32_t{100}).has_value());
  replay({7, 100}, {7, 9});
}

TEST_P(MetalReplaySlots, OfBytesCostNoNativeCall) {  // rows F1, F2
  const Buffer x = buffer(kWords);
  Executable executable = compile([&](CommandEncoder& encoder) {
    encoder.dispatch(line_, {x.view(), KernelArg::bytes(Line{3, 1}, kBoth)}, threads(kWords));
  });
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  const std::size_t lines = metal_double::log().size();
  metal_double::clear_log();
  ASSERT_TRUE(executable.set(slot(executable, "factor"), std::uint32_t{7}).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(metal_double::log().size(), lines);
}

TEST_P(MetalReplaySlots, OfViewsCanBeSwapped) {  // rows F2, F3
  Words x = counting(kWords), y = counting(kWords, 500);
  const Buffer a = buffer_of(x), b = buffer_of(y);
  Executable executable = compile([&](CommandEncoder& encoder) {
    encoder.dispatch(line_to_,
                     {KernelArg::slot("from", a.view()), KernelArg::slot("to", b.view()),
                      KernelArg::bytes(Line{3, 1})},
                     threads(kWords));
    encoder.dispatch(line_, {KernelArg::slot("from", a.view()), KernelArg::bytes(Line{5, 2})},
                     threads(kWords));
  });
  Buffer from = a, to = b;
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(executable.set(slot(executable, "from"), from.view()).has_value());
    ASSERT_TRUE(executable.set(slot(executable, "to"), to.view()).has_value());
    ASSERT_TRUE(executable.submit_and_wait().has_value());
    by_to(x, y, {3, 1});
    by(x, {5, 2});
    std::swap(from, to);
    std::swap(x, y);
  }
  EXPECT_EQ(words(from), x);
  EXPECT_EQ(words(to), y);
}

TEST_P(MetalReplaySlots, OfViewsDoNotUseBuffersThatAreGone) {  // rows F2, H1
  Buffer first = buffer(kWords, "first");
  const Buffer second = buffer(kWords, "second");
  Executable executable = compile(
      [&](CommandEncoder& encoder) {
        encoder.dispatch(line_, {KernelArg::slot("x", first.view()), KernelArg::bytes(Line{1, 1})},
                         threads(kWords));
      },
      2);
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  for (std::uint32_t i = 0; i < 5; ++i) {
    // The buffer of the turn before goes; the double knows each use of one that is gone.
    Buffer next = buffer(kWords, "next");
    ASSERT_TRUE(executable.set(slot(executable, "x"), next.view()).has_value());
    ASSERT_TRUE(executable.submit_and_wait().has_value());
    EXPECT_THAT(words(next), Each(1U));
    metal_double::hold_execution(true);
    ASSERT_TRUE(executable.submit().has_value());
    ASSERT_TRUE(executable.set(slot(executable, "x"), second.view()).has_value());
    ASSERT_TRUE(executable.submit().has_value());
    next = {};
    metal_double::hold_execution(false);
    ASSERT_TRUE(device_.wait_idle().has_value());
    EXPECT_THAT(words(second), Each(i + 1));
  }
}

TEST_P(MetalReplaySlots, OfViewsMayBeAnyPartOfABuffer) {  // rows A2, F2
  Words all = counting(4 * kWords);
  const Buffer x = buffer_of(all);
  Executable executable = compile([&](CommandEncoder& encoder) {
    encoder.dispatch(
        line_, {KernelArg::slot("x", x.view(0, 4 * kWords).value()), KernelArg::bytes(Line{3, 1})},
        threads(kWords));
  });
  for (const std::uint64_t first : {4U, 192U, 65U, 0U}) {
    ASSERT_TRUE(
        executable.set(slot(executable, "x"), x.view(4 * first, 4 * kWords).value()).has_value());
    ASSERT_TRUE(executable.submit_and_wait().has_value());
    for (std::uint64_t i = first; i < first + kWords; ++i) all[i] = 3 * all[i] + 1;
    ASSERT_EQ(words(x), all);
  }
}

TEST_P(MetalReplaySlots, OfGridsCanBeZeroAndBack) {  // rows B4, F2
  Words expected = counting(kWords);
  const Buffer x = buffer_of(expected);
  Executable executable = compile([&](CommandEncoder& encoder) {
    encoder.dispatch(line_, {x.view(), KernelArg::bytes(Line{3, 1}, kBoth)}, threads(kWords),
                     {.grid_slot = "count"});
  });
  std::uint32_t factor = 3;
  for (const std::uint32_t count : {64U, 0U, 17U, 0U, 0U, 64U, 1U}) {
    ASSERT_TRUE(executable.set(slot(executable, "count"), Extent3{count, 1, 1}).has_value());
    // Also while nothing runs.
    factor += 2;
    ASSERT_TRUE(executable.set(slot(executable, "factor"), factor).has_value());
    ASSERT_TRUE(executable.submit_and_wait().has_value());
    for (std::uint32_t i = 0; i < count; ++i) expected[i] = factor * expected[i] + 1;
    ASSERT_EQ(words(x), expected) << count;
  }
}

TEST_P(MetalReplaySlots, OfViewsChangeWhileTheGridIsZero) {  // rows B4, F2, H1
  Buffer first = buffer(kWords);
  Executable executable = compile([&](CommandEncoder& encoder) {
    encoder.dispatch(line_, {KernelArg::slot("x", first.view()), KernelArg::bytes(Line{1, 1})},
                     threads(kWords), {.grid_slot = "count"});
  });
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  ASSERT_TRUE(executable.set(slot(executable, "count"), Extent3{0, 1, 1}).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  Buffer second = buffer(kWords);
  ASSERT_TRUE(executable.set(slot(executable, "x"), second.view()).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  Buffer third = buffer(kWords);
  ASSERT_TRUE(executable.set(slot(executable, "x"), third.view()).has_value());
  second = {};
  ASSERT_TRUE(executable.set(slot(executable, "count"), Extent3{kWords, 1, 1}).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_THAT(words(third), Each(1U));
  EXPECT_THAT(words(first), Each(1U));
}

TEST_P(MetalReplaySlots, OfUploadsAreBytesAndViews) {  // rows B7, F2
  const Words data = counting(8, 70);
  Words x(kWords), y(kWords);
  const Buffer a = buffer(kWords), b = buffer(kWords);
  const BytesSlot third{"third", 8, 4};
  Executable executable = compile([&](CommandEncoder& encoder) {
    encoder.upload(KernelArg::slot("to", a.view(12, 32).value()),
                   KernelArg::bytes(std::as_bytes(std::span(data)), {&third, 1}));
    encoder.dispatch(line_, {a.view(), KernelArg::bytes(Line{1, 0})}, threads(kWords));
  });
  const auto place = [&](Words& to, std::size_t first, std::uint32_t value) {
    std::ranges::copy(data, to.begin() + static_cast<std::ptrdiff_t>(first));
    to[first + 2] = value;
  };
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  place(x, 3, 72);
  EXPECT_EQ(words(a), x);
  ASSERT_TRUE(executable.set(slot(executable, "third"), std::uint32_t{9}).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  place(x, 3, 9);
  EXPECT_EQ(words(a), x);
  ASSERT_TRUE(executable.set(slot(executable, "to"), b.view(20, 32).value()).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  place(y, 5, 9);
  EXPECT_EQ(words(b), y);
  ASSERT_TRUE(executable.set(slot(executable, "third"), std::uint32_t{8}).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  place(y, 5, 8);
  EXPECT_EQ(words(b), y);
  EXPECT_EQ(words(a), x);
}

TEST_P(MetalReplaySlots, OfFillsAndCopiesAreViewsAtAnyByte) {  // rows B7, F2
  std::mt19937_64 random(test::test_seed());
  const Buffer x = buffer_of(counting(kWords, 0x01020304)), y = buffer(kWords);
  Executable executable = compile([&](CommandEncoder& encoder) {
    encoder.copy(KernelArg::slot("from", x.view(0, 19).value()),
                 KernelArg::slot("to", y.view(0, 19).value()));
    encoder.fill(KernelArg::slot("filled", y.view(32, 7).value()), std::byte{5});
  });
  std::vector<std::byte> source(4 * kWords), expected(4 * kWords), found(4 * kWords);
  ASSERT_TRUE(device_.download(x.view(), source).has_value());
  for (int i = 0; i < 30; ++i) {
    const std::uint64_t from = random() % 200, to = random() % 100, filled = 150 + random() % 99;
    ASSERT_TRUE(executable.set(slot(executable, "from"), x.view(from, 19).value()).has_value());
    ASSERT_TRUE(executable.set(slot(executable, "to"), y.view(to, 19).value()).has_value());
    ASSERT_TRUE(executable.set(slot(executable, "filled"), y.view(filled, 7).value()).has_value());
    ASSERT_TRUE(executable.submit_and_wait().has_value());
    std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(from), 19,
                expected.begin() + static_cast<std::ptrdiff_t>(to));
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(filled), 7, std::byte{5});
    ASSERT_TRUE(device_.download(y.view(), found).has_value());
    ASSERT_EQ(found, expected);
  }
}

TEST_P(MetalReplaySlots, AreLoadedByTheDevice) {  // rows F2, D5
  // Each replay goes on from what the one before it left, with nothing of it seen by the host.
  const Words start{3, 4};
  const Buffer state = buffer_of(start, "state"), x = buffer_of(counting(kWords));
  Executable executable = compile(
      [&](CommandEncoder& encoder) {
        encoder.dispatch(line_, {x.view(), KernelArg::bytes(Line{3, 4}, kBoth)}, threads(kWords));
        encoder.upload(x.view(0, 8).value(), KernelArg::bytes(Line{3, 4}, {&kFactor, 1}));
        encoder.dispatch(line_, {state.view(), KernelArg::bytes(Line{3, 2})}, threads(2));
      },
      3);
  ASSERT_TRUE(executable.load(slot(executable, "factor"), state.view(0, 4).value()).has_value());
  ASSERT_TRUE(executable.load(slot(executable, "summand"), state.view(4, 4).value()).has_value());
  Words values = start, expected = counting(kWords);
  const auto replay = [&](Line line) {
    ASSERT_TRUE(executable.submit().has_value());
    by(expected, line);
    expected[0] = line.factor;
    expected[1] = 4;
    by(values, {3, 2});
  };
  for (int i = 0; i < 7; ++i) replay({values[0], values[1]});
  // From somewhere else, and not loaded any more.
  ASSERT_TRUE(executable.load(slot(executable, "summand"), state.view(0, 4).value()).has_value());
  for (int i = 0; i < 4; ++i) replay({values[0], values[0]});
  ASSERT_TRUE(executable.set(slot(executable, "factor"), std::uint32_t{11}).has_value());
  for (int i = 0; i < 4; ++i) replay({11, values[0]});
  ASSERT_TRUE(device_.wait_idle().has_value());
  EXPECT_EQ(words(state), values);
  EXPECT_EQ(words(x), expected);
}

TEST_P(MetalReplaySlots, AreLoadedNoLargerThanAllowed) {  // row F2
  const Buffer number = buffer_of(Words{500}), x = buffer_of(counting(kWords));
  const BytesSlot bounded{"factor", 0, 4, 100};
  Executable executable = compile([&](CommandEncoder& encoder) {
    encoder.dispatch(line_, {x.view(), KernelArg::bytes(Line{3, 1}, {&bounded, 1})},
                     threads(kWords));
  });
  ASSERT_TRUE(executable.load(slot(executable, "factor"), number.view()).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  Words expected = counting(kWords);
  by(expected, {100, 1});
  EXPECT_EQ(words(x), expected);
}

TEST_P(MetalReplaySlots, BelongToEachReplayInFlight) {  // rows F2, F4
  Words expected = counting(kWords);
  const Buffer x = buffer_of(expected), y = buffer(kWords);
  Executable executable = compile(
      [&](CommandEncoder& encoder) {
        encoder.dispatch(line_,
                         {KernelArg::slot("x", x.view()), KernelArg::bytes(Line{3, 1}, kBoth)},
                         threads(kWords), {.grid_slot = "count"});
      },
      4);
  Words other(kWords);
  for (std::uint32_t turn = 0; turn < 5; ++turn) {
    metal_double::hold_execution(true);
    std::vector<Submission> submitted;
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint32_t factor = 3 + 2 * i + turn, count = kWords - 7 * i * turn % kWords;
      const bool elsewhere = i % 3 == 2;
      ASSERT_TRUE(executable.set(slot(executable, "factor"), factor).has_value());
      ASSERT_TRUE(executable.set(slot(executable, "x"), (elsewhere ? y : x).view()).has_value());
      ASSERT_TRUE(executable.set(slot(executable, "count"), Extent3{count, 1, 1}).has_value());
      submitted.push_back(executable.submit().value());
      Words& changed = elsewhere ? other : expected;
      for (std::uint32_t k = 0; k < count; ++k) changed[k] = factor * changed[k] + 1;
    }
    metal_double::hold_execution(false);
    for (Submission& each : submitted) ASSERT_TRUE(each.wait().has_value());
    ASSERT_EQ(words(x), expected);
    ASSERT_EQ(words(y), other);
  }
}

INSTANTIATE_TEST_SUITE_P(, MetalReplaySlots, testing::Bool(),
                         [](const auto& test) { return test.param ? "Indirect" : "Reencoded"; });

}  // namespace
}  // namespace segue::metal
