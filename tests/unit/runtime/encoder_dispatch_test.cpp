// SPDX-License-Identifier: Apache-2.0
//
// Grids, shared memory, op kinds, the stateful form, and the commands that are no dispatches.
#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

#include "unit/runtime/encoder_fixture.hpp"

namespace segue {
namespace {

using test::buffer_parameter;
using test::bytes_parameter;
using test::expect_failure;
using test::try_recording;

Parameter shared_parameter(std::string name, SharedSizing sizing, std::uint32_t size_bytes = 0) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.kind = ParameterKind::kShared;
  parameter.sizing = sizing;
  parameter.size_bytes = size_bytes;
  return parameter;
}

class EncoderDispatchTest : public test::EncoderTest {
 protected:
  Kernel kernel_of_groups(Extent3 group_size, bool guards = false) {
    KernelSource source =
        test::fake_kernel("grouped", {buffer_parameter("target", Access::kWrite)});
    source.signature.group_size = group_size;
    source.signature.guards_ragged_edges = guards;
    return add_kernel(std::move(source));
  }
  Result<> dispatch(const Kernel& kernel, Grid grid, const DispatchOptions& options = {}) {
    return try_recording(make_encoder(), [&](CommandEncoder& encoder) {
      encoder.dispatch(kernel, {buffer_.view()}, grid, options);
    });
  }
  /// Records one dispatch, and gives the command as it was submitted.
  ir::Command recorded(const Kernel& kernel, Grid grid, const DispatchOptions& options = {}) {
    CommandEncoder encoder = make_encoder();
    encoder.dispatch(kernel, {buffer_.view()}, grid, options);
    const Submission work = encoder.commit().value();
    const ir::Command command = submitted_command();
    queue().complete_all();
    return command;
  }

