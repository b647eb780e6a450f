// SPDX-License-Identifier: Apache-2.0
//
// What a graph costs: planning one of 1,501 dispatches (a token of a decoder of 79 layers) from
// capture to barriers with reasons, and replaying it with kernels that do nothing, against
// recording it afresh. The reference of planning compares every command with every one before it,
// range by range, which is what a planner without a history has to do.
//
//   bench_graph [benchmark's options]
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "encode/hazard_sequences.hpp"
#include "graph/schedule.hpp"
#include "runtime/graph_state.hpp"
#include "segue/device.hpp"
#include "segue/host.hpp"

namespace segue::bench {
namespace {

/// The decoder's ranges as views of buffers without memory, and a kernel for each kind of dispatch.
class Decoder {
 public:
  explicit Decoder(bool with_memory) {
    host::HostOptions options;
    options.threads = 1;
    device_ = host::create_device({}, options).value();
    const RangeSequence sequence = decoder_sequence();
    std::map<MemoryId, std::uint64_t> sizes;
    for (std::size_t i = 0; i < sequence.size(); ++i) {
      for (const AccessRange& range : sequence[i])
        sizes[range.memory] = std::max(sizes[range.memory], range.end);
    }
    for (const auto& [memory, size] : sizes) buffers_[memory] = create(with_memory ? 4096 : size);
    for (std::size_t i = 0; i < sequence.size(); ++i) add(sequence[i], with_memory);
  }

  void record(CommandEncoder& encoder) const {
    std::uint32_t i = 0;
    for (const Call& call : calls_) {
      KernelArg args[5];
      std::size_t count = 0;
      for (const BufferView& view : call.views) args[count++] = view;
      const std::uint32_t parameter = i++;
      args[count++] = KernelArg::bytes(parameter);
      encoder.dispatch(call.kernel, std::span(args, count), groups(1));
    }
  }
  [[nodiscard]] Graph capture(CommandEncoder& encoder) const {
    encoder.start_capture();
    record(encoder);
    return encoder.take_capture().value();
  }
  [[nodiscard]] CommandEncoder encoder() const { return device_.create_encoder().value(); }
  [[nodiscard]] const Device& device() const { return device_; }
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(calls_.size()); }

 private:
  struct Call {
    Kernel kernel;
    std::vector<BufferView> views;
  };
  [[nodiscard]] Buffer create(std::uint64_t size) const {
    BufferDesc desc;
    desc.size_bytes = size;
    desc.deferred = true;
    return device_.create_buffer(desc).value();
  }
  void add(std::span<const AccessRange> ranges, bool with_memory) {
    Signature signature;
    std::string name = "null";
    Call call;
    for (const AccessRange& range : ranges) {
      Parameter parameter;
      parameter.access = range.access;
      signature.parameters.push_back(parameter);
      name += writes(range.access) ? "_w" : "_r";
      const Buffer& buffer = buffers_.at(range.memory);
      call.views.push_back(with_memory ? buffer.view()
                                       : buffer.view(range.begin, range.end - range.begin).value());
    }
    Parameter bytes;
    bytes.kind = ParameterKind::kBytes;
    bytes.size_bytes = sizeof(std::uint32_t);
    signature.parameters.push_back(bytes);
    if (!device_.kernels().contains(name)) {
      const auto nothing = [](const host::KernelContext&) {};
      if (!device_.kernels().add(host::raw_kernel(name, signature, nothing))) std::abort();
    }
    call.kernel = device_.kernels().get(name).value();
    calls_.push_back(std::move(call));
  }

