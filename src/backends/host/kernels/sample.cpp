// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "segue/host.hpp"

#include "backends/host/kernels/op_kernels.hpp"
#include "backends/host/kernels/simd_targets.hpp"
#include "base/op_params.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/host/kernels/sample.cpp"
#include <hwy/foreach_target.h>  // Compiles this file once per instruction set.
#include <hwy/highway.h>

#include "backends/host/kernels/simd_math_inl.hpp"

// Sampling without scratch memory, whatever the vocabulary: both cuts, the k best tokens and the
// nucleus (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2019), are found by
// radix selection over the logits' bits, from the largest down. A sum in token order then meets the
// random number.

HWY_BEFORE_NAMESPACE();
namespace segue::host::HWY_NAMESPACE {
namespace {

/// Logits that are prepared together.
constexpr std::size_t kBlock = 64;

/// The token with the largest logit; the lowest of several, 0 if there are only NaN.
HWY_INLINE std::uint32_t argmax_of(const float* x, std::size_t count) {
  const float largest = largest_of(x, count);
  const FloatVec wanted = hn::Set(kFloats, largest);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto found = hn::FindFirstTrue(kFloats, hn::Eq(load_floats(x + i), wanted));
    if (found >= 0) return static_cast<std::uint32_t>(i + static_cast<std::size_t>(found));
  }
  for (; i < count; ++i) {
    if (x[i] == largest) return static_cast<std::uint32_t>(i);
  }
  return 0;
}

void argmax(const KernelContext& work, In<float> x, Out<std::uint32_t> tokens,
            const base::ArgmaxParams& size) {
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end, size.rows);
  for (std::uint64_t row = work.group_begin; row < end; ++row) {
    tokens[row] = argmax_of(x.data() + row * size.columns, size.columns);
  }
}

/// Which tokens of a row are kept: keys above `key`, and the first `ties` in token order that have
/// it.
struct Cut {
  std::uint32_t key = 0;
  std::uint32_t ties = UINT32_MAX;
};

/// Keys and weights of kBlock tokens. Keys order as logits do, -0 as 0; NaN has key 0. A weight is
/// proportional to the token's probability: exp((logit - largest) / temperature).
struct Block {
  HWY_ALIGN std::uint32_t keys[kBlock];
  HWY_ALIGN float weights[kBlock];
};

/// What a token adds to the measure of a set.
enum class Measure { kCount, kWeight };

/// One row of logits.
struct Row {
  const float* logits;
  std::size_t count;
  float largest;
  float inverse_temperature;

  /// Sets the keys; returns the greatest.
  HWY_INLINE std::uint32_t set_keys(const float* from, Block& block) const {
    const auto sign = hn::Set(kUints, 0x80000000U);
    auto greatest = hn::Zero(kUints);
    for (std::size_t i = 0; i < kBlock; i += kLanes) {
      const FloatVec logit = hn::Add(load_floats(from + i), hn::Zero(kFloats));  // -0 becomes 0.
      const auto negative = hn::BitCast(kUints, hn::BroadcastSignBit(hn::BitCast(kInts, logit)));
      const auto order = hn::Xor(hn::BitCast(kUints, logit), hn::Or(negative, sign));
      const auto is_number = hn::BitCast(kUints, hn::VecFromMask(kFloats, hn::Eq(logit, logit)));
      const auto key = hn::And(order, is_number);
      greatest = hn::Max(greatest, key);
      hn::Store(key, kUints, block.keys + i);
    }
    return hn::GetLane(hn::MaxOfLanes(kUints, greatest));
  }

  HWY_INLINE void set_weights(const float* from, Block& block) const {
    const FloatVec top = hn::Set(kFloats, largest);
    for (std::size_t i = 0; i < kBlock; i += kLanes) {
      const FloatVec logit = load_floats(from + i);
      const FloatVec power =
          exp(hn::Mul(hn::Sub(logit, top), hn::Set(kFloats, inverse_temperature)));
      const FloatVec weight = hn::IfThenElse(hn::Eq(logit, top), hn::Set(kFloats, 1.0F), power);
      hn::Store(hn::IfThenElseZero(hn::Eq(logit, logit), weight), kFloats, block.weights + i);
    }
  }

  /// Calls visit(token, key, measure) for the tokens that `cut` keeps, in order, until it returns
  /// false.
  template <Measure kMeasure, class Visitor>
  HWY_INLINE void for_each(const Cut& cut, Visitor&& visit) const {
    HWY_ALIGN float last[kBlock];
    Block block;
    std::uint32_t ties = cut.ties;
    for (std::size_t begin = 0; begin < count; begin += kBlock) {
      const std::size_t size = std::min(count - begin, kBlock);
      const float* from = logits + begin;
      if (size < kBlock) {
        std::fill_n(std::copy_n(from, size, last), kBlock - size, -kInfinity);
        from = last;
      }
      if (set_keys(from, block) < cut.key) continue;
      if constexpr (kMeasure == Measure::kWeight) set_weights(from, block);
      for (std::size_t i = 0; i < size; ++i) {
        const std::uint32_t key = block.keys[i];
        if (key < cut.key || (key == cut.key && ties == 0)) continue;
        if (key == cut.key) --ties;
        const double measure =
            kMeasure == Measure::kWeight ? static_cast<double>(block.weights[i]) : 1.0;
        if (!visit(static_cast<std::uint32_t>(begin + i), key, measure)) return;
      }
    }
  }

