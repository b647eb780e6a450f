// SPDX-License-Identifier: Apache-2.0
//
// Capture and replay on every device, against direct encoding of the same calls.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "conformance/harness.hpp"
#include "segue/executable.hpp"
#include "segue/graph.hpp"
#include "support/test_seed.hpp"

namespace segue::test {
namespace {

constexpr std::uint32_t kCount = 500;  // no multiple of the group size
constexpr std::array kSchedules{Schedule::kRecorded, Schedule::kLookahead, Schedule::kCriticalPath,
                                Schedule::kRandom};

class ReplayConformance : public ConformanceTest {
 protected:
  template <class Record>
  [[nodiscard]] Graph capture(Record&& record) const {
    CommandEncoder encoder = make_encoder();
    encoder.start_capture();
    record(encoder);
    Result<Graph> graph = encoder.take_capture();
    EXPECT_TRUE(graph.has_value()) << graph.error().to_string();
    return *std::move(graph);
  }
  [[nodiscard]] Executable compile(const Graph& graph, const CompileOptions& options = {}) const {
    Result<Executable> made = graph.compile(device_, options);
    EXPECT_TRUE(made.has_value()) << made.error().to_string();
    return *std::move(made);
  }
  static void replay(Executable& executable) {
    const Result<> done = executable.submit_and_wait();
    EXPECT_TRUE(done.has_value()) << done.error().to_string();
  }
  template <class Value>
  static void set(Executable& executable, std::string_view slot, const Value& value) {
    const Result<> done = executable.set(executable.slot(slot).value(), value);
    EXPECT_TRUE(done.has_value()) << done.error().to_string();
  }
  void write(const BufferView& view, const Words& values) const {
    EXPECT_TRUE(device_.upload(view, std::as_bytes(std::span(values))).has_value());
  }
};

// -- Random programs

/// Some calls, drawn from a seed, that can be recorded any number of times.
class RandomProgram {
 public:
  static constexpr std::uint32_t kBuffers = 5, kTransients = 3, kTemporary = 100;

  RandomProgram(std::uint64_t seed, std::uint32_t calls) : seed_(seed), calls_(calls) {}

  struct Memory {
    std::vector<Buffer> buffers;     // kBuffers of kCount words
    std::vector<Buffer> transients;  // kTransients of kTemporary words
  };
  void record(CommandEncoder& encoder, const Memory& memory, const KernelLibrary& kernels) const {
    std::mt19937_64 random(seed_);
    const auto below = [&random](std::uint64_t limit) {
      return static_cast<std::uint32_t>(random() % limit);
    };
    const Kernel add = kernels.get("test_add").value(), copy = kernels.get("test_copy").value(),
                 add_one = kernels.get("test_add_one").value();
    const auto part = [&](std::uint32_t words) {
      const Buffer& buffer = memory.buffers[below(kBuffers)];
      return buffer.view(4 * std::uint64_t{below(kCount - words + 1)}, 4 * words).value();
    };
    for (std::uint32_t call = 0; call < calls_; ++call) {
      const std::uint32_t words = 1 + below(kTemporary);
      const Buffer& temporary = memory.transients[below(kTransients)];
      switch (below(8)) {
        case 0: encoder.fill(part(words), std::byte{static_cast<unsigned char>(below(256))}); break;
        case 1: {
          const std::vector<std::uint32_t> values = counting(4, below(1000));
          encoder.upload(part(4), std::as_bytes(std::span(values)));
          break;
        }
        case 2: encoder.dispatch(add_one, {part(words)}, threads(words)); break;
        case 3:  // Written and read again: nothing of it outlives the recording.
          encoder.dispatch(copy, {part(words), temporary.view(0, 4 * words).value()},
                           threads(words));
          encoder.dispatch(add_one, {temporary.view(0, 4 * words).value()}, threads(words));
          encoder.dispatch(add,
                           {temporary.view(0, 4 * words).value(), apart(memory, words, below),
                            KernelArg::bytes(below(9))},
                           threads(words));
          break;
        case 4:
          if (below(4) == 0) encoder.memory_barrier();
          break;
        default: {
          const std::uint32_t from = below(kBuffers);
          const std::uint32_t to = (from + 1 + below(kBuffers - 1)) % kBuffers;
          encoder.dispatch(
              add,
              {memory.buffers[from].view(4 * std::uint64_t{below(100)}, 4 * words).value(),
               memory.buffers[to].view(4 * std::uint64_t{below(100)}, 4 * words).value(),
               KernelArg::bytes(below(9))},
              threads(words));
        }
      }
    }
  }

