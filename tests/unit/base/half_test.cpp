// SPDX-License-Identifier: Apache-2.0
#include "base/half.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "support/test_seed.hpp"

namespace segue::base {
namespace {

/// The value by the definition in IEEE 754-2019, section 3.4, in double precision.
double half_by_definition(std::uint32_t half) {
  const double sign = (half & 0x8000U) != 0 ? -1.0 : 1.0;
  const int exponent = static_cast<int>((half / 1024) % 32);
  const double fraction = half % 1024;
  if (exponent == 31) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

/// The nearest 16-bit pattern, ties to even, found by searching the sorted non-negative finite
/// values.
std::uint16_t nearest_pattern(const std::vector<double>& values, double overflow_at, double value) {
  const double magnitude = std::fabs(value);
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000U : 0U);
  if (magnitude >= overflow_at) return static_cast<std::uint16_t>(sign | values.size());
  const auto above = std::lower_bound(values.begin(), values.end(), magnitude);
  auto index = static_cast<std::size_t>(above - values.begin());
  if (index == values.size()) {
    index -= 1;
  } else if (index > 0) {
    const double down = magnitude - values[index - 1];
    const double up = values[index] - magnitude;
    if (down < up || (down == up && (index - 1) % 2 == 0)) index -= 1;
  }
  return static_cast<std::uint16_t>(sign | index);
}

std::vector<double> finite_halves() {
  std::vector<double> values;
  for (std::uint32_t half = 0; half < 0x7C00; ++half) values.push_back(half_by_definition(half));
  return values;
}

std::vector<double> finite_bfloats() {
  std::vector<double> values;
  for (std::uint32_t bits = 0; bits < 0x7F80; ++bits) {
    const int exponent = static_cast<int>(bits / 128);
    const double fraction = bits % 128;
    values.push_back(exponent == 0 ? std::ldexp(fraction, -133)
                                   : std::ldexp(128 + fraction, exponent - 134));
  }
  return values;
}

constexpr double kHalfOverflow = 65520.0;
const double kBfloatOverflow =
    std::ldexp(511.0, 119);  // half-way between the largest finite and 2^128

TEST(Half, EveryPatternHasTheValueOfItsDefinition) {
  for (std::uint32_t half = 0; half < 0x10000; ++half) {
    const double expected = half_by_definition(half);
    const float actual = half_to_float(static_cast<std::uint16_t>(half));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(actual)) << half;
    } else {
      EXPECT_EQ(expected, actual) << half;
      EXPECT_EQ(std::signbit(expected), std::signbit(actual)) << half;
    }
  }
}

TEST(Half, EveryPatternSurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const std::uint16_t back = float_to_half(half_to_float(half));
    if (std::isnan(half_by_definition(bits))) {
      EXPECT_EQ(half | 0x200, back) << bits;
    } else {
      EXPECT_EQ(half, back) << bits;
    }
  }
}

TEST(Half, RoundsToNearestEvenAtEveryMidpointAndBesideIt) {
  const std::vector<double> values = finite_halves();
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    const auto midpoint = static_cast<float>((values[i] + values[i + 1]) / 2);
    for (const float value : {std::nextafter(midpoint, 0.0F), midpoint,
                              std::nextafter(midpoint, std::numeric_limits<float>::infinity())}) {
      EXPECT_EQ(nearest_pattern(values, kHalfOverflow, value), float_to_half(value)) << value;
      EXPECT_EQ(nearest_pattern(values, kHalfOverflow, -value), float_to_half(-value)) << -value;
    }
  }
}

TEST(Half, OverflowsToInfinityFromTheMidpointAboveTheLargest) {
  EXPECT_EQ(0x7BFF, float_to_half(std::nextafter(65520.0F, 0.0F)));
  EXPECT_EQ(0x7C00, float_to_half(65520.0F));
  EXPECT_EQ(0xFC00, float_to_half(-std::numeric_limits<float>::max()));
  EXPECT_EQ(0x7C00, float_to_half(std::numeric_limits<float>::infinity()));
  EXPECT_TRUE(std::isnan(half_to_float(float_to_half(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Half, ConvertsRandomFloatsAsTheSearchDoes) {
  const std::vector<double> halves = finite_halves();
  const std::vector<double> bfloats = finite_bfloats();
  std::mt19937_64 random(segue::test::test_seed());
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isnan(value)) continue;
    ASSERT_EQ(nearest_pattern(halves, kHalfOverflow, value), float_to_half(value)) << value;
    ASSERT_EQ(nearest_pattern(bfloats, kBfloatOverflow, value), float_to_bfloat16(value)) << value;
  }
}

TEST(Bfloat16, EveryPatternSurvivesTheRoundTrip) {
  const std::vector<double> values = finite_bfloats();
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto bfloat = static_cast<std::uint16_t>(bits);
    const float value = bfloat16_to_float(bfloat);
    const std::uint32_t magnitude = bits & 0x7FFFU;
    if (magnitude < values.size()) {
      EXPECT_EQ(values[magnitude], std::fabs(value)) << bits;
    }
    EXPECT_EQ(std::isnan(value) ? bfloat | 0x40 : bfloat, float_to_bfloat16(value)) << bits;
  }
}

TEST(Bfloat16, RoundsToNearestEvenAtEveryMidpoint) {
  const std::vector<double> values = finite_bfloats();
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    const auto midpoint = static_cast<float>((values[i] + values[i + 1]) / 2);
    for (const float value : {std::nextafter(midpoint, 0.0F), midpoint,
                              std::nextafter(midpoint, std::numeric_limits<float>::infinity())}) {
      EXPECT_EQ(nearest_pattern(values, kBfloatOverflow, value), float_to_bfloat16(value)) << value;
    }
  }
  EXPECT_EQ(0x7F80, float_to_bfloat16(std::numeric_limits<float>::max()));
}

TEST(Half, ConvertsAtCompileTime) {
  static_assert(half_to_float(0x3C00) == 1.0F);
  static_assert(float_to_half(-2.0F) == 0xC000);
  static_assert(bfloat16_to_float(float_to_bfloat16(0.5F)) == 0.5F);
  SUCCEED();
}

}  // namespace
}  // namespace segue::base