  /// The fewest best tokens of `within`, at least one, whose measures add up to `target`, or all of
  /// them. Each of three passes settles some bits of the least key kept, from the top, by the
  /// measures of all values these bits may have.
  template <Measure kMeasure>
  HWY_INLINE Cut select(const Cut& within, double target) const {
    double measures[2048];
    std::uint32_t least = 0;
    double above = 0.0;  // Measure of the keys that are greater in the bits settled.
    for (const unsigned shift : {21U, 10U, 0U}) {
      const std::uint32_t digits = shift == 0 ? 1024 : 2048;
      const std::uint32_t settled = shift == 21 ? 0 : ~0U << (shift == 10 ? 21 : 10);
      const Cut cut = least > within.key ? Cut{least, UINT32_MAX} : within;
      std::fill_n(measures, digits, 0.0);
      for_each<kMeasure>(cut, [&](std::uint32_t, std::uint32_t key, double measure) HWY_ATTR {
        if ((key & settled) == least) measures[(key >> shift) & (digits - 1)] += measure;
        return true;
      });
      std::uint32_t chosen = 0;
      double above_chosen = above;
      for (std::uint32_t digit = digits; digit-- > 0;) {
        if (measures[digit] == 0.0) continue;
        chosen = digit;
        above_chosen = above;
        above += measures[digit];
        if (above >= target) break;
      }
      above = above_chosen;
      least |= chosen << shift;
    }
    return {least, count_ties<kMeasure>(least > within.key ? Cut{least, UINT32_MAX} : within, least,
                                        target - above)};
  }

  /// How many tokens with exactly `key` make up `missing`; at least one.
  template <Measure kMeasure>
  HWY_INLINE std::uint32_t count_ties(const Cut& cut, std::uint32_t key, double missing) const {
    std::uint32_t ties = 0;
    for_each<kMeasure>(cut, [&](std::uint32_t, std::uint32_t other, double measure) HWY_ATTR {
      if (other != key) return true;
      ++ties;
      missing -= measure;
      return missing > 0.0;
    });
    return ties;
  }

  /// The token at `point`, from 0 to below 1, of the line on which the kept tokens lie in order, as
  /// long as their weights.
  HWY_INLINE std::uint32_t at(const Cut& cut, double point) const {
    const double wanted = point * total_weight(cut);
    std::uint32_t drawn = 0;
    double end = 0.0;
    for_each<Measure::kWeight>(cut,
                               [&](std::uint32_t token, std::uint32_t, double weight) HWY_ATTR {
                                 if (weight > 0.0) drawn = token;
                                 end += weight;
                                 return end <= wanted;
                               });
    return drawn;
  }

  HWY_INLINE double total_weight(const Cut& cut) const {
    double total = 0.0;
    for_each<Measure::kWeight>(cut, [&](std::uint32_t, std::uint32_t, double weight) HWY_ATTR {
      total += weight;
      return true;
    });
    return total;
  }
};

/// Number `index` of a seed's stream, uniform in [0, 1): the generator SplitMix64 (Steele, Lea &
/// Flood, "Fast splittable pseudorandom number generators", 2014), whose state is a counter, so
/// that any number is at hand.
double random_number(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

std::uint32_t sample_row(const float* logits, const base::SampleParams& size,
                         std::uint64_t row_index) {
  if (!(size.temperature > 0.0F)) return argmax_of(logits, size.vocabulary);
  const Row row{logits, size.vocabulary, largest_of(logits, size.vocabulary),
                1.0F / size.temperature};
  Cut kept;
  if (size.top_k != 0 && size.top_k < size.vocabulary)
    kept = row.select<Measure::kCount>(kept, size.top_k);
  if (size.top_p < 1.0F) {
    kept = row.select<Measure::kWeight>(kept,
                                        static_cast<double>(size.top_p) * row.total_weight(kept));
  }
  const std::uint64_t seed = std::uint64_t{size.seed_high} << 32 | size.seed_low;
  return row.at(kept, random_number(seed, size.step + row_index));
}

void sample(const KernelContext& work, In<float> logits, Out<std::uint32_t> tokens,
            const base::SampleParams& size) {
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end, size.rows);
  for (std::uint64_t row = work.group_begin; row < end; ++row) {
    tokens[row] = sample_row(logits.data() + row * size.vocabulary, size, row);
  }
}

}  // namespace
}  // namespace segue::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace segue::host {

HWY_EXPORT(argmax);
HWY_EXPORT(sample);

void append_sample_kernels(std::vector<KernelSource>& kernels) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  KernelOptions options;
  options.fixed_group_size = true;
  kernels.push_back(
      kernel("argmax", {"x", "tokens", "size"}, HWY_DYNAMIC_DISPATCH(argmax), options));
  kernels.push_back(
      kernel("sample", {"logits", "tokens", "size"}, HWY_DYNAMIC_DISPATCH(sample), options));
}

}  // namespace segue::host
#endif  // HWY_ONCE
