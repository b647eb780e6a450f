// SPDX-License-Identifier: Apache-2.0
#include "graph/placement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "graph/direct_planner.hpp"
#include "graph/placement_certificate.hpp"
#include "support/test_seed.hpp"
#include "unit/graph/program.hpp"

namespace segue::graph {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Access kRead = Access::kRead, kWrite = Access::kWrite;

class PlacementTest : public ::testing::Test {
 protected:
  std::uint32_t add_transient(std::uint64_t size) {
    const std::uint32_t storage = program_.add_storage(++memories_, 0, size);
    program_.storage(storage).transient = true;
    return storage;
  }
  /// Commands that each read one storage and write the next.
  void chain(std::initializer_list<std::uint32_t> storages) {
    const std::uint32_t* last = nullptr;
    for (const std::uint32_t& storage : storages) {
      if (last != nullptr) program_.dispatch({{*last, 0, 8, kRead}, {storage, 0, 8, kWrite}});
      last = &storage;
    }
  }
  Placement place(std::uint64_t alignment = 64) {
    plan_ = plan_recorded_order(program_.list());
    return find_placement(plan_, alignment);
  }
  std::vector<std::uint64_t> offsets(const Placement& placement) {
    std::vector<std::uint64_t> offsets(placement.placed.size());
    std::ranges::transform(placement.placed, offsets.begin(), &Placed::offset);
    return offsets;
  }

