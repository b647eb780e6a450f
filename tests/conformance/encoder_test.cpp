// SPDX-License-Identifier: Apache-2.0
//
// Recording, barriers, capture and completion on every device.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "conformance/harness.hpp"
#include "support/test_seed.hpp"

namespace segue::test {
namespace {

class EncoderConformance : public ConformanceTest {};
/// What gives the same results when it is captured and replayed.
class DispatchConformance : public ConformanceTest {};

constexpr std::uint32_t kCount = 1000;  // no multiple of the group size

// -- Arguments and grids

TEST_P(DispatchConformance, KernelRunsOverThreadsAndOverGroups) {  // row B1, B3, I3
  const Buffer x = make_buffer(counting(kCount));
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
  encoder.dispatch(kernel("test_add_one"), {words(x, 0, 128)}, groups(2));
  run(encoder);
  Words want = counting(kCount, 1);
  for (std::uint32_t i = 0; i < 128; ++i) ++want[i];
  EXPECT_EQ(read(x.view()), want);
}

TEST_P(DispatchConformance, ViewsBindAtTheirOffset) {  // row A2, A3
  const Buffer x = make_buffer(counting(kCount));
  const Buffer y = make_buffer(Words(kCount, 7));
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel("test_copy"), {words(x, 256, 100), words(y, 512, 100)}, threads(100));
  encoder.dispatch(kernel("test_copy"),
                   {KernelArg::at(words(x, 256, 100), 0), KernelArg::at(words(y, 1, 1), 256)},
                   threads(10));
  run(encoder);
  Words want(kCount, 7);
  for (std::uint32_t i = 0; i < 100; ++i) want[512 + i] = 256 + i;
  for (std::uint32_t i = 0; i < 10; ++i) want[64 + i] = i;
  EXPECT_EQ(read(y.view()), want);
}

TEST_P(DispatchConformance, InlineBytesReachTheKernelUpToTheLimit) {  // row A1
  for (const std::uint32_t bytes : {4u, 12u, 128u, 256u, 4096u}) {
    const Words data = counting(bytes / 4, bytes);
    const Buffer y = make_buffer(Words(bytes / 4));
    CommandEncoder encoder = make_encoder();
    encoder.dispatch(kernel("test_store"),
                     {KernelArg::bytes(std::as_bytes(std::span(data))), y.view()},
                     threads(bytes / 4));
    run(encoder);
    EXPECT_EQ(read(y.view()), data) << bytes;
  }
}

TEST_P(DispatchConformance, FloatsAndScalarsComeThrough) {  // row A1, I3
  std::vector<float> x(kCount), y(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    x[i] = static_cast<float>(i);
    y[i] = 1;
  }
  const auto upload = [&](const std::vector<float>& values) {
    Words bits(kCount);
    std::memcpy(bits.data(), values.data(), 4 * kCount);
    return make_buffer(bits);
  };
  const Buffer from = upload(x);
  const Buffer to = upload(y);
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel("test_saxpy"), {from.view(), to.view(), KernelArg::bytes(0.5F)},
                   threads(kCount));
  run(encoder);
  const Words bits = read(to.view());
  std::memcpy(y.data(), bits.data(), 4 * kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) ASSERT_EQ(y[i], 1 + 0.5F * static_cast<float>(i));
}

TEST_P(DispatchConformance, ExactThreadsRunAndNoOthers) {  // row B1
  struct PlaneExtent {
    std::uint32_t width, height;
  };
  constexpr std::uint32_t kWidth = 16, kHeight = 12, kDepth = 6;
  for (const Extent3 count : {Extent3{1, 1, 1}, Extent3{5, 1, 1}, Extent3{4, 4, 2},
                              Extent3{7, 5, 3}, Extent3{16, 12, 6}, Extent3{13, 1, 5}}) {
    const Buffer marks = make_buffer(Words(kWidth * kHeight * kDepth));
    CommandEncoder encoder = make_encoder();
    encoder.dispatch(kernel("test_mark_threads"),
                     {marks.view(), KernelArg::bytes(PlaneExtent{kWidth, kHeight})},
                     threads(count.x, count.y, count.z));
    run(encoder);
    Words want(kWidth * kHeight * kDepth);
    for (std::uint32_t z = 0; z < count.z; ++z) {
      for (std::uint32_t y = 0; y < count.y; ++y) {
        for (std::uint32_t x = 0; x < count.x; ++x) want[(z * kHeight + y) * kWidth + x] = 1;
      }
    }
    EXPECT_EQ(read(marks.view()), want) << count.x << "x" << count.y << "x" << count.z;
  }
}