 private:
  template <class Below>
  static BufferView apart(const Memory& memory, std::uint32_t words, Below& below) {
    return memory.buffers[below(kBuffers)]
        .view(4 * std::uint64_t{below(kCount - words + 1)}, 4 * words)
        .value();
  }
  std::uint64_t seed_;
  std::uint32_t calls_;
};

class ReplayRandom : public ReplayConformance {
 protected:
  [[nodiscard]] RandomProgram::Memory make_memory() const {
    RandomProgram::Memory memory;
    for (std::uint32_t i = 0; i < RandomProgram::kBuffers; ++i)
      memory.buffers.push_back(make_buffer(counting(kCount, 1000 * i)));
    BufferDesc desc;
    desc.size_bytes = 4 * RandomProgram::kTemporary;
    desc.transient = true;
    for (std::uint32_t i = 0; i < RandomProgram::kTransients; ++i)
      memory.transients.push_back(device_.create_buffer(desc).value());
    return memory;
  }
  void reset(const RandomProgram::Memory& memory) const {
    for (std::uint32_t i = 0; i < RandomProgram::kBuffers; ++i)
      write(memory.buffers[i].view(), counting(kCount, 1000 * i));
  }
  [[nodiscard]] std::vector<Words> contents(const RandomProgram::Memory& memory) const {
    std::vector<Words> all;
    for (const Buffer& buffer : memory.buffers) all.push_back(read(buffer.view()));
    return all;
  }
};

TEST_P(ReplayRandom, GivesWhatDirectEncodingGivesUnderEverySchedule) {  // rows D5, E4, E5, E9, F1
  std::mt19937_64 random(test_seed());
  for (int i = 0; i < 12; ++i) {
    const RandomProgram program(random(), 80);
    const RandomProgram::Memory memory = make_memory();
    const auto record = [&](CommandEncoder& encoder) {
      program.record(encoder, memory, device_.kernels());
    };
    CommandEncoder encoder = make_encoder();
    record(encoder);
    device_.reset_counters();
    run(encoder);
    const Counters direct = device_.counters();
    const std::vector<Words> want = contents(memory);
    const Graph graph = capture(record);
    for (const Schedule schedule : kSchedules) {
      for (const bool place : {false, true}) {
        SCOPED_TRACE(testing::Message() << to_string(schedule) << (place ? ", placed" : ""));
        CompileOptions options;
        options.schedule = schedule;
        options.seed = random();
        options.place_transients = place;
        Executable executable = compile(graph, options);
        EXPECT_TRUE(executable.certify().valid()) << executable.certify().to_string();
        reset(memory);
        device_.reset_counters();
        replay(executable);
        ASSERT_EQ(contents(memory), want);
        const Counters replayed = device_.counters();
        EXPECT_EQ(replayed.dispatches_executed, direct.dispatches_executed);
        EXPECT_EQ(replayed.syncs, direct.syncs);
        if (schedule == Schedule::kRecorded) {
          EXPECT_EQ(replayed.barriers_issued, direct.barriers_issued);
          EXPECT_EQ(replayed.barriers_inferred, direct.barriers_inferred);
          EXPECT_EQ(replayed.concurrent, direct.concurrent);
        }
      }
    }
  }
}

TEST_P(ReplayRandom, RecordsIntoEncodersAndStartsEarlyWithTheSameResult) {  // rows E2, E3
  std::mt19937_64 random(test_seed());
  for (int i = 0; i < 12; ++i) {
    const RandomProgram program(random(), 200);
    const RandomProgram::Memory memory = make_memory();
    const auto record = [&](CommandEncoder& encoder) {
      program.record(encoder, memory, device_.kernels());
    };
    CommandEncoder encoder = make_encoder();
    record(encoder);
    run(encoder);
    const std::vector<Words> want = contents(memory);
    const Graph graph = capture(record);
    reset(memory);
    encoder.encode_sequential(graph);
    run(encoder);
    ASSERT_EQ(contents(memory), want);
    for (const Schedule schedule : kSchedules) {
      reset(memory);
      encoder.encode_with_barriers(graph, graph.order(schedule, random()));
      run(encoder);
      ASSERT_EQ(contents(memory), want) << to_string(schedule);
      reset(memory);
      Submission work = graph.submit_early(device_, schedule).value();
      ASSERT_TRUE(work.wait().has_value());
      ASSERT_EQ(contents(memory), want) << to_string(schedule);
    }
  }
}

// -- Slots

TEST_P(ReplayConformance, SlotsOfEachKindTakeValues) {  // row F2
  const Buffer x = make_buffer(counting(kCount)), y = make_buffer(Words(kCount)),
               other = make_buffer(counting(kCount, 5000));
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    const BytesSlot factor{"factor"};
    encoder.dispatch(kernel("test_add"),
                     {KernelArg::slot("x", x.view()), y.view(), KernelArg::bytes(2U, {&factor, 1})},
                     threads(kCount), {.grid_slot = "threads"});
  }));
  Words want(kCount);
  const auto expect = [&](std::uint32_t first, std::uint32_t factor, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) want[i] += factor * (first + i);
    replay(executable);
    EXPECT_EQ(read(y.view()), want);
  };
  expect(0, 2, kCount);
  set(executable, "factor", 3U);
  expect(0, 3, kCount);
  set(executable, "threads", Extent3{70, 1, 1});
  expect(0, 3, 70);
  set(executable, "x", other.view());
  expect(5000, 3, 70);
  set(executable, "threads", Extent3{0, 1, 1});
  expect(5000, 3, 0);
  set(executable, "threads", Extent3{kCount, 1, 1});
  set(executable, "x", x.view());
  expect(0, 3, kCount);
}

