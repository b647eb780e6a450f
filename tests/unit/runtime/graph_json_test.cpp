// SPDX-License-Identifier: Apache-2.0
//
// Saved graphs against what the library itself says of a graph in other ways: its printed form, its
// reports, its result.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "support/test_seed.hpp"
#include "unit/runtime/graph_json_fixture.hpp"

namespace segue::test {
namespace {

constexpr Schedule kSchedules[] = {Schedule::kRecorded, Schedule::kLookahead,
                                   Schedule::kCriticalPath, Schedule::kRandom};

/// Everything that a graph says of itself.
std::string description(const Graph& graph) {
  std::string text = graph.to_string() + graph.to_dot();
  for (const Schedule schedule : kSchedules) {
    for (const std::uint32_t command : graph.order(schedule, 3))
      text += std::to_string(command) + " ";
    const ScheduleReport report = graph.report(schedule, 3);
    const PlacementReport placement = graph.placement(schedule, 3);
    for (const std::uint64_t number :
         {std::uint64_t{report.dispatches}, std::uint64_t{report.barriers},
          std::uint64_t{report.critical_path}, std::uint64_t{report.bound},
          std::uint64_t{report.elided}, std::uint64_t{placement.buffers}, placement.placed_bytes,
          placement.separate_bytes, placement.lower_bound_bytes}) {
      text += std::to_string(number) + " ";
    }
    for (const BarrierInfo& barrier : graph.barriers(schedule, 3)) {
      text += std::string(to_string(barrier.hazard)) + barrier.earlier_label + barrier.later_label +
              std::to_string(barrier.range.end - barrier.range.begin) + "\n";
    }
  }
  for (const SlotInfo& slot : graph.slots()) {
    text += slot.name + std::to_string(static_cast<int>(slot.type)) +
            std::to_string(slot.size_bytes) + " " + std::to_string(slot.max) + " " +
            std::to_string(slot.bound.count()) + "\n";
  }
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const GraphNode node = graph.node(i);
    text += std::to_string(static_cast<int>(node.kind)) + std::string(node.kernel.name()) + " " +
            std::to_string(static_cast<int>(node.grid.kind)) + " " +
            std::to_string(node.grid.extent.count()) + " " +
            std::to_string(node.group_size.count()) + (node.unannotated ? "?" : "");
    for (const std::uint32_t size : node.shared_memory) text += " " + std::to_string(size);
    for (const NodeArgument& argument : node.arguments) {
      for (const std::byte byte : argument.bytes)
        text += " " + std::to_string(std::to_integer<int>(byte));
    }
  }
  return text;
}

/// Buffers of a graph with content, by label; parts of one memory come in the order of labels.
std::map<std::string, Buffer> buffers_of(const Graph& graph) {
  std::map<std::string, Buffer> buffers;
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    for (const NodeArgument& argument : graph.node(i).arguments) {
      const Buffer& buffer = argument.view.buffer();
      if (buffer && buffer.host_access() != HostAccess::kNone)
        buffers.emplace(buffer.label(), buffer);
    }
  }
  return buffers;
}

/// What all buffers hold after a run that starts from content drawn from `seed`.
std::map<std::string, std::vector<std::uint8_t>> result_of(const Graph& graph, const Device& device,
                                                           std::uint64_t seed) {
  const std::map<std::string, Buffer> buffers = buffers_of(graph);
  std::mt19937_64 random(seed);
  for (const auto& [label, buffer] : buffers) {
    std::vector<std::byte> content(buffer.size_bytes());
    for (std::byte& byte : content) byte = static_cast<std::byte>(random());
    if (label == "constant") continue;  // nobody can fill an import of constant memory
    EXPECT_TRUE(device.upload(buffer.view(), content).has_value()) << label;
  }
  Executable executable = graph.compile(device).value();
  EXPECT_TRUE(executable.submit_and_wait().has_value());
  std::map<std::string, std::vector<std::uint8_t>> results;
  for (const auto& [label, buffer] : buffers) results[label] = read_bytes(buffer.view());
  return results;
}

