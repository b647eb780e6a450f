// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <atomic>
#include <mutex>

#include "backends/metal/context.hpp"

namespace segue::metal {

/// The device's residency set, which all its queues have. Changes are told to the driver all at
/// once by flush(). Does nothing before macOS 15. Thread-safe.
class Residency {
 public:
  /// @error kOutOfMemory
  [[nodiscard]] Result<> prepare(const Context& context);
  void add_to(id<MTLCommandQueue> queue) const;
  void remove_from(id<MTLCommandQueue> queue) const;

  void set(id<MTLBuffer> buffer, bool resident);
  /// Called once per submission.
  void flush();

 private:
  Retained<id> set_;  ///< id<MTLResidencySet>, which older systems do not know.
  std::mutex mutex_;
  std::atomic<bool> changed_{false};
};

}  // namespace segue::metal
