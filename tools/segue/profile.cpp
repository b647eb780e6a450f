// SPDX-License-Identifier: Apache-2.0
//
// Where the time of a token goes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/fail.hpp"
#include "commands.hpp"
#include "llama/decoder.hpp"
#include "llama/session.hpp"
#include "segue/fusion_patterns.hpp"
#include "segue/open.hpp"
#include "shipped_model.hpp"

namespace segue::tool {
namespace {

using Clock = std::chrono::steady_clock;

/// What one kernel does in a token.
struct KernelRow {
  unsigned count = 0;
  double seconds = 0;
  double bytes = 0;  ///< Of the views that it binds.
};

struct TokenTimes {
  double waited = 0;    ///< Seconds a token, a wait after each.
  double advanced = 0;  ///< The device feeding itself.
  double device = 0;    ///< From first to last command of a token, on the device's clock.
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// The step as Decoder::create() captures it, to know what its dispatches bind.
Result<Graph> capture(const llama::Model& model, const llama::KvCache& cache, bool fuse) {
  const Device& device = model.device();
  SEGUE_TRY_ASSIGN(const llama::StepBuffers buffers,
                   llama::StepBuffers::create(device, model.hyperparameters(), cache.context));
  const llama::ForwardPass pass(model.hyperparameters(), model.weights(), model.ops());
  SEGUE_TRY_ASSIGN(Graph graph, llama::capture_step(device, pass, model.ops(), buffers, cache));
  if (!fuse) return graph;
  SEGUE_TRY_ASSIGN(FusedGraph fused, graph.fuse(ops::fusion_patterns(device)));
  return std::move(fused.graph);
}

double bytes_of(const GraphNode& node, std::uint32_t position, std::uint32_t context) {
  double bytes = 0;
  for (const NodeArgument& argument : node.arguments) {
    double size = static_cast<double>(argument.view.size_bytes());
    // Of a cache, only what is there by now is touched.
    if (node.op == OpKind::kSdpa && size > 1e5) size *= (position + 1.0) / context;
    if (node.op == OpKind::kKvAppend) size = 0;
    bytes += size;
  }
  return bytes;
}

Result<TokenTimes> time_tokens(llama::Decoder& decoder, const ProfileOptions& options) {
  TokenTimes times;
  const ops::SampleSettings greedy{.temperature = 0.0F};
  std::vector<double> waited, device;
  std::uint32_t token = 1;
  for (std::uint32_t i = 0; i < options.tokens; ++i) {
    const Clock::time_point start = Clock::now();
    SEGUE_TRY_ASSIGN(token, decoder.step(token, options.position + i, greedy));
    waited.push_back(seconds_since(start));
  }
  times.waited = median(waited);
  std::vector<std::uint32_t> sampled(options.tokens);
  std::vector<double> advanced;
  for (int round = 0; round < 5; ++round) {
    const Clock::time_point start = Clock::now();
    SEGUE_TRY(decoder.run(1, options.position, greedy, sampled));
    advanced.push_back(seconds_since(start) / options.tokens);
  }
  times.advanced = median(advanced);
  for (std::uint32_t i = 0; i < options.tokens; ++i) {
    SEGUE_TRY_ASSIGN(Submission work, decoder.executable().submit());
    SEGUE_TRY(work.wait());
    if (const auto time = work.gpu_time())
      device.push_back(time->end_seconds - time->start_seconds);
  }
  times.device = median(device);
  return times;
}

Result<std::map<std::string, KernelRow>> time_kernels(llama::Decoder& decoder, const Graph& graph,
                                                      std::uint32_t context,
                                                      const ProfileOptions& options) {
  constexpr int kRounds = 10;
  std::map<std::string, KernelRow> rows;
  const std::vector<std::uint32_t> order = graph.order();
  decoder.executable().set_profiling(true);
  std::vector<std::vector<double>> seconds(order.size());
  for (int round = 0; round < kRounds; ++round) {
    SEGUE_TRY_ASSIGN(Submission work, decoder.executable().submit());
    SEGUE_TRY(work.wait());
    SEGUE_TRY_ASSIGN(const std::vector<DispatchTime> all, work.dispatch_times());
    for (const DispatchTime& time : all) seconds[time.command].push_back(time.elapsed_seconds());
  }
  decoder.executable().set_profiling(false);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const GraphNode node = graph.node(order[i]);
    KernelRow& row = rows[std::string(node.kernel.name())];
    ++row.count;
    row.seconds += median(seconds[i]);
    row.bytes += bytes_of(node, options.position, context);
  }
  return rows;
}

void print_kernels(const std::map<std::string, KernelRow>& rows, double device_seconds) {
  std::vector<std::pair<std::string, KernelRow>> sorted(rows.begin(), rows.end());
  std::ranges::sort(sorted, std::greater<>(), [](const auto& row) { return row.second.seconds; });
  double sum = 0;
  for (const auto& [name, row] : sorted) sum += row.seconds;
  fmt::print("{:<34} {:>6} {:>10} {:>9} {:>7} {:>9}\n", "kernel", "count", "us/token", "us each",
             "share", "GB/s");
  for (const auto& [name, row] : sorted) {
    fmt::print("{:<34} {:>6} {:>10.1f} {:>9.2f} {:>6.1f}% {:>9.0f}\n", name, row.count,
               1e6 * row.seconds, 1e6 * row.seconds / row.count, 100 * row.seconds / sum,
               row.bytes / row.seconds / 1e9);
  }
  fmt::print("dispatches one by one {:.1f} us, a token unprofiled {:.1f} us on the device\n",
             1e6 * sum, 1e6 * device_seconds);
}

Result<> time_prompt(const std::shared_ptr<const llama::Model>& model,
                     const ProfileOptions& options) {
  if (options.prompt == 0) return {};
  llama::SessionOptions session_options;
  session_options.context = options.prompt + 1;
  session_options.chunk_tokens = options.chunk;
  std::vector<llama::TokenId> tokens(options.prompt);
  const auto vocabulary = static_cast<std::int64_t>(model->hyperparameters().vocabulary);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<llama::TokenId>(static_cast<std::int64_t>(7 * i + 1) % vocabulary);
  for (int round = 0; round < 3; ++round) {
    SEGUE_TRY_ASSIGN(llama::Session session, llama::Session::create(model, session_options));
    const Clock::time_point start = Clock::now();
    SEGUE_TRY(session.next(tokens, {.temperature = 0.0F}));
    const double seconds = seconds_since(start);
    fmt::print("prompt of {} tokens, time {}: {:.1f} ms, {:.0f} tok/s\n", options.prompt, round + 1,
               1e3 * seconds, options.prompt / seconds);
  }
  return {};
}

}  // namespace

Result<> profile(const ProfileOptions& options) {
  std::string path = options.model;
  if (path.empty()) {
    SEGUE_TRY_ASSIGN(path, find_shipped_model());
  }
  SEGUE_TRY_ASSIGN(const Device device, open_device(options.device));
  llama::ModelOptions model_options;
  model_options.quantise_activations = !options.float_activations;
  SEGUE_TRY_ASSIGN(const std::shared_ptr<const llama::Model> model,
                   llama::Model::load(device, path, model_options));
  const std::uint32_t context = options.position + options.tokens + 1;
  if (context > model->hyperparameters().context) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "{} tokens from position {} on are asked for, but the context of the model "
                      "holds {}.",
                      options.tokens, options.position, model->hyperparameters().context);
  }
  const DType type = model->quantises_activations() ? DType::kF16 : DType::kF32;
  SEGUE_TRY_ASSIGN(const llama::KvCache cache,
                   llama::KvCache::create(device, model->hyperparameters(), context, type));
  llama::DecoderOptions decoder_options;
  decoder_options.fuse = !options.no_fuse;
  SEGUE_TRY_ASSIGN(llama::Decoder decoder, llama::Decoder::create(*model, cache, decoder_options));
  SEGUE_TRY_ASSIGN(const Graph graph, capture(*model, cache, decoder_options.fuse));
  const ScheduleReport report = decoder.executable().report();
  SEGUE_TRY_ASSIGN(const TokenTimes times, time_tokens(decoder, options));
  fmt::print("{} on {} ({}): {} dispatches, {} barriers, {} levels a token\n", path, device.name(),
             device.backend(), report.dispatches, report.barriers, report.barriers + 1);
  const double bytes = static_cast<double>(model->weights().bytes_per_token);
  fmt::print(
      "a token: {:.3f} ms with a wait each, {:.3f} ms device-advanced, {:.3f} ms on the "
      "device; {:.0f} GB/s of weights\n",
      1e3 * times.waited, 1e3 * times.advanced, 1e3 * times.device, bytes / times.advanced / 1e9);
  fmt::print("the device idles {:.1f} us of a token with a wait each, {:.1f} us device-advanced\n",
             1e6 * std::max(0.0, times.waited - times.device),
             1e6 * std::max(0.0, times.advanced - times.device));
  if (device.features().gpu_timestamps) {
    SEGUE_TRY_ASSIGN(const auto rows, time_kernels(decoder, graph, context, options));
    print_kernels(rows, times.device);
  }
  return time_prompt(model, options);
}

}  // namespace segue::tool