TEST_F(GraphJsonTest, ALoadedGraphIsTheSavedOne) {  // row E1
  const Graph graph = everything();
  const std::string text = graph.to_json().value();
  const FakeSetup other = open_with_kernels();
  const Result<Graph> loaded = Graph::from_json(other.device, text);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string() << "\n" << text;
  EXPECT_EQ(loaded->to_json().value(), text);
  std::string expected = description(graph);
  // Bytes that are no UTF-8 are the one thing that JSON cannot keep.
  for (std::size_t at; (at = expected.find('\xff')) != std::string::npos;)
    expected.replace(at, 1, "\xEF\xBF\xBD");
  EXPECT_EQ(description(*loaded), expected);
  for (const Schedule schedule : kSchedules) EXPECT_TRUE(loaded->certify(schedule).valid());
  EXPECT_EQ(result_of(*loaded, other.device, 5), result_of(graph, device(), 5));
}

TEST_F(GraphJsonTest, AnEmptyGraphIsAGraph) {  // row E1
  const Graph graph = capture(device(), [](CommandEncoder&) {});
  const Graph loaded = Graph::from_json(device(), graph.to_json().value()).value();
  EXPECT_EQ(loaded.node_count(), 0u);
  EXPECT_EQ(loaded.to_json().value(), graph.to_json().value());
}

TEST_F(GraphJsonTest, TheBarrierModeIsKept) {  // row E1
  const Buffer a = make_buffer("a"), b = make_buffer("b");
  const Graph graph = capture(
      device(),
      [&](CommandEncoder& e) { e.dispatch(kernel("move"), {a.view(), b.view()}, groups(1)); },
      BarrierMode::kManual);
  const Graph loaded = Graph::from_json(device(), graph.to_json().value()).value();
  EXPECT_EQ(loaded.barrier_mode(), BarrierMode::kManual);
}

/// A random program over buffers, some of which share memory, with slots, ranges and scopes.
class RandomProgram {
 public:
  RandomProgram(const Device& device, std::uint64_t seed) : device_(device), random_(seed) {
    for (int i = 0; i < 4; ++i) {
      BufferDesc desc;
      desc.size_bytes = 64;
      desc.label = "buffer " + std::to_string(i);
      desc.transient = i == 3;
      buffers_.push_back(device.create_buffer(desc).value());
    }
    for (std::size_t i = 0; i < 3; ++i) {  // each overlaps its neighbours
      ImportOptions options;
      options.label = "import " + std::to_string(i);
      options.writable = true;
      const auto part = std::span<std::byte>(memory_).subspan(40 * i, 64);
      buffers_.push_back(device.import_host_memory(part, options).value());
    }
  }

  void record(CommandEncoder& encoder) {
    const Kernel mix = device_.kernels().get("mix").value();
    const Kernel move = device_.kernels().get("move").value();
    int depth = 0;
    for (int i = 0; i < 30; ++i) {
      if (pick(4) == 0) {
        encoder.push_label("scope " + std::to_string(pick(3)));
        ++depth;
      } else if (depth > 0 && pick(4) == 0) {
        encoder.pop_label();
        --depth;
      }
      const std::uint32_t value = 7;
      const std::uint64_t setting = pick(100);
      const BytesSlot slot{"value", 0, 4, 9};
      const BufferView narrow[] = {view()};
      DispatchOptions options;
      options.op = static_cast<OpKind>(pick(kOpKindCount));
      std::array<std::uint32_t, 2> settings{value, static_cast<std::uint32_t>(setting)};
      switch (pick(7)) {
        case 0: encoder.fill(view(), static_cast<std::byte>(setting)); break;
        case 1: encoder.upload(view(8), std::as_bytes(std::span(settings))); break;
        case 2: encoder.memory_barrier(); break;
        case 3:
          options.reads = narrow;
          encoder.dispatch(move, {view(), view()}, threads(1 + pick(9)), options);
          break;
        case 4:
          encoder.dispatch(mix, {view(), view(), KernelArg::bytes(settings, {&slot, 1})}, groups(1),
                           options);
          break;
        default: encoder.dispatch(move, {view(), view()}, groups(pick(3)), options); break;
      }
    }
  }

