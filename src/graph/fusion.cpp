// SPDX-License-Identifier: Apache-2.0
//
// Peephole replacement on a dependency graph, one pattern at a time: find dispatches that fit,
// prove that one dispatch may stand for them, and contract them. Contracted sets of a pass share
// one graph, so that later ones are proven together with earlier ones. Only when the pass is over
// is the list written anew, in an order that the contracted graph allows; whoever plans the new
// list finds its dependencies in the footprints of the fused kernels.
#include "graph/fusion.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "graph/contraction.hpp"
#include "graph/dependencies.hpp"
#include "graph/fused_list.hpp"
#include "graph/fusion_match.hpp"
#include "graph/fusion_replacement.hpp"
#include "graph/fusion_rules.hpp"

namespace segue::graph {
namespace {

/// A list and what all passes over it share.
struct Subject {
  explicit Subject(const ir::CommandList& commands)
      : list(commands), dependencies(commands), readers(commands) {}

  const ir::CommandList& list;
  Dependencies dependencies;
  ReaderIndex readers;
};

/// One pattern over one list.
class FusionPass {
 public:
  FusionPass(Subject& subject, const FusionPattern& pattern)
      : list_(subject.list),
        dependencies_(subject.dependencies),
        pattern_(pattern),
        contraction_(subject.dependencies),
        matcher_(list_, dependencies_, subject.readers, contraction_, pattern) {}

  Result<> run(FusionReport& report);
  [[nodiscard]] ir::CommandList write() const;

 private:
  /// Replaces the match, or says why not.
  Result<std::optional<std::string>> replace(const FusionMatch& match);

  const ir::CommandList& list_;
  const Dependencies& dependencies_;
  const FusionPattern& pattern_;
  Contraction contraction_;
  FusionMatcher matcher_;
  std::vector<Replacement> replacements_;  // one for each contracted set, in the same order
};

Result<std::optional<std::string>> FusionPass::replace(const FusionMatch& match) {
  if (auto refusal = find_refusal(list_, dependencies_, contraction_, match)) return refusal;
  std::vector<FusionNode> nodes;
  for (const std::uint32_t command : match.members()) nodes.emplace_back(list_, command);
  auto fused = pattern_.fuse(nodes);
  if (!fused) return std::optional(std::move(fused).error());
  Replacement replacement{match, *std::move(fused)};
  SEGUE_TRY(check_replacement(list_, replacement));
  if (auto difference = find_difference(list_, replacement)) return difference;
  contraction_.contract(match.members());
  replacements_.push_back(std::move(replacement));
  return std::optional<std::string>();
}

Result<> FusionPass::run(FusionReport& report) {
  for (std::uint32_t first = 0; first < list_.size(); ++first) {
    Result<> outcome;
    bool replaced = false;
    std::optional<FusionRefusal> refusal;  // the first of this command's
    matcher_.find(first, [&](const FusionMatch& match) {
      auto reason = replace(match);
      if (!reason) {
        outcome = std::unexpected(std::move(reason).error());
        return true;
      }
      replaced = !reason->has_value();
      if (!replaced && !refusal) refusal = {pattern_.name, first, **std::move(reason)};
      return replaced;
    });
    SEGUE_TRY(outcome);
    if (refusal && !replaced) report.refusals.push_back(*std::move(refusal));
  }
  report.fired.push_back({pattern_.name, static_cast<std::uint32_t>(replacements_.size())});
  return {};
}

ir::CommandList FusionPass::write() const {
  FusedList fused(list_);
  for (const std::uint32_t command : contraction_.order(list_)) {
    if (contraction_.contracted(command))
      fused.append(replacements_[contraction_.group(command)]);
    else
      fused.copy(command);
  }
  return fused.take();
}

std::uint32_t count_dispatches(const ir::CommandList& list) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(list.commands(), &ir::Command::is_dispatch));
}

}  // namespace

Result<FusionResult> fuse(const ir::CommandList& list, std::span<const FusionPattern> patterns) {
  for (std::size_t i = 0; i < patterns.size(); ++i) SEGUE_TRY(check_pattern(patterns[i], i));
  FusionResult result{list, {}};
  result.report.dispatches_before = count_dispatches(list);
  std::optional<Subject> subject;
  for (const FusionPattern& pattern : patterns) {
    if (!subject) subject.emplace(result.list);
    FusionPass pass(*subject, pattern);
    SEGUE_TRY(pass.run(result.report));
    if (result.report.fired.back().count == 0) continue;
    ir::CommandList fused = pass.write();
    subject.reset();
    result.list = std::move(fused);
  }
  result.report.dispatches_after = count_dispatches(result.list);
  return result;
}

}  // namespace segue::graph
