// SPDX-License-Identifier: Apache-2.0
//
// Replays from indirect command buffers: the same bits as without, and what cannot be in one.
#include <sys/mman.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "support/test_seed.hpp"
#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using metal_double::Order;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Words = std::vector<std::uint32_t>;

constexpr std::uint32_t kWords = 64;

struct Line {
  std::uint32_t factor, summand;
};

class MetalReplay : public MetalTest {
 protected:
  void SetUp() override { use(machine_with(Order::kRandom)); }

  template <class Record>
  [[nodiscard]] Graph capture(Record&& record) const {
    CommandEncoder encoder = this->encoder();
    encoder.start_capture();
    record(encoder);
    return encoder.take_capture().value();
  }
  [[nodiscard]] Executable compile(const Graph& graph, unsigned in_flight = 1) const {
    CompileOptions options;
    options.max_in_flight = in_flight;
    return graph.compile(device_, options).value();
  }

  /// Commands of all kinds at random, the same for a seed.
  void record_anything(CommandEncoder& encoder, std::span<const Buffer> buffers,
                       std::uint64_t seed) const {
    std::mt19937_64 random(seed);
    const Kernel line = kernel("line"), line_to = kernel("line_to"), mark = kernel("mark"),
                 copy = kernel("copy_bytes"), reverse = kernel("reverse");
    const auto number = [&](std::uint64_t below) {
      return static_cast<std::uint32_t>(random() % below);
    };
    const auto part = [&](std::uint64_t bytes, std::uint64_t at) {
      return buffers[number(buffers.size())].view(at, bytes).value();
    };
    for (int i = 0; i < 40; ++i) {
      const auto& x = buffers[number(buffers.size() / 2)];
      const auto& y = buffers[buffers.size() / 2 + number(buffers.size() / 2)];
      const Line by{number(1000), number(1000)};
      const SharedMemorySize shared{2, 16 * 4};
      switch (number(8)) {
        case 0:
          encoder.dispatch(line, {x.view(), KernelArg::bytes(by)}, threads(number(kWords + 1)));
          break;
        case 1:
          encoder.dispatch(line_to, {x.view(), y.view(), KernelArg::bytes(by)}, threads(kWords));
          break;
        case 2:
          encoder.dispatch(mark, {y.view(), KernelArg::bytes(Line{5, 3})}, threads(5, 3, 4),
                           {.group_size = {4, 2, 1}});
          break;
        case 3:
          encoder.dispatch(copy, {x.view(number(100), 50).value(), y.view(number(99), 50).value()},
                           groups(2));
          break;
        case 4:
          encoder.dispatch(reverse, {x.view(), y.view()}, groups(4),
                           {.shared_memory = {&shared, 1}, .group_size = {16, 1, 1}});
          break;
        case 5:
          encoder.fill(part(number(100), number(100)), static_cast<std::byte>(random()));
          break;
        case 6:
          encoder.copy(x.view(number(150), 77).value(), y.view(number(150), 77).value());
          break;
        default: {
          const Words bytes = counting(1 + number(20), number(5000));
          encoder.upload(part(4 * bytes.size(), number(100)), std::as_bytes(std::span(bytes)));
        }
      }
    }
  }
  [[nodiscard]] std::vector<Words> content(std::span<const Buffer> buffers) const {
    std::vector<Words> all;
    for (const Buffer& each : buffers) all.push_back(words(each));
    return all;
  }
  enum class Way { kDirect, kIndirect, kReencoded };
  [[nodiscard]] std::vector<Words> run(Way way, std::uint64_t seed) {
    MetalOptions options;
    options.indirect_command_buffers = way == Way::kIndirect;
    use(machine_with(Order::kRandom), options);
    std::vector<Buffer> buffers;
    for (std::uint32_t i = 0; i < 4; ++i) buffers.push_back(buffer_of(counting(kWords, 100 * i)));
    CommandEncoder encoder = this->encoder();
    if (way != Way::kDirect) encoder.start_capture();
    record_anything(encoder, buffers, seed);
    if (way == Way::kDirect) {
      EXPECT_TRUE(encoder.commit_and_wait().has_value());
      return content(buffers);
    }
    Executable executable = compile(encoder.take_capture().value());
    EXPECT_TRUE(executable.submit_and_wait().has_value());
    EXPECT_EQ(log_count("executeCommandsInBuffer") != 0, way == Way::kIndirect);
    return content(buffers);
  }
};

TEST_F(MetalReplay, GivesTheSameBitsInEachWay) {  // rows D5, F1
  const std::uint64_t seed = test::test_seed();
  for (std::uint64_t i = 0; i < 6; ++i) {
    const std::vector<Words> expected = run(Way::kDirect, seed + i);
    EXPECT_EQ(run(Way::kIndirect, seed + i), expected) << "seed " << seed + i;
    EXPECT_EQ(run(Way::kReencoded, seed + i), expected) << "seed " << seed + i;
  }
}

