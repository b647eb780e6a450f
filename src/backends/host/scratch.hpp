// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "segue/host.hpp"

namespace segue::host {

inline constexpr std::uint32_t kMaxArguments = 64;         ///< Limits::max_arguments.
inline constexpr std::uint32_t kMaxSharedParameters = 16;  ///< Of one kernel.
inline constexpr std::size_t kSharedAlignment = 64;

/// What one thread needs to call kernels: room for the argument list and for shared memory, used
/// again for each call.
class Scratch {
 public:
  KernelArgument arguments[kMaxArguments];
  KernelArgument shared[kMaxSharedParameters];

  /// At least `size_bytes`, aligned to kSharedAlignment, content undefined. Grows where a kernel
  /// asks for more than any before, so steady state allocates nothing.
  ///
  /// @throws std::bad_alloc  As kernels do, and handled like an exception of theirs.
  [[nodiscard]] std::byte* shared_memory(std::size_t size_bytes) {
    if (size_bytes > capacity_) grow(size_bytes);
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete[](memory, std::align_val_t{kSharedAlignment});
    }
  };
  void grow(std::size_t size_bytes) {
    memory_.reset(
        static_cast<std::byte*>(::operator new[](size_bytes, std::align_val_t{kSharedAlignment})));
    capacity_ = size_bytes;
  }

  std::unique_ptr<std::byte[], Free> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace segue::host