 private:
  std::uint32_t pick(int count) {
    return static_cast<std::uint32_t>(random_() % static_cast<unsigned>(count));
  }
  BufferView view(std::uint64_t size = 0) {
    const Buffer& buffer = buffers_[pick(static_cast<int>(buffers_.size()))];
    if (size == 0) size = 1 + pick(16);
    return buffer.view(pick(static_cast<int>(buffer.size_bytes() - size)), size).value();
  }

  Device device_;
  std::mt19937_64 random_;
  std::array<std::byte, 144> memory_{};
  std::vector<Buffer> buffers_;
};

TEST_F(GraphJsonTest, RandomGraphsComeBackTheSame) {  // row E1
  std::uint64_t seed = test_seed();
  for (int i = 0; i < 100; ++i, ++seed) {
    SCOPED_TRACE(seed);
    RandomProgram program(device(), seed);
    const Graph graph =
        capture(device(), [&](CommandEncoder& encoder) { program.record(encoder); });
    const std::string text = graph.to_json().value();
    const FakeSetup other = open_with_kernels();
    const Result<Graph> loaded = Graph::from_json(other.device, text);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string();
    ASSERT_EQ(loaded->to_json().value(), text);
    for (const Schedule schedule : kSchedules) {
      const ScheduleReport before = graph.report(schedule, seed);
      const ScheduleReport after = loaded->report(schedule, seed);
      ASSERT_EQ(after.barriers, before.barriers);
      ASSERT_EQ(after.critical_path, before.critical_path);
      ASSERT_EQ(loaded->order(schedule, seed), graph.order(schedule, seed));
    }
    ASSERT_EQ(result_of(*loaded, other.device, seed), result_of(graph, device(), seed));
  }
}

TEST_F(GraphJsonTest, BuffersOverOneMemoryStillOverlapWhenLoaded) {  // row E1
  ImportOptions first, second;
  first.label = "first";
  second.label = "second";
  first.writable = second.writable = true;
  first.alias_token = second.alias_token = 3;  // as of a file that is mapped twice
  second.alias_offset_bytes = 48;
  const Buffer a = import(0, first), b = import(kBytes, second);
  const Graph graph = capture(device(), [&](CommandEncoder& encoder) {
    encoder.fill(a.view(48, 16).value(), std::byte{7});
    encoder.fill(b.view(16, 8).value(), std::byte{9});
    encoder.copy(b.view(0, 16).value(), b.view(32, 16).value());
  });
  const FakeSetup other = open_with_kernels();
  const Graph loaded = Graph::from_json(other.device, graph.to_json().value()).value();
  EXPECT_EQ(loaded.report().barriers, 1u);
  Executable executable = loaded.compile(other.device).value();
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  const auto bytes = read_bytes(buffers_of(loaded).at("second").view());
  EXPECT_EQ(bytes[0], 7) << "Both name the same bytes.";
  EXPECT_EQ(bytes[16], 9);
  EXPECT_EQ(bytes[47], 7);
  EXPECT_EQ(other.device.memory_info().used_bytes, 112u) << "One memory, once.";
}

TEST_F(GraphJsonTest, ImportsThatShareNoByteAreMemoriesOfTheirOwn) {  // row E1
  ImportOptions options;
  options.writable = true;
  const Buffer a = import(0, options), b = import(kBytes, options);
  const Graph graph = capture(device(), [&](CommandEncoder& encoder) {
    encoder.fill(b.view(), std::byte{1});
    encoder.fill(a.view(), std::byte{1});
  });
  const auto json = nlohmann::json::parse(graph.to_json().value());
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(json["buffers"][i]["memory"], i);
    EXPECT_EQ(json["buffers"][i]["memory_offset"], 0) << "No address of this process.";
  }
}

