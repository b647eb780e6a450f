// SPDX-License-Identifier: Apache-2.0
//
// What decoding a token costs in each way that there is (recorded afresh or replayed, in recorded
// order or scheduled, fused or not, with a round trip to the host for each token or without),
// against two references of the same run: a plain single-threaded forward pass (an oracle:
// dequantised weights, double sums), and a streaming read of the bytes of weights that a token
// needs, with as many threads as the device has. Repetitions of all of them are interleaved at
// random, so that a slow moment of the machine hits all alike.
//
//   bench_decode [-m model.gguf] [--threads n] [--tokens n] [--no-oracle]
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "llama/session.hpp"
#include "segue/host.hpp"
#include "streaming_read.hpp"
#include "support/plain_llama.hpp"

namespace segue::bench {
namespace {

using Clock = std::chrono::steady_clock;
using llama::TokenId;

struct Options {
  std::string model = SEGUE_SOURCE_DIR "/models/tales-q8_0.gguf";
  unsigned threads = 1;
  std::uint32_t tokens = 190;  ///< Of one sequence: the context stays under 200.
  bool no_oracle = false;
};

constexpr llama::Sampling kGreedy{0.0F, 0, 1.0F, 0};
constexpr int kRepetitions = 15;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A way to decode.
struct Variant {
  const char* name;
  llama::Decoding decoding = llama::Decoding::kReplay;
  bool fuse = true;
  Schedule schedule = Schedule::kCriticalPath;
  bool device_advances = false;
};
constexpr Variant kVariants[] = {
    {"recorded", llama::Decoding::kRecord, false},
    {"replayed", llama::Decoding::kReplay, false, Schedule::kRecorded},
    {"replayed, scheduled", llama::Decoding::kReplay, false},
    {"replayed, fused", llama::Decoding::kReplay, true, Schedule::kRecorded},
    {"replayed, fused, scheduled"},
    {"the same, device advances", llama::Decoding::kReplay, true, Schedule::kCriticalPath, true},
};
constexpr const char* kDefault = "replayed, fused, scheduled";

Result<> decode_sequence(llama::Session& session, TokenId token, const Variant& variant,
                         std::uint32_t count) {
  if (variant.device_advances) {
    std::vector<TokenId> tokens(count);
    return session.continue_by(token, kGreedy, tokens);
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    SEGUE_TRY_ASSIGN(token, session.next({{token}}, kGreedy));
  }
  return {};
}

/// One iteration decodes a whole sequence; its time is that of a token on average, without the
/// prompt.
void decode(benchmark::State& state, const std::shared_ptr<const llama::Model>& model,
            const Variant& variant, std::uint32_t count) {
  llama::SessionOptions session_options;
  session_options.context = 256;
  session_options.decoding = variant.decoding;
  session_options.decoder.fuse = variant.fuse;
  session_options.decoder.schedule = variant.schedule;
  for (auto _ : state) {
    auto session = llama::Session::create(model, session_options);
    auto token = session->next({{model->tokenizer().bos()}}, kGreedy);
    // Memory that is used for the first time is slow to come.
    if (token) token = session->next({{*token}}, kGreedy);
    if (!token) return state.SkipWithError(token.error().to_string().c_str());
    const Clock::time_point start = Clock::now();
    const Result<> done = decode_sequence(*session, *token, variant, count);
    state.SetIterationTime(seconds_since(start) / count);
    if (!done) return state.SkipWithError(done.error().to_string().c_str());
  }
}

void plain(benchmark::State& state, test::PlainLlama& oracle, std::uint32_t count) {
  for (auto _ : state) {
    oracle.reset();
    std::uint32_t token = 1;
    const Clock::time_point start = Clock::now();
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::vector<double>& logits = oracle.step(token);
      token = static_cast<std::uint32_t>(std::ranges::max_element(logits) - logits.begin());
    }
    state.SetIterationTime(seconds_since(start) / count);
  }
}

void stream(benchmark::State& state, StreamingRead& read, int passes) {
  for (auto _ : state) state.SetIterationTime(read.run(passes));
}

/// Keeps the median of each benchmark, in seconds.
class MedianReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.aggregate_name != "median") continue;
      median[run.run_name.function_name] =
          run.GetAdjustedRealTime() / benchmark::GetTimeUnitMultiplier(run.time_unit);
    }
  }
  std::map<std::string, double> median;
};

