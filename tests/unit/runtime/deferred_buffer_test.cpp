// SPDX-License-Identifier: Apache-2.0
//
// Buffers that take memory when they are first used.
#include "unit/runtime/replay_fixture.hpp"

namespace segue::test {
namespace {

class DeferredBufferTest : public ReplayTest {
 protected:
  [[nodiscard]] Buffer deferred(std::uint64_t size_bytes = 16) {
    return device()
        .create_buffer({.size_bytes = size_bytes, .deferred = true, .label = "late"})
        .value();
  }
  [[nodiscard]] Buffer transient() {
    return device().create_buffer({.size_bytes = 16, .transient = true, .label = "t"}).value();
  }
  [[nodiscard]] std::uint64_t used() { return device().memory_info().used_bytes; }
  void refuse_memory(bool refuse) {
    hal().options.fail_call = [refuse](std::string_view call) {
      return refuse && call == "allocate";
    };
  }
};

TEST_F(DeferredBufferTest, TakesNoMemoryUntilItIsUsed) {  // row E9
  const std::uint64_t before = used();
  const Buffer buffer = deferred();
  CommandEncoder encoder = make_encoder();
  encoder.fill(buffer.view(), std::byte{3});
  EXPECT_EQ(hal().allocations(), 0);
  EXPECT_EQ(used(), before);
  Submission work = encoder.commit().value();
  EXPECT_EQ(hal().allocations(), 1);
  EXPECT_EQ(used(), before + 16);
  queue().complete_all();
  EXPECT_EQ(read_bytes(buffer.view()), std::vector<std::uint8_t>(16, 3));
  EXPECT_EQ(hal().allocations(), 1);
}

TEST_F(DeferredBufferTest, IsPlannedAsAnyOther) {  // rows C1, E9
  const Buffer buffer = deferred();
  CommandEncoder encoder = make_encoder();
  encoder.fill(buffer.view(0, 8).value(), std::byte{3});
  encoder.fill(buffer.view(8, 8).value(), std::byte{4});
  encoder.fill(buffer.view(4, 8).value(), std::byte{5});
  EXPECT_EQ(encoder.stats().barriers_inferred, 1U);
}

TEST_F(DeferredBufferTest, TakesMemoryWhenTheHostUsesIt) {  // rows A5, E9
  const Buffer mapped = deferred(), uploaded = deferred(), downloaded = deferred();
  EXPECT_EQ(read_bytes(mapped.view()), std::vector<std::uint8_t>(16, 0));
  EXPECT_EQ(hal().allocations(), 1);
  std::array<std::byte, 16> bytes{};
  EXPECT_TRUE(device().upload(uploaded.view(), bytes).has_value());
  EXPECT_TRUE(device().download(downloaded.view(), bytes).has_value());
  EXPECT_EQ(hal().allocations(), 3);
}

TEST_F(DeferredBufferTest, GivesBackWhatItTook) {  // row H8
  const std::uint64_t before = used();
  {
    const Buffer never = deferred();
  }
  {
    const Buffer buffer = deferred();
    EXPECT_EQ(read_bytes(buffer.view()).size(), 16U);
  }
  EXPECT_EQ(used(), before);
  EXPECT_EQ(hal().live_memories(), 0);
}

TEST_F(DeferredBufferTest, MeetsTheMemoryThatItGets) {  // row C8
  // The fake's memory has an address of its own, by which an import of the same bytes is known.
  const Buffer buffer = deferred();
  ASSERT_EQ(read_bytes(buffer.view()).size(), 16U);
  std::byte* const address = buffer.state()->host;
  const Buffer alias =
      device()
          .import_host_memory(std::span(address, 16), {.label = "alias", .writable = true})
          .value();
  CommandEncoder encoder = make_encoder();
  encoder.fill(buffer.view(), std::byte{1});
  encoder.fill(alias.view(), std::byte{2});
  EXPECT_EQ(encoder.stats().barriers_inferred, 1U);
}

TEST_F(DeferredBufferTest, WithoutMemoryACommitFailsAndNothingIsLost) {  // row K3
  const Buffer buffer = deferred();
  refuse_memory(true);
  CommandEncoder encoder = make_encoder();
  encoder.fill(buffer.view(), std::byte{3});
  expect_failure(encoder.commit(), ErrorCode::kOutOfMemory, {"refuses to allocate"});
  EXPECT_TRUE(queue().pending().empty());
  EXPECT_EQ(buffer.view().map_read<std::uint8_t>().error().code, ErrorCode::kOutOfMemory);
  refuse_memory(false);
  ASSERT_TRUE(encoder.begin().has_value());
  encoder.fill(buffer.view(), std::byte{4});
  Submission work = encoder.commit().value();
  queue().complete_all();
  EXPECT_EQ(read_bytes(buffer.view()), std::vector<std::uint8_t>(16, 4));
}

TEST_F(DeferredBufferTest, WithoutMemoryACompilationFailsAndNothingIsLost) {  // rows E9, K3
  const Buffer late = deferred(), t = transient(), result = make_buffer(16);
  const Graph graph = capture([&](CommandEncoder& encoder) {
    encoder.fill(late.view(), std::byte{1});
    encoder.dispatch(next_, {late.view(), t.view()}, groups(1));
    encoder.dispatch(next_, {t.view(), result.view()}, groups(1));
  });
  EXPECT_EQ(hal().live_memories(), 1);
  refuse_memory(true);
  expect_failure(graph.compile(device()), ErrorCode::kOutOfMemory, {"refuses to allocate"});
  EXPECT_EQ(hal().live_memories(), 1);
  // The arena comes first, then the buffer.
  int allocations = 0;
  hal().options.fail_call = [&allocations](std::string_view call) {
    return call == "allocate" && ++allocations == 2;
  };
  EXPECT_EQ(graph.compile(device()).error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(hal().live_memories(), 1);
  refuse_memory(false);
  Executable executable = compile(graph);
  EXPECT_EQ(hal().live_memories(), 3);
  run(executable);
  EXPECT_EQ(read_words(result.view()), Words(4, 0x01010103));
}

TEST_F(DeferredBufferTest, WithoutMemoryASlotKeepsItsView) {  // rows F2, K3
  const Buffer a = make_buffer(16, "a");
  const Buffer late = deferred();
  Executable executable = compile(capture([&](CommandEncoder& encoder) {
    encoder.fill(KernelArg::slot("x", a.view()), std::byte{7});
  }));
  refuse_memory(true);
  const SlotId x = executable.slot("x").value();
  EXPECT_EQ(executable.set(x, late.view()).error().code, ErrorCode::kOutOfMemory);
  run(executable);
  EXPECT_EQ(read_bytes(a.view()), std::vector<std::uint8_t>(16, 7));
  refuse_memory(false);
  EXPECT_TRUE(executable.set(x, late.view()).has_value());
  run(executable);
  EXPECT_EQ(read_bytes(late.view()), std::vector<std::uint8_t>(16, 7));
}

TEST_F(DeferredBufferTest, TransientContentIsNotTheHosts) {  // rows E9, K4
  const Buffer t = transient();
  std::array<std::byte, 16> bytes{};
  EXPECT_EQ(t.view().map_read<std::uint8_t>().error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(t.view().map_write<std::uint8_t>().error().code, ErrorCode::kUnsupported);
  expect_failure(device().upload(t.view(), bytes), ErrorCode::kInvalidArgument,
                 {"The content of buffer \"t\" is transient", "upload"});
  expect_failure(device().download(t.view(), bytes), ErrorCode::kInvalidArgument,
                 {"The content of buffer \"t\" is transient", "download"});
  EXPECT_EQ(hal().allocations(), 0);
}

TEST_F(DeferredBufferTest, TransientWorksInDirectEncoding) {  // row E9
  const Buffer t = transient(), result = make_buffer(16);
  CommandEncoder encoder = make_encoder();
  encoder.fill(t.view(), std::byte{1});
  encoder.copy(t.view(), result.view());
  Submission work = encoder.commit().value();
  queue().complete_all();
  EXPECT_EQ(read_bytes(result.view()), std::vector<std::uint8_t>(16, 1));
}

TEST_F(DeferredBufferTest, SizesAreCheckedAtOnce) {  // row K4
  hal().test_limits.max_buffer_bytes = 64;
  EXPECT_EQ(device().create_buffer({.size_bytes = 65, .deferred = true}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(device().create_buffer({.size_bytes = 0, .transient = true}).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace segue::test