TEST_P(DispatchConformance, GroupsShareMemorySizedAtLaunch) {  // row B2
  const Buffer x = make_buffer(counting(256));
  const Buffer y = make_buffer(Words(256));
  const SharedMemorySize size{2, 64 * 4};
  DispatchOptions options;
  options.shared_memory = {&size, 1};
  for (const Grid grid : {groups(4), threads(256)}) {
    CommandEncoder encoder = make_encoder();
    encoder.fill(y.view(), std::byte{0});
    encoder.dispatch(kernel("test_reverse"), {x.view(), y.view()}, grid, options);
    run(encoder);
    Words want(256);
    for (std::uint32_t i = 0; i < 256; ++i) want[i] = i / 64 * 64 + 63 - i % 64;
    EXPECT_EQ(read(y.view()), want);
  }
}

TEST_P(DispatchConformance, EmptyGridsRunNothing) {  // row B4
  const Buffer x = make_buffer(counting(64));
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(0));
  encoder.dispatch(kernel("test_add_one"), {x.view()}, groups(1, 0, 1));
  run(encoder);
  EXPECT_EQ(read(x.view()), counting(64));
}

TEST_P(DispatchConformance, IndirectCountsComeFromTheDevice) {  // row B6
  const Words counts{9, 9, 2, 1, 1, 9};
  const Buffer source = make_buffer(counts);
  const Buffer indirect = make_buffer(Words(6));
  for (const std::uint32_t bound : {8u, 1u}) {
    const Buffer x = make_buffer(counting(512));
    CommandEncoder encoder = make_encoder();
    encoder.dispatch(kernel("test_copy"), {source.view(), indirect.view()}, threads(6));
    encoder.dispatch_indirect(kernel("test_add_one"), std::array<KernelArg, 1>{x.view()},
                              words(indirect, 2, 3), {bound, 1, 1});
    run(encoder);
    Words want = counting(512);
    const std::uint32_t ran = std::min(2u, bound) * 64;
    for (std::uint32_t i = 0; i < ran; ++i) ++want[i];
    EXPECT_EQ(read(x.view()), want) << bound;
  }
}

TEST_P(DispatchConformance, AnIndirectDispatchOfNothingLeavesTheNextOneAlone) {  // row B6
  const Buffer counts = make_buffer({5, 1, 1, 2, 1, 1});
  const Buffer x = make_buffer(counting(512)), y = make_buffer(counting(512));
  CommandEncoder encoder = make_encoder();
  encoder.dispatch_indirect(kernel("test_add_one"), std::array<KernelArg, 1>{x.view()},
                            words(counts, 0, 3), {0, 1, 1});
  encoder.dispatch_indirect(kernel("test_add_one"), std::array<KernelArg, 1>{y.view()},
                            words(counts, 3, 3), {8, 1, 1});
  run(encoder);
  Words want = counting(512);
  for (std::uint32_t i = 0; i < 2 * 64; ++i) ++want[i];
  EXPECT_EQ(read(x.view()), counting(512));
  EXPECT_EQ(read(y.view()), want);
}

TEST_P(DispatchConformance, FillsCopiesAndUploadsAreCommands) {  // row B7
  const Buffer x = make_buffer(counting(64));
  const Buffer y = make_buffer(Words(64));
  const Words brought{100, 200, 300};
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(64));
  encoder.copy(words(x, 8, 16), words(y, 4, 16));
  encoder.upload(words(y, 5, 3), std::as_bytes(std::span(brought)));
  encoder.dispatch(kernel("test_add_one"), {y.view()}, threads(64));
  encoder.fill(y.view(7 * 4 + 1, 6).value(), std::byte{0xFF});
  run(encoder);
  Words want(64);
  for (std::uint32_t i = 0; i < 16; ++i) want[4 + i] = 8 + i + 1;
  for (std::uint32_t i = 0; i < 3; ++i) want[5 + i] = brought[i];
  for (std::uint32_t& value : want) ++value;
  std::memset(reinterpret_cast<std::byte*>(want.data()) + 7 * 4 + 1, 0xFF, 6);
  EXPECT_EQ(read(y.view()), want);
}

