// SPDX-License-Identifier: Apache-2.0
//
// Kernels of users: grids, shared memory, inline bytes, views anywhere.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "support/test_seed.hpp"
#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

struct Extent2 {
  std::uint32_t width, height;
};

class MetalDispatch : public MetalTest {
 protected:
  void SetUp() override { use(machine_with(metal_double::Order::kRandom)); }

  [[nodiscard]] Result<> run(const Kernel& kernel, std::vector<KernelArg> args, Grid grid,
                             const DispatchOptions& options = {}) const {
    CommandEncoder encoder = this->encoder();
    encoder.dispatch(kernel, args, grid, options);
    return encoder.commit_and_wait();
  }
  [[nodiscard]] static Signature sum_signature() {
    Signature signature;
    signature.parameters = {bytes_parameter("data", 0), view_parameter("y", Access::kWrite)};
    return signature;
  }
  /// What `sum` makes of that many numbers, each one more than the one before it.
  [[nodiscard]] static std::uint32_t sum_of(std::uint32_t count, std::uint32_t first = 1) {
    std::uint32_t total = 0;
    for (std::uint32_t i = 0; i < count; ++i) total += (first + i) * (i + 1);
    return total;
  }
};

// Grids.

TEST_F(MetalDispatch, WithoutAGuardGetsExactlyTheThreadsOfAGrid) {  // row B1
  const Kernel mark = kernel("mark");
  const std::vector<std::pair<Extent3, Extent3>> shapes{
      {{1, 1, 1}, {32, 1, 1}}, {{33, 1, 1}, {32, 1, 1}}, {{5, 7, 1}, {4, 4, 1}},
      {{4, 4, 4}, {4, 4, 4}},  {{5, 3, 7}, {4, 2, 3}},   {{1, 9, 2}, {2, 8, 1}}};
  for (const auto& [grid, group] : shapes) {
    const Buffer y = buffer(grid.count() + 1024);  // room for threads that should not be
    metal_double::clear_log();
    ASSERT_TRUE(run(mark, {y.view(), KernelArg::bytes(Extent2{grid.x, grid.y})},
                    threads(grid.x, grid.y, grid.z), {.group_size = group})
                    .has_value());
    EXPECT_EQ(log_count("dispatchThreads "), 1U);
    const std::vector<std::uint32_t> found = words(y);
    for (std::uint32_t z = 0, i = 0; z < grid.z; ++z) {
      for (std::uint32_t py = 0; py < grid.y; ++py) {
        for (std::uint32_t x = 0; x < grid.x; ++x, ++i) {
          // Groups at the edge are smaller.
          const auto cut = [](std::uint32_t at, std::uint32_t size, std::uint32_t all) {
            return std::min(size, all - at / size * size);
          };
          ASSERT_EQ(found[i],
                    cut(x, group.x, grid.x) * cut(py, group.y, grid.y) * cut(z, group.z, grid.z))
              << x << ", " << py << ", " << z;
        }
      }
    }
  }
}

TEST_F(MetalDispatch, WithAGuardGetsWholeGroups) {  // row B1
  const Kernel mark = kernel("mark_guarded");
  for (const Extent3 grid : {Extent3{1, 1, 1}, Extent3{5, 3, 7}, Extent3{4, 4, 4}}) {
    const Buffer y = buffer(grid.count());
    metal_double::clear_log();
    ASSERT_TRUE(run(mark, {y.view(), KernelArg::bytes(Extent2{grid.x, grid.y})},
                    threads(grid.x, grid.y, grid.z), {.group_size = {4, 2, 2}})
                    .has_value());
    EXPECT_EQ(log_count("dispatchThreadgroups "), 1U);
    EXPECT_THAT(words(y), Each(16U));
  }
}

