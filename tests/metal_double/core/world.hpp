// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metal_double/double.hpp"

namespace metal_double {

/// What all objects of one simulated device share.
class DeviceCore {
 public:
  explicit DeviceCore(unsigned index) : index_(index) {}
  [[nodiscard]] unsigned index() const { return index_; }

  template <typename... Args>
  void record(fmt::format_string<Args...> format, Args&&... args) {
    if (keeps_log) add(fmt::format(format, std::forward<Args>(args)...));
  }
  static inline std::atomic<bool> keeps_log{true};
  /// 1 for the first object of a kind, and so on.
  unsigned next_number(std::string_view kind);
  [[nodiscard]] std::vector<std::string> log() const;
  void clear_log();
  void forget();

  std::atomic<std::uint64_t> allocated_bytes{0};

 private:
  void add(std::string line);

  unsigned index_;
  mutable std::mutex mutex_;
  std::vector<std::string> log_;
  std::map<std::string, unsigned, std::less<>> numbers_;
};

/// A planned failure of a command buffer.
struct Failure {
  long code = 0;
  unsigned pass = 0;
};

/// The state behind double.hpp.
class World {
 public:
  static World& get();

  [[nodiscard]] std::shared_ptr<const Options> options() const;
  void set_options(Options options);
  void forget();

  void report(std::string sentence);
  [[nodiscard]] std::vector<std::string> violations(bool take);

  /// Whether this creation is the one that a test wants to fail.
  bool creation_fails(std::string_view name);
  void fail_nth(std::uint64_t n);
  [[nodiscard]] std::vector<std::string> creations() const;

  void plan_failure(std::uint64_t n, Failure failure);
  /// Called once for each commit.
  std::optional<Failure> next_failure();

  [[nodiscard]] std::shared_ptr<DeviceCore> device(unsigned index);

  /// Objects of classes. A generation is the time between two calls of forget().
  [[nodiscard]] unsigned generation() const { return generation_.load(std::memory_order_relaxed); }
  void count(std::string_view class_name, long change, unsigned generation);
  [[nodiscard]] std::map<std::string, long> live() const;

  void set_compiler(Compiler compiler);
  [[nodiscard]] Compiler compiler() const;

 private:
  World();

  mutable std::mutex mutex_;
  std::shared_ptr<const Options> options_;
  std::vector<std::string> violations_;
  std::vector<std::string> creations_;
  std::uint64_t failing_creation_ = 0;
  std::map<std::uint64_t, Failure> failures_;
  std::uint64_t commits_ = 0;
  std::map<unsigned, std::shared_ptr<DeviceCore>> devices_;
  std::map<std::string, long, std::less<>> live_;
  std::atomic<unsigned> generation_{1};
  Compiler compiler_;
};

/// Notes a broken rule.
template <typename... Args>
void violation(fmt::format_string<Args...> format, Args&&... args) {
  World::get().report(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace metal_double