TEST_P(DispatchConformance, StatefulFormRunsTheSame) {  // row B9
  const Buffer x = make_buffer(counting(kCount));
  const Buffer y = make_buffer(Words(kCount));
  CommandEncoder encoder = make_encoder();
  encoder.set_kernel(kernel("test_add"));
  encoder.set_argument(0, x.view());
  encoder.set_argument(1, y.view());
  encoder.set_argument(2, KernelArg::bytes(3u));
  encoder.dispatch_threads({kCount, 1, 1});
  encoder.dispatch_groups({2, 1, 1});
  run(encoder);
  Words want(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) want[i] = i < 128 ? 6 * i : 3 * i;
  EXPECT_EQ(read(y.view()), want);
}

// -- Barriers

TEST_P(EncoderConformance, ChainsGetTheBarriersTheyNeed) {  // row C1, C4, J1, J2
  const Buffer x = make_buffer(counting(64));
  const Buffer y = make_buffer(counting(64));
  device_.reset_counters();
  CommandEncoder encoder = make_encoder();
  for (int i = 0; i < 100; ++i) {
    encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(64));
    encoder.dispatch(kernel("test_add_one"), {y.view()}, threads(64));
  }
  run(encoder);
  EXPECT_EQ(read(x.view()), counting(64, 100));
  EXPECT_EQ(read(y.view()), counting(64, 100));
  const Counters counters = device_.counters();
  EXPECT_EQ(counters.dispatches_recorded, 200u);
  EXPECT_EQ(counters.dispatches_executed, 200u);
  EXPECT_EQ(counters.barriers_inferred, 99u);
  EXPECT_EQ(counters.concurrent, 101u);
  EXPECT_EQ(counters.syncs, 1u);
  EXPECT_EQ(counters.barriers_issued, 99u);
  EXPECT_EQ(counters.command_buffers, 1u);
}

TEST_P(EncoderConformance, UnknownAccessIsReadAndWritten) {  // row C1
  const Buffer x = make_buffer(counting(64));
  CommandEncoder encoder = make_encoder();
  for (int i = 0; i < 10; ++i)
    encoder.dispatch(kernel("test_unknown_access"), {x.view()}, threads(64));
  EXPECT_EQ(encoder.stats().barriers_inferred, 9u);
  EXPECT_EQ(encoder.stats().unannotated, 10u);
  run(encoder);
  EXPECT_EQ(read(x.view()), counting(64, 10));
}

TEST_P(EncoderConformance, BarriersByHandDoInManualMode) {  // row C5, C6
  const Buffer x = make_buffer(counting(64));
  EncoderOptions options;
  options.barriers = BarrierMode::kManual;
  CommandEncoder encoder = device_.create_encoder(options).value();
  device_.reset_counters();
  for (int i = 0; i < 10; ++i) {
    encoder.memory_barrier();
    encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(64));
  }
  run(encoder);
  EXPECT_EQ(read(x.view()), counting(64, 10));
  EXPECT_EQ(device_.counters().barriers_inferred, 0u);
  EXPECT_EQ(device_.counters().barriers_issued, 9u) << "The first one precedes nothing.";
}

/// A program over a few buffers, run by the device and by plain loops.
class RandomProgram {
 public:
  static constexpr std::uint32_t kBuffers = 4, kWords = 96;

