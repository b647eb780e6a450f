// SPDX-License-Identifier: Apache-2.0
// Matrix products of the host backend against a plain read of the same bytes, in one run, over the
// weights of a small model, which the caches hold, and of two layers of a 1B model, which they do
// not. Each line is the best processor time of several rounds through all cases, so that a busy
// moment of the machine does not decide. Arguments: words that a line must contain to be measured.

#include <time.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backends/host/kernels/builtin.hpp"
#include "base/op_params.hpp"
#include "segue/tensor.hpp"
#include "support/run_host_kernel.hpp"
#include "token_steps.hpp"

namespace {

using segue::DType;
using segue::KernelSource;

constexpr int kRounds = 7;
constexpr double kSecondsPerRound = 0.03;

/// Processor time of this thread.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Shape {
  std::uint32_t rows;
  std::uint32_t columns;
};

struct Model {
  std::string_view name;
  std::vector<Shape> shapes;

  [[nodiscard]] std::size_t bytes(DType type) const {
    std::size_t sum = 0;
    for (const Shape& shape : shapes) sum += shape.rows * segue::row_bytes(type, shape.columns);
    return sum;
  }
  [[nodiscard]] double products() const {
    double sum = 0;
    for (const Shape& shape : shapes) sum += double{1} * shape.rows * shape.columns;
    return sum;
  }
};

Model tales() {
  Model model{"tales", {}};
  const std::array layer = {Shape{192, 192}, Shape{64, 192},  Shape{64, 192}, Shape{192, 192},
                            Shape{512, 192}, Shape{512, 192}, Shape{192, 512}};
  for (int i = 0; i < 6; ++i) model.shapes.insert(model.shapes.end(), layer.begin(), layer.end());
  model.shapes.push_back({2048, 192});
  return model;
}

Model layers_of_1b() {
  Model model{"1b", {}};
  const std::array layer = {Shape{2048, 2048}, Shape{512, 2048},  Shape{512, 2048},
                            Shape{2048, 2048}, Shape{8192, 2048}, Shape{8192, 2048},
                            Shape{2048, 8192}};
  for (int i = 0; i < 2; ++i) model.shapes.insert(model.shapes.end(), layer.begin(), layer.end());
  return model;
}

constexpr std::size_t kMostColumns = 8192;

/// Bytes whose 16-bit words are moderate numbers in every format, so that nothing overflows.
std::vector<std::byte> random_weights(std::size_t size) {
  constexpr std::size_t kPeriod = 1 << 20;
  std::vector<std::byte> bytes(size);
  std::mt19937 random(1);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = i < kPeriod ? static_cast<std::byte>(random() & 0x3BU) : bytes[i - kPeriod];
  }
  return bytes;
}

using Words [[gnu::vector_size(16), gnu::aligned(1), gnu::may_alias]] = std::uint64_t;

/// Reads every byte once with eight independent sums.
std::uint64_t read_all(std::span<const std::byte> bytes) {
  constexpr std::size_t kUnroll = 8;
  Words sums[kUnroll] = {};
  const auto* words = static_cast<const Words*>(static_cast<const void*>(bytes.data()));
  const std::size_t count = bytes.size() / sizeof(Words);
  for (std::size_t i = 0; i + kUnroll <= count; i += kUnroll) {
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kUnroll; ++k) sums[k] += words[i + k];
  }
  for (std::size_t k = 1; k < kUnroll; ++k) sums[0] += sums[k];
  return sums[0][0] + sums[0][1];
}

/// One line of the table. `run(part, parts)` does one thread's share of the work.
struct Line {
  std::string name;
  std::string reference;  ///< Name of the read that it is compared with.
  int threads = 1;
  double bytes = 0;
  double products = 0;
  std::function<void(std::size_t part, std::size_t parts)> run;
  int passes = 1;  ///< Timed together, where one is too short for the clock.
  double best_seconds = std::numeric_limits<double>::infinity();
};

/// Repeats the line's work for a while, on all its threads, and keeps the best time of one pass.
void measure(Line& line) {
  const auto parts = static_cast<std::size_t>(line.threads);
  std::vector<double> best(parts, std::numeric_limits<double>::infinity());
  const auto work = [&](std::size_t part) {
    const double end = thread_seconds() + kSecondsPerRound;
    for (double start = thread_seconds(); start < end;) {
      for (int pass = 0; pass < line.passes; ++pass) line.run(part, parts);
      const double now = thread_seconds();
      best[part] = std::min(best[part], (now - start) / line.passes);
      start = now;
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t part = 1; part < parts; ++part) others.emplace_back(work, part);
    work(0);
  }
  line.best_seconds = std::min(line.best_seconds, *std::max_element(best.begin(), best.end()));
}

class Table {
 public:
  explicit Table(std::span<char* const> filters) : filters_(filters.begin(), filters.end()) {
    kernels_ = segue::host::builtin_kernels();
  }

  void add_read(const Model& model, DType type, int threads) {
    const std::size_t bytes = model.bytes(type);
    Line line{read_name(model, type, threads), "", threads, static_cast<double>(bytes), 0, {}};
    line.run = [this, bytes](std::size_t part, std::size_t parts) {
      const std::size_t begin = bytes / 64 * part / parts * 64;
      const std::size_t end = bytes / 64 * (part + 1) / parts * 64;
      sink_ = sink_ + read_all(std::span(weights_).subspan(begin, end - begin));
    };
    lines_.push_back(std::move(line));
  }