TEST_P(ReplayConformance, SlotsOfFillsCopiesUploadsAndSharedMemoryTakeValues) {  // row F2
  const Buffer a = make_buffer(Words(256)), b = make_buffer(Words(256)),
               c = make_buffer(counting(256)), d = make_buffer(Words(256));
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.fill(KernelArg::slot("filled", words(a, 0, 64)), std::byte{1});
    encoder.memory_barrier();
    encoder.copy(KernelArg::slot("from", words(a, 0, 64)), KernelArg::slot("to", words(b, 0, 64)));
    encoder.memory_barrier();
    const BytesSlot word{"word", 4, 4};
    encoder.upload(KernelArg::slot("up", words(b, 64, 2)),
                   KernelArg::bytes(std::array{8U, 9U}, {&word, 1}));
    encoder.memory_barrier();
    const SharedMemorySize shared{2, 256};
    encoder.dispatch(kernel("test_reverse"), {KernelArg::slot("in", words(b, 0, 64)), d.view()},
                     groups(1), {.shared_memory = {&shared, 1}});
  }));
  set(executable, "filled", words(a, 128, 64));
  set(executable, "from", words(c, 64, 64));
  set(executable, "to", words(b, 128, 64));
  set(executable, "up", words(b, 140, 2));
  set(executable, "word", 77U);
  set(executable, "in", words(b, 128, 64));
  replay(executable);
  EXPECT_EQ(read(words(a, 128, 64)), Words(64, 0x01010101));
  EXPECT_EQ(read(words(a, 0, 128)), Words(128));
  Words moved = counting(64, 64);
  moved[12] = 8;
  moved[13] = 77;
  EXPECT_EQ(read(words(b, 128, 64)), moved);
  std::ranges::reverse(moved);
  EXPECT_EQ(read(words(d, 0, 64)), moved);
}

TEST_P(ReplayConformance, SlotsOfIndirectDispatchesTakeValues) {  // rows B6, F2
  const Words counts{1, 1, 1, 2, 1, 1};
  const Buffer x = make_buffer(counting(256)), other = make_buffer(counting(256, 1000)),
               indirect = make_buffer(counts);
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    const std::array args{KernelArg::slot("x", x.view())};
    encoder.dispatch_indirect(kernel("test_add_one"), args, words(indirect, 3, 3), {4, 1, 1});
  }));
  replay(executable);
  set(executable, "x", other.view());
  replay(executable);
  for (const auto& [buffer, first] : {std::pair(&x, 0U), std::pair(&other, 1000U)}) {
    Words want = counting(256, first);
    for (std::uint32_t i = 0; i < 128; ++i) ++want[i];
    EXPECT_EQ(read(buffer->view()), want);
  }
}