  explicit RandomProgram(std::uint64_t seed) : random_(seed) {
    for (std::uint32_t b = 0; b < kBuffers; ++b) values_.push_back(counting(kWords, 1000 * b));
  }
  [[nodiscard]] const std::vector<std::uint32_t>& values(std::uint32_t buffer) const {
    return values_[buffer];
  }
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }

  struct Kernels {
    Kernel add_one, add, copy, unknown;
  };

  /// Records one command, and does what it does.
  void step(CommandEncoder& encoder, const std::vector<Buffer>& buffers, const Kernels& kernels) {
    const std::uint32_t from = below(kBuffers);
    const std::uint32_t to = (from + 1 + below(kBuffers - 1)) % kBuffers;
    const std::uint32_t count = 1 + below(40);
    const std::uint32_t first = below(kWords - count), second = below(kWords - count);
    const BufferView x = buffers[from].view(4 * first, 4 * count).value();
    const BufferView y = buffers[to].view(4 * second, 4 * count).value();
    std::uint32_t* const a = values_[from].data() + first;
    std::uint32_t* const b = values_[to].data() + second;
    const std::uint32_t factor = below(5);
    switch (below(7)) {
      case 0:
        encoder.dispatch(kernels.add_one, {x}, threads(count));
        for (std::uint32_t i = 0; i < count; ++i) ++a[i];
        break;
      case 1:
        encoder.dispatch(kernels.add, {x, y, KernelArg::bytes(factor)}, threads(count));
        for (std::uint32_t i = 0; i < count; ++i) b[i] += factor * a[i];
        break;
      case 2:
        encoder.dispatch(kernels.copy, {x, y}, threads(count));
        for (std::uint32_t i = 0; i < count; ++i) b[i] = a[i];
        break;
      case 3:
        encoder.dispatch(kernels.unknown, {y}, threads(count));
        for (std::uint32_t i = 0; i < count; ++i) ++b[i];
        break;
      case 4:
        encoder.fill(x, std::byte{3});
        for (std::uint32_t i = 0; i < count; ++i) a[i] = 0x03030303;
        break;
      case 5:
        encoder.copy(x, y);
        for (std::uint32_t i = 0; i < count; ++i) b[i] = a[i];
        break;
      default: {
        const std::vector<std::uint32_t> words(count, factor);
        encoder.upload(y, std::as_bytes(std::span(words)));
        for (std::uint32_t i = 0; i < count; ++i) b[i] = factor;
      }
    }
  }

 private:
  std::mt19937_64 random_;
  std::vector<std::vector<std::uint32_t>> values_;
};

TEST_P(EncoderConformance, RandomProgramsGiveWhatPlainLoopsGive) {  // row C1, C4, C8, G7
  const std::uint64_t seed = test_seed();
  const RandomProgram::Kernels kernels{kernel("test_add_one"), kernel("test_add"),
                                       kernel("test_copy"), kernel("test_unknown_access")};
  for (int round = 0; round < 20; ++round) {
    RandomProgram program(seed + static_cast<std::uint64_t>(round));
    std::vector<Buffer> buffers;
    for (std::uint32_t b = 0; b < RandomProgram::kBuffers; ++b)
      buffers.push_back(make_buffer(program.values(b)));
    std::vector<CommandEncoder> encoders;
    for (unsigned queue = 0; queue < device_.queue_count(); ++queue)
      encoders.push_back(make_encoder(queue));
    std::vector<Submission> works;
    for (int recording = 0; recording < 8; ++recording) {
      CommandEncoder& encoder =
          encoders[program.below(static_cast<std::uint32_t>(encoders.size()))];
      for (std::uint32_t i = program.below(12); i > 0; --i) program.step(encoder, buffers, kernels);
      Result<Submission> work = encoder.commit();
      ASSERT_TRUE(work.has_value()) << work.error().to_string();
      works.push_back(*std::move(work));
      ASSERT_TRUE(encoder.begin().has_value());
    }
    for (std::uint32_t b = 0; b < RandomProgram::kBuffers; ++b)
      ASSERT_EQ(read(buffers[b].view()), program.values(b)) << "round " << round;
    for (Submission& work : works) ASSERT_TRUE(work.wait().has_value());
  }
}

TEST_P(EncoderConformance, QueuesHonourWriteAfterRead) {  // row C8
  constexpr std::uint32_t kMany = 1 << 16;
  const Buffer x = make_buffer(counting(kMany));
  const Buffer y = make_buffer(Words(kMany));
  for (std::uint32_t round = 1; round <= 10; ++round) {
    CommandEncoder reader = make_encoder(0);
    CommandEncoder writer = make_encoder(1);
    reader.dispatch(kernel("test_copy"), {x.view(), y.view()}, threads(kMany));
    writer.dispatch(kernel("test_add_one"), {x.view()}, threads(kMany));
    const Submission first = reader.commit().value();
    const Submission second = writer.commit().value();
    ASSERT_EQ(read(y.view()), counting(kMany, round - 1));
    ASSERT_EQ(read(x.view()), counting(kMany, round));
  }
}

// -- The host, capture, completion

TEST_P(EncoderConformance, HostSeesWhatUnfinishedWorkWrites) {  // row C7
  const Buffer x = make_buffer(counting(kCount));
  CommandEncoder encoder = make_encoder();
  for (std::uint32_t round = 1; round <= 5; ++round) {
    encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
    const Submission work = encoder.commit().value();
    ASSERT_TRUE(encoder.begin().has_value());
    EXPECT_EQ(read(x.view()), counting(kCount, round));
    EXPECT_TRUE(work.is_done());
  }
}

