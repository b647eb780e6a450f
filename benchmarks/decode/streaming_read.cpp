// SPDX-License-Identifier: Apache-2.0
#include "streaming_read.hpp"

#include <benchmark/benchmark.h>

#include <barrier>
#include <chrono>
#include <numeric>
#include <span>
#include <thread>

namespace segue::bench {
namespace {

/// Four sums side by side, which compilers turn into vector loads.
std::uint64_t sum(std::span<const std::uint64_t> words) {
  std::uint64_t sums[32] = {};
  std::size_t i = 0;
  for (; i + 32 <= words.size(); i += 32) {
    for (std::size_t k = 0; k < 32; ++k) sums[k] += words[i + k];
  }
  return std::accumulate(std::begin(sums), std::end(sums), std::uint64_t{0});
}

}  // namespace

StreamingRead::StreamingRead(std::size_t size_bytes, unsigned threads)
    : words_(size_bytes / sizeof(std::uint64_t), 1), threads_(threads) {}

double StreamingRead::run(int passes) {
  using Clock = std::chrono::steady_clock;
  std::barrier ready(threads_);
  const std::size_t part = words_.size() / threads_;
  const auto read = [&](unsigned thread) {
    ready.arrive_and_wait();
    for (int i = 0; i < passes; ++i) {
      benchmark::DoNotOptimize(sum(std::span(words_).subspan(thread * part, part)));
    }
  };
  std::vector<std::jthread> others;
  for (unsigned t = 1; t < threads_; ++t) others.emplace_back(read, t);
  ready.arrive_and_wait();
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < passes; ++i) {
    benchmark::DoNotOptimize(sum(std::span(words_).subspan(0, part)));
  }
  others.clear();
  return std::chrono::duration<double>(Clock::now() - start).count() / passes;
}

}  // namespace segue::bench
