// SPDX-License-Identifier: Apache-2.0
//
// What two commands need of each other is worked out here once more, from their ranges alone: no
// tracker, no overlap test and no planner of the library, so that a mistake of theirs is not
// repeated. The ranges of each memory are kept in recorded order, and each command is compared with
// every range before it. Bernstein's conditions say what may overlap ("Analysis of Programs for
// Parallel Processing", 1966): neither command writes what the other touches. A fence orders
// everything before it with everything behind it.
//
// The longest chain of ordered commands needs a group each, and one group per position in that
// chain is enough (Mirsky, "A Dual of Dilworth's Decomposition Theorem", 1971): hence minimal().
#include "graph/certificate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <span>
#include <tuple>
#include <unordered_map>

namespace segue::graph {
namespace {

constexpr std::uint32_t kNowhere = UINT32_MAX;
constexpr std::size_t kMostSentences = 20;  // Of a kind; a broken planner breaks many pairs.

struct Clash {
  HazardKind hazard;
  AccessRange range;
};

/// Whether `after`, recorded later, has to wait for `before`.
std::optional<Clash> compare(const AccessRange& before, const AccessRange& after) {
  const bool wrote = before.access != Access::kRead;
  const bool writes_now = after.access != Access::kRead;
  if (!wrote && !writes_now) return std::nullopt;
  const std::uint64_t begin = std::max(before.begin, after.begin);
  const std::uint64_t end = std::min(before.end, after.end);
  if (begin >= end) return std::nullopt;
  HazardKind hazard = HazardKind::kWriteAfterRead;
  if (wrote && after.access == Access::kWrite) hazard = HazardKind::kWriteAfterWrite;
  if (wrote && after.access != Access::kWrite) hazard = HazardKind::kReadAfterWrite;
  return Clash{hazard, {after.memory, begin, end, after.access}};
}

/// Which of several clashes of two commands to name: data that flows before bytes used again.
std::tuple<int, MemoryId, std::uint64_t> preference(const Clash& clash) {
  const int rank = clash.hazard == HazardKind::kReadAfterWrite    ? 0
                   : clash.hazard == HazardKind::kWriteAfterWrite ? 1
                                                                  : 2;
  return {rank, clash.range.memory, clash.range.begin};
}

/// Walks a list in recorded order and compares each command with all before it.
class Comparison {
 public:
  explicit Comparison(const ir::CommandList& list) : list_(list), clashes_(list.size()) {}

  /// The clash of command `later` with each command before it. Call for each command in turn.
  std::span<const std::optional<Clash>> advance(std::uint32_t later) {
    const std::span<std::optional<Clash>> clashes(clashes_.data(), later);
    std::ranges::fill(clashes, std::nullopt);
    std::vector<AccessRange> ranges;
    list_.for_each_range(list_.commands()[later],
                         [&ranges](const AccessRange& range) { ranges.push_back(range); });
    for (const AccessRange& range : ranges) {
      for (const Use& use : uses_[range.memory]) {
        const std::optional<Clash> clash = compare(use.range, range);
        if (!clash) continue;
        std::optional<Clash>& known = clashes[use.command];
        if (!known || preference(*clash) < preference(*known)) known = clash;
      }
    }
    for (const AccessRange& range : ranges) uses_[range.memory].push_back({later, range});
    return clashes;
  }