TEST_F(MetalDispatch, TellsTheExactGrid) {  // rows B1, I5
  const Kernel tell = kernel("tell_grid");
  const Buffer y = buffer(3);
  ASSERT_TRUE(run(tell, {y.view()}, threads(5, 3, 7), {.group_size = {4, 2, 1}}).has_value());
  EXPECT_THAT(words(y), ElementsAre(5, 3, 7));
  ASSERT_TRUE(run(tell, {y.view()}, groups(5, 3, 7), {.group_size = {4, 2, 1}}).has_value());
  EXPECT_THAT(words(y), ElementsAre(20, 6, 7));
}

TEST_F(MetalDispatch, RunsAnIndirectGridNoLargerThanItsBound) {  // row B6
  const Kernel tell = kernel("tell_grid"), mark = kernel("mark");
  const std::vector<std::uint32_t> given{9, 2, 1};
  const Buffer counts = buffer_of(given);
  const Buffer y = buffer(3), marks = buffer(64);
  CommandEncoder encoder = this->encoder();
  const std::vector<KernelArg> tell_args{y.view()};
  encoder.dispatch_indirect(tell, tell_args, counts.view(), {3, 5, 1}, {.group_size = {4, 2, 1}});
  const Extent2 extent{8, 8};
  const std::vector<KernelArg> mark_args{marks.view(), KernelArg::bytes(extent)};
  encoder.dispatch_indirect(mark, mark_args, counts.view(), {1, 5, 1}, {.group_size = {4, 2, 1}});
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_THAT(words(y), ElementsAre(12, 4, 1));  // in threads: 3 by 2 groups
  const std::vector<std::uint32_t> found = words(marks);
  for (std::uint32_t i = 0; i < 64; ++i) EXPECT_EQ(found[i], i % 8 < 4 && i / 8 < 4 ? 8U : 0U) << i;
  EXPECT_EQ(words(counts), given);  // what it read is as it was
}

TEST_F(MetalDispatch, RunsNothingWhereIndirectCountsAreZero) {  // rows B4, B6
  const Kernel add_one = kernel("add_one");
  const Buffer x = buffer(64);
  for (const std::vector<std::uint32_t>& given :
       {std::vector<std::uint32_t>{0, 1, 1}, std::vector<std::uint32_t>{2, 0, 1}}) {
    const Buffer counts = buffer_of(given);
    CommandEncoder encoder = this->encoder();
    const std::vector<KernelArg> args{x.view()};
    encoder.dispatch_indirect(add_one, args, counts.view(), {2, 1, 1});
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    EXPECT_THAT(words(x), Each(0));
  }
}

TEST_F(MetalDispatch, ReadsIndirectCountsThatTheDeviceWrote) {  // rows B6, C1
  const Kernel tell = kernel("tell_grid");
  const Buffer counts = buffer(3), y = buffer(3);
  CommandEncoder encoder = this->encoder();
  const std::vector<std::uint32_t> given{2, 3, 1};
  encoder.upload(counts.view(), std::as_bytes(std::span(given)));
  const std::vector<KernelArg> args{y.view()};
  encoder.dispatch_indirect(tell, args, counts.view(), {8, 8, 8}, {.group_size = {1, 1, 1}});
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_THAT(words(y), ElementsAre(2, 3, 1));
}