TEST_F(GraphJsonTest, WhatKernelsMustNotWriteTheHostMayFill) {  // row E1
  ImportOptions options;
  options.label = "constant";
  const Buffer e =
      device().import_host_memory(std::as_bytes(std::span(constant_)), options).value();
  const Buffer b = make_buffer("b");
  const Graph graph = capture(device(), [&](CommandEncoder& encoder) {
    encoder.dispatch(kernel("move"), {e.view(), b.view()}, groups(1));
  });
  const FakeSetup other = open_with_kernels();
  const std::string text = graph.to_json().value();
  const Graph loaded = Graph::from_json(other.device, text).value();
  const Buffer constant = buffers_of(loaded).at("constant");
  ASSERT_TRUE(other.device.upload(constant.view(), std::vector<std::byte>(kBytes, std::byte{3}))
                  .has_value());
  ASSERT_TRUE(loaded.compile(other.device).value().submit_and_wait().has_value());
  EXPECT_EQ(read_bytes(buffers_of(loaded).at("b").view())[5], 3);
  auto json = nlohmann::json::parse(text);
  std::swap(json["nodes"][0]["arguments"][0], json["nodes"][0]["arguments"][1]);
  expect_failure(Graph::from_json(other.device, json.dump()), ErrorCode::kInvalidArgument,
                 {"nodes[0]", "read-only"});
}

TEST_F(GraphJsonTest, ALoadedGraphFusesAsTheSavedOne) {  // row E1, F1
  const Kernel move = kernel("move");
  FusionPattern pattern;
  pattern.name = "two moves";
  pattern.steps = {{OpKind::kCopy, {}}, {OpKind::kElemAdd, {}}};
  pattern.links = {{FusionFlow::kEliminated, {0, 1}, {1, 0}}};
  const auto pattern_for = [&](const Device& on) {
    FusionPattern made = pattern;
    made.fuse =
        [fused = on.kernels().get("move").value()](
            std::span<const FusionNode> nodes) -> std::expected<FusedDispatch, std::string> {
      if (nodes[1].grid().extent.x == 2) return std::unexpected("Two groups are too many.");
      return FusedDispatch{
          fused, OpKind::kCopy, groups(1), {FusedArgument::take(0, 0), FusedArgument::take(1, 1)}};
    };
    return std::vector<FusionPattern>{made};
  };
  const Buffer a = make_buffer("a"), b = make_buffer("b"), c = make_buffer("c");
  const Buffer s = make_buffer("s", kBytes, true), t = make_buffer("t", kBytes, true);
  const Graph graph = capture(device(), [&](CommandEncoder& encoder) {
    DispatchOptions copy, add;
    copy.op = OpKind::kCopy;
    add.op = OpKind::kElemAdd;
    encoder.dispatch(move, {a.view(), s.view()}, groups(1), copy);
    encoder.dispatch(move, {s.view(), KernelArg::slot("out", b.view())}, groups(1), add);
    encoder.dispatch(move, {a.view(), t.view()}, groups(1), copy);
    encoder.dispatch(move, {t.view(), c.view()}, groups(2), add);
  });
  const FakeSetup other = open_with_kernels();
  const Graph loaded = Graph::from_json(other.device, graph.to_json().value()).value();
  const FusedGraph before = graph.fuse(pattern_for(device())).value();
  const FusedGraph after = loaded.fuse(pattern_for(other.device)).value();
  ASSERT_EQ(before.report.fired[0].count, 1u);
  EXPECT_EQ(after.report.fired[0].count, 1u);
  ASSERT_EQ(after.report.refusals.size(), 1u);
  EXPECT_EQ(after.report.refusals[0].reason, before.report.refusals[0].reason);
  const std::string text = after.graph.to_json().value();
  EXPECT_EQ(text, before.graph.to_json().value());
  EXPECT_EQ(Graph::from_json(other.device, text).value().to_json().value(), text)
      << "A fused graph is one that can be saved.";
}