  Device device_;
  std::map<MemoryId, Buffer> buffers_;
  std::vector<Call> calls_;
};

void per_dispatch(benchmark::State& state, const Decoder& decoder) {
  state.counters["per_dispatch"] =
      benchmark::Counter(static_cast<double>(state.iterations() * decoder.size()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void capture(benchmark::State& state) {
  const Decoder decoder(false);
  CommandEncoder encoder = decoder.encoder();
  for (auto _ : state) benchmark::DoNotOptimize(decoder.capture(encoder));
  per_dispatch(state, decoder);
}
BENCHMARK(capture)->Unit(benchmark::kMicrosecond);

void dependencies(benchmark::State& state) {
  const Decoder decoder(false);
  CommandEncoder encoder = decoder.encoder();
  const Graph graph = decoder.capture(encoder);
  for (auto _ : state) benchmark::DoNotOptimize(graph::Dependencies(graph.state()->list));
  per_dispatch(state, decoder);
}
BENCHMARK(dependencies)->Unit(benchmark::kMicrosecond);

void schedule_and_plan(benchmark::State& state, Schedule schedule) {
  const Decoder decoder(false);
  CommandEncoder encoder = decoder.encoder();
  const Graph graph = decoder.capture(encoder);
  const graph::Dependencies& relation = graph.state()->dependencies();
  for (auto _ : state)
    benchmark::DoNotOptimize(graph::plan_schedule(graph.state()->list, relation, schedule));
  per_dispatch(state, decoder);
}
BENCHMARK_CAPTURE(schedule_and_plan, lookahead, Schedule::kLookahead)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(schedule_and_plan, critical_path, Schedule::kCriticalPath)
    ->Unit(benchmark::kMicrosecond);

/// Everything: capture, dependencies, schedule, barriers with reasons.
void plan_from_scratch(benchmark::State& state) {
  const Decoder decoder(false);
  CommandEncoder encoder = decoder.encoder();
  std::size_t barriers = 0;
  for (auto _ : state) {
    const Graph graph = decoder.capture(encoder);
    const ir::Plan plan = graph::plan_schedule(graph.state()->list, graph.state()->dependencies(),
                                               Schedule::kCriticalPath);
    barriers = plan.barriers.size();
  }
  per_dispatch(state, decoder);
  state.counters["barriers"] = static_cast<double>(barriers);
}
BENCHMARK(plan_from_scratch)->Unit(benchmark::kMicrosecond);

/// The reference: levels by comparing all pairs.
void levels_pairwise(benchmark::State& state) {
  const RangeSequence sequence = decoder_sequence();
  std::uint32_t deepest = 0;
  for (auto _ : state) {
    std::vector<std::uint32_t> level(sequence.size(), 0);
    for (std::size_t later = 0; later < sequence.size(); ++later) {
      for (std::size_t earlier = 0; earlier < later; ++earlier) {
        if (level[earlier] < level[later]) continue;
        const bool conflict = std::ranges::any_of(sequence[later], [&](const AccessRange& b) {
          return std::ranges::any_of(sequence[earlier],
                                     [&b](const AccessRange& a) { return conflicts(a, b); });
        });
        if (conflict) level[later] = level[earlier] + 1;
      }
      deepest = std::max(deepest, level[later]);
    }
  }
  state.counters["barriers"] = deepest;
}
BENCHMARK(levels_pairwise)->Unit(benchmark::kMicrosecond);

void replay(benchmark::State& state) {
  const Decoder decoder(true);
  CommandEncoder encoder = decoder.encoder();
  Executable executable = decoder.capture(encoder).compile(decoder.device()).value();
  for (auto _ : state) {
    if (!executable.submit_and_wait()) return state.SkipWithError("replay fails");
  }
  per_dispatch(state, decoder);
}
BENCHMARK(replay)->Unit(benchmark::kMicrosecond);

void record_and_run(benchmark::State& state) {
  const Decoder decoder(true);
  CommandEncoder encoder = decoder.encoder();
  for (auto _ : state) {
    decoder.record(encoder);
    if (!encoder.commit_and_wait() || !encoder.begin())
      return state.SkipWithError("recording fails");
  }
  per_dispatch(state, decoder);
}
BENCHMARK(record_and_run)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace segue::bench

BENCHMARK_MAIN();