void print_ratios(const std::map<std::string, double>& median, std::uint64_t bytes) {
  const double token = median.at(kDefault);
  const double read = median.at("streaming_read");
  fmt::print("\n{:<28} {:>9} {:>9} {:>13} {:>14}\n", "", "us/token", "tok/s", "recorded / it",
             "it / read");
  for (const Variant& variant : kVariants) {
    const double time = median.at(variant.name);
    fmt::print("{:<28} {:>9.1f} {:>9.0f} {:>13.2f} {:>14.2f}\n", variant.name, time * 1e6, 1 / time,
               median.at("recorded") / time, time / read);
  }
  fmt::print("\n{:.0f} tok/s ({:.1f} us a token); weights {:.1f} MB a token: {:.2f} GB/s\n",
             1 / token, token * 1e6, static_cast<double>(bytes) / 1e6,
             static_cast<double>(bytes) / token / 1e9);
  fmt::print("streaming read of as many bytes: {:.1f} us, {:.2f} GB/s\n", read * 1e6,
             static_cast<double>(bytes) / read / 1e9);
  fmt::print("token / streaming read: {:.2f}; share of its bandwidth: {:.0f} %\n", token / read,
             100 * read / token);
  if (const auto plain_pass = median.find("plain_oracle"); plain_pass != median.end()) {
    fmt::print("plain oracle / token: {:.1f}\n", plain_pass->second / token);
  }
}

int run(const Options& options) {
  host::HostOptions host_options;
  host_options.threads = options.threads;
  const auto device = host::create_device({}, host_options);
  if (!device) return fmt::print(stderr, "{}\n", device.error().to_string()), 1;
  const auto loaded = llama::Model::load(*device, options.model);
  if (!loaded) return fmt::print(stderr, "{}\n", loaded.error().to_string()), 1;
  const std::shared_ptr<const llama::Model> model = *loaded;
  const std::uint64_t bytes = model->weights().bytes_per_token;
  const std::uint32_t count = std::min(options.tokens, 195U);
  fmt::print("{} on {}, {} thread(s)\n", options.model, device->name(), options.threads);

  StreamingRead read(bytes, options.threads);
  // As much reading as a sequence does, so that both are averages over a like time.
  const int passes = static_cast<int>(std::clamp<std::uint64_t>(500'000'000 / bytes, 1, count));
  std::unique_ptr<test::PlainLlama> oracle;
  const auto configure = [](benchmark::internal::Benchmark* b) {
    b->UseManualTime()->Iterations(1)->Repetitions(kRepetitions)->Unit(benchmark::kMicrosecond);
    b->ReportAggregatesOnly();
  };
  for (const Variant& variant : kVariants) {
    configure(benchmark::RegisterBenchmark(
        variant.name, [&](benchmark::State& state) { decode(state, model, variant, count); }));
  }
  configure(benchmark::RegisterBenchmark(
      "streaming_read", [&](benchmark::State& state) { stream(state, read, passes); }));
  if (!options.no_oracle) {
    oracle = std::make_unique<test::PlainLlama>(model->file(), model->hyperparameters());
    configure(benchmark::RegisterBenchmark(
        "plain_oracle", [&](benchmark::State& state) { plain(state, *oracle, count / 8); }));
  }
  MedianReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  print_ratios(reporter.median, bytes);
  return 0;
}

}  // namespace
}  // namespace segue::bench

int main(int argc, char** argv) {
  segue::bench::Options options;
  CLI::App app("Decoding against a plain forward pass and a streaming read");
  app.allow_extras();
  app.add_option("-m,--model", options.model);
  app.add_option("--threads", options.threads);
  app.add_option("--tokens", options.tokens);
  app.add_flag("--no-oracle", options.no_oracle, "For models whose floats do not fit in memory");
  CLI11_PARSE(app, argc, argv);
  std::vector<char*> arguments(argv, argv + argc);
  std::string interleaving = "--benchmark_enable_random_interleaving=true";
  arguments.push_back(interleaving.data());
  int argument_count = static_cast<int>(arguments.size());
  benchmark::Initialize(&argument_count, arguments.data());
  return segue::bench::run(options);
}
