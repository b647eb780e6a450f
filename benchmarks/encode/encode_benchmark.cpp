// SPDX-License-Identifier: Apache-2.0
//
// What it costs to record: per dispatch of four views and 32 inline bytes, tracked and retained,
// and per barrier. Starting the next recording, which drops what the last one kept alive, is
// included; committing is not. The raw reference does what no recorder can go below: it appends the
// same bytes to one vector, and keeps four pointers.
//
// The column per_dispatch is what counts, and its ratio to raw_append in the same run.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "segue/host.hpp"

namespace segue::bench {
namespace {

constexpr std::size_t kMostDispatches = 1500;  // a large decoder; 119 is a token of the tales model
constexpr std::size_t kWeights = 30;
constexpr std::size_t kActivations = 14;

struct Params {
  std::array<std::uint32_t, 8> values;
};
static_assert(sizeof(Params) == 32);

/// A device with 44 buffers, as a decoder has.
struct Setup {
  Device device;
  Kernel kernel;
  std::vector<BufferView> weights;
  std::vector<BufferView> activations;

  /// The views of each dispatch, chosen ahead so that only recording is measured.
  struct Call {
    const BufferView* views[4];
  };
  std::vector<Call> independent, chained;
};

Setup make_setup() {
  Setup setup;
  host::HostOptions options;
  options.threads = 1;
  setup.device = host::create_device({}, options).value();
  const Result<> added = setup.device.kernels().add(
      host::kernel("layer", {"weights", "scales", "x", "y", "params"},
                   [](const host::KernelContext&, host::In<float>, host::In<float>, host::In<float>,
                      host::Out<float>, const Params&) {}));
  if (!added) std::abort();
  setup.kernel = setup.device.kernels().get("layer").value();
  const auto make_view = [&setup](std::uint64_t size_bytes) {
    BufferDesc desc;
    desc.size_bytes = size_bytes;
    return setup.device.create_buffer(desc).value().view();
  };
  for (std::size_t i = 0; i < kWeights; ++i) setup.weights.push_back(make_view(4096));
  for (std::size_t i = 0; i < kActivations; ++i) setup.activations.push_back(make_view(4096));
  for (std::size_t i = 0; i < kMostDispatches; ++i) {
    const BufferView* w = setup.weights.data();
    const BufferView* a = setup.activations.data();
    const BufferView* w0 = w + i % kWeights;
    const BufferView* w1 = w + (i + 7) % kWeights;
    setup.independent.push_back({{w0, w1, a, a + 1 + i % 13}});
    setup.chained.push_back({{w0, w1, a + i % 2, a + (i + 1) % 2}});
  }
  return setup;
}

void report(benchmark::State& state, const RecordingStats& stats) {
  state.counters["per_dispatch"] =
      benchmark::Counter(static_cast<double>(state.iterations() * state.range(0)),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["barriers"] =
      static_cast<double>(stats.barriers_inferred) / static_cast<double>(state.range(0));
}

/// Each dispatch reads two weights and one activation and writes another one. Chained, it reads
/// what the one before wrote and needs a barrier; otherwise only the one that writes an activation
/// for the second time does.
void record_all(const std::vector<Setup::Call>& calls, const Setup& setup, std::int64_t count,
                CommandEncoder& encoder) {
  std::uint32_t i = 0;
  for (const Setup::Call& call : std::span(calls).first(static_cast<std::size_t>(count))) {
    const Params params{{i++}};
    encoder.dispatch(
        setup.kernel,
        {*call.views[0], *call.views[1], *call.views[2], *call.views[3], KernelArg::bytes(params)},
        groups(1));
  }
}

/// Groups of 13: as many as there are activations to write.
void independent(benchmark::State& state) {
  const Setup setup = make_setup();
  CommandEncoder encoder = setup.device.create_encoder().value();
  RecordingStats stats;
  for (auto _ : state) {
    record_all(setup.independent, setup, state.range(0), encoder);
    stats = encoder.stats();
    if (!encoder.status() || !encoder.begin()) return state.SkipWithError("recording fails");
  }
  report(state, stats);
}
BENCHMARK(independent)->Arg(119)->Arg(kMostDispatches);

void chained(benchmark::State& state) {
  const Setup setup = make_setup();
  CommandEncoder encoder = setup.device.create_encoder().value();
  RecordingStats stats;
  for (auto _ : state) {
    record_all(setup.chained, setup, state.range(0), encoder);
    stats = encoder.stats();
    if (!encoder.status() || !encoder.begin()) return state.SkipWithError("recording fails");
  }
  report(state, stats);
}
BENCHMARK(chained)->Arg(119)->Arg(kMostDispatches);

/// Without tracking: what the hazard checks cost is the difference.
void manual(benchmark::State& state) {
  const Setup setup = make_setup();
  EncoderOptions options;
  options.barriers = BarrierMode::kManual;
  CommandEncoder encoder = setup.device.create_encoder(options).value();
  for (auto _ : state) {
    record_all(setup.independent, setup, state.range(0), encoder);
    if (!encoder.status() || !encoder.begin()) return state.SkipWithError("recording fails");
  }
  report(state, {});
}
BENCHMARK(manual)->Arg(119)->Arg(kMostDispatches);

/// The bytes that a command of this kind fills, appended as they are.
void raw_append(benchmark::State& state) {
  struct RawView {
    const void* storage;
    std::uint64_t offset, size;
    std::uint32_t access;
  };
  struct RawCommand {
    const void* kernel;
    std::array<std::uint32_t, 24> fields;
  };
  const Setup setup = make_setup();
  std::vector<std::byte> stream;
  std::vector<const void*> kept;
  for (auto _ : state) {
    stream.clear();
    kept.clear();
    for (std::size_t i = 0; i < static_cast<std::size_t>(state.range(0)); ++i) {
      const auto append = [&stream](const auto& value) {
        const auto* bytes = reinterpret_cast<const std::byte*>(&value);
        stream.insert(stream.end(), bytes, bytes + sizeof(value));
      };
      const std::array<const BufferView*, 4> views{
          &setup.weights[i % kWeights], &setup.weights[(i + 7) % kWeights], &setup.activations[0],
          &setup.activations[1 + i % 13]};
      for (const BufferView* view : views) {
        append(RawView{view->buffer().state(), view->offset_bytes(), view->size_bytes(), 1});
        kept.push_back(view->buffer().state());
      }
      append(Params{{static_cast<std::uint32_t>(i)}});
      append(RawCommand{setup.kernel.impl(), {static_cast<std::uint32_t>(i)}});
    }
    benchmark::DoNotOptimize(stream.data());
    benchmark::DoNotOptimize(kept.data());
  }
  report(state, {});
}
BENCHMARK(raw_append)->Arg(119)->Arg(kMostDispatches);

}  // namespace
}  // namespace segue::bench

BENCHMARK_MAIN();
