// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "segue/kernel.hpp"

namespace segue::bench {

/// In what way dispatches of a sequence depend on one another.
enum class Mode : std::uint8_t {
  kSame,         ///< All write the same bytes.
  kChained,      ///< Each reads what the one before it wrote.
  kIndependent,  ///< None touches what another writes.
  kGroupsOf8,    ///< Eight write bytes of their own; the next eight read those.
};
inline constexpr std::array kModes{Mode::kSame, Mode::kChained, Mode::kIndependent,
                                   Mode::kGroupsOf8};
[[nodiscard]] const char* to_string(Mode mode);

inline constexpr std::size_t kBuffers = 40;
inline constexpr std::uint64_t kViewBytes = 256;  // 64 words, one thread group
/// The independent sequence writes each part once.
inline constexpr std::uint64_t kBufferBytes = kViewBytes * 128;

/// `kViewBytes` of a buffer.
struct Slice {
  std::uint32_t buffer = 0;
  std::uint64_t offset = 0;
};

/// One dispatch: reads two slices, writes one.
struct Call {
  std::array<Slice, 3> slices;
  bool barrier = false;  ///< There must be one before it, by construction.
};

/// The first `count` dispatches of a sequence.
[[nodiscard]] std::vector<Call> make_calls(Mode mode, std::size_t count);

/// 16 bytes, where a sequence passes parameters.
struct Parameters {
  std::array<std::uint32_t, 4> values;
};

/// c[i] = a[i] + b[i], or with parameters c[i] = a[i] + b[i] + first.
[[nodiscard]] KernelSource add_kernel(bool parameters);

}  // namespace segue::bench
