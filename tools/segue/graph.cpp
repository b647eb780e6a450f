// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fail.hpp"
#include "commands.hpp"
#include "llama/decoder.hpp"
#include "llama/structure.hpp"
#include "llama/synth.hpp"
#include "llama/tensor_type.hpp"
#include "saved_graph.hpp"
#include "segue/fusion_patterns.hpp"
#include "segue/open.hpp"
#include "shipped_model.hpp"

namespace segue::tool {
namespace {

using base::fail;
using Json = nlohmann::ordered_json;

constexpr Schedule kSchedules[] = {Schedule::kRecorded, Schedule::kLookahead,
                                   Schedule::kCriticalPath};

Result<> write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  if (!file) return fail(ErrorCode::kIo, "File \"{}\" cannot be written.", path);
  return {};
}

Result<DType> matrix_type(const std::string& name) {
  if (const auto type = llama::parse_tensor_type(name)) {
    for (const DType known : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0}) {
      if (to_string(known) == llama::to_string(*type)) return known;
    }
  }
  return fail(ErrorCode::kInvalidArgument,
              "The type \"{}\" is unknown; it is f32, f16, bf16, q8_0 or q4_0.", name);
}

Result<Graph> shape_graph(const Device& device, const GraphOptions& options) {
  SEGUE_TRY_ASSIGN(const llama::Hyperparameters shape, llama::synth_shape(options.shape));
  SEGUE_TRY_ASSIGN(const DType type, matrix_type(options.type));
  SEGUE_TRY_ASSIGN(const ops::Ops ops, ops::Ops::create(device));
  SEGUE_TRY_ASSIGN(llama::Structure made,
                   llama::structure(device, ops, shape, type,
                                    options.context != 0 ? options.context : shape.context));
  return made.graph;
}

Result<Graph> model_graph(const Device& device, const GraphOptions& options) {
  std::string path = options.model;
  if (path.empty()) {
    SEGUE_TRY_ASSIGN(path, find_shipped_model());
  }
  SEGUE_TRY_ASSIGN(const std::shared_ptr<const llama::Model> model,
                   llama::Model::load(device, path));
  const llama::Hyperparameters& shape = model->hyperparameters();
  const std::uint32_t context = options.context != 0 ? options.context : shape.context;
  const DType cache_type = llama::default_cache_type(model->quantises_activations());
  SEGUE_TRY_ASSIGN(const llama::KvCache cache,
                   llama::KvCache::create(device, shape, context, cache_type, true));
  SEGUE_TRY_ASSIGN(const llama::StepBuffers buffers,
                   llama::StepBuffers::create(device, shape, context));
  const llama::ForwardPass pass(shape, model->weights(), model->ops());
  return llama::capture_step(device, pass, model->ops(), buffers, cache);
}

Result<Graph> find_graph(const Device& device, const GraphOptions& options) {
  if (options.file.empty())
    return options.shape.empty() ? model_graph(device, options) : shape_graph(device, options);
  return load_graph(device, options.file);
}

/// How often each pattern left dispatches alone for each reason.
using Refusals = std::map<std::pair<std::string, std::string>, std::size_t>;

Refusals count(const std::vector<FusionRefusal>& refusals) {
  Refusals counts;
  for (const FusionRefusal& refusal : refusals) ++counts[{refusal.pattern, refusal.reason}];
  return counts;
}

Json schedule_json(const ScheduleReport& report) {
  return {{"schedule", to_string(report.schedule)},
          {"dispatches", report.dispatches},
          {"barriers", report.barriers},
          {"critical_path", report.critical_path},
          {"bound", report.bound},
          {"elided", report.elided}};
}

Json fusion_json(const FusionReport& report) {
  Json fired = Json::array(), refusals = Json::array();
  for (const FusionReport::Fired& pattern : report.fired)
    fired.push_back({{"pattern", pattern.pattern}, {"count", pattern.count}});
  for (const auto& [refusal, times] : count(report.refusals)) {
    refusals.push_back({{"pattern", refusal.first}, {"reason", refusal.second}, {"count", times}});
  }
  return {{"dispatches_before", report.dispatches_before},
          {"dispatches_after", report.dispatches_after},
          {"fired", std::move(fired)},
          {"refusals", std::move(refusals)}};
}