TEST_P(ReplayConformance, DeviceLoadsWhatTheReplayBeforeComputed) {  // row F2
  const Buffer position = make_buffer({5}), trace = make_buffer(Words(2));
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    const BytesSlot slot{"position", 0, 0, 8}, other{"other"};
    encoder.dispatch(kernel("test_store"), {KernelArg::bytes(0U, {&slot, 1}), words(trace, 0, 1)},
                     threads(1));
    encoder.dispatch(kernel("test_store"), {KernelArg::bytes(99U, {&other, 1}), words(trace, 1, 1)},
                     threads(1));
    encoder.dispatch(kernel("test_add_one"), {position.view()}, threads(1));
  }));
  const SlotId slot = executable.slot("position").value();
  ASSERT_TRUE(executable.load(slot, position.view()).has_value());
  Words seen;
  for (int i = 0; i < 6; ++i) {
    replay(executable);
    seen.push_back(read(trace.view())[0]);
    EXPECT_EQ(read(trace.view())[1], 99U) << "Other slots keep their value.";
  }
  EXPECT_EQ(seen, (Words{5, 6, 7, 8, 8, 8})) << "A larger number is taken as the largest.";
  set(executable, "position", 2U);
  replay(executable);
  EXPECT_EQ(read(trace.view())[0], 2U);
}

TEST_P(ReplayConformance, PingPongNeedsNoCopy) {  // row F3
  const Buffer a = make_buffer(counting(kCount)), b = make_buffer(Words(kCount));
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(kernel("test_copy"),
                     {KernelArg::slot("from", a.view()), KernelArg::slot("to", b.view())},
                     threads(kCount));
    encoder.dispatch(kernel("test_add_one"), {KernelArg::slot("to", b.view())}, threads(kCount));
  }));
  for (int i = 0; i < 9; ++i) {
    set(executable, "from", i % 2 == 0 ? a.view() : b.view());
    set(executable, "to", i % 2 == 0 ? b.view() : a.view());
    replay(executable);
  }
  EXPECT_EQ(read(b.view()), counting(kCount, 9));
  EXPECT_EQ(read(a.view()), counting(kCount, 8));
}

TEST_P(ReplayConformance, OverlapsAreRefusedAndNothingRuns) {  // row F3
  const Buffer a = make_buffer(counting(kCount)), b = make_buffer(Words(kCount));
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.fill(KernelArg::slot("x", words(a, 0, 10)), std::byte{1});
    encoder.fill(words(b, 0, 10), std::byte{2});
  }));
  set(executable, "x", words(b, 9, 10));
  const Result<> refused = executable.submit_and_wait();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(read(b.view()), Words(kCount));
  set(executable, "x", words(b, 10, 10));
  replay(executable);
  EXPECT_EQ(read(words(b, 9, 2)), (Words{0x02020202, 0x01010101}));
}

// -- Several at a time

TEST_P(ReplayConformance, ReplaysInFlightAreAsOneAfterAnother) {  // row F4
  constexpr std::uint32_t kReplays = 100;  // more than a device may have submissions in flight
  const Buffer x = make_buffer(counting(kCount)), y = make_buffer(Words(kCount)),
               trace = make_buffer(Words(kReplays));
  using Case = std::pair<unsigned, Waiting>;
  for (const auto& [in_flight, waiting] :
       {Case{1, Waiting::kUnknown}, Case{2, Waiting::kUnknown}, Case{8, Waiting::kUnknown},
        Case{1, Waiting::kSoon}, Case{8, Waiting::kSoon}, Case{kReplays, Waiting::kSoon}}) {
    CompileOptions options;
    options.max_in_flight = in_flight;
    options.label = "sum";
    Executable executable =
        compile(capture([&](CommandEncoder& encoder) {
                  const BytesSlot factor{"factor"};
                  encoder.dispatch(kernel("test_add"),
                                   {x.view(), y.view(), KernelArg::bytes(0U, {&factor, 1})},
                                   threads(kCount));
                  encoder.dispatch(kernel("test_copy"),
                                   {words(y, 1, 1), KernelArg::slot("trace", words(trace, 0, 1))},
                                   threads(1));
                }),
                options);
    write(y.view(), Words(kCount));
    std::vector<Submission> works;
    Words want(kReplays);
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < kReplays; ++i) {
      set(executable, "factor", i);
      set(executable, "trace", words(trace, i, 1));
      works.push_back(executable.submit({}, waiting).value());
      ASSERT_EQ(works.back().label(), "sum");
      want[i] = sum += i;
    }
    for (Submission& work : works) ASSERT_TRUE(work.wait().has_value());
    EXPECT_EQ(read(trace.view()), want);
  }
}

