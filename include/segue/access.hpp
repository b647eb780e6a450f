// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace segue {

/// Whether a kernel reads or writes an argument. Every barrier follows from this.
enum class Access : std::uint8_t { kRead = 1, kWrite = 2, kReadWrite = 3 };

[[nodiscard]] constexpr bool reads(Access access) {
  return (static_cast<std::uint8_t>(access) & 1u) != 0;
}
[[nodiscard]] constexpr bool writes(Access access) {
  return (static_cast<std::uint8_t>(access) & 2u) != 0;
}
[[nodiscard]] std::string_view to_string(Access access);

/// Identifies memory, not a handle: two buffers over one allocation share it, and an id is never
/// used again for other memory. Zero names no memory.
enum class MemoryId : std::uint64_t { kNone = 0 };

/// Bytes `[begin, end)` of one memory, and what is done to them.
struct AccessRange {
  MemoryId memory = MemoryId::kNone;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  Access access = Access::kRead;

  friend bool operator==(const AccessRange&, const AccessRange&) = default;
};

/// Whether `[begin_a, end_a)` and `[begin_b, end_b)` share a byte. The only overlap test in the
/// library: symmetric, half-open, and false for empty ranges, so that adjacent ranges never
/// conflict in either order.
[[nodiscard]] constexpr bool overlaps(std::uint64_t begin_a, std::uint64_t end_a,
                                      std::uint64_t begin_b, std::uint64_t end_b) {
  return std::max(begin_a, begin_b) < std::min(end_a, end_b);
}

/// Whether two accesses need an order: same memory, a shared byte, at least one write.
[[nodiscard]] constexpr bool conflicts(const AccessRange& a, const AccessRange& b) {
  return a.memory == b.memory && (writes(a.access) || writes(b.access)) &&
         overlaps(a.begin, a.end, b.begin, b.end);
}

/// Which kind of order a conflict needs, named after the later access first.
enum class HazardKind : std::uint8_t { kReadAfterWrite, kWriteAfterRead, kWriteAfterWrite };
[[nodiscard]] std::string_view to_string(HazardKind kind);

/// What a dispatch computes, as far as passes care. Fusion patterns and reports are written in
/// these.
enum class OpKind : std::uint8_t {
  kOther,
  kRmsNorm,
  kElemMul,
  kElemAdd,
  kSdpa,
  kSoftmax,
  kMatMul,
  kMatVec,
  kRope,
  kCopy,
  kFill,
  kGather,
  kSilu,
  kSiluMul,
  kArgmax,
  kSample,
  kKvAppend,
  kRepack,
};
inline constexpr int kOpKindCount = static_cast<int>(OpKind::kRepack) + 1;
[[nodiscard]] std::string_view to_string(OpKind kind);

/// Whether a look-ahead scheduler may move other work past a dispatch of this kind: all but kSdpa
/// and kSoftmax.
[[nodiscard]] constexpr bool is_reorderable(OpKind kind) {
  return kind != OpKind::kSdpa && kind != OpKind::kSoftmax;
}

}  // namespace segue