  const Buffer buffer_ = make_buffer(64, "target");
};

TEST_F(EncoderDispatchTest, GridOfThreadsKeepsTheExactCount) {  // row B1
  const ir::Command command = recorded(kernel_of_groups({32, 2, 1}), threads(100, 3, 5));
  EXPECT_EQ(command.grid_kind, GridKind::kThreads);
  EXPECT_EQ(command.thread_count, (Extent3{100, 3, 5}));
  EXPECT_EQ(command.group_count, (Extent3{4, 2, 5}));
  EXPECT_EQ(command.group_size, (Extent3{32, 2, 1}));
}

TEST_F(EncoderDispatchTest, GridOfGroupsCountsWholeGroups) {  // row B1
  const ir::Command command = recorded(kernel_of_groups({32, 2, 1}), groups(3, 2, 4));
  EXPECT_EQ(command.grid_kind, GridKind::kGroups);
  EXPECT_EQ(command.thread_count, (Extent3{96, 4, 4}));
  EXPECT_EQ(command.group_count, (Extent3{3, 2, 4}));
}

TEST_F(EncoderDispatchTest, RaggedCountNeedsAGuardOrADeviceThatCuts) {  // row B1
  hal().test_features.ragged_groups = false;
  const Kernel kernel = kernel_of_groups({32, 1, 1});
  EXPECT_TRUE(dispatch(kernel, threads(96)).has_value());
  expect_failure(dispatch(kernel, threads(100)), ErrorCode::kInvalidArgument,
                 {"100", "32", "grouped", "ragged"});
  hal().test_features.ragged_groups = true;
  EXPECT_TRUE(dispatch(kernel, threads(100)).has_value());
}

TEST_F(EncoderDispatchTest, GuardedKernelTakesAnyCountEverywhere) {  // row B1
  hal().test_features.ragged_groups = false;
  EXPECT_TRUE(dispatch(kernel_of_groups({32, 1, 1}, true), threads(100)).has_value());
}

TEST_F(EncoderDispatchTest, ChoosesAnotherGroupSizeWhereTheKernelAllowsIt) {  // row B1, B4
  DispatchOptions options;
  options.group_size = {8, 1, 1};
  const ir::Command command = recorded(kernel_of_groups({32, 1, 1}), threads(64), options);
  EXPECT_EQ(command.group_size, (Extent3{8, 1, 1}));
  EXPECT_EQ(command.group_count, (Extent3{8, 1, 1}));

  KernelSource source = test::fake_kernel("fixed", {buffer_parameter("target", Access::kWrite)});
  source.signature.group_size = {32, 1, 1};
  source.signature.fixed_group_size = true;
  const Kernel fixed = add_kernel(std::move(source));
  expect_failure(dispatch(fixed, threads(64), options), ErrorCode::kInvalidArgument,
                 {"fixed", "32x1x1", "8x1x1"});
  options.group_size = {32, 1, 1};
  EXPECT_TRUE(dispatch(fixed, threads(64), options).has_value());
}

TEST_F(EncoderDispatchTest, ChecksTheGroupSizeAgainstTheDevice) {  // row B4
  const Kernel kernel = kernel_of_groups({1, 1, 1});
  DispatchOptions options;
  options.group_size = {1024, 2, 1};
  expect_failure(dispatch(kernel, groups(1), options), ErrorCode::kInvalidArgument,
                 {"1024x2x1", "2048", "1024"});
  options.group_size = {1, 1, 65};
  expect_failure(dispatch(kernel, groups(1), options), ErrorCode::kInvalidArgument,
                 {"65", "in z", "64"});
  options.group_size = {4, 0, 1};
  expect_failure(dispatch(kernel, groups(1), options), ErrorCode::kInvalidArgument, {"4x0x1"});
}

TEST_F(EncoderDispatchTest, ChecksTheGroupCountAgainstTheDevice) {  // row B4
  hal().test_limits.max_group_count = {100, 10, 1};
  const Kernel kernel = kernel_of_groups({4, 1, 1});
  EXPECT_TRUE(dispatch(kernel, groups(100, 10, 1)).has_value());
  EXPECT_TRUE(dispatch(kernel, threads(400)).has_value());
  expect_failure(dispatch(kernel, groups(101)), ErrorCode::kInvalidArgument,
                 {"101", "in x", "100"});
  expect_failure(dispatch(kernel, threads(404)), ErrorCode::kInvalidArgument,
                 {"101", "in x", "100"});
  expect_failure(dispatch(kernel, groups(1, 11)), ErrorCode::kInvalidArgument,
                 {"11", "in y", "10"});
}

TEST_F(EncoderDispatchTest, RefusesMoreThreadsThanTheKernelCanCount) {  // row B4
  hal().test_limits.max_group_count = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
  expect_failure(dispatch(kernel_of_groups({1024, 1, 1}), groups(UINT32_MAX)),
                 ErrorCode::kInvalidArgument, {"4398046510080", "4294967295", "in x"});
}

TEST_F(EncoderDispatchTest, RunsNothingForAnEmptyGridButCountsIt) {  // row B4, J1
  int runs = 0;
  const Kernel kernel = add_kernel("counting", {buffer_parameter("target", Access::kWrite)},
                                   [&runs](auto) { ++runs; });
  CommandEncoder encoder = make_encoder();
  encoder.dispatch(kernel, {buffer_.view()}, groups(1));
  for (const Grid grid : {groups(0), threads(0), groups(3, 0, 1), threads(3, 1, 0)})
    encoder.dispatch(kernel, {buffer_.view()}, grid);
  EXPECT_EQ(encoder.stats().commands, 5u);
  EXPECT_EQ(encoder.stats().barriers_inferred, 0u) << "What does not run touches nothing.";
  const Submission work = encoder.commit().value();
  queue().complete_all();
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(device().counters().dispatches_recorded, 5u);
}

TEST_F(EncoderDispatchTest, GivesSharedMemoryByParameter) {  // row B2
  const Kernel kernel = add_kernel("shared", {buffer_parameter("target", Access::kWrite),
                                              shared_parameter("table", SharedSizing::kFixed, 256),
                                              shared_parameter("scratch", SharedSizing::kLaunch)});
  const SharedMemorySize scratch{2, 1024};
  DispatchOptions options;
  options.shared_memory = {&scratch, 1};
  for (const Grid grid : {groups(2), threads(2)}) {
    CommandEncoder encoder = make_encoder();
    encoder.dispatch(kernel, {buffer_.view()}, grid, options);
    const Submission work = encoder.commit().value();
    const ir::Plan& plan = submitted_plan();
    EXPECT_THAT(plan.list->shared_sizes(plan.list->commands()[0]),
                testing::ElementsAre(256u, 1024u));
    queue().complete_all();
  }
}

TEST_F(EncoderDispatchTest, RefusesSharedMemoryThatDoesNotFit) {  // row B2, B4
  const Kernel kernel = add_kernel("shared", {buffer_parameter("target", Access::kWrite),
                                              shared_parameter("table", SharedSizing::kFixed, 256),
                                              shared_parameter("scratch", SharedSizing::kLaunch)});
  const auto with = [&](std::vector<SharedMemorySize> sizes) {
    DispatchOptions options;
    options.shared_memory = sizes;
    return dispatch(kernel, groups(1), options);
  };
  expect_failure(with({}), ErrorCode::kInvalidArgument, {"2", "scratch", "at least 1"});
  expect_failure(with({{2, 0}}), ErrorCode::kInvalidArgument, {"2", "scratch", "at least 1"});
  expect_failure(with({{0, 16}, {2, 16}}), ErrorCode::kInvalidArgument, {"Parameter 0", "shared"});
  expect_failure(with({{1, 16}, {2, 16}}), ErrorCode::kInvalidArgument, {"Parameter 1", "shared"});
  expect_failure(with({{3, 16}, {2, 16}}), ErrorCode::kInvalidArgument, {"Parameter 3", "shared"});
  expect_failure(with({{2, 16}, {2, 32}}), ErrorCode::kInvalidArgument, {"2", "twice"});
  EXPECT_TRUE(with({{2, 32768 - 256}}).has_value());
  expect_failure(with({{2, 32768 - 255}}), ErrorCode::kInvalidArgument, {"32769", "32768"});
  const SharedMemorySize size{0, 16};
  DispatchOptions options;
  options.shared_memory = {&size, 1};
  expect_failure(dispatch(writer(), groups(1), options), ErrorCode::kInvalidArgument,
                 {"Parameter 0", "writer"});
}

TEST_F(EncoderDispatchTest, HasOneEntryForAllCombinations) {  // row B3
  struct Seen {
    std::size_t arguments = 0;
    std::uint32_t value = 0;
  };
  std::vector<Seen> seen;
  for (const bool mixed : {false, true}) {
    for (const bool shared : {false, true}) {
      std::vector<Parameter> parameters{buffer_parameter("target", Access::kWrite)};
      if (mixed) parameters.push_back(bytes_parameter("value", 4));
      if (shared) parameters.push_back(shared_parameter("scratch", SharedSizing::kLaunch));
      const Kernel kernel =
          add_kernel("combination" + std::to_string(mixed) + std::to_string(shared), parameters,
                     [&seen, mixed](std::span<const test::FakeArgument> arguments) {
                       const std::uint32_t value = mixed ? arguments[1].as<std::uint32_t>()[0] : 0;
                       seen.push_back({arguments.size(), value});
                     });
      for (const Grid grid : {groups(2), threads(2)}) {
        seen.clear();
        const std::uint32_t value = 41;
        const BufferView view = buffer_.view();
        const std::array<KernelArg, 2> args{view, KernelArg::bytes(value)};
        const SharedMemorySize size{mixed ? 2u : 1u, 64};
        DispatchOptions options;
        if (shared) options.shared_memory = {&size, 1};
        CommandEncoder encoder = make_encoder();
        encoder.dispatch(kernel, std::span(args).first(mixed ? 2 : 1), grid, options);
        const Submission work = encoder.commit().value();
        EXPECT_EQ(submitted_command().grid_kind, grid.kind);
        EXPECT_EQ(submitted_command().shared_count, shared ? 1u : 0u);
        queue().complete_all();
        ASSERT_EQ(seen.size(), 1u);
        EXPECT_EQ(seen[0].arguments, mixed ? 2u : 1u);
        EXPECT_EQ(seen[0].value, mixed ? 41u : 0u);
      }
    }
  }
}

TEST_F(EncoderDispatchTest, ReadsGroupCountsFromABuffer) {  // row B6
  const Buffer counts = make_buffer(32, "counts");
  const Kernel kernel = writer();
  CommandEncoder encoder = make_encoder();
  encoder.fill(counts.view(), std::byte{1});
  encoder.dispatch_indirect(kernel, std::array<KernelArg, 1>{buffer_.view()},
                            counts.view(4, 12).value(), {8, 1, 1});
  EXPECT_EQ(encoder.stats().barriers_inferred, 1u) << "The device reads what the fill writes.";
  const Submission work = encoder.commit().value();
  const ir::Command& command = submitted_command(1);
  EXPECT_EQ(command.kind, ir::CommandKind::kDispatchIndirect);
  EXPECT_EQ(command.group_count, (Extent3{8, 1, 1}));
  const auto arguments = submitted_plan().list->arguments(command);
  ASSERT_EQ(arguments.size(), 2u);
  EXPECT_EQ(arguments[1].offset, 4u);
  EXPECT_EQ(arguments[1].size, 12u);
  EXPECT_EQ(arguments[1].access, Access::kRead);
}

TEST_F(EncoderDispatchTest, TracksTheCountsWhateverRangesSay) {  // row B6, C1
  const Buffer counts = make_buffer(12, "counts");
  const Kernel kernel = writer();
  const std::vector<BufferView> nothing;
  DispatchOptions options;
  options.reads = nothing;
  options.writes = nothing;
  CommandEncoder encoder = make_encoder();
  encoder.fill(counts.view(), std::byte{1});
  encoder.dispatch_indirect(kernel, std::array<KernelArg, 1>{buffer_.view()}, counts.view(),
                            {8, 1, 1}, options);
  EXPECT_EQ(encoder.stats().barriers_inferred, 1u);
}

TEST_F(EncoderDispatchTest, RefusesGroupCountsThatAreNone) {  // row B6
  const Buffer counts = make_buffer(32, "counts");
  const Kernel kernel = writer();
  const auto with = [&](const BufferView& view) {
    return try_recording(make_encoder(), [&](CommandEncoder& encoder) {
      encoder.dispatch_indirect(kernel, std::array<KernelArg, 1>{buffer_.view()}, view, {1, 1, 1});
    });
  };
  expect_failure(with(counts.view(0, 8).value()), ErrorCode::kInvalidArgument, {"8 bytes", "12"});
  expect_failure(with(counts.view(2, 12).value()), ErrorCode::kInvalidArgument, {"offset 2", "4"});
  expect_failure(with(BufferView()), ErrorCode::kInvalidArgument, {"0 bytes", "12"});
}

TEST_F(EncoderDispatchTest, RecordsFillsCopiesAndUploads) {  // row B7
  const Buffer other = make_buffer(64, "other");
  const std::array<std::uint8_t, 4> host{1, 2, 3, 4};
  CommandEncoder encoder = make_encoder();
  encoder.fill(buffer_.view(), std::byte{0xAB});
  encoder.upload(buffer_.view(8, 4).value(), std::as_bytes(std::span(host)));
  encoder.copy(buffer_.view(6, 8).value(), other.view(32, 8).value());
  EXPECT_EQ(encoder.stats().commands, 3u);
  EXPECT_EQ(encoder.stats().barriers_inferred, 2u) << "Each touches what the one before wrote.";
  const Submission work = encoder.commit().value();
  EXPECT_THAT(test::read_bytes(other.view(0, 4).value()), testing::Each(0));
  queue().complete_all();
  EXPECT_THAT(test::read_bytes(other.view(31, 10).value()),
              testing::ElementsAre(0, 0xAB, 0xAB, 1, 2, 3, 4, 0xAB, 0xAB, 0));
  EXPECT_EQ(device().counters().dispatches_recorded, 3u);
}

TEST_F(EncoderDispatchTest, TakesTheUploadsBytesAtTheCall) {  // row B7, C7
  std::array<std::uint8_t, 2> host{1, 2};
  CommandEncoder encoder = make_encoder();
  encoder.upload(buffer_.view(0, 2).value(), std::as_bytes(std::span(host)));
  host = {8, 9};
  const Submission work = encoder.commit().value();
  queue().complete_all();
  EXPECT_THAT(test::read_bytes(buffer_.view(0, 2).value()), testing::ElementsAre(1, 2));
}

TEST_F(EncoderDispatchTest, RefusesCopiesAndUploadsThatDoNotFit) {  // row B7
  const std::array<std::byte, 3> host{};
  const auto with = [&](auto record) { return try_recording(make_encoder(), record); };
  expect_failure(with([&](CommandEncoder& encoder) {
                   encoder.copy(buffer_.view(0, 8).value(), buffer_.view(8, 9).value());
                 }),
                 ErrorCode::kInvalidArgument, {"8", "9"});
  expect_failure(with([&](CommandEncoder& encoder) {
                   encoder.copy(buffer_.view(0, 8).value(), buffer_.view(7, 8).value());
                 }),
                 ErrorCode::kInvalidArgument, {"overlap", "0 to 8", "7 to 15"});
  expect_failure(
      with([&](CommandEncoder& encoder) { encoder.upload(buffer_.view(0, 4).value(), host); }),
      ErrorCode::kInvalidArgument, {"3", "4"});
  expect_failure(with([&](CommandEncoder& encoder) { encoder.fill(BufferView(), std::byte{0}); }),
                 ErrorCode::kInvalidArgument, {"fill", "empty"});
}

TEST_F(EncoderDispatchTest, TagsTheNextDispatchAndNoOther) {  // row B8
  const Kernel kernel = writer();
  CommandEncoder encoder = make_encoder();
  encoder.set_op_kind(OpKind::kRmsNorm);
  encoder.fill(buffer_.view(), std::byte{0});  // no dispatch of the caller's
  encoder.dispatch(kernel, {buffer_.view()}, groups(1));
  encoder.dispatch(kernel, {buffer_.view()}, groups(1));
  DispatchOptions options;
  options.op = OpKind::kRope;
  encoder.set_op_kind(OpKind::kSdpa);
  encoder.dispatch(kernel, {buffer_.view()}, groups(1), options);
  encoder.dispatch(kernel, {buffer_.view()}, groups(1));
  encoder.set_op_kind(OpKind::kSilu);
  encoder.start_capture();
  encoder.dispatch(kernel, {buffer_.view()}, groups(1));
  encoder.dispatch(kernel, {buffer_.view()}, groups(1));
  const Graph graph = encoder.take_capture().value();
  encoder.dispatch(kernel, {buffer_.view()}, groups(1));
  const Submission work = encoder.commit().value();
  std::vector<OpKind> kinds;
  for (const ir::Command& command : submitted_plan().list->commands()) kinds.push_back(command.op);
  EXPECT_THAT(kinds, testing::ElementsAre(OpKind::kFill, OpKind::kRmsNorm, OpKind::kOther,
                                          OpKind::kRope, OpKind::kOther, OpKind::kOther));
  EXPECT_EQ(graph.node(0).op, OpKind::kSilu);
  EXPECT_EQ(graph.node(1).op, OpKind::kOther);
}

TEST_F(EncoderDispatchTest, SaysWhichKindsMayBeReordered) {  // row B8
  for (int i = 0; i < kOpKindCount; ++i) {
    const auto kind = static_cast<OpKind>(i);
    EXPECT_EQ(is_reorderable(kind), kind != OpKind::kSdpa && kind != OpKind::kSoftmax);
  }
}

// -- The stateful form

TEST_F(EncoderDispatchTest, StatefulFormRecordsTheSameCommand) {  // row B9
  KernelSource source = test::fake_kernel(
      "stateful", {buffer_parameter("target", Access::kWrite), bytes_parameter("value", 4),
                   shared_parameter("scratch", SharedSizing::kLaunch)});
  source.signature.group_size = {4, 1, 1};
  const Kernel kernel = add_kernel(std::move(source));
  const SharedMemorySize size{2, 64};
  DispatchOptions options;
  options.shared_memory = {&size, 1};
  const BufferView view = buffer_.view(8, 16).value();

  CommandEncoder encoder = make_encoder();
  encoder.start_capture();
  encoder.dispatch(kernel, {view, KernelArg::bytes(5u)}, threads(8), options);
  encoder.dispatch(kernel, {view, KernelArg::bytes(5u)}, groups(8), options);
  encoder.set_kernel(kernel);
  encoder.set_argument(1, KernelArg::bytes(5u));
  encoder.set_argument(0, view);
  encoder.set_shared_memory(2, 64);
  encoder.dispatch_threads({8, 1, 1});
  encoder.dispatch_groups({8, 1, 1});
  const Graph graph = encoder.take_capture().value();

  ASSERT_EQ(graph.node_count(), 4u);
  for (std::size_t i = 0; i < 2; ++i) {
    const GraphNode direct = graph.node(i);
    const GraphNode stateful = graph.node(i + 2);
    EXPECT_EQ(stateful.kernel.impl(), direct.kernel.impl());
    EXPECT_EQ(stateful.grid, direct.grid);
    EXPECT_EQ(stateful.group_size, direct.group_size);
    EXPECT_EQ(stateful.shared_memory, direct.shared_memory);
    EXPECT_EQ(stateful.arguments[0].view, direct.arguments[0].view);
    EXPECT_EQ(stateful.arguments[1].bytes, direct.arguments[1].bytes);
    EXPECT_EQ(stateful.reads, direct.reads);
    EXPECT_EQ(stateful.writes, direct.writes);
  }
}

TEST_F(EncoderDispatchTest, StatefulArgumentsStaySetUntilTheKernelChanges) {  // row B9
  const Kernel kernel = mover();
  const Kernel other = reader();
  const Buffer source = make_buffer(64, "source");
  CommandEncoder encoder = make_encoder();
  encoder.set_kernel(kernel);
  encoder.set_argument(0, source.view());
  encoder.set_argument(1, buffer_.view());
  encoder.dispatch_groups({1, 1, 1});
  encoder.set_kernel(kernel);  // the same one
  encoder.set_argument(0, source.view(16, 4).value());
  encoder.dispatch_groups({1, 1, 1});
  EXPECT_TRUE(encoder.status().has_value());
  EXPECT_EQ(encoder.stats().commands, 2u);
  encoder.set_kernel(other);
  encoder.set_kernel(kernel);
  encoder.dispatch_groups({1, 1, 1});
  expect_failure(encoder.status(), ErrorCode::kInvalidArgument, {"Argument 0", "missing"});
}

TEST_F(EncoderDispatchTest, StatefulFormKeepsItsArgumentsAlive) {  // row B9, H1
  const Kernel kernel = reader();
  CommandEncoder encoder = make_encoder();
  encoder.set_kernel(kernel);
  {
    const Buffer passing = make_buffer(16, "passing");
    encoder.set_argument(0, passing.view());
  }
  encoder.dispatch_groups({1, 1, 1});
  EXPECT_TRUE(encoder.commit().has_value());
}

TEST_F(EncoderDispatchTest, StatefulFormSaysWhatIsMissing) {  // row B9, A6
  const Kernel kernel = mover();
  const auto with = [&](auto record) { return try_recording(make_encoder(), record); };
  expect_failure(with([](CommandEncoder& encoder) { encoder.dispatch_groups({1, 1, 1}); }),
                 ErrorCode::kInvalidState, {"no kernel"});
  expect_failure(with([&](CommandEncoder& encoder) { encoder.set_argument(0, buffer_.view()); }),
                 ErrorCode::kInvalidState, {"no kernel"});
  expect_failure(with([&](CommandEncoder& encoder) {
                   encoder.set_kernel(kernel);
                   encoder.set_argument(2, buffer_.view());
                 }),
                 ErrorCode::kInvalidArgument, {"Argument 2", "mover", "2"});
  expect_failure(with([&](CommandEncoder& encoder) {
                   encoder.set_kernel(kernel);
                   encoder.set_argument(0, buffer_.view());
                   encoder.dispatch_groups({1, 1, 1});
                 }),
                 ErrorCode::kInvalidArgument, {"Argument 1", "target", "missing"});
}

}  // namespace
}  // namespace segue