 private:
  struct Use {
    std::uint32_t command;
    AccessRange range;
  };
  const ir::CommandList& list_;
  std::vector<std::optional<Clash>> clashes_;
  std::unordered_map<MemoryId, std::vector<Use>> uses_;
};

/// The last fence before each command of the list; kNowhere where there is none.
std::vector<std::uint32_t> last_fences(const ir::CommandList& list) {
  std::vector<std::uint32_t> fences;
  std::uint32_t last = kNowhere;
  for (std::uint32_t i = 0; i < list.size(); ++i) {
    fences.push_back(last);
    if (list.commands()[i].kind == ir::CommandKind::kBarrier) last = i;
  }
  return fences;
}

/// The group that runs each command of the list. Writes down what makes that impossible.
std::vector<std::uint32_t> find_groups(const ir::Plan& plan, std::vector<std::string>& malformed) {
  const std::size_t size = plan.list->size();
  std::uint32_t begin = 0;
  std::vector<std::uint32_t> groups(size, kNowhere);
  for (std::uint32_t group = 0; group < plan.group_ends.size(); ++group) {
    const std::uint32_t end = plan.group_ends[group];
    if (end <= begin || end > plan.order.size()) {
      malformed.push_back(
          fmt::format("Group {} ends at position {} of the order but must end between {} and {}.",
                      group, end, begin + 1, plan.order.size()));
      return groups;
    }
    for (; begin < end; ++begin) {
      const std::uint32_t command = plan.order[begin];
      if (command >= size) {
        malformed.push_back(
            fmt::format("The plan runs command {} but the list has {}.", command, size));
      } else if (plan.list->commands()[command].kind == ir::CommandKind::kBarrier) {
        malformed.push_back(fmt::format("The plan runs command {}, which is a fence.", command));
      } else if (groups[command] != kNowhere) {
        malformed.push_back(fmt::format("The plan runs command {} more than once.", command));
      } else {
        groups[command] = group;
      }
    }
  }
  if (begin != plan.order.size()) {
    malformed.push_back(
        fmt::format("The last group ends at position {} of the order but must end at {}.", begin,
                    plan.order.size()));
  }
  for (std::uint32_t i = 0; i < size; ++i) {
    if (plan.list->commands()[i].kind != ir::CommandKind::kBarrier && groups[i] == kNowhere)
      malformed.push_back(fmt::format("The plan never runs command {}.", i));
  }
  return groups;
}

void name_everything(const ir::CommandList& list, Certificate& certificate) {
  for (const ir::Command& command : list.commands()) {
    const std::string path = list.label_path(command);
    certificate.command_names.push_back(
        fmt::format("command {} ({})", certificate.command_names.size(),
                    path.empty() ? ir::to_string(command.kind) : std::string_view(path)));
  }
  for (const ir::ResourceUse& use : list.resources()) {
    const std::string& label = use.storage->label;
    if (!label.empty()) certificate.memory_names.try_emplace(use.storage->memory, label);
  }
}

std::string describe(MemoryId memory) {
  return fmt::format("memory {}", static_cast<std::uint64_t>(memory));
}

/// Whether the two commands of a barrier clash in the way and in the bytes that it names.
bool clash_in(const ir::CommandList& list, const ir::PlannedBarrier& barrier) {
  if (barrier.range.begin >= barrier.range.end) return false;
  bool found = false;
  list.for_each_range(list.commands()[barrier.earlier], [&](const AccessRange& before) {
    list.for_each_range(list.commands()[barrier.later], [&](const AccessRange& after) {
      if (before.memory != after.memory) return;
      const std::optional<Clash> clash = compare(before, after);
      found |= clash && clash->hazard == barrier.hazard &&
               clash->range.memory == barrier.range.memory &&
               clash->range.begin <= barrier.range.begin && barrier.range.end <= clash->range.end;
    });
  });
  return found;
}

/// Calls `write(finding)` for the first findings and says how many more there are.
template <class Findings, class Write>
void write_first(std::string& text, const Findings& findings, std::string_view what,
                 const Write& write) {
  const std::size_t written = std::min(findings.size(), kMostSentences);
  for (std::size_t i = 0; i < written; ++i) text += write(findings[i]);
  if (findings.size() > written)
    text += fmt::format("And {} more {}.\n", findings.size() - written, what);
}

}  // namespace

Certificate certify(const ir::Plan& plan) {
  Certificate certificate;
  if (plan.list == nullptr) {
    certificate.malformed.emplace_back("The plan has no command list.");
    return certificate;
  }
  const ir::CommandList& list = *plan.list;
  const std::vector<std::uint32_t> groups = find_groups(plan, certificate.malformed);
  const std::vector<std::uint32_t> fences = last_fences(list);
  const bool well_formed = certificate.malformed.empty();
  certificate.barriers =
      plan.group_ends.empty() ? 0 : static_cast<std::uint32_t>(plan.group_ends.size() - 1);

  std::vector<bool> needed(certificate.barriers, false), requested(certificate.barriers, false);
  std::vector<std::uint32_t> chains(list.size(), 0);  // The longest that ends with each command.
  Comparison comparison(list);
  for (std::uint32_t later = 0; later < list.size(); ++later) {
    if (list.commands()[later].kind == ir::CommandKind::kBarrier) continue;
    const std::span<const std::optional<Clash>> clashes = comparison.advance(later);
    for (std::uint32_t earlier = 0; earlier < later; ++earlier) {
      if (list.commands()[earlier].kind == ir::CommandKind::kBarrier) continue;
      const bool fenced = fences[later] != kNowhere && earlier < fences[later];
      if (!clashes[earlier] && !fenced) continue;
      chains[later] = std::max(chains[later], chains[earlier]);
      if (!well_formed) continue;
      const std::uint32_t before = groups[earlier], after = groups[later];
      if (before >= after) {
        MissingOrder order{earlier, later, before, after, std::nullopt, {}, kNowhere};
        if (fenced) order.fence = fences[later];
        if (clashes[earlier]) {
          order.hazard = clashes[earlier]->hazard;
          order.range = clashes[earlier]->range;
        }
        certificate.missing.push_back(order);
      } else if (before + 1 == after) {  // Wider apart, another barrier orders them too.
        needed[before] = true;
        if (fenced) requested[before] = true;
      }
    }
    ++chains[later];
    certificate.critical_path = std::max(certificate.critical_path, chains[later]);
  }
  if (!well_formed) return certificate;
  for (std::uint32_t group = 0; group < certificate.barriers; ++group) {
    if (!needed[group]) certificate.needless.push_back(group);
    if (requested[group]) ++certificate.requested;
  }
  if (!certificate.missing.empty()) name_everything(list, certificate);
  return certificate;
}

std::string describe(const Certificate& certificate, const MissingOrder& order) {
  std::string text =
      fmt::format("Missing: {} must finish before {} starts, but they run in groups {} and {}: ",
                  certificate.command_names[order.earlier], certificate.command_names[order.later],
                  order.earlier_group, order.later_group);
  if (order.hazard) {
    const auto name = certificate.memory_names.find(order.range.memory);
    text += fmt::format("{} of bytes {} to {} of {}", segue::to_string(*order.hazard),
                        order.range.begin, order.range.end,
                        name != certificate.memory_names.end() ? fmt::format("\"{}\"", name->second)
                                                               : describe(order.range.memory));
  }
  if (order.fence != MissingOrder::kNoFence) {
    text += fmt::format("{}command {} is a fence between them", order.hazard ? ", and " : "",
                        order.fence);
  }
  return text + ".";
}

std::string Certificate::to_string() const {
  std::string text;
  write_first(text, malformed, "faults", [](const std::string& fault) { return fault + "\n"; });
  write_first(text, missing, "missing orders",
              [this](const MissingOrder& order) { return describe(*this, order) + "\n"; });
  write_first(text, needless, "needless barriers", [](std::uint32_t group) {
    return fmt::format("Nothing needs the barrier between groups {} and {}.\n", group, group + 1);
  });
  text += malformed.empty()
              ? fmt::format("{} missing, {} needless", missing.size(), needless.size())
              : std::string("Malformed");
  return text + fmt::format("; {} barriers, {} of them requested; critical path {}.\n", barriers,
                            requested, critical_path);
}

std::vector<std::string> untrue_reasons(const ir::Plan& plan) {
  std::vector<std::string> untrue;
  const std::size_t places = plan.group_ends.empty() ? 0 : plan.group_ends.size() - 1;
  if (plan.barriers.size() != places) {
    untrue.push_back(
        fmt::format("The plan gives {} reasons for {} barriers.", plan.barriers.size(), places));
    return untrue;
  }
  const ir::CommandList& list = *plan.list;
  std::vector<std::string> malformed;
  const std::vector<std::uint32_t> groups = find_groups(plan, malformed);
  const std::vector<std::uint32_t> fences = last_fences(list);
  for (std::uint32_t group = 0; group < places; ++group) {
    const ir::PlannedBarrier& barrier = plan.barriers[group];
    const auto fault = [&](std::string_view what) {
      untrue.push_back(
          fmt::format("The barrier between groups {} and {} names commands {} and {}, {}.", group,
                      group + 1, barrier.earlier, barrier.later, what));
    };
    if (barrier.earlier >= barrier.later || barrier.later >= list.size() ||
        groups[barrier.earlier] == kNowhere || groups[barrier.later] == kNowhere) {
      fault("which are no earlier and no later command of its list");
    } else if (groups[barrier.earlier] > group || groups[barrier.later] <= group) {
      fault(fmt::format("which run in groups {} and {}", groups[barrier.earlier],
                        groups[barrier.later]));
    } else if (barrier.reason == ir::BarrierReason::kRequested) {
      const std::uint32_t fence = fences[barrier.later];
      if (fence == kNowhere || fence < barrier.earlier) fault("with no fence between them");
    } else if (!clash_in(list, barrier)) {
      fault(fmt::format("which have no {} of bytes {} to {} of {}",
                        segue::to_string(barrier.hazard), barrier.range.begin, barrier.range.end,
                        describe(barrier.range.memory)));
    }
  }
  return untrue;
}

ir::Plan without_barrier(const ir::Plan& plan, std::size_t group) {
  assert(group + 1 < plan.group_ends.size());
  ir::Plan merged = plan;
  const auto at = static_cast<std::ptrdiff_t>(group);
  merged.group_ends.erase(merged.group_ends.begin() + at);
  if (group < merged.barriers.size()) merged.barriers.erase(merged.barriers.begin() + at);
  return merged;
}

}  // namespace segue::graph