TEST_F(GraphJsonTest, AFusedGraphMayCarrySlotsInAnyOrder) {  // row E1, F1
  FusionPattern pattern;
  pattern.name = "scale and move";
  pattern.steps = {{OpKind::kElemMul, {}}, {OpKind::kCopy, {}}};
  pattern.links = {{FusionFlow::kEliminated, {0, 1}, {1, 0}}};
  pattern.fuse = [scale = kernel("scale")](
                     std::span<const FusionNode>) -> std::expected<FusedDispatch, std::string> {
    const std::array<std::uint32_t, 2> settings{7, 7};
    return FusedDispatch{scale,
                         OpKind::kElemMul,
                         groups(1),
                         {FusedArgument::take(0, 0), FusedArgument::take(1, 1),
                          FusedArgument::bytes(settings, {{{0, 2}, 4, 4, 4}, {{0, 2}, 0, 0, 4}})}};
  };
  const Buffer a = make_buffer("a"), b = make_buffer("b"), t = make_buffer("t", kBytes, true);
  const Graph graph = capture(device(), [&](CommandEncoder& encoder) {
    const std::array<std::uint32_t, 2> settings{1, 2};
    const BytesSlot parts[] = {{"first", 0, 4}, {"second", 4, 4}};
    DispatchOptions multiply, copy;
    multiply.op = OpKind::kElemMul;
    copy.op = OpKind::kCopy;
    encoder.dispatch(kernel("scale"), {a.view(), t.view(), KernelArg::bytes(settings, parts)},
                     groups(1), multiply);
    encoder.dispatch(kernel("move"), {t.view(), b.view()}, groups(1), copy);
  });
  const FusedGraph fused = graph.fuse({&pattern, 1}).value();
  ASSERT_EQ(fused.report.fired[0].count, 1u);
  const std::string text = fused.graph.to_json().value();
  const Result<Graph> loaded = Graph::from_json(device(), text);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string();
  EXPECT_EQ(loaded->to_json().value(), text);
}

TEST_F(GraphJsonTest, KernelsAreSpecialisedAsTheyWere) {  // row E1
  std::vector<SpecConstant> seen;
  FakeOptions options;
  options.on_compile = [&](const KernelSource& source, std::span<const SpecConstant> constants) {
    if (source.name == "mix" && !constants.empty()) seen.assign(constants.begin(), constants.end());
  };
  const std::string text = everything().to_json().value();
  const FakeSetup other = open_with_kernels(options);
  ASSERT_TRUE(Graph::from_json(other.device, text).has_value());
  EXPECT_EQ(seen, (std::vector<SpecConstant>{{1, 5U}, {2, -9}, {3, true}, {7, -1.5F}}));
}

TEST_F(GraphJsonTest, LoadingTakesNoMemoryOfTheDevice) {  // row E1
  const std::string text = everything().to_json().value();
  const FakeSetup other = open_with_kernels();
  const Graph loaded = Graph::from_json(other.device, text).value();
  EXPECT_EQ(loaded.report().dispatches, loaded.dispatch_count());
  EXPECT_EQ(other.hal->allocations(), 0);
  EXPECT_EQ(other.device.memory_info().used_bytes, 0u);
}

TEST_F(GraphJsonTest, ANativeCallbackCannotBeSaved) {  // row E1
  const Graph graph = capture(device(), [](CommandEncoder& encoder) {
    encoder.memory_barrier();
    encoder.native({}, {}, [](void*) {});
  });
  expect_failure(graph.to_json(), ErrorCode::kUnsupported, {"Node 1", "native callback"});
  EXPECT_EQ(to_string(Graph().to_json().error().code), to_string(ErrorCode::kInvalidState));
}

TEST_F(GraphJsonTest, PlacementIsWhatCompilingGives) {  // row F4
  const Graph graph = everything();
  for (const Schedule schedule : kSchedules) {
    CompileOptions options;
    options.schedule = schedule;
    const PlacementReport compiled = graph.compile(device(), options).value().placement();
    const PlacementReport placement = graph.placement(schedule);
    EXPECT_EQ(placement.buffers, 1u);
    EXPECT_EQ(placement.buffers, compiled.buffers);
    EXPECT_EQ(placement.placed_bytes, compiled.placed_bytes);
    EXPECT_EQ(placement.separate_bytes, compiled.separate_bytes);
    EXPECT_EQ(placement.lower_bound_bytes, compiled.lower_bound_bytes);
  }
}

}  // namespace
}  // namespace segue::test