  void add_product(const Model& model, DType type, std::string_view kernel_name,
                   std::uint32_t tokens, int threads) {
    Line line;
    line.name = std::string(kernel_name) + " " + std::string(model.name) +
                " tokens=" + std::to_string(tokens) + " threads=" + std::to_string(threads);
    if (!matches(line.name)) return;
    if (tokens == 1) line.reference = read_name(model, type, threads);
    line.threads = threads;
    line.bytes = static_cast<double>(model.bytes(type));
    line.products = model.products() * tokens;
    const KernelSource& kernel = segue::test::find_kernel(kernels_, kernel_name);
    line.run = [this, &kernel, model, type, tokens](std::size_t part, std::size_t parts) {
      multiply(kernel, model, type, tokens, part, parts);
    };
    lines_.push_back(std::move(line));
  }

  /// All calls of a token, by single operations and fused, and those of each kernel by itself, so
  /// that it finds its inputs where the same kernel left them.
  void add_token(std::uint32_t position) {
    for (const bool fused : {false, true}) {
      const auto steps =
          std::make_shared<segue::bench::TokenSteps>(std::span(kernels_), fused, position);
      std::vector<std::string> names = steps->names();
      names.insert(names.begin(), "");
      for (const std::string& name : names) {
        Line line;
        line.name = std::string(fused ? "token fused " : "token ") +
                    std::to_string(steps->count(name)) + " x " + (name.empty() ? "all" : name);
        if (!matches(line.name)) continue;
        if (name.empty() && fused) line.reference = "token " + std::to_string(single_) + " x all";
        if (name.empty() && !fused) single_ = steps->count();
        line.passes = 20;
        line.run = [steps, name](std::size_t, std::size_t) { steps->run(name); };
        lines_.push_back(std::move(line));
      }
    }
  }

  void print() {
    for (int round = 0; round < kRounds; ++round) {
      for (Line& line : lines_) measure(line);
    }
    std::printf("%-60s %12s %8s %9s %8s\n", "case", "us", "GB/s", "GMAC/s", "of ref.");
    for (const Line& line : lines_) {
      std::printf("%-60s %12.1f", line.name.c_str(), line.best_seconds * 1e6);
      if (line.bytes != 0) {
        std::printf(" %8.1f %9.1f", line.bytes / line.best_seconds / 1e9,
                    line.products / line.best_seconds / 1e9);
      } else {
        std::printf(" %18s", "");
      }
      for (const Line& other : lines_) {
        if (other.name != line.reference) continue;
        std::printf(" %7.0f%%", 100 * other.best_seconds / line.best_seconds);
      }
      std::printf("\n");
    }
  }

 private:
  static std::string read_name(const Model& model, DType type, int threads) {
    return "read " + std::string(to_string(type)) + " " + std::string(model.name) +
           " threads=" + std::to_string(threads);
  }

  [[nodiscard]] bool matches(std::string_view name) const {
    return std::ranges::all_of(filters_,
                               [&](std::string_view word) { return name.contains(word); });
  }

  /// All products of the model, one after the other, with the weights one after the other too.
  void multiply(const KernelSource& kernel, const Model& model, DType type, std::uint32_t tokens,
                std::size_t part, std::size_t parts) {
    std::size_t offset = 0;
    for (const Shape& shape : model.shapes) {
      const std::size_t bytes = shape.rows * segue::row_bytes(type, shape.columns);
      const segue::base::MatMulParams size{tokens, shape.rows, shape.columns};
      const std::array arguments = {
          segue::test::buffer_argument(std::span(weights_).subspan(offset, bytes)),
          segue::test::buffer_argument(std::span(x_)), segue::test::buffer_argument(std::span(y_)),
          segue::test::bytes_argument(size)};
      const segue::Extent3 grid = segue::test::groups_for(kernel, shape.rows);
      segue::test::run_host_groups(kernel, arguments, grid, grid.x * part / parts,
                                   grid.x * (part + 1) / parts);
      offset += bytes;
    }
  }

  std::vector<std::string_view> filters_;
  std::size_t single_ = 0;  ///< Calls of a token by single operations.
  std::vector<KernelSource> kernels_;
  std::vector<Line> lines_;
  std::vector<std::byte> weights_ = random_weights(layers_of_1b().bytes(DType::kF32));
  std::vector<float> x_ = std::vector<float>(kMostColumns * 32, 0.5F);
  std::vector<float> y_ = std::vector<float>(kMostColumns * 32);
  volatile std::uint64_t sink_ = 0;
};

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

struct Format {
  DType type;
  std::vector<std::string_view> kernels;
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Format> formats = {
      {DType::kQ8_0,
       {"mat_vec_q8_0_tile16_int8", "mat_vec_q8_0_int8", "mat_vec_q8_0_tile16", "mat_vec_q8_0"}},
      {DType::kQ4_0,
       {"mat_vec_q4_0_tile16_int8", "mat_vec_q4_0_int8", "mat_vec_q4_0_tile16", "mat_vec_q4_0"}},
      {DType::kF16, {"mat_vec_f16"}},
      {DType::kBF16, {"mat_vec_bf16"}},
      {DType::kF32, {"mat_vec_f32"}},
  };
  Table table(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
  for (const Model& model : {tales(), layers_of_1b()}) {
    const int most_threads = model.name == "tales" ? 1 : 2;
    for (const Format& format : formats) {
      for (int threads = 1; threads <= most_threads; ++threads) {
        table.add_read(model, format.type, threads);
        for (const std::string_view kernel : format.kernels) {
          table.add_product(model, format.type, kernel, 1, threads);
        }
      }
      for (const std::string_view kernel : format.kernels) {
        table.add_product(model, format.type, kernel, 32, 1);
      }
    }
  }
  table.add_token(100);
  std::printf("%s\n", processor_name().c_str());
  table.print();
  return 0;
}
