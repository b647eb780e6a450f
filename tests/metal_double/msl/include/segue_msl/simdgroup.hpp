// SPDX-License-Identifier: Apache-2.0
// Barriers, and what the 32 lanes of a SIMD group do together. An operation waits for all lanes
// that can come to it; those that returned or wait at a barrier of the whole group cannot.
#pragma once

namespace segue_msl {

static const Runtime* runtime;

enum Operation : unsigned {
  kBarrier,
  kShuffle,
  kReduce,
  kPrefix,
  kVote,
};

template <typename T>
inline constexpr bool kFitsWord = sizeof(T) <= sizeof(unsigned);

template <typename T>
SEGUE_MSL_INLINE Exchange& exchange(T value, Operation operation, unsigned line) {
  static_assert(sizeof(T) <= 16, "SIMD groups exchange values of up to 16 bytes");
  if constexpr (kFitsWord<T>) {
    unsigned word = 0;
    __builtin_memcpy(&word, &value, sizeof value);
    return *runtime->exchange_word(word, operation, line);
  } else {
    unsigned long long wide[2] = {};
    __builtin_memcpy(wide, &value, sizeof value);
    return *runtime->exchange_wide(wide[0], wide[1], operation, line);
  }
}

SEGUE_MSL_INLINE bool is_active(const Exchange& exchange, unsigned lane) {
  return lane < kSimdWidth && (exchange.active >> lane & 1u) != 0;
}

/// What a lane brought. One that takes no part has all bits set, which is no useful number.
template <typename T>
SEGUE_MSL_INLINE T value_of(const Exchange& exchange, unsigned lane) {
  T value;
  __builtin_memset(&value, 0xff, sizeof value);
  if (!is_active(exchange, lane)) return value;
  if constexpr (kFitsWord<T>) {
    __builtin_memcpy(&value, &exchange.words[lane], sizeof value);
  } else {
    __builtin_memcpy(&value, exchange.wide[lane], sizeof value);
  }
  return value;
}

/// Combines the active lanes in [begin, end) as a tree, so that every lane gets the same bits.
template <typename T, typename F>
SEGUE_MSL_INLINE T reduce_lanes(const Exchange& exchange, unsigned begin, unsigned end, T nothing,
                                F combine) {
  T values[kSimdWidth];
  for (unsigned lane = begin; lane < end; ++lane) {
    values[lane - begin] = is_active(exchange, lane) ? value_of<T>(exchange, lane) : nothing;
  }
  for (unsigned half_count = (end - begin) / 2; half_count > 0; half_count /= 2) {
    for (unsigned i = 0; i < half_count; ++i) {
      values[i] = combine(values[i], values[i + half_count]);
    }
  }
  return values[0];
}

/// The first lane to go on reduces for all.
template <typename T, typename F>
SEGUE_MSL_INLINE T reduce(T value, T nothing, F combine, unsigned line) {
  Exchange& lanes = exchange(value, kReduce, line);
  if (!lanes.reduced) {
    const T result = reduce_lanes<T>(lanes, 0, kSimdWidth, nothing, combine);
    __builtin_memcpy(lanes.result, &result, sizeof result);
    lanes.reduced = true;
  }
  T result;
  __builtin_memcpy(&result, lanes.result, sizeof result);
  return result;
}

template <typename T, typename F>
SEGUE_MSL_INLINE T reduce_quad(T value, T nothing, F combine, unsigned line) {
  const Exchange& lanes = exchange(value, kReduce, line);
  const unsigned first = lanes.lane & ~3u;
  return reduce_lanes<T>(lanes, first, first + 4, nothing, combine);
}

template <typename T, typename F>
SEGUE_MSL_INLINE T prefix(T value, T nothing, F combine, bool inclusive, unsigned line) {
  const Exchange& lanes = exchange(value, kPrefix, line);
  T result = nothing;
  for (unsigned lane = 0; lane < lanes.lane; ++lane) {
    if (is_active(lanes, lane)) result = combine(result, value_of<T>(lanes, lane));
  }
  return inclusive ? combine(result, value) : result;
}

SEGUE_MSL_INLINE unsigned vote(bool value, unsigned line) {
  const Exchange& lanes = exchange<unsigned>(value, kVote, line);
  unsigned mask = 0;
  for (unsigned lane = 0; lane < kSimdWidth; ++lane) {
    if (is_active(lanes, lane)) mask |= (lanes.words[lane] & 1u) << lane;
  }
  return mask;
}

template <typename T>
SEGUE_MSL_INLINE T lowest() {
  if constexpr (metal::kIsFloat<T>) {
    return T(-__builtin_inff());
  } else if constexpr (__is_unsigned(metal::Element<T>)) {
    return T(0);
  } else {
    using U = metal::Unsigned<metal::Element<T>>;
    return T(metal::Element<T>(U(1) << (8 * sizeof(U) - 1)));
  }
}

template <typename T>
SEGUE_MSL_INLINE T highest() {
  if constexpr (metal::kIsFloat<T>) {
    return T(__builtin_inff());
  } else {
    return ~lowest<T>();
  }
}

}  // namespace segue_msl

