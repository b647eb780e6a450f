// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "backends/metal/context.hpp"
#include "backends/metal/internal_kernels.hpp"
#include "backends/metal/residency.hpp"

namespace segue::metal {

/// What the parts of one hal::Device share. Thread-safe.
struct DeviceShared {
  ContextPointer context;
  std::unique_ptr<InternalKernels> internal;
  std::shared_ptr<Residency> residency = std::make_shared<Residency>();
};
using DeviceSharedPointer = std::shared_ptr<DeviceShared>;

}  // namespace segue::metal