TEST_F(MetalReplay, SetsPipelinesInThePassWhereTheChipNeedsIt) {  // row F1
  metal_double::Options m1 = machine_with(Order::kRandom);
  m1.families = {1001, 1002, 1003, 1004, 1005, 1006, 1007, 3001, 3002, 3003, 5001};
  use(m1);
  const Kernel line = kernel("line"), line_to = kernel("line_to");
  Buffer x = buffer_of(counting(kWords));
  const Buffer y = buffer(kWords);
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(line, {KernelArg::slot("x", x.view()), KernelArg::bytes(Line{3, 1})},
                     threads(kWords));
    encoder.dispatch(line, {y.view(), KernelArg::bytes(Line{3, 1})}, threads(kWords));
    encoder.dispatch(line_to,
                     {KernelArg::slot("x", x.view()), y.view(), KernelArg::bytes(Line{3, 1})},
                     threads(kWords));
  }));
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  std::vector<std::string> set = log_with("setComputePipelineState");
  std::ranges::sort(set);
  EXPECT_THAT(set, ElementsAre("setComputePipelineState line", "setComputePipelineState line_to"));
  EXPECT_EQ(words(x)[2], 7U);
  EXPECT_EQ(words(y)[2], 3U * 7 + 1 + 5);
  // Nothing is bound that is gone.
  const Buffer z = buffer_of(counting(kWords));
  ASSERT_TRUE(executable.set(executable.slot("x").value(), z.view()).has_value());
  x = {};
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(words(z)[2], 7U);
}

TEST_F(MetalReplay, TellsIndirectGridsToTheEncoder) {  // rows B6, F1
  const Kernel tell = kernel("tell_grid"), line = kernel("line");
  const Buffer counts = buffer_of(Words{5, 1, 1}), y = buffer(4), x = buffer_of(counting(kWords));
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(line, {x.view(), KernelArg::bytes(Line{3, 1})}, threads(kWords));
    const std::vector<KernelArg> args{y.view(0, 12).value()};
    encoder.dispatch_indirect(tell, args, counts.view(), {4, 1, 1}, {.group_size = {2, 1, 1}});
  }));
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(log_count("dispatchThreadgroupsWithIndirectBuffer"), 1U);
  EXPECT_EQ(log_count("executeCommandsInBuffer"), 1U);
  EXPECT_EQ(words(y)[0], 8U);
  // What the counts are now.
  write(counts, Words{2, 1, 1});
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(words(y)[0], 4U);
  EXPECT_EQ(words(x)[1], 13U);
}

/// Address space of which nothing is used until it is touched.
class SparseMemory {
 public:
  explicit SparseMemory(std::uint64_t size_bytes)
      : size_(size_bytes),
        data_(mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  SparseMemory(const SparseMemory&) = delete;
  SparseMemory& operator=(const SparseMemory&) = delete;
  ~SparseMemory() {
    if (*this) munmap(data_, size_);
  }
  explicit operator bool() const { return data_ != MAP_FAILED; }
  [[nodiscard]] std::span<std::byte> bytes() const {
    return {static_cast<std::byte*>(data_), size_};
  }

 private:
  std::uint64_t size_;
  void* data_;
};

constexpr std::uint64_t kFourGib = std::uint64_t{4} << 30;

TEST_F(MetalReplay, KeepsOffsetsBeyondFourGibibytesOutOfIndirectCommands) {  // rows A2, F1
  const SparseMemory memory(kFourGib + (1 << 16));
  if (!memory) GTEST_SKIP() << "The system gives no address space.";
  const Kernel line = kernel("line");
  ImportOptions writable;
  writable.writable = true;
  const Buffer large = device_.import_host_memory(memory.bytes(), writable).value();
  const std::uint64_t size = 4 * kWords;
  const auto at = [&](std::uint64_t offset) { return large.view(offset, size).value(); };
  // The last place that fits 32 bits, and the first that does not.
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(line, {at(kFourGib - 4), KernelArg::bytes(Line{1, 5})}, threads(kWords));
    encoder.dispatch(line, {at(kFourGib + size), KernelArg::bytes(Line{1, 7})}, threads(kWords));
  }));
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(log_count("executeCommandsInBuffer"), 1U);
  EXPECT_THAT(log_with("setBuffer buffer"),
              ElementsAre(HasSubstr("+" + std::to_string(kFourGib + size) + " @0")));
  EXPECT_THAT(words(at(kFourGib - 4)), Each(5U));
  EXPECT_THAT(words(at(kFourGib + size)), Each(7U));
}

