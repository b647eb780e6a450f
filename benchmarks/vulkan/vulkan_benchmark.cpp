// SPDX-License-Identifier: Apache-2.0
//
// What the Vulkan backend costs beside the driver: recording and lowering against a loop of raw
// calls that makes the same ones, and a replay against submitting one recorded command buffer
// again. Both on the same driver in the same run, repetitions interleaved at random; medians.
//
// Recording is thread CPU time per dispatch of two views that are read and one that is written,
// over 40 buffers. Segue's is from begin() to the end of commit(), less the call of vkQueueSubmit2;
// raw is from vkResetCommandPool to vkEndCommandBuffer.
//
//   bench_vulkan [--device n] [--repetitions n] [--most n] [--only sequence]
//
// The driver is the loader's choice: LP_NUM_THREADS=0 makes lavapipe work on one thread, and
// scripts/null-driver.sh runs this on a driver that does nothing.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "backends/vulkan/vulkan_device.hpp"
#include "null_driver.hpp"
#include "raw_loop.hpp"
#include "runtime/device_state.hpp"
#include "segue/device.hpp"
#include "workload.hpp"

namespace segue::bench {
namespace {

struct Options {
  unsigned device = 0;
  int repetitions = 31;
  std::size_t most = 1600;
  std::string only;  ///< A sequence; empty: all.
};

double thread_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double wall_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::nano>(now).count();
}

[[noreturn]] void stop(const Error& error) {
  fmt::print(stderr, "{}\n", error.to_string());
  std::exit(EXIT_FAILURE);
}

template <class T>
T must(Result<T> result) {
  if (!result) stop(result.error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// vkQueueSubmit2 with the time that it takes.
double submit_ns = 0;
PFN_vkQueueSubmit2 native_submit = nullptr;
VKAPI_ATTR VkResult VKAPI_CALL timed_submit(VkQueue queue, std::uint32_t count,
                                            const VkSubmitInfo2* infos, VkFence fence) {
  const double start = thread_ns();
  const VkResult result = native_submit(queue, count, infos, fence);
  submit_ns += thread_ns() - start;
  return result;
}

void hook(vulkan::Api& api) {
  complete_null_driver(api);
  if (api.QueueSubmit2 != nullptr && api.QueueSubmit2 != &timed_submit) {
    native_submit = api.QueueSubmit2;
    api.QueueSubmit2 = &timed_submit;
  }
}

/// The same sequences through Segue.
class SegueLoop {
 public:
  explicit SegueLoop(const vulkan::VulkanOptions& options) {
    auto hal = must(vulkan::create_hal_device(options, 1, &hook));
    device_ = Device(must(runtime::DeviceState::create(std::move(hal), {})));
    for (const bool parameters : {false, true}) {
      KernelSource source = add_kernel(parameters);
      const std::string name = source.name;
      must(device_.kernels().add(std::move(source)));
      kernels_[parameters] = must(device_.kernels().get(name));
    }
    for (std::size_t i = 0; i < kBuffers; ++i) {
      BufferDesc desc;
      desc.size_bytes = kBufferBytes;
      buffers_.push_back(must(device_.create_buffer(desc)));
    }
    encoder_ = must(device_.create_encoder());
  }

  /// The views of a sequence, made ahead so that only recording is measured.
  using Views = std::vector<std::array<BufferView, 3>>;
  [[nodiscard]] Views make_views(std::span<const Call> calls) const {
    Views views;
    for (const Call& call : calls) {
      std::array<BufferView, 3> each;
      for (std::size_t i = 0; i < 3; ++i)
        each[i] = must(buffers_[call.slices[i].buffer].view(call.slices[i].offset, kViewBytes));
      views.push_back(each);
    }
    return views;
  }

  void record(const Views& views, bool parameters) {
    const Kernel& kernel = kernels_[parameters];
    std::uint32_t index = 0;
    for (const auto& [a, b, c] : views) {
      if (parameters) {
        const Parameters values{{index++, 1, 2, 3}};
        encoder_.dispatch(kernel, {a, b, c, KernelArg::bytes(values)}, groups(1));
      } else {
        encoder_.dispatch(kernel, {a, b, c}, groups(1));
      }
    }
  }
  [[nodiscard]] CommandEncoder& encoder() { return encoder_; }
  [[nodiscard]] const Device& device() const { return device_; }
  [[nodiscard]] Executable compile(const Views& views, bool parameters) {
    must(encoder_.begin());
    encoder_.start_capture();
    record(views, parameters);
    CompileOptions options;
    options.schedule = Schedule::kRecorded;
    return must(must(encoder_.take_capture()).compile(device_, options));
  }

 private:
  Device device_;
  std::array<Kernel, 2> kernels_;
  std::vector<Buffer> buffers_;
  CommandEncoder encoder_;
};

using Samples = std::map<std::string, std::vector<double>>;

double median(Samples& samples, const std::string& name) {
  std::vector<double>& all = samples[name];
  std::ranges::nth_element(all, all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2));
  return all[all.size() / 2];
}

void interleave(int repetitions, const std::vector<std::function<void()>>& runs) {
  std::mt19937 random(1);
  for (const auto& run : runs) run();  // what is used for the first time is slow
  std::vector<std::size_t> order;
  for (int i = 0; i < repetitions; ++i) {
    for (std::size_t r = 0; r < runs.size(); ++r) order.push_back(r);
  }
  std::ranges::shuffle(order, random);
  for (const std::size_t r : order) runs[r]();
}

void record_segue(SegueLoop& segue, const SegueLoop::Views& views, bool parameters,
                  std::uint64_t& barriers, Samples& samples) {
  CommandEncoder& encoder = segue.encoder();
  const double start = thread_ns();
  must(encoder.begin());
  segue.record(views, parameters);
  const double recorded = thread_ns();
  barriers = encoder.stats().barriers_inferred;
  submit_ns = 0;
  const double before = thread_ns();
  Submission submission = must(encoder.commit());
  const double committed = thread_ns();
  const auto n = static_cast<double>(views.size());
  samples["record"].push_back((recorded - start) / n);
  samples["lower"].push_back((committed - before - submit_ns) / n);
  samples["total"].push_back((recorded - start + committed - before - submit_ns) / n);
  samples["submit"].push_back(submit_ns / 1000);
  must(submission.wait());
}

void record_raw(RawLoop& raw, std::span<const Call> calls, bool parameters, Samples& samples) {
  const double start = thread_ns();
  must(raw.record(calls, parameters));
  const double recorded = thread_ns();
  submit_ns = 0;
  must(raw.submit());
  samples["raw"].push_back((recorded - start) / static_cast<double>(calls.size()));
  samples["raw submit"].push_back(submit_ns / 1000);
  must(raw.wait());
}

void measure_recording(SegueLoop& segue, RawLoop& raw, const Options& options) {
  fmt::print("Recording, ns per dispatch; submit: vkQueueSubmit2, us each.\n");
  fmt::print("{:<24} {:>5} {:>9} | {:>6} | {:>7} {:>6} {:>6} {:>10} | {:>7} {:>10}\n", "sequence",
             "n", "barriers", "raw", "record", "lower", "total", "over raw", "submit",
             "raw submit");
  for (const bool parameters : {false, true}) {
    for (const Mode mode : kModes) {
      for (const std::size_t n : {100, 400, 800, 1600}) {
        const std::string name =
            fmt::format("{}{}", to_string(mode), parameters ? ", 16 bytes" : "");
        if (n > options.most || (!options.only.empty() && name != options.only)) continue;
        const std::vector<Call> calls = make_calls(mode, n);
        const SegueLoop::Views views = segue.make_views(calls);
        std::uint64_t barriers = 0;
        Samples samples;
        interleave(options.repetitions,
                   {[&] { record_segue(segue, views, parameters, barriers, samples); },
                    [&] { record_raw(raw, calls, parameters, samples); }});
        if (barriers != static_cast<std::uint64_t>(std::ranges::count(calls, true, &Call::barrier)))
          fmt::print("The two loops have different barriers.\n");
        const double total = median(samples, "total");
        const double floor = median(samples, "raw");
        fmt::print(
            "{:<24} {:>5} {:>9} | {:>6.1f} | {:>7.1f} {:>6.1f} {:>6.1f} {:>10.1f} | {:>7.2f} "
            "{:>10.2f}\n",
            fmt::format("{}{}", to_string(mode), parameters ? ", 16 bytes" : ""), n, barriers,
            floor, median(samples, "record"), median(samples, "lower"), total, total - floor,
            median(samples, "submit"), median(samples, "raw submit"));
      }
    }
  }
}

void measure_replay(SegueLoop& segue, RawLoop& raw, const Options& options) {
  fmt::print("\nReplay of recorded commands, us: submit: CPU; wall: submit and wait.\n");
  fmt::print("{:<24} {:>5} | {:>9} {:>9} | {:>9} {:>9} | {:>8}\n", "sequence", "n", "raw submit",
             "submit", "raw wall", "wall", "wall/raw");
  for (const Mode mode : kModes) {
    for (const std::size_t n : {100, 800}) {
      if (n > options.most || (!options.only.empty() && to_string(mode) != options.only)) continue;
      const std::vector<Call> calls = make_calls(mode, n);
      Executable executable = segue.compile(segue.make_views(calls), false);
      must(raw.record(calls, false));
      Samples samples;
      interleave(options.repetitions,
                 {[&] {
                    const double start = wall_ns();
                    const double cpu = thread_ns();
                    Submission submission = must(executable.submit({}, Waiting::kSoon));
                    samples["submit"].push_back((thread_ns() - cpu) / 1000);
                    must(submission.wait());
                    samples["wall"].push_back((wall_ns() - start) / 1000);
                  },
                  [&] {
                    const double start = wall_ns();
                    const double cpu = thread_ns();
                    must(raw.submit());
                    samples["raw submit"].push_back((thread_ns() - cpu) / 1000);
                    must(raw.wait());
                    samples["raw wall"].push_back((wall_ns() - start) / 1000);
                  }});
      const double wall = median(samples, "wall");
      const double floor = median(samples, "raw wall");
      fmt::print("{:<24} {:>5} | {:>9.2f} {:>9.2f} | {:>9.1f} {:>9.1f} | {:>8.3f}\n",
                 to_string(mode), n, median(samples, "raw submit"), median(samples, "submit"),
                 floor, wall, wall / floor);
    }
  }
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("What the Vulkan backend costs beside the driver.");
  app.add_option("--device", options.device, "Which Vulkan device, counted from 0");
  app.add_option("--repetitions", options.repetitions, "Of each measurement");
  app.add_option("--most", options.most, "Dispatches of the longest sequence");
  app.add_option("--only", options.only, "One sequence, such as \"chained, 16 bytes\"");
  CLI11_PARSE(app, argc, argv);
  vulkan::VulkanOptions vulkan_options;
  vulkan_options.index = options.device;
  vulkan_options.pipeline_cache_directory = "none";
  SegueLoop segue(vulkan_options);
  const auto raw = must(RawLoop::create(must(vulkan::create_context(vulkan_options, &hook))));
  fmt::print("{}, medians of {}.\n", segue.device().name(), options.repetitions);
  measure_recording(segue, *raw, options);
  measure_replay(segue, *raw, options);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace segue::bench

int main(int argc, char** argv) { return segue::bench::run(argc, argv); }
