// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>
#include <utility>

namespace segue::host {

/// Asks HostOptions::fail_call before a call that may fail. Free when no test set it.
class FaultHook {
 public:
  explicit FaultHook(std::function<bool(std::string_view)> hook) : hook_(std::move(hook)) {}

  /// Whether tests may interfere at all.
  [[nodiscard]] bool armed() const { return hook_ != nullptr; }
  [[nodiscard]] bool fails(std::string_view call) const { return hook_ && hook_(call); }

 private:
  std::function<bool(std::string_view)> hook_;
};

}  // namespace segue::host