TEST_P(ReplayConformance, ReplaysOnTwoQueuesHonourEachOther) {  // rows C8, F4
  const Buffer x = make_buffer(counting(kCount));
  const Graph graph = capture([&](CommandEncoder& encoder) {
    encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
  });
  CompileOptions options;
  Executable one = compile(graph, options);
  options.queue = 1;
  Executable two = compile(graph, options);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(one.submit().has_value());
    ASSERT_TRUE(two.submit().has_value());
  }
  ASSERT_TRUE(device_.wait_idle().has_value());
  EXPECT_EQ(read(x.view()), counting(kCount, 100));
}

TEST_P(ReplayConformance, ExecutableMayGoWhileItsReplaysRun) {  // row K5
  const Buffer x = make_buffer(counting(kCount));
  for (int i = 0; i < 20; ++i) {
    Executable executable = compile(capture([&](CommandEncoder& encoder) {
      encoder.dispatch(kernel("test_add_one"), {KernelArg::slot("x", x.view())}, threads(kCount));
    }));
    ASSERT_TRUE(executable.submit().has_value());
    ASSERT_TRUE(executable.submit().has_value());
  }
  EXPECT_EQ(read(x.view()), counting(kCount, 40));
}

// -- Profiling

TEST_P(ReplayConformance, ProfiledReplaysTellTheTimeOfEachDispatch) {  // rows F5, J4, J5
  if (!device_.features().gpu_timestamps) GTEST_SKIP() << "The device has no clock.";
  const Buffer x = make_buffer(counting(kCount));
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    for (int i = 0; i < 10; ++i) {
      encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount),
                       {.label = i % 2 == 0 ? "even" : "odd"});
    }
  }));
  device_.reset_label_times();
  for (const bool on : {false, true, false, true}) {
    executable.set_profiling(on);
    Submission work = executable.submit().value();
    ASSERT_TRUE(work.wait().has_value());
    const std::vector<DispatchTime> times = work.dispatch_times().value();
    ASSERT_EQ(times.size(), on ? 10U : 0U);
    double last = work.gpu_time()->start_seconds;
    for (std::size_t i = 0; i < times.size(); ++i) {
      EXPECT_EQ(times[i].label, i % 2 == 0 ? "even" : "odd");
      EXPECT_GE(times[i].start_seconds, last) << "Each waits for the one before it.";
      EXPECT_GE(times[i].end_seconds, times[i].start_seconds);
      last = times[i].end_seconds;
    }
    EXPECT_LE(last, work.gpu_time()->end_seconds);
  }
  EXPECT_EQ(read(x.view()), counting(kCount, 40)) << "Profiled replays do the same work.";
  const std::vector<LabelTime> labels = device_.label_times();
  ASSERT_EQ(labels.size(), 2U);
  for (const LabelTime& label : labels) {
    EXPECT_EQ(label.count, 10U);
    EXPECT_LE(label.min_seconds, label.max_seconds);
    EXPECT_LE(label.max_seconds, label.total_seconds);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, ReplayConformance, testing::ValuesIn(conformance_devices()),
                         [](const auto& device) { return device.param.name; });
INSTANTIATE_TEST_SUITE_P(Devices, ReplayRandom, testing::ValuesIn(conformance_devices()),
                         [](const auto& device) { return device.param.name; });

}  // namespace
}  // namespace segue::test
