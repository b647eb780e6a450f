// SPDX-License-Identifier: Apache-2.0
#include "backends/host/system_info.hpp"

#include <fmt/format.h>
#include <hwy/targets.h>

#include <algorithm>
#include <fstream>
#include <string_view>
#include <thread>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#elif defined(__APPLE__)
#include <pthread.h>
#include <sys/sysctl.h>
#endif

namespace segue::host {
namespace {

/// The text after the colon of the first line of `path` that begins with `key`, or nothing.
[[maybe_unused]] std::string value_of(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos) continue;
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? std::string() : line.substr(begin);
  }
  return {};
}

std::string model_name() {
#if defined(__APPLE__)
  char text[256] = {};
  std::size_t size = sizeof(text) - 1;
  if (sysctlbyname("machdep.cpu.brand_string", text, &size, nullptr, 0) == 0) return text;
#elif defined(__linux__)
  if (std::string name = value_of("/proc/cpuinfo", "model name"); !name.empty()) return name;
#endif
  return "CPU";
}

}  // namespace

std::string processor_name() {
  const std::int64_t targets = hwy::SupportedTargets();
  const std::int64_t best =
      targets & -targets;  // Highway orders targets from the lowest bit up, best first.
  return fmt::format("{} ({})", model_name(), hwy::TargetName(best));
}

unsigned usable_processor_count() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return static_cast<unsigned>(std::max(CPU_COUNT(&set), 1));
  }
#endif
  return std::max(std::thread::hardware_concurrency(), 1U);
}

std::optional<std::uint64_t> available_memory_bytes() {
#if defined(__linux__)
  const std::string text = value_of("/proc/meminfo", "MemAvailable");  // "24343396 kB"
  std::uint64_t kibibytes = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') break;
    kibibytes = kibibytes * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  if (kibibytes != 0) return kibibytes * 1024;
#elif defined(__APPLE__)
  std::uint64_t bytes = 0;
  std::size_t size = sizeof(bytes);
  if (sysctlbyname("hw.memsize", &bytes, &size, nullptr, 0) == 0) return bytes;
#endif
  return std::nullopt;
}

void name_this_thread([[maybe_unused]] const char* name) {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), name);
#elif defined(__APPLE__)
  pthread_setname_np(name);
#endif
}

}  // namespace segue::host
