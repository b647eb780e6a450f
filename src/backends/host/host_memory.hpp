// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "hal/hal.hpp"
#include "segue/error.hpp"

namespace segue::host {

/// Bytes of the living allocations of one device.
using AllocatedBytes = std::shared_ptr<std::atomic<std::uint64_t>>;

/// Allocates zeroed or uninitialised memory. Small allocations are aligned to a cache line; large
/// ones are mapped, aligned for huge pages, and take physical memory only where they are touched.
///
/// @error kOutOfMemory  The system does not give that much.
[[nodiscard]] Result<std::unique_ptr<hal::Memory>> allocate_memory(
    const hal::MemoryRequest& request, AllocatedBytes allocated_bytes);

/// Memory of the caller, who keeps it; nothing happens to it when the object goes.
[[nodiscard]] std::unique_ptr<hal::Memory> wrap_memory(std::byte* data);

}  // namespace segue::host