TEST_F(MetalReplay, SetsThePipelineAgainBehindAnExecution) {  // row F1
  const SparseMemory memory(kFourGib + (1 << 16));
  if (!memory) GTEST_SKIP() << "The system gives no address space.";
  const Kernel line = kernel("line");
  ImportOptions writable;
  writable.writable = true;
  const Buffer large = device_.import_host_memory(memory.bytes(), writable).value();
  const BufferView near = large.view(0, 4 * kWords).value();
  const BufferView far = large.view(kFourGib, 4 * kWords).value();
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    for (int i = 0; i < 2; ++i) {
      encoder.dispatch(line, {near, KernelArg::bytes(Line{3, 5})}, threads(kWords));
      encoder.dispatch(line, {far, KernelArg::bytes(Line{3, 7})}, threads(kWords));
    }
  }));
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  // What an execution leaves bound is undefined.
  EXPECT_EQ(log_count("executeCommandsInBuffer"), 2U);
  EXPECT_EQ(log_count("setComputePipelineState line"), 2U);
  EXPECT_THAT(words(near), Each(20U));
  EXPECT_THAT(words(far), Each(28U));
}

TEST_F(MetalReplay, TakesACommandOutWhenASlotMovesThere) {  // rows A2, F2
  const SparseMemory memory(kFourGib + (1 << 16));
  if (!memory) GTEST_SKIP() << "The system gives no address space.";
  const Kernel line = kernel("line");
  ImportOptions writable;
  writable.writable = true;
  const Buffer large = device_.import_host_memory(memory.bytes(), writable).value();
  const Buffer other = buffer(kWords);
  const std::uint64_t size = 4 * kWords;
  const BytesSlot summand{"summand", 4, 4};
  const BufferView near = large.view(0, size).value(), far = large.view(kFourGib, size).value();
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.dispatch(line,
                     {KernelArg::slot("x", near), KernelArg::bytes(Line{1, 5}, {&summand, 1})},
                     threads(kWords));
    encoder.dispatch(line, {other.view(), KernelArg::bytes(Line{1, 1})}, threads(kWords));
  }));
  const SlotId x = executable.slot("x").value(), s = executable.slot("summand").value();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  ASSERT_TRUE(executable.set(x, far).has_value());
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(log_count("dispatchThreadgroups"), 1U);
  EXPECT_THAT(words(far), Each(5U));
  // Inline bytes go on to be where they were.
  ASSERT_TRUE(executable.set(s, std::uint32_t{9}).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_THAT(words(far), Each(14U));
  ASSERT_TRUE(executable.set(x, near).has_value());
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_THAT(words(near), Each(14U));
  EXPECT_THAT(words(far), Each(14U));
  EXPECT_THAT(words(other), Each(4U));
}

TEST_F(MetalReplay, OfNothingIsASubmission) {  // rows B4, G1
  Executable executable = compile(capture([](CommandEncoder&) {}));
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(log_count("computeCommandEncoder"), 0U);
}

TEST_F(MetalReplay, OutlivesItsGraphAndItsBuffersHandles) {  // rows D4, H1
  Executable executable;
  {
    const Buffer x = buffer(kWords);
    executable = compile(capture([&](CommandEncoder& encoder) {
      encoder.dispatch(kernel("line"), {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
    }));
  }
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(executable.submit_and_wait().has_value());
  metal_double::hold_execution(true);
  ASSERT_TRUE(executable.submit().has_value());
  executable = {};  // while work is unfinished
  metal_double::hold_execution(false);
  ASSERT_TRUE(device_.wait_idle().has_value());
}

TEST_F(MetalReplay, EncodesWhatAnIndirectCommandBufferDoesNotHold) {  // row F1
  constexpr std::uint32_t kMost = 16384, kMore = 5;
  ASSERT_EQ(metal_double::options().max_indirect_commands, kMost);
  const Kernel line = kernel("line");
  const Buffer x = buffer(kMost + kMore);
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    for (std::uint32_t i = 0; i < kMost + kMore; ++i) {
      encoder.dispatch(line, {x.view(4 * i, 4).value(), KernelArg::bytes(Line{1, 5})}, threads(1),
                       {.group_size = {1, 1, 1}});
    }
  }));
  metal_double::clear_log();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(log_count("dispatchThreadgroups"), kMore);
  EXPECT_THAT(words(x), Each(5U));
}

TEST_F(MetalReplay, WithoutAnIndirectCommandBufferSaysSo) {  // rows F1, K4
  const Buffer x = buffer(kWords);
  const Graph graph = capture([&](CommandEncoder& encoder) {
    encoder.dispatch(kernel("line"), {x.view(), KernelArg::bytes(Line{1, 5})}, threads(kWords));
  });
  metal_double::fail_nth_call(2);  // after the parameter block
  const Result<Executable> refused = graph.compile(device_, {.max_in_flight = 1});
  EXPECT_THAT(metal_double::call_names(),
              ElementsAre("newBufferWithLength", "newIndirectCommandBuffer"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(refused.error().message, "The device gives no indirect command buffer for 1 commands.");
}

}  // namespace
}  // namespace segue::metal