Json placement_json(const PlacementReport& report) {
  return {{"buffers", report.buffers},           {"separate_bytes", report.separate_bytes},
          {"placed_bytes", report.placed_bytes}, {"lower_bound_bytes", report.lower_bound_bytes},
          {"tight_bytes", report.tight_bytes},   {"tight_barriers", report.tight_barriers}};
}

Json report_json(const Graph& graph, const std::optional<FusionReport>& fusion,
                 const Device& device) {
  Json schedules = Json::array();
  for (const Schedule schedule : kSchedules)
    schedules.push_back(schedule_json(graph.report(schedule)));
  return {{"graph",
           {{"device", device.backend()},
            {"nodes", graph.node_count()},
            {"dispatches", graph.dispatch_count()},
            {"barriers", graph.barrier_count()},
            {"unannotated", graph.unannotated_count()},
            {"slots", graph.slots().size()}}},
          {"schedules", std::move(schedules)},
          {"fusion", fusion ? fusion_json(*fusion) : Json()},
          {"placement", placement_json(graph.placement())}};
}

std::string report_text(const Graph& graph, const std::optional<FusionReport>& fusion,
                        const Device& device) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{} dispatches, {} barriers by hand, {} unannotated; {}\n\n",
                 graph.dispatch_count(), graph.barrier_count(), graph.unannotated_count(),
                 device.backend());
  fmt::format_to(out, "{:<14} {:>10} {:>9} {:>14} {:>6} {:>7}\n", "schedule", "dispatches",
                 "barriers", "critical path", "bound", "elided");
  for (const Schedule schedule : kSchedules) {
    const ScheduleReport costs = graph.report(schedule);
    fmt::format_to(out, "{:<14} {:>10} {:>9} {:>14} {:>6} {:>7}\n", to_string(schedule),
                   costs.dispatches, costs.barriers, costs.critical_path, costs.bound,
                   costs.elided);
  }
  if (fusion) {
    fmt::format_to(out, "\nfusion: {} dispatches become {}\n", fusion->dispatches_before,
                   fusion->dispatches_after);
    for (const FusionReport::Fired& pattern : fusion->fired)
      fmt::format_to(out, "  {:<28} {:>5} times\n", pattern.pattern, pattern.count);
    for (const auto& [refusal, times] : count(fusion->refusals)) {
      fmt::format_to(out, "  {:<28} {:>5} refused: {}\n", refusal.first, times, refusal.second);
    }
  }
  const PlacementReport placement = graph.placement();
  fmt::format_to(out, "\ntransient buffers: {} of {} bytes share {}; {} are alive at one time\n",
                 placement.buffers, placement.separate_bytes, placement.placed_bytes,
                 placement.lower_bound_bytes);
  return text;
}

}  // namespace

Result<> graph(const GraphOptions& options) {
  SEGUE_TRY_ASSIGN(const Device device, open_device(options.device));
  SEGUE_TRY_ASSIGN(Graph graph, find_graph(device, options));
  std::optional<FusionReport> fusion;
  if (!options.no_fuse) {
    SEGUE_TRY_ASSIGN(FusedGraph fused, graph.fuse(ops::fusion_patterns(device)));
    graph = std::move(fused.graph);
    fusion = std::move(fused.report);
  }
  if (!options.save.empty()) {
    SEGUE_TRY_ASSIGN(const std::string text, graph.to_json());
    SEGUE_TRY(write_text(options.save, text));
  }
  const std::string text = options.dot    ? graph.to_dot()
                           : options.json ? report_json(graph, fusion, device).dump(2) + "\n"
                                          : report_text(graph, fusion, device);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return fail(ErrorCode::kIo, "Standard output takes no more text.");
  return {};
}

}  // namespace segue::tool