TEST_F(MetalDispatch, RefusesGroupsThatThePipelineCannotTake) {  // rows B4, K4
  const Kernel small = kernel("small_groups");
  const Buffer y = buffer(256);
  ASSERT_TRUE(run(small, {y.view()}, threads(64), {.group_size = {64, 1, 1}}).has_value());
  const Result<> refused = run(small, {y.view()}, threads(128), {.group_size = {128, 1, 1}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message,
              HasSubstr("Kernel \"small_groups\" is dispatched with 128 threads a group; its code "
                        "allows at most 64 on device \"Metal double\"."));
  // Nothing of it was submitted, and the next one runs.
  EXPECT_EQ(words(y)[100], 0U);
  ASSERT_TRUE(run(small, {y.view()}, threads(128), {.group_size = {64, 1, 1}}).has_value());
  EXPECT_EQ(words(y)[100], 100U);
  const Result<> beyond = run(small, {y.view()}, threads(4096), {.group_size = {2048, 1, 1}});
  ASSERT_FALSE(beyond.has_value());
  EXPECT_EQ(beyond.error().code, ErrorCode::kInvalidArgument);
}

// Shared memory.

TEST_F(MetalDispatch, SizesSharedMemoryAtLaunch) {  // row B2
  const Kernel reverse = kernel("reverse");
  const Buffer x = buffer_of(counting(96)), y = buffer(96);
  for (const std::uint32_t group : {32U, 48U, 96U}) {
    const SharedMemorySize shared{2, group * 4};
    ASSERT_TRUE(run(reverse, {x.view(), y.view()}, groups(96 / group),
                    {.shared_memory = {&shared, 1}, .group_size = {group, 1, 1}})
                    .has_value());
    const std::vector<std::uint32_t> found = words(y);
    for (std::uint32_t i = 0; i < 96; ++i)
      ASSERT_EQ(found[i], i / group * group + group - 1 - i % group);
  }
}

TEST_F(MetalDispatch, RoundsSharedMemoryToSixteenBytes) {  // row B2
  const Kernel two = kernel("two_shared");
  const Buffer y = buffer(32);
  metal_double::clear_log();
  const SharedMemorySize shared[] = {{1, 32 * 4}, {2, 32 * 4 + 1}};
  ASSERT_TRUE(run(two, {y.view()}, groups(1), {.shared_memory = shared}).has_value());
  EXPECT_THAT(
      log_with("setThreadgroupMemoryLength"),
      ElementsAre("setThreadgroupMemoryLength 128 @0", "setThreadgroupMemoryLength 144 @1"));
  for (std::uint32_t i = 0; i < 32; ++i) EXPECT_EQ(words(y)[i], 6 * (31 - i));
}

TEST_F(MetalDispatch, CountsTheSharedMemoryThatTheCodeDeclares) {  // rows B2, K4
  const Kernel two = kernel("two_shared");
  const Buffer y = buffer(32);
  const std::uint32_t own = 1024;
  const SharedMemorySize most[] = {{1, 32768 - own - 1024}, {2, 1024}};
  EXPECT_TRUE(run(two, {y.view()}, groups(1), {.shared_memory = most}).has_value());
  const SharedMemorySize more[] = {{1, 32768 - own - 1024 + 16}, {2, 1024}};
  const Result<> refused = run(two, {y.view()}, groups(1), {.shared_memory = more});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message,
              HasSubstr("A group of kernel \"two_shared\" uses 32784 bytes of shared memory, with "
                        "those that its code declares; at most 32768 are allowed."));
  const SharedMemorySize far_more[] = {{1, 40000}, {2, 1024}};
  const Result<> checked = run(two, {y.view()}, groups(1), {.shared_memory = far_more});
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
}

// Inline bytes.

TEST_F(MetalDispatch, CopiesInlineBytesOfAnySize) {  // row A1
  const Kernel sum = kernel("sum", sum_signature());
  const Buffer y = buffer(4);
  for (const std::uint32_t bytes : {4U, 4096U, 4100U, 60U * 1024, 64U * 1024}) {
    std::vector<std::uint32_t> data = counting(bytes / 4, 1);
    CommandEncoder encoder = this->encoder();
    encoder.dispatch(sum, {KernelArg::bytes(std::as_bytes(std::span(data))), y.view()}, groups(1),
                     {.group_size = {1, 1, 1}});
    std::ranges::fill(data, 0);  // copied at the call
    metal_double::clear_log();
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    EXPECT_EQ(words(y)[0], sum_of(bytes / 4)) << bytes;
    EXPECT_EQ(log_count("setBytes " + std::to_string(bytes) + " @0"), bytes <= 4096 ? 1U : 0U);
  }
}

TEST_F(MetalDispatch, TakesFourKibibytesAndAByte) {  // row A1
  const Kernel sum = kernel("sum", sum_signature());
  const Buffer y = buffer(4);
  std::vector<std::byte> data(4097, std::byte{0});
  data[0] = std::byte{1};
  data[4092] = std::byte{2};
  ASSERT_TRUE(run(sum, {KernelArg::bytes(data), y.view()}, groups(1), {.group_size = {1, 1, 1}})
                  .has_value());
  EXPECT_EQ(words(y)[0], 1U + 2U * 1024);
}