TEST_P(EncoderConformance, HostWritesAfterUnfinishedWorkRead) {  // row C7
  const Buffer x = make_buffer(counting(kCount));
  const Buffer y = make_buffer(Words(kCount));
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel("test_copy"), {x.view(), y.view()}, threads(kCount));
  const Submission work = encoder.commit().value();
  const Words other(kCount, 5);
  ASSERT_TRUE(device_.upload(x.view(), std::as_bytes(std::span(other))).has_value());
  EXPECT_EQ(read(y.view()), counting(kCount));
  EXPECT_EQ(read(x.view()), other);
}

TEST_P(EncoderConformance, CapturesRunNothing) {  // row D1
  const Buffer x = make_buffer(counting(64));
  CommandEncoder encoder = make_encoder();
  encoder.start_capture();
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(64));
  const Graph graph = encoder.take_capture().value();
  run(encoder);
  EXPECT_EQ(graph.dispatch_count(), 1u);
  EXPECT_EQ(read(x.view()), counting(64));
}

TEST_P(EncoderConformance, SubmissionsTellWhenTheyRan) {  // row G1
  const Buffer x = make_buffer(counting(64));
  CommandEncoder encoder = make_encoder();
  double last = 0;
  for (int i = 0; i < 3; ++i) {
    encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(64));
    const Result<GpuTime> time = encoder.commit_wait_with_gpu_time("timed");
    ASSERT_TRUE(time.has_value()) << time.error().to_string();
    EXPECT_LE(last, time->start_seconds);
    EXPECT_LE(time->start_seconds, time->end_seconds);
    last = time->end_seconds;
    ASSERT_TRUE(encoder.begin().has_value());
  }
  EXPECT_FALSE(device_.clock_name().empty());
}

TEST_P(EncoderConformance, EmptyRecordingsComplete) {  // row G1, G11
  CommandEncoder encoder = make_encoder();
  run(encoder);
  run(encoder);
  Submission work = encoder.commit("nothing").value();
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_EQ(work.status(), SubmissionStatus::kCompleted);
}

TEST_P(EncoderConformance, FailedRecordingsRunNothing) {  // row K2, G11
  const Buffer x = make_buffer(counting(64));
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(64));
  encoder.dispatch(kernel("test_add_one"), {}, threads(64));
  const Result<Submission> committed = encoder.commit();
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().dispatch_index, 1u);
  EXPECT_EQ(read(x.view()), counting(64));
  ASSERT_TRUE(encoder.begin().has_value());
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(64));
  run(encoder);
  EXPECT_EQ(read(x.view()), counting(64, 1));
}

TEST_P(EncoderConformance, ThreadsRecordAtOnce) {  // row G7
  constexpr unsigned kThreads = 4;
  const Buffer x = make_buffer(counting(64 * kThreads));
  const Buffer sum = make_buffer(Words(64));
  std::vector<std::thread> recorders;
  for (unsigned t = 0; t < kThreads; ++t) {
    recorders.emplace_back([&, t] {
      CommandEncoder encoder = make_encoder(t % device_.queue_count());
      for (int i = 0; i < 20; ++i) {
        encoder.dispatch(kernel("test_add_one"), {words(x, 64 * t, 64)}, threads(64));
        encoder.dispatch(kernel("test_add_one"), {sum.view()}, threads(64));
        run(encoder);
      }
    });
  }
  for (std::thread& recorder : recorders) recorder.join();
  EXPECT_EQ(read(x.view()), counting(64 * kThreads, 20));
  EXPECT_EQ(read(sum.view()), Words(64, 20 * kThreads));
}

TEST_P(EncoderConformance, NativeCallbacksStandBetweenTheirNeighbours) {  // row G9
  const Buffer x = make_buffer(counting(64));
  const std::vector<BufferView> views{x.view()};
  std::atomic<int> calls{0};
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(64));
  encoder.native(views, views, [&calls](void*) { ++calls; });
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(64));
  EXPECT_EQ(encoder.stats().barriers_inferred, 2u);
  EXPECT_EQ(calls.load(), 0);
  run(encoder);
  EXPECT_EQ(calls.load(), 1);
  EXPECT_EQ(read(x.view()), counting(64, 2));
}

// -- Lifetime

