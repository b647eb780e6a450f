// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "hal/hal.hpp"

namespace segue::test {

/// A timeline as a GPU has them: jobs that wait for it learn nothing but its value, so failing it
/// raises that.
class FakeTimeline final : public hal::Timeline {
 public:
  /// What an exported timeline shares with its imports.
  struct Payload {
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t value = 0;
    unsigned hosts_waiting = 0;
  };

  FakeTimeline(std::shared_ptr<Payload> payload, std::shared_ptr<std::atomic<int>> live);
  FakeTimeline(const FakeTimeline&) = delete;
  FakeTimeline& operator=(const FakeTimeline&) = delete;
  ~FakeTimeline() override;

  [[nodiscard]] Result<std::uint64_t> value() override;
  Result<> signal(std::uint64_t value) override;
  /// With a deadline: answers at once, so that no test waits for time to pass.
  Result<bool> wait(std::uint64_t value,
                    std::optional<std::chrono::steady_clock::time_point> deadline) override;
  void fail(std::uint64_t value, const Error& error) noexcept override;
  [[nodiscard]] NativeHandle native_handle() const override;
  /// For one import, which takes it over.
  [[nodiscard]] Result<NativeHandle> export_handle() override;
  [[nodiscard]] static std::shared_ptr<Payload> take_over(const NativeHandle& handle);

 private:
  std::shared_ptr<Payload> payload_;
  std::shared_ptr<std::atomic<int>> live_;
  std::optional<Error> error_;
};

}  // namespace segue::test