  test::Program program_;
  std::uint64_t memories_ = 1;
  std::uint32_t input_ = program_.add_storage(1, 0, 1024);
  ir::Plan plan_;
};

TEST_F(PlacementTest, AChainNeedsTwoOfItsBuffersAtATime) {  // row E9
  const auto a = add_transient(100), b = add_transient(100), c = add_transient(100),
             d = add_transient(100);
  chain({input_, a, b, c, d, input_});
  const Placement placement = place();
  EXPECT_THAT(offsets(placement), ElementsAre(0, 128, 0, 128));
  EXPECT_EQ(placement.arena_bytes, 256U);
  EXPECT_EQ(placement.separate_bytes, 512U);
  EXPECT_EQ(placement.lower_bound_bytes, 256U);
  EXPECT_EQ(placement.alignment, 64U);
  EXPECT_EQ(placement.tight_bytes, 256U);
  EXPECT_EQ(placement.tight_barriers, 0U) << "A group is one command, so nothing is tighter.";
  ASSERT_THAT(placement.placed, SizeIs(4));
  EXPECT_EQ(placement.placed[1].storage, &program_.storage(b));
  EXPECT_EQ(placement.placed[1].size, 100U);
  EXPECT_EQ(placement.placed[1].first_group, 1U);
  EXPECT_EQ(placement.placed[1].last_group, 2U);
  EXPECT_THAT(check_placement(plan_, placement), IsEmpty());
}

TEST_F(PlacementTest, OffsetsAndSizesAreAligned) {  // row E9
  const auto a = add_transient(1), b = add_transient(257), c = add_transient(256);
  program_.dispatch({{a, 0, 1, kWrite}, {b, 0, 1, kWrite}, {c, 0, 1, kWrite}});
  const Placement placement = place(256);
  EXPECT_THAT(offsets(placement), ElementsAre(512, 0, 768)) << "Of equal sizes, the first first.";
  EXPECT_EQ(placement.arena_bytes, 1024U);
  EXPECT_EQ(placement.separate_bytes, 1024U);
}

TEST_F(PlacementTest, TheLargestComesFirstAndASmallOneFillsAGap) {  // row E9
  const auto small = add_transient(64), large = add_transient(192), middle = add_transient(128),
             late = add_transient(64);
  chain({input_, small, large, middle, late});
  const Placement placement = place();
  // The middle one lies behind the large one. Where the large one was, the late one fits.
  EXPECT_THAT(offsets(placement), ElementsAre(192, 0, 192, 0));
  EXPECT_EQ(placement.arena_bytes, 320U);
  EXPECT_EQ(placement.lower_bound_bytes, 320U);
  EXPECT_THAT(check_placement(plan_, placement), IsEmpty());
}

TEST_F(PlacementTest, BytesFreedInsideAGroupWaitForTheNextOne) {  // row E9
  const auto a = add_transient(64), b = add_transient(64), c = add_transient(64),
             d = add_transient(64);
  program_.dispatch({{a, 0, 8, kWrite}});
  program_.dispatch({{b, 0, 8, kWrite}});
  program_.dispatch({{a, 0, 8, kRead}, {c, 0, 8, kWrite}});
  program_.dispatch({{b, 0, 8, kRead}, {d, 0, 8, kWrite}});
  const Placement placement = place();
  ASSERT_EQ(plan_.group_count(), 2U);
  EXPECT_EQ(placement.arena_bytes, 256U) << "All four are needed in the second group.";
  EXPECT_EQ(placement.lower_bound_bytes, 256U);
  EXPECT_EQ(placement.tight_bytes, 192U) << "The last one could lie where the first was,";
  EXPECT_EQ(placement.tight_barriers, 1U) << "but not while the third command still reads that.";
}

TEST_F(PlacementTest, TightReuseCountsABarrierForEachCut) {  // row E9
  for (int i = 0; i < 4; ++i) program_.dispatch({{add_transient(64), 0, 8, kWrite}});
  const Placement placement = place();
  EXPECT_EQ(plan_.group_count(), 1U);
  EXPECT_EQ(placement.arena_bytes, 256U);
  EXPECT_EQ(placement.tight_bytes, 64U);
  EXPECT_EQ(placement.tight_barriers, 3U);
}

TEST_F(PlacementTest, TightReuseNeedsNoBarrierAgainstWhatACutHasOrdered) {  // row E9
  const auto a = add_transient(128), b = add_transient(128), c = add_transient(128);
  program_.dispatch({{a, 0, 128, kWrite}});
  program_.dispatch({{b, 0, 64, kWrite}});    // Tight in place of the first: a cut.
  program_.dispatch({{c, 64, 128, kWrite}});  // So too, but the cut orders these bytes already.
  EXPECT_EQ(place().tight_barriers, 1U);
}

TEST_F(PlacementTest, TightReuseCountsConflictsOfBytesAndNotOfBuffers) {  // row E9
  const auto large = program_.add_storage(++memories_, 1000, 128);
  program_.storage(large).transient = true;
  const auto kept = add_transient(64), brief = add_transient(64);
  program_.dispatch({{large, 64, 128, kWrite}});
  program_.dispatch({{kept, 0, 8, kWrite}});   // Tight at byte 0: where the large one is not used.
  program_.dispatch({{brief, 0, 8, kWrite}});  // Tight at byte 64: where it is.
  program_.dispatch({{kept, 0, 8, kRead}});
  const Placement placement = place();
  EXPECT_EQ(plan_.group_count(), 2U);
  EXPECT_EQ(placement.tight_bytes, 128U);
  EXPECT_EQ(placement.tight_barriers, 1U);
}

TEST_F(PlacementTest, OnlyTouchedTransientsArePlaced) {  // row E9
  const auto used = add_transient(64), dropped = add_transient(64);
  program_.list().add_view(program_.storage(dropped), 0, 8, kRead);
  program_.list().drop_unowned();  // The list has heard of it, but no command has it.
  program_.dispatch({{input_, 0, 8, kRead}, {used, 0, 8, kWrite}});
  const Placement placement = place();
  ASSERT_THAT(placement.placed, SizeIs(1));
  EXPECT_EQ(placement.placed[0].storage, &program_.storage(used));
  EXPECT_THAT(placement.kept, IsEmpty());
}

TEST_F(PlacementTest, NothingToPlaceTakesNothing) {  // row E9
  EXPECT_EQ(place().arena_bytes, 0U);
  chain({input_, input_});
  const Placement placement = place();
  EXPECT_THAT(placement.placed, IsEmpty());
  EXPECT_EQ(placement.arena_bytes + placement.separate_bytes + placement.lower_bound_bytes, 0U);
  EXPECT_EQ(placement.tight_bytes + placement.tight_barriers, 0U);
  EXPECT_THAT(check_placement(plan_, placement), IsEmpty());
}

TEST_F(PlacementTest, WhatIsKnownByMoreThanArgumentsStays) {  // row E9
  const auto aliased = add_transient(64), native = add_transient(64), pointed = add_transient(64),
             named = add_transient(64);
  const auto alias = program_.add_storage(memories_ - 3, 0, 64);
  program_.dispatch({{aliased, 0, 8, kWrite}, {alias, 8, 16, kWrite}, {pointed, 0, 8, kWrite}});
  program_.dispatch({{native, 0, 8, kWrite}});
  program_.list().mutable_commands()[1].kind = ir::CommandKind::kNative;
  program_.dispatch({{named, 0, 8, kWrite}});
  program_.list().add_explicit_range(program_.storage(pointed), 0, 8, kRead);
  program_.list().add_explicit_range(program_.storage(named), 0, 8, kWrite);
  program_.list().set_explicit_ranges(2, 1, 1);
  program_.list().mutable_commands()[2].explicit_reads = true;
  program_.list().mutable_commands()[2].explicit_writes = true;
  Placement placement = place();
  ASSERT_THAT(placement.placed, SizeIs(1));
  EXPECT_EQ(placement.placed[0].storage, &program_.storage(named));
  ASSERT_THAT(placement.kept, SizeIs(3));
  const auto kept = [&placement](std::size_t i) { return to_string(placement.kept[i].reason); };
  EXPECT_THAT((std::vector{kept(0), kept(1), kept(2)}),
              ElementsAre("Aliased", "ByPointer", "Native"));
  EXPECT_EQ(placement.kept[1].storage, &program_.storage(pointed));

  // Placed all the same, each is found.
  placement.arena_bytes = 64;
  const auto faults = [&](std::uint32_t storage, std::uint32_t first, std::uint32_t last) {
    placement.placed = {{&program_.storage(storage), 0, 64, first, last}};
    return check_placement(plan_, placement);
  };
  EXPECT_THAT(faults(named, 0, 1), IsEmpty());
  EXPECT_THAT(faults(aliased, 0, 0),
              ElementsAre("Memory 2 is placed but another storage is in its memory."));
  EXPECT_THAT(faults(native, 0, 0),
              ElementsAre("Memory 3 is placed but native command 1 uses it."));
  EXPECT_THAT(faults(pointed, 0, 1),
              ElementsAre("Memory 4 is placed but is no argument of command 2, which uses it."));
}

TEST_F(PlacementTest, TheCheckFindsEachFault) {  // rows E9, L1
  const auto a = add_transient(100), b = add_transient(100), c = add_transient(100);
  program_.storage(a).label = "normed";
  chain({input_, a, b, c, input_});
  const Placement right = place();
  ASSERT_THAT(check_placement(plan_, right), IsEmpty());
  const auto faults = [&](const auto& change) {
    Placement wrong = right;
    change(wrong);
    return check_placement(plan_, wrong);
  };
  EXPECT_THAT(faults([](Placement& p) { p.placed[1].offset = 64; }),
              ElementsAre("Buffer \"normed\" and Memory 3 share bytes 64 to 100 of the arena, and "
                          "both are alive in group 1.",
                          "Memory 3 and Memory 4 share bytes 64 to 100 of the arena, and both are "
                          "alive in group 2."));
  EXPECT_THAT(faults([](Placement& p) { p.placed[2].offset = 100; }),
              testing::Contains("Memory 4 is placed at byte 100, which is no multiple of 64."));
  EXPECT_THAT(faults([](Placement& p) { p.arena_bytes = 227; }),
              ElementsAre("Memory 3 is placed at byte 128 with 100 bytes but the arena has 227."));
  EXPECT_THAT(faults([](Placement& p) { p.placed[1].offset = 512; }),
              ElementsAre("Memory 3 is placed at byte 512 with 100 bytes but the arena has 256."));
  EXPECT_THAT(faults([](Placement& p) { p.placed[1].size = 99; }),
              ElementsAre("Memory 3 is placed with 99 bytes but has 100."));
  EXPECT_THAT(faults([](Placement& p) { p.placed[1].last_group = 1; }),
              ElementsAre("Memory 3 is placed for groups 1 to 1 but lives in 1 to 2."));
  EXPECT_THAT(faults([](Placement& p) { p.placed[1].first_group = 2; }), SizeIs(1));
  EXPECT_THAT(faults([](Placement& p) { p.placed.push_back(p.placed[0]); }),
              testing::Contains("Buffer \"normed\" is placed twice."));
  program_.storage(c).transient = false;
  EXPECT_THAT(check_placement(plan_, right), ElementsAre("Memory 4 is placed but not transient."));
}

// ---- Random programs ----

/// A program whose storages have many sizes, most of them transient and in a memory of their own.
test::Program transient_program(std::mt19937_64& random, std::uint32_t commands) {
  test::Program program = test::random_program(random, {.commands = commands,
                                                        .storages = 20,
                                                        .memories = 60,
                                                        .bytes = 40,
                                                        .uses = 3,
                                                        .fence_chance = 0.05,
                                                        .write_chance = 0.4});
  for (std::uint32_t i = 0; i < 20; ++i) {
    program.storage(i).size_bytes += random() % 400;
    program.storage(i).transient = random() % 4 != 0;
  }
  return program;
}

/// Where the placement puts a byte of a storage: memory 0 is the arena, others stay.
std::pair<std::uint64_t, std::uint64_t> move(const Placement& placement, const ir::Storage& storage,
                                             std::uint64_t byte) {
  for (const Placed& placed : placement.placed) {
    if (placed.storage == &storage) return {0, placed.offset + byte};
  }
  return {static_cast<std::uint64_t>(storage.memory), storage.memory_offset + byte};
}

TEST(PlacementOracle, ReuseLeavesEveryPlanCorrectAndEveryReadWithItsWriter) {  // row E9
  std::mt19937_64 random(test::test_seed());
  std::uint64_t placed_bytes = 0, separate_bytes = 0;
  for (int i = 0; i < 600; ++i) {
    const test::Program program = transient_program(random, 40);
    const ir::Plan plan =
        i % 2 == 0 ? plan_recorded_order(program.list()) : test::plan_in_rounds(program);
    const Placement placement = find_placement(plan, 64);
    const auto faults = check_placement(plan, placement);
    ASSERT_THAT(faults, IsEmpty());
    ASSERT_LE(placement.lower_bound_bytes, placement.arena_bytes);
    ASSERT_LE(placement.arena_bytes, placement.separate_bytes);
    placed_bytes += placement.arena_bytes;
    separate_bytes += placement.separate_bytes;

    // The commands in their order of execution, each byte where it was and where it went.
    test::OracleProgram moved;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> writer_before, writer_after;
    for (std::size_t at = 0; at < plan.order.size(); ++at) {
      const ir::Command& command = program.list().commands()[plan.order[at]];
      test::OracleCommand& oracle = moved.emplace_back();
      for (const bool writing : {false, true}) {
        for (const ir::Argument& use : program.list().arguments(command)) {
          const auto [memory, begin] = move(placement, *use.storage, use.offset);
          if (!(writing ? writes(use.access) : reads(use.access))) continue;
          oracle.accesses.push_back({memory, begin, begin + use.size, !writing, writing});
          for (std::uint64_t byte = use.offset; byte < use.offset + use.size; ++byte) {
            const std::pair before{static_cast<std::uint64_t>(use.storage->memory),
                                   use.storage->memory_offset + byte};
            const auto after = move(placement, *use.storage, byte);
            if (writing) {
              writer_before[before] = writer_after[after] = at;
            } else if (writer_before.contains(before)) {
              ASSERT_EQ(writer_before[before], writer_after[after]);
            }
          }
        }
      }
    }
    std::vector<std::uint32_t> in_turn(plan.order.size());
    std::iota(in_turn.begin(), in_turn.end(), 0U);
    const auto findings = test::check_plan(moved, in_turn, plan.group_ends);
    ASSERT_THAT(findings.missing, IsEmpty()) << findings.describe();
    ASSERT_THAT(findings.malformed, IsEmpty());
  }
  EXPECT_LT(placed_bytes, separate_bytes);
}

TEST(PlacementOracle, TheCheckAgreesWithAMapOfEveryByte) {  // rows E9, L1
  std::mt19937_64 random(test::test_seed());
  std::size_t right = 0, wrong = 0;
  for (int i = 0; i < 1000; ++i) {
    const test::Program program = transient_program(random, 40);
    const ir::Plan plan = test::plan_in_rounds(program);
    Placement placement = find_placement(plan, 64);
    if (placement.placed.empty()) continue;
    placement.arena_bytes += 2048;  // Room for moves that do no harm.
    Placed& changed = placement.placed[random() % placement.placed.size()];
    changed.offset = random() % (placement.arena_bytes / 64) * 64;

    bool clash = false;
    for (std::uint32_t group = 0; group < plan.group_count(); ++group) {
      std::set<std::uint64_t> taken;
      for (const Placed& placed : placement.placed) {
        if (group < placed.first_group || group > placed.last_group) continue;
        for (std::uint64_t byte = 0; byte < placed.size; ++byte)
          clash |= !taken.insert(placed.offset + byte).second;
      }
    }
    clash |= changed.offset + changed.size > placement.arena_bytes;
    ASSERT_EQ(check_placement(plan, placement).empty(), !clash);
    ++(clash ? wrong : right);
  }
  EXPECT_GT(right, 100U);
  EXPECT_GT(wrong, 100U);
}

}  // namespace
}  // namespace segue::graph