TEST_P(EncoderConformance, SubmissionsKeepWhatTheyUse) {  // row H1
  const Buffer y = make_buffer(Words(kCount));
  CommandEncoder encoder = make_encoder();
  Submission work;
  {
    const Buffer x = make_buffer(counting(kCount), "passing");
    const Kernel copy = kernel("test_copy");
    encoder.dispatch(copy, {x.view(), y.view()}, threads(kCount));
    work = encoder.commit().value();
  }
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_EQ(read(y.view()), counting(kCount));
}

TEST_P(EncoderConformance, UnretainedBuffersAreTheCallersToKeep) {  // row H2
  const Buffer x = make_buffer(counting(kCount));
  EncoderOptions options;
  options.lifetime = Lifetime::kUnretained;
  CommandEncoder encoder = device_.create_encoder(options).value();
  encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
  run(encoder);
  EXPECT_EQ(read(x.view()), counting(kCount, 1));
  if (!device_.features().lifetime_checks) return;
  {
    const Buffer passing = make_buffer(counting(kCount), "passing");
    encoder.dispatch(kernel("test_add_one"), {passing.view()}, threads(kCount));
  }
  const Result<> done = encoder.commit_and_wait();
  ASSERT_FALSE(done.has_value());
  EXPECT_NE(done.error().message.find("\"passing\""), std::string::npos);
}

TEST_P(EncoderConformance, WorkInFlightOutlivesEveryHandleButItsBuffer) {  // row K5
  Buffer x = make_buffer(counting(kCount));
  {
    CommandEncoder encoder = make_encoder();
    for (int i = 0; i < 10; ++i) {
      encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
      static_cast<void>(encoder.commit().value());
      ASSERT_TRUE(encoder.begin().has_value());
    }
  }
  device_ = Device();
  const auto mapped = x.view().map_read<std::uint32_t>();
  if (!mapped) return;  // a device without host access
  EXPECT_EQ(Words(mapped->begin(), mapped->end()), counting(kCount, 10));
}

TEST_P(EncoderConformance, HandlesGoInAnyOrder) {  // row K5
  std::vector<int> order{0, 1, 2, 3, 4};
  do {
    Device device = GetParam().open({}).value();
    for (KernelSource& source : GetParam().kernels())
      ASSERT_TRUE(device.kernels().add(std::move(source)).has_value());
    BufferDesc desc;
    desc.size_bytes = 4 * kCount;
    std::optional<Buffer> buffer = device.create_buffer(desc).value();
    std::optional<Kernel> add_one = device.kernels().get("test_add_one").value();
    std::optional<CommandEncoder> encoder = device.create_encoder().value();
    encoder->dispatch(*add_one, {buffer->view()}, threads(kCount));
    std::optional<Submission> work = encoder->commit().value();
    for (const int which : order) {
      switch (which) {
        case 0: device = Device(); break;
        case 1: buffer.reset(); break;
        case 2: add_one.reset(); break;
        case 3: encoder.reset(); break;
        default: work.reset(); break;
      }
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(EncoderConformance, BuffersAndSubmissionsNameTheirNativeObjects) {  // row G9
  if (GetParam().replayed) GTEST_SKIP() << "Nothing is recorded that could be captured.";
  const std::map<std::string_view, std::string_view> types{
      {"host", "host.pointer"}, {"vulkan", "VkBuffer"}, {"metal", "MTLBuffer"}};
  const Buffer x = make_buffer(counting(8));
  const Buffer y = make_buffer(counting(8));
  const NativeHandle first = x.native_handle();
  const NativeHandle second = y.native_handle();
  EXPECT_EQ(first.type, types.at(device_.backend()));
  EXPECT_NE(first.object, nullptr);
  EXPECT_TRUE(first.object != second.object || first.value != second.value)
      << "Two buffers are two places.";
  std::vector<NativeHandle> handles;
  for (int i = 0; i < 2; ++i) {
    CommandEncoder encoder = make_encoder();
    encoder.fill(x.view(), std::byte{1});
    Submission work = encoder.commit().value();
    ASSERT_TRUE(work.wait().has_value());
    handles.push_back(work.native_handle());
  }
  EXPECT_EQ(handles[0].type, handles[1].type);
  EXPECT_NE(handles[0].object, nullptr);
  EXPECT_LT(handles[0].value, handles[1].value) << "It counts.";
}

INSTANTIATE_TEST_SUITE_P(Devices, DispatchConformance, testing::ValuesIn(conformance_modes()),
                         [](const auto& device) { return device.param.name; });
INSTANTIATE_TEST_SUITE_P(Devices, EncoderConformance, testing::ValuesIn(conformance_devices()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace segue::test
