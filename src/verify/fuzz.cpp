// SPDX-License-Identifier: Apache-2.0
//
// Schedule fuzzing: every legal order of a graph gives the same bits. What a run leaves behind is
// compared with serial execution, which no planner has a part in.
#include <algorithm>
#include <optional>
#include <utility>

#include "segue/verify.hpp"
#include "verify/snapshot.hpp"

namespace segue::verify {
namespace {

class Fuzzer {
 public:
  Fuzzer(const Device& device, const Graph& graph, Outcome outcome)
      : device_(device), graph_(graph), outcome_(std::move(outcome)) {}

  Result<FuzzReport> fuzz(const FuzzOptions& options);

 private:
  Result<> run_all(const FuzzOptions& options);
  Result<> run_schedule(Schedule schedule, std::uint64_t seed);
  Result<> run_compiled(const CompileOptions& options, Executable& executable);
  Result<Outcome::Contents> run_serially();
  void compare(const Outcome::Contents& results, const FuzzFinding& run);
  void find_writer(const BufferView& view, FuzzFinding& finding) const;

  const Device& device_;
  const Graph& graph_;
  Outcome outcome_;
  Outcome::Contents original_;
  Outcome::Contents expected_;
  FuzzReport report_;
};

/// One command after the other, with a fence between each two. In one submission, since transient
/// buffers keep their content no longer.
Result<Outcome::Contents> Fuzzer::run_serially() {
  SEGUE_TRY(outcome_.restore(device_, original_));
  EncoderOptions options;
  options.barriers = BarrierMode::kManual;
  options.label = "serial";
  SEGUE_TRY_ASSIGN(CommandEncoder encoder, device_.create_encoder(options));
  for (std::size_t i = 0; i < graph_.node_count(); ++i) {
    if (graph_.node(i).kind == NodeKind::kBarrier) continue;
    encoder.encode_node(graph_, i);
    encoder.memory_barrier();
  }
  SEGUE_TRY(encoder.commit_and_wait());
  return outcome_.read(device_);
}

/// The last command of the order that writes the finding's first byte: what stands there is its.
void Fuzzer::find_writer(const BufferView& view, FuzzFinding& finding) const {
  const AccessRange range = view.range(Access::kRead);
  const std::uint64_t byte = range.begin + (finding.first_byte - view.offset_bytes());
  for (const std::uint32_t index : graph_.order(finding.schedule, finding.seed)) {
    GraphNode node = graph_.node(index);
    const bool writes_it = std::ranges::any_of(node.writes, [&](const AccessRange& write) {
      return write.memory == range.memory && overlaps(write.begin, write.end, byte, byte + 1);
    });
    if (!writes_it) continue;
    finding.node = index;
    finding.label = std::move(node.label);
  }
}

void Fuzzer::compare(const Outcome::Contents& results, const FuzzFinding& run) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i] == expected_[i]) continue;
    const BufferView& view = outcome_.views()[i];
    FuzzFinding finding = run;
    finding.buffer_label = view.buffer().label();
    std::optional<std::uint64_t> first;
    for (std::uint64_t byte = 0; byte < results[i].size(); ++byte) {
      if (results[i][byte] == expected_[i][byte]) continue;
      if (!first) first = byte;
      ++finding.bytes;
    }
    finding.first_byte = view.offset_bytes() + first.value_or(0);
    find_writer(view, finding);
    report_.findings.push_back(std::move(finding));
  }
}

Result<> Fuzzer::run_compiled(const CompileOptions& options, Executable& executable) {
  SEGUE_TRY(outcome_.restore(device_, original_));
  SEGUE_TRY(executable.submit_and_wait("fuzz"));
  SEGUE_TRY_ASSIGN(const Outcome::Contents results, outcome_.read(device_));
  ++report_.runs;
  FuzzFinding run;
  run.schedule = options.schedule;
  run.seed = options.seed;
  run.transients_placed = options.place_transients;
  compare(results, run);
  return {};
}

Result<> Fuzzer::run_schedule(Schedule schedule, std::uint64_t seed) {
  CompileOptions options;
  options.schedule = schedule;
  options.seed = seed;
  options.max_in_flight = 1;
  options.label = "fuzz";
  SEGUE_TRY_ASSIGN(Executable placed, graph_.compile(device_, options));
  SEGUE_TRY(run_compiled(options, placed));
  if (placed.placement().buffers == 0) return {};  // the other one would be the same
  options.place_transients = false;
  SEGUE_TRY_ASSIGN(Executable separate, graph_.compile(device_, options));
  return run_compiled(options, separate);
}

Result<> Fuzzer::run_all(const FuzzOptions& options) {
  SEGUE_TRY_ASSIGN(expected_, run_serially());
  SEGUE_TRY_ASSIGN(const Outcome::Contents again, run_serially());
  FuzzFinding serial;
  serial.serial = true;
  compare(again, serial);
  for (const Schedule schedule :
       {Schedule::kRecorded, Schedule::kLookahead, Schedule::kCriticalPath}) {
    SEGUE_TRY(run_schedule(schedule, 0));
  }
  for (std::uint32_t i = 0; i < options.orders; ++i)
    SEGUE_TRY(run_schedule(Schedule::kRandom, options.seed + i));
  return {};
}

Result<FuzzReport> Fuzzer::fuzz(const FuzzOptions& options) {
  report_.compared_bytes = outcome_.size_bytes();
  SEGUE_TRY_ASSIGN(original_, outcome_.read(device_));
  const Result<> done = run_all(options);
  const Result<> restored = outcome_.restore(device_, original_);
  SEGUE_TRY(done);
  SEGUE_TRY(restored);
  return std::move(report_);
}

}  // namespace

Result<FuzzReport> fuzz_schedules(const Device& device, const Graph& graph,
                                  const FuzzOptions& options) {
  SEGUE_TRY_ASSIGN(Outcome outcome, Outcome::of(graph));
  return Fuzzer(device, graph, std::move(outcome)).fuzz(options);
}

}  // namespace segue::verify
