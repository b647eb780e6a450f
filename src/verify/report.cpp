// SPDX-License-Identifier: Apache-2.0
//
// Findings for people to read.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "segue/verify.hpp"

namespace segue::verify {
namespace {

/// Of one kind; a report with more says how many more.
constexpr std::size_t kMostLines = 40;

std::string name(std::uint32_t node, const std::string& label) {
  return label.empty() ? fmt::format("Dispatch {}", node)
                       : fmt::format("Dispatch {} (\"{}\")", node, label);
}

std::string count(std::uint64_t number, std::string_view thing) {
  return fmt::format("{} {}{}", number, thing, number == 1 ? "" : "s");
}

std::string range(const AuditFinding& finding) {
  return fmt::format("byte {} of buffer \"{}\", in [{}, {})", finding.begin, finding.buffer_label,
                     finding.begin, finding.end);
}

template <class Items, class Line>
void append_lines(std::string& text, const Items& items, Line line) {
  const std::size_t shown = std::min(items.size(), kMostLines);
  for (std::size_t i = 0; i < shown; ++i) text.append("  ").append(line(items[i])).append("\n");
  if (shown < items.size())
    fmt::format_to(std::back_inserter(text), "  and {} more.\n", items.size() - shown);
}

std::string describe_run(const FuzzFinding& finding) {
  if (finding.serial) return "Serial execution, repeated,";
  std::string run = fmt::format("Schedule {}", to_string(finding.schedule));
  if (finding.schedule == Schedule::kRandom) run += fmt::format(" of seed {}", finding.seed);
  return run + (finding.transients_placed ? ", transients placed," : ", transients apart,");
}

}  // namespace

std::string AuditFinding::to_string() const {
  const std::string who = name(node, label);
  switch (kind) {
    case AuditFindingKind::kStrayWrite:
      return fmt::format("{} writes {} beyond its declared writes: first at {}.", who,
                         count(bytes, "byte"), range(*this));
    case AuditFindingKind::kUndeclaredInput:
      return fmt::format(
          "{}: what it writes depends on bytes outside its declared reads: {}, first at {}.", who,
          count(bytes, "byte"), range(*this));
    case AuditFindingKind::kFailsOnScrambles:
      return fmt::format("{} fails when bytes outside its declared reads are scrambled: {}", who,
                         failure);
  }
  return who;
}

std::string AuditReport::to_string() const {
  std::string text =
      fmt::format("Audit: {} audited, {} skipped, {}.\n",
                  audited == 1 ? "1 dispatch" : fmt::format("{} dispatches", audited),
                  skipped.size(), count(findings.size(), "finding"));
  append_lines(text, findings, [](const AuditFinding& finding) { return finding.to_string(); });
  append_lines(text, skipped, [](const SkippedNode& skip) {
    return fmt::format("{} is skipped: {}", name(skip.node, skip.label), skip.reason);
  });
  return text;
}

std::string FuzzFinding::to_string() const {
  return fmt::format(
      "{} gives other results than serial execution: {} of buffer \"{}\", first byte {}, last "
      "written by dispatch {} (\"{}\").",
      describe_run(*this), count(bytes, "byte"), buffer_label, first_byte, node, label);
}

std::string FuzzReport::to_string() const {
  std::string text =
      fmt::format("Fuzzing: {}, {} compared in each, {}.\n", count(runs, "run"),
                  count(compared_bytes, "byte"), count(findings.size(), "difference"));
  append_lines(text, findings, [](const FuzzFinding& finding) { return finding.to_string(); });
  return text;
}

std::string Verdict::to_string() const {
  std::string text;
  for (const CheckedPlan& plan : plans) {
    fmt::format_to(std::back_inserter(text), "{}{}: {}", segue::to_string(plan.schedule),
                   plan.compiled ? ", compiled" : "", plan.certificate.to_string());
  }
  text += audit.to_string() + fuzz.to_string();
  const auto invalid = std::ranges::count_if(
      plans, [](const CheckedPlan& plan) { return !plan.certificate.valid(); });
  if (good()) {
    text += fmt::format("Good: {} plans are valid, {}, {}.\n", plans.size(),
                        audit.skipped.empty() ? "every dispatch keeps to its declaration"
                                              : "every audited dispatch keeps to its declaration",
                        "and every order gives the same bits");
  } else {
    text += fmt::format("Bad: {} of {} plans invalid, {} against declarations, {} of results.\n",
                        invalid, plans.size(), count(audit.findings.size(), "finding"),
                        count(fuzz.findings.size(), "difference"));
  }
  return text;
}

}  // namespace segue::verify
