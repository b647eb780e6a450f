// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "segue/error.hpp"
#include "segue/kernel.hpp"
#include "segue/limits.hpp"

namespace segue::metal {

/// What Metal says of one buffer argument of a kernel function.
struct ReflectedBuffer {
  std::string name;
  std::uint32_t index = 0;  ///< [[buffer(index)]].
  Access access = Access::kRead;
  bool is_struct = false;        ///< What it points to.
  std::uint32_t size_bytes = 0;  ///< Of what it points to: what must be bound, at least.
  std::uint32_t alignment = 1;
};

/// Of one threadgroup argument.
struct ReflectedThreadgroup {
  std::string name;
  std::uint32_t index = 0;  ///< [[threadgroup(index)]].
};

/// What Metal says of a kernel function.
struct MslReflection {
  std::vector<ReflectedBuffer> buffers;
  std::vector<ReflectedThreadgroup> threadgroups;
  std::uint32_t simd_width = 32;
};

/// How a signature becomes entries of Metal's argument tables. Argument i is [[buffer(i)]].
struct KernelLayout {
  Signature signature;
  int grid_index = -1;                 ///< [[buffer(n)]] of the exact thread count; -1: none.
  int view_sizes_index = -1;           ///< [[buffer(n)]] of the sizes of views; -1: none.
  std::uint32_t view_sizes_count = 0;  ///< Words there, by buffer index.
  /// [[threadgroup(n)]] of each shared parameter.
  std::vector<std::uint32_t> threadgroup_indices;
};

/// The layout that a kernel function has by itself (docs/kernel-abi.md, "Metal").
///
/// @error kCompileFailed  An index is left out.
[[nodiscard]] Result<KernelLayout> layout_of(const MslReflection& reflection);

/// Takes over what an author declares.
///
/// @error kCompileFailed  It contradicts the function.
[[nodiscard]] Result<> reconcile(const Signature& declared, const MslReflection& reflection,
                                 KernelLayout& layout);

/// @error kCompileFailed  More than the device takes.
[[nodiscard]] Result<> check_limits(const Signature& signature, const Limits& limits);

}  // namespace segue::metal
