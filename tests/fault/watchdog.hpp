// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace segue::test {

/// Ends the program with a message if nothing is said for too long: a test that hangs fails then
/// and says where.
class Watchdog {
 public:
  /// @param what  Describes what is going on; called on another thread, once, before the end.
  Watchdog(std::chrono::seconds limit, std::function<std::string()> what)
      : limit_(limit), what_(std::move(what)), thread_([this] { watch(); }) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void feed() {
    const std::lock_guard lock(mutex_);
    fed_ = true;
    changed_.notify_all();
  }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      fed_ = false;
      if (changed_.wait_for(lock, limit_, [this] { return stopping_ || fed_; })) continue;
      std::fprintf(stderr, "Nothing has happened for %lld s: %s\n",
                   static_cast<long long>(limit_.count()), what_().c_str());
      std::abort();
    }
  }

  const std::chrono::seconds limit_;
  const std::function<std::string()> what_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool fed_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace segue::test
