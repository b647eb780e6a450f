// SPDX-License-Identifier: Apache-2.0
//
// Random programs run byte by byte before and after fusion. Every kernel computes a hash of its
// operands, so two runs that agree have put the same values together.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "graph/dependencies.hpp"
#include "graph/schedule.hpp"
#include "support/test_seed.hpp"
#include "unit/graph/fusion_program.hpp"

namespace segue::test {
namespace {

using Value = std::uint64_t;

Value mix(Value operation, Value a, Value b = 0) {
  Value hash = operation * 0x9E3779B97F4A7C15U + a;
  hash = (hash ^ (hash >> 29)) * 0xBF58476D1CE4E5B9U + b;
  return (hash ^ (hash >> 32)) * 0x94D049BB133111EBU;
}
Value silu_of(Value a) { return mix(1, a); }
Value mul_of(Value a, Value b) { return mix(2, a, b); }
Value add_of(Value a, Value b) { return mix(3, a, b); }
Value norm_of(Value a) { return mix(4, a); }
Value product_of(Value a, Value b) { return mix(5, a, b); }

/// What each byte of each memory holds.
using Memory = std::map<std::pair<MemoryId, std::uint64_t>, Value>;

class Machine {
 public:
  explicit Machine(const ir::CommandList& list) : list_(list) {}

  void run(std::uint32_t index) {
    const ir::Command& command = list_.commands()[index];
    if (command.kind == ir::CommandKind::kBarrier) return;
    const std::string name = command.kind == ir::CommandKind::kCopy ? "copy" : command.kernel->name;
    const auto arguments = list_.arguments(command);
    std::vector<std::pair<std::size_t, std::vector<Value>>> results;
    const auto in = [&](std::size_t argument, std::uint64_t byte) {
      return at(arguments[argument].range(), byte);
    };
    const auto out = [&](std::size_t argument, auto compute) {
      std::vector<Value> values;
      for (std::uint64_t byte = 0; byte < arguments[argument].size; ++byte)
        values.push_back(compute(byte));
      results.emplace_back(argument, std::move(values));
    };
    if (name == "copy") {
      out(1, [&](auto i) { return in(0, i); });
    } else if (name == "silu") {
      out(1, [&](auto i) { return silu_of(in(0, i)); });
    } else if (name == "mul") {
      out(2, [&](auto i) { return mul_of(in(0, i), in(1, i)); });
    } else if (name == "add") {
      out(2, [&](auto i) { return add_of(in(0, i), in(1, i)); });
    } else if (name == "norm") {
      out(1, [&](auto i) { return norm_of(in(0, i)); });
    } else if (name == "product") {
      out(2, [&](auto i) { return product_of(in(0, i), in(1, i)); });
    } else if (name == "silu_then_mul") {
      out(2, [&](auto i) { return mul_of(silu_of(in(0, i)), in(1, i)); });
    } else if (name == "add_norm") {
      out(2, [&](auto i) { return add_of(in(0, i), in(1, i)); });
      out(3, [&](auto i) { return norm_of(add_of(in(0, i), in(1, i))); });
    } else if (name == "norm_add") {
      out(2, [&](auto i) { return norm_of(add_of(in(0, i), in(1, i))); });
    } else if (name == "product2") {
      out(3, [&](auto i) { return product_of(in(0, i), in(2, i)); });
      out(4, [&](auto i) { return product_of(in(1, i), in(2, i)); });
    } else if (name == "diamond") {
      out(2, [&](auto i) { return mul_of(silu_of(in(0, i)), norm_of(in(1, i))); });
    } else {
      ADD_FAILURE() << "No kernel " << name;
    }
    for (const auto& [argument, values] : results) {
      for (std::uint64_t byte = 0; byte < values.size(); ++byte)
        at(arguments[argument].range(), byte) = values[byte];
    }
  }

  /// What is left in memory that outlives the submission.
  [[nodiscard]] Memory lasting(const std::vector<MemoryId>& memories) const {
    Memory left;
    for (const auto& [place, value] : memory_) {
      if (std::ranges::find(memories, place.first) != memories.end()) left.emplace(place, value);
    }
    return left;
  }
  /// Bytes that nobody has written hold a value of their own.
  Value& at(const AccessRange& range, std::uint64_t byte) {
    const auto place = std::pair(range.memory, range.begin + byte);
    return memory_.try_emplace(place, mix(9, static_cast<Value>(place.first), place.second))
        .first->second;
  }