#define SEGUE_MSL_LINE unsigned line = __builtin_LINE()

namespace metal {

SEGUE_MSL_INLINE void threadgroup_barrier(mem_flags, SEGUE_MSL_LINE) {
  segue_msl::runtime->barrier(line);
}
SEGUE_MSL_INLINE void threadgroup_barrier(mem_flags, memory_order, thread_scope, SEGUE_MSL_LINE) {
  segue_msl::runtime->barrier(line);
}
SEGUE_MSL_INLINE void simdgroup_barrier(mem_flags, SEGUE_MSL_LINE) {
  segue_msl::exchange(0u, segue_msl::kBarrier, line);
}

template <typename T>
SEGUE_MSL_INLINE T simd_shuffle(T value, ushort lane, SEGUE_MSL_LINE) {
  return segue_msl::value_of<T>(segue_msl::exchange(value, segue_msl::kShuffle, line), lane);
}
template <typename T>
SEGUE_MSL_INLINE T simd_shuffle_xor(T value, ushort mask, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  return segue_msl::value_of<T>(lanes, lanes.lane ^ mask);
}
/// Lanes that have no such neighbour keep their own value.
template <typename T>
SEGUE_MSL_INLINE T simd_shuffle_up(T value, ushort delta, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  return lanes.lane < delta ? value : segue_msl::value_of<T>(lanes, lanes.lane - delta);
}
template <typename T>
SEGUE_MSL_INLINE T simd_shuffle_down(T value, ushort delta, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  const uint from = lanes.lane + delta;
  return from >= segue_msl::kSimdWidth ? value : segue_msl::value_of<T>(lanes, from);
}
template <typename T>
SEGUE_MSL_INLINE T simd_shuffle_rotate_up(T value, ushort delta, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  return segue_msl::value_of<T>(lanes, (lanes.lane - delta) % segue_msl::kSimdWidth);
}
template <typename T>
SEGUE_MSL_INLINE T simd_shuffle_rotate_down(T value, ushort delta, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  return segue_msl::value_of<T>(lanes, (lanes.lane + delta) % segue_msl::kSimdWidth);
}
template <typename T>
SEGUE_MSL_INLINE T simd_broadcast(T value, ushort lane, SEGUE_MSL_LINE) {
  return simd_shuffle(value, lane, line);
}
template <typename T>
SEGUE_MSL_INLINE T simd_broadcast_first(T value, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  return segue_msl::value_of<T>(lanes, __builtin_ctz(lanes.active));
}

#define SEGUE_MSL_REDUCTION(name, nothing, expression)                                         \
  template <typename T>                                                                        \
  SEGUE_MSL_INLINE T simd_##name(T value, SEGUE_MSL_LINE) {                                    \
    return segue_msl::reduce<T>(value, nothing, [](T a, T b) { return T(expression); }, line); \
  }                                                                                            \
  template <typename T>                                                                        \
  SEGUE_MSL_INLINE T quad_##name(T value, SEGUE_MSL_LINE) {                                    \
    return segue_msl::reduce_quad<T>(                                                          \
        value, nothing, [](T a, T b) { return T(expression); }, line);                         \
  }
SEGUE_MSL_REDUCTION(sum, -T(0), a + b)
SEGUE_MSL_REDUCTION(product, T(1), a* b)
SEGUE_MSL_REDUCTION(min, segue_msl::highest<T>(), metal::min(a, b))
SEGUE_MSL_REDUCTION(max, segue_msl::lowest<T>(), metal::max(a, b))
SEGUE_MSL_REDUCTION(and, ~T(0), a& b)
SEGUE_MSL_REDUCTION(or, T(0), a | b)
SEGUE_MSL_REDUCTION(xor, T(0), a ^ b)
#undef SEGUE_MSL_REDUCTION

