// SPDX-License-Identifier: Apache-2.0
#include "metal_double/core/world.hpp"

#include <cstdio>
#include <utility>

namespace metal_double {

unsigned DeviceCore::next_number(std::string_view kind) {
  const std::scoped_lock lock(mutex_);
  const auto found = numbers_.find(kind);
  if (found != numbers_.end()) return ++found->second;
  numbers_.emplace(kind, 1);
  return 1;
}

std::vector<std::string> DeviceCore::log() const {
  const std::scoped_lock lock(mutex_);
  return log_;
}

void DeviceCore::clear_log() {
  const std::scoped_lock lock(mutex_);
  log_.clear();
}

void DeviceCore::forget() {
  const std::scoped_lock lock(mutex_);
  log_.clear();
  numbers_.clear();
}

void DeviceCore::add(std::string line) {
  const std::scoped_lock lock(mutex_);
  log_.push_back(std::move(line));
}

World::World() : options_(std::make_shared<Options>()) {}

World& World::get() {
  static auto* const kWorld = new World;  // Outlives every static object that still has handles.
  return *kWorld;
}

std::shared_ptr<const Options> World::options() const {
  const std::scoped_lock lock(mutex_);
  return options_;
}

void World::set_options(Options options) {
  DeviceCore::keeps_log = options.keep_log;
  auto next = std::make_shared<const Options>(std::move(options));
  const std::scoped_lock lock(mutex_);
  options_ = std::move(next);
}

void World::forget() {
  const std::scoped_lock lock(mutex_);
  violations_.clear();
  creations_.clear();
  failing_creation_ = 0;
  failures_.clear();
  commits_ = 0;
  for (const auto& [index, device] : devices_) device->forget();
  live_.clear();
  ++generation_;
}

void World::report(std::string sentence) {
  const std::scoped_lock lock(mutex_);
  if (options_->print_violations) std::fprintf(stderr, "metal_double: %s\n", sentence.c_str());
  violations_.push_back(std::move(sentence));
}

std::vector<std::string> World::violations(bool take) {
  const std::scoped_lock lock(mutex_);
  return take ? std::exchange(violations_, {}) : violations_;
}

bool World::creation_fails(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  creations_.emplace_back(name);
  return creations_.size() == failing_creation_;
}

void World::fail_nth(std::uint64_t n) {
  const std::scoped_lock lock(mutex_);
  creations_.clear();
  failing_creation_ = n;
}

std::vector<std::string> World::creations() const {
  const std::scoped_lock lock(mutex_);
  return creations_;
}

void World::plan_failure(std::uint64_t n, Failure failure) {
  const std::scoped_lock lock(mutex_);
  failures_[commits_ + n] = failure;
}

std::optional<Failure> World::next_failure() {
  const std::scoped_lock lock(mutex_);
  const auto found = failures_.find(++commits_);
  if (found == failures_.end()) return std::nullopt;
  return found->second;
}

std::shared_ptr<DeviceCore> World::device(unsigned index) {
  const std::scoped_lock lock(mutex_);
  std::shared_ptr<DeviceCore>& device = devices_[index];
  if (!device) device = std::make_shared<DeviceCore>(index);
  return device;
}

void World::count(std::string_view class_name, long change, unsigned generation) {
  const std::scoped_lock lock(mutex_);
  if (generation != generation_) return;
  const auto found = live_.find(class_name);
  if (found == live_.end()) {
    live_.emplace(class_name, change);
  } else if ((found->second += change) == 0) {
    live_.erase(found);
  }
}

std::map<std::string, long> World::live() const {
  const std::scoped_lock lock(mutex_);
  return {live_.begin(), live_.end()};
}

void World::set_compiler(Compiler compiler) {
  const std::scoped_lock lock(mutex_);
  compiler_ = std::move(compiler);
}

Compiler World::compiler() const {
  const std::scoped_lock lock(mutex_);
  return compiler_;
}

}  // namespace metal_double
