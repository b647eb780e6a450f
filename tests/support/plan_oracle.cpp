// SPDX-License-Identifier: Apache-2.0
#include "support/plan_oracle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace segue::test {
namespace {

constexpr std::uint32_t kNowhere = UINT32_MAX;

bool is_before(const OracleAccess& a, const OracleAccess& b) { return a.end <= b.begin; }

bool fence_between(const OracleProgram& program, std::uint32_t earlier, std::uint32_t later) {
  for (std::uint32_t i = earlier + 1; i < later; ++i) {
    if (program[i].fence) return true;
  }
  return false;
}

/// Whether commands `a` < `b` of the program may not share a group.
bool must_separate(const OracleProgram& program, std::uint32_t a, std::uint32_t b) {
  return must_keep_order(program[a], program[b]) || fence_between(program, a, b);
}

std::vector<std::uint32_t> work_of(const OracleProgram& program) {
  std::vector<std::uint32_t> work;
  for (std::uint32_t i = 0; i < program.size(); ++i) {
    if (!program[i].fence) work.push_back(i);
  }
  return work;
}

}  // namespace

bool must_keep_order(const OracleCommand& earlier, const OracleCommand& later) {
  for (const OracleAccess& a : earlier.accesses) {
    for (const OracleAccess& b : later.accesses) {
      if (a.memory != b.memory || a.begin == a.end || b.begin == b.end) continue;
      if (!a.writes && !b.writes) continue;
      if (!is_before(a, b) && !is_before(b, a)) return true;
    }
  }
  return false;
}

OracleFindings check_plan(const OracleProgram& program, std::span<const std::uint32_t> order,
                          std::span<const std::uint32_t> group_ends) {
  OracleFindings findings;
  std::vector<std::uint32_t> sorted(order.begin(), order.end());
  std::sort(sorted.begin(), sorted.end());
  if (sorted != work_of(program)) findings.malformed.push_back("Not every command runs once.");
  if (group_ends.empty() != order.empty() || (!order.empty() && group_ends.back() != order.size()))
    findings.malformed.push_back("The last group does not end with the order.");
  for (std::size_t g = 1; g < group_ends.size(); ++g) {
    if (group_ends[g - 1] >= group_ends[g]) findings.malformed.push_back("A group is empty.");
  }
  if (!group_ends.empty() && group_ends[0] == 0) findings.malformed.push_back("A group is empty.");
  if (!findings.malformed.empty()) return findings;

  std::vector<std::uint32_t> group_of(program.size(), kNowhere);
  for (std::uint32_t at = 0, group = 0; at < order.size(); ++at) {
    if (at == group_ends[group]) ++group;
    group_of[order[at]] = group;
  }
  std::vector<bool> needed(group_ends.size(), false);
  for (std::uint32_t a = 0; a < program.size(); ++a) {
    for (std::uint32_t b = a + 1; b < program.size(); ++b) {
      if (program[a].fence || program[b].fence || !must_separate(program, a, b)) continue;
      if (group_of[a] >= group_of[b]) findings.missing.emplace_back(a, b);
      // Without the barrier after group g, neighbours g and g + 1 are one group.
      if (group_of[a] + 1 == group_of[b]) needed[group_of[a]] = true;
    }
  }
  for (std::uint32_t g = 0; g + 1 < group_ends.size(); ++g) {
    if (!needed[g]) findings.needless.push_back(g);
  }
  return findings;
}

std::uint32_t fewest_barriers(const OracleProgram& program) {
  const std::vector<std::uint32_t> work = work_of(program);
  if (work.size() > 16) throw std::invalid_argument("Too many commands to try every placement.");
  if (work.size() < 2) return 0;
  std::vector<std::uint32_t>
      separators;  // Per pair in conflict: places of which one has a barrier.
  for (std::size_t a = 0; a < work.size(); ++a) {
    for (std::size_t b = a + 1; b < work.size(); ++b) {
      if (must_separate(program, work[a], work[b]))
        separators.push_back((1u << b) - (1u << a));  // Place i: between work[i] and work[i + 1].
    }
  }
  std::uint32_t fewest = kNowhere;
  for (std::uint32_t barriers = 0; barriers < 1u << (work.size() - 1); ++barriers) {
    const auto count = static_cast<std::uint32_t>(std::popcount(barriers));
    const auto separates = [barriers](std::uint32_t places) { return (places & barriers) != 0; };
    if (count < fewest && std::ranges::all_of(separators, separates)) fewest = count;
  }
  return fewest;
}

std::string OracleFindings::describe() const {
  std::string text;
  for (const auto& [earlier, later] : missing)
    text += fmt::format("Command {} must finish before {} starts.\n", earlier, later);
  for (const std::uint32_t group : needless)
    text += fmt::format("Nothing needs the barrier after group {}.\n", group);
  for (const std::string& fault : malformed) text += fault + "\n";
  return text;
}

}  // namespace segue::test