 private:
  const ir::CommandList& list_;
  Memory memory_;
};

class RandomFusion : public FusionTest {
 protected:
  RandomFusion()
      : norm_add_kernel(program.add_kernel("norm_add", "rrw")),
        diamond_kernel(program.add_kernel("diamond", "rrw")) {
    using Nodes = std::span<const FusionNode>;
    const auto take = &FusedArgument::take;
    FusionPattern other_operand = eliminates;
    other_operand.name = "mul by silu";
    other_operand.links[0].to.argument = 1;
    other_operand.fuse = [](Nodes) {
      return std::unexpected(std::string("There is no kernel for it."));
    };
    FusionPattern drops_sum = keeps;
    drops_sum.name = "norm of a sum";
    drops_sum.links[0].flow = FusionFlow::kEliminated;
    drops_sum.fuse = [take, this](Nodes) {
      return FusedDispatch{
          norm_add_kernel, OpKind::kOther, groups(1), {take(0, 0), take(0, 1), take(1, 1)}};
    };
    FusionPattern diamond;
    diamond.name = "diamond";
    diamond.steps = {{OpKind::kSilu}, {OpKind::kRmsNorm}, {OpKind::kElemMul}};
    diamond.links = {{FusionFlow::kEliminated, {0, 1}, {2, 0}},
                     {FusionFlow::kEliminated, {1, 1}, {2, 1}}};
    diamond.fuse = [take, this](Nodes) {
      return FusedDispatch{
          diamond_kernel, OpKind::kOther, groups(1), {take(0, 0), take(1, 0), take(2, 2)}};
    };
    patterns = {eliminates, keeps, shares, other_operand, drops_sum, diamond};
  }

  /// Few bytes, so that ranges often are the same, often overlap and often are reused.
  View any_view(std::mt19937_64& random, std::uint64_t size) const {
    const std::uint64_t begin = random() % 3 == 0 ? 4 * (random() % 3) : 0;
    return {buffers[random() % buffers.size()], begin, begin + size};
  }
  void record_any(std::mt19937_64& random) {
    const std::uint64_t size = 4 * (1 + random() % 2);
    const auto view = [&] { return any_view(random, size); };
    switch (random() % 12) {
      case 0: return program.barrier();
      case 1: return program.copy(view(), view());
      case 2:
      case 3: silu(view(), view()); return;
      case 4:
      case 5: mul(view(), view(), view()); return;
      case 6:
      case 7: add(view(), view(), view()); return;
      case 8:
      case 9: norm(view(), view()); return;
      default: product(view(), view(), view()); return;
    }
  }
  /// Dispatches that are linked as a pattern's, with others in between now and then.
  void record_linked(std::mt19937_64& random) {
    const auto view = [&] { return any_view(random, 8); };
    const auto interrupt = [&] {
      if (random() % 3 == 0) record_any(random);
    };
    const View first = view(), second = view();
    switch (random() % 4) {
      case 0:
        silu(view(), first);
        interrupt();
        mul(first, view(), view());
        return;
      case 1:
        add(view(), view(), first);
        interrupt();
        norm(first, view());
        return;
      case 2:
        product(view(), first, view());
        interrupt();
        product(view(), first, view());
        return;
      default:
        silu(view(), first);
        interrupt();
        norm(view(), second);
        interrupt();
        mul(first, second, view());
        return;
    }
  }

  std::vector<std::uint32_t> buffers;
  Kernel norm_add_kernel, diamond_kernel;
  std::vector<FusionPattern> patterns;
};

TEST_F(RandomFusion, ProgramsComputeTheSameAfterFusionInAnyOrder) {  // rows E7, E8
  std::mt19937_64 random(test_seed());
  std::map<std::string, std::uint32_t> fired;
  for (int round = 0; round < 4000; ++round) {
    program.clear();
    buffers.clear();
    std::vector<MemoryId> lasting;
    for (int i = 0; i < 3; ++i) {
      buffers.push_back(program.add_buffer("lasting", false, 16, 1U + static_cast<unsigned>(i)));
      lasting.push_back(program.storage(buffers.back()).memory);
    }
    for (int i = 0; i < 4; ++i)  // the last two share a memory
      buffers.push_back(program.add_buffer("temp", true, 16, 10U + std::min(i, 2)));
    for (std::uint64_t count = 1 + random() % 10; count > 0; --count) {
      if (random() % 3 == 0)
        record_linked(random);
      else
        record_any(random);
    }
    std::ranges::shuffle(patterns, random);
    const graph::FusionResult result = fuse(patterns);
    for (const FusionReport::Fired& pattern : result.report.fired)
      fired[pattern.pattern] += pattern.count;

    Machine before(program.list());
    for (std::uint32_t i = 0; i < program.list().size(); ++i) before.run(i);
    const graph::Dependencies dependencies(result.list);
    for (int order = 0; order < 4; ++order) {
      Machine after(result.list);
      const auto schedule = order == 0 ? Schedule::kRecorded : Schedule::kRandom;
      for (const std::uint32_t command :
           graph::order_commands(result.list, dependencies, schedule, random())) {
        after.run(command);
      }
      // A byte that only one of the two has read is no difference.
      Memory expected = before.lasting(lasting), given = after.lasting(lasting);
      for (const auto& [place, value] : expected) {
        ASSERT_EQ(value, after.at({place.first, place.second, place.second + 1}, 0))
            << "round " << round << ", byte " << place.second;
      }
      for (const auto& [place, value] : given) {
        ASSERT_EQ(value, before.at({place.first, place.second, place.second + 1}, 0))
            << "round " << round << ", byte " << place.second;
      }
    }
  }
  for (const FusionPattern& pattern : patterns) {
    if (pattern.name != "mul by silu") {
      EXPECT_GT(fired[pattern.name], 10U) << pattern.name;
      RecordProperty(pattern.name, static_cast<int>(fired[pattern.name]));
    }
  }
}

}  // namespace
}  // namespace segue::test