#define SEGUE_MSL_PREFIX(name, nothing, expression)                           \
  template <typename T>                                                       \
  SEGUE_MSL_INLINE T simd_prefix_inclusive_##name(T value, SEGUE_MSL_LINE) {  \
    return segue_msl::prefix<T>(                                              \
        value, nothing, [](T a, T b) { return T(expression); }, true, line);  \
  }                                                                           \
  template <typename T>                                                       \
  SEGUE_MSL_INLINE T simd_prefix_exclusive_##name(T value, SEGUE_MSL_LINE) {  \
    return segue_msl::prefix<T>(                                              \
        value, nothing, [](T a, T b) { return T(expression); }, false, line); \
  }
SEGUE_MSL_PREFIX(sum, T(0), a + b)
SEGUE_MSL_PREFIX(product, T(1), a* b)
#undef SEGUE_MSL_PREFIX

/// A set of lanes.
class simd_vote {
 public:
  typedef ulong vote_t;
  SEGUE_MSL_INLINE explicit constexpr simd_vote(vote_t lanes = 0) : lanes_(lanes) {}
  SEGUE_MSL_INLINE explicit constexpr operator vote_t() const { return lanes_; }
  SEGUE_MSL_INLINE bool all() const { return lanes_ == 0xffffffffu; }
  SEGUE_MSL_INLINE bool any() const { return lanes_ != 0; }

 private:
  vote_t lanes_;
};

SEGUE_MSL_INLINE simd_vote simd_ballot(bool value, SEGUE_MSL_LINE) {
  return simd_vote(segue_msl::vote(value, line));
}
SEGUE_MSL_INLINE simd_vote simd_active_threads_mask(SEGUE_MSL_LINE) {
  return simd_vote(segue_msl::vote(true, line));
}
SEGUE_MSL_INLINE bool simd_all(bool value, SEGUE_MSL_LINE) {
  return segue_msl::vote(!value, line) == 0;
}
SEGUE_MSL_INLINE bool simd_any(bool value, SEGUE_MSL_LINE) {
  return segue_msl::vote(value, line) != 0;
}
SEGUE_MSL_INLINE bool simd_is_first(SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(0u, segue_msl::kVote, line);
  return lanes.lane == __builtin_ctz(lanes.active);
}

template <typename T>
SEGUE_MSL_INLINE T quad_shuffle(T value, ushort lane, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  return segue_msl::value_of<T>(lanes, (lanes.lane & ~3u) + (lane & 3u));
}
template <typename T>
SEGUE_MSL_INLINE T quad_shuffle_xor(T value, ushort mask, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  return segue_msl::value_of<T>(lanes, lanes.lane ^ (mask & 3u));
}
template <typename T>
SEGUE_MSL_INLINE T quad_shuffle_up(T value, ushort delta, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  return lanes.lane % 4 < delta ? value : segue_msl::value_of<T>(lanes, lanes.lane - delta);
}
template <typename T>
SEGUE_MSL_INLINE T quad_shuffle_down(T value, ushort delta, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  return lanes.lane % 4 + delta > 3 ? value : segue_msl::value_of<T>(lanes, lanes.lane + delta);
}
template <typename T>
SEGUE_MSL_INLINE T quad_broadcast(T value, ushort lane, SEGUE_MSL_LINE) {
  return quad_shuffle(value, lane, line);
}
template <typename T>
SEGUE_MSL_INLINE T quad_broadcast_first(T value, SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(value, segue_msl::kShuffle, line);
  const uint first = lanes.lane & ~3u;
  return segue_msl::value_of<T>(lanes, first + __builtin_ctz(lanes.active >> first));
}
SEGUE_MSL_INLINE bool quad_all(bool value, SEGUE_MSL_LINE) {
  return quad_and(value ? 1u : 0u, line) != 0;
}
SEGUE_MSL_INLINE bool quad_any(bool value, SEGUE_MSL_LINE) {
  return quad_or(value ? 1u : 0u, line) != 0;
}
SEGUE_MSL_INLINE bool quad_is_first(SEGUE_MSL_LINE) {
  const auto& lanes = segue_msl::exchange(0u, segue_msl::kVote, line);
  const uint first = lanes.lane & ~3u;
  return lanes.lane == first + __builtin_ctz(lanes.active >> first);
}

}  // namespace metal

#undef SEGUE_MSL_LINE
