// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace segue::verify {

/// SplitMix64 (Steele, Lea, Flood 2014), as a hash of a position.
[[nodiscard]] std::uint64_t mix(std::uint64_t value);

/// What memory without content starts as, from `begin` on: magnitudes from 2^-7 to 2 as F32 or
/// BF16, from 1 to 2 as F16, so that the usual sums stay finite.
void fill_with_small_numbers(std::uint64_t seed, std::uint64_t begin, std::span<std::byte> bytes);

}  // namespace segue::verify