TEST_F(MetalDispatch, RefusesMoreInlineBytesThanTheLimit) {  // rows A1, K4
  const Kernel sum = kernel("sum", sum_signature());
  const Buffer y = buffer(4);
  const std::vector<std::byte> data(device_.limits().max_inline_bytes + 1);
  const Result<> refused = run(sum, {KernelArg::bytes(data), y.view()}, groups(1));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("65536"));
}

TEST_F(MetalDispatch, KeepsParametersOfSubmissionsInFlightApart) {  // rows A1, F4
  const Kernel sum = kernel("sum", sum_signature());
  std::vector<Buffer> results;
  metal_double::hold_execution(true);
  for (std::uint32_t i = 0; i < 6; ++i) {
    results.push_back(buffer(4));
    const std::vector<std::uint32_t> data = counting(2000, 100 * i);
    CommandEncoder encoder = this->encoder();
    encoder.dispatch(sum, {KernelArg::bytes(std::as_bytes(std::span(data))), results[i].view()},
                     groups(1), {.group_size = {1, 1, 1}});
    ASSERT_TRUE(encoder.commit().has_value());
  }
  metal_double::hold_execution(false);
  for (std::uint32_t i = 0; i < 6; ++i) EXPECT_EQ(words(results[i])[0], sum_of(2000, 100 * i));
}

// Views.

TEST_F(MetalDispatch, TellsTheSizesOfViews) {  // rows A5, I5
  const Kernel tell = kernel("tell_sizes");
  const Buffer a = buffer(16), y = buffer(8);
  ASSERT_TRUE(run(tell, {a.view(3, 5).value(), KernelArg::at(a.view(), 12), y.view(0, 16).value()},
                  groups(1), {.group_size = {1, 1, 1}})
                  .has_value());
  EXPECT_THAT(words(y.view(0, 12).value()), ElementsAre(5, 52, 16));
}

TEST_F(MetalDispatch, BindsViewsAtAnyByte) {  // rows A2, A3
  std::mt19937_64 random(test::test_seed());
  const Kernel copy = kernel("copy_bytes");
  std::vector<std::uint32_t> data(64);
  for (std::uint32_t& word : data) word = static_cast<std::uint32_t>(random());
  const Buffer x = buffer_of(data);
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t size = random() % 100;
    const std::uint64_t from = random() % (257 - size), to = random() % (257 - size);
    const Buffer y = buffer(64);
    ASSERT_TRUE(
        run(copy, {x.view(from, size).value(), y.view(to, size).value()}, groups(4)).has_value());
    std::vector<std::byte> expected(256), found(256);
    std::ranges::copy(std::as_bytes(std::span(data)).subspan(from, size),
                      expected.begin() + static_cast<std::ptrdiff_t>(to));
    ASSERT_TRUE(device_.download(y.view(), found).has_value());
    ASSERT_EQ(found, expected) << size << " bytes from " << from << " to " << to;
  }
}

TEST_F(MetalDispatch, TakesEmptyViews) {  // rows A2, A4
  const Kernel copy = kernel("copy_bytes");
  const Buffer x = buffer(4), y = buffer(4);
  // Also one that begins where its buffer ends, which Metal would not bind.
  for (const std::uint64_t at : {0U, 7U, 16U}) {
    ASSERT_TRUE(run(copy, {x.view(at, 0).value(), y.view(at, 0).value()}, groups(1)).has_value());
  }
  EXPECT_THAT(words(y), Each(0));
}

TEST_F(MetalDispatch, RefusesViewsThatTheElementTypeDoesNotAllow) {  // rows A4, K4
  const Kernel add_one = kernel("add_one");
  EXPECT_EQ(add_one.signature().parameters[0].alignment, 4U);
  const Buffer x = buffer(4);
  const Result<> refused = run(add_one, {x.view(2, 8).value()}, threads(2));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace segue::metal
