// SPDX-License-Identifier: Apache-2.0
// Functions of Metal's library against those of this processor, or against values worked out by
// hand.
#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <random>

#include "metal_double/msl/tests/test_kernel.hpp"
#include "support/test_seed.hpp"

namespace metal_double::msl::test {
namespace {

using testing::ElementsAre;

/// Each expression of x, y and z against its oracle, on random numbers in [-4, 4) and vectors of
/// them.
class FloatFunctions : public testing::Test {
 protected:
  struct Case {
    const char* expression;
    std::function<double(double, double, double)> oracle;
    double tolerance = 4e-7;
  };

  static constexpr unsigned kCount = 64;

  FloatFunctions() {
    std::mt19937_64 random(segue::test::test_seed());
    std::uniform_real_distribution<float> some(-4.0f, 4.0f);
    for (std::vector<float>* values : {&x_, &y_, &z_}) {
      for (float& value : *values) value = some(random);
    }
  }

  void check(const std::vector<Case>& cases) {
    std::string text =
        "kernel void f(device const float4* xs [[buffer(0)]], device const float4* ys "
        "[[buffer(1)]],"
        " device const float4* zs [[buffer(2)]], device float4* out [[buffer(3)]],"
        " device float* scalars [[buffer(4)]], uint i [[thread_position_in_grid]]) {\n";
    for (std::size_t c = 0; c < cases.size(); ++c) {
      const std::string at = std::to_string(c * kCount / 4) + " + i";
      text += "{ float4 x = xs[i], y = ys[i], z = zs[i]; out[" + at + "] = " + cases[c].expression +
              "; }\n{ float x = xs[i].x, y = ys[i].x, z = zs[i].x; scalars[" + at +
              "] = " + cases[c].expression + "; }\n";
    }
    std::vector<float> out(cases.size() * kCount);
    std::vector<float> scalars(cases.size() * kCount / 4);
    run(compile(text + "}\n"), launch("f", {.x = kCount / 4}, {.x = 4}, x_, y_, z_, out, scalars));
    for (std::size_t c = 0; c < cases.size(); ++c) {
      for (unsigned i = 0; i < kCount; ++i) {
        const double wanted = cases[c].oracle(x_[i], y_[i], z_[i]);
        const double limit = cases[c].tolerance * std::max(1.0, std::abs(wanted));
        if (std::isnan(wanted)) {
          EXPECT_TRUE(std::isnan(out[c * kCount + i])) << cases[c].expression << " of " << x_[i];
          continue;
        }
        EXPECT_NEAR(out[c * kCount + i], wanted, limit)
            << cases[c].expression << " of " << x_[i] << ", " << y_[i] << ", " << z_[i];
        if (i % 4 == 0) {
          EXPECT_EQ(scalars[(c * kCount + i) / 4], out[c * kCount + i]) << cases[c].expression;
        }
      }
    }
  }

 private:
  std::vector<float> x_ = std::vector<float>(kCount);
  std::vector<float> y_ = std::vector<float>(kCount);
  std::vector<float> z_ = std::vector<float>(kCount);
};

TEST_F(FloatFunctions, ExponentialsAndPowers) {
  check({{"exp(x)", [](double x, double, double) { return std::exp(x); }},
         {"exp2(x)", [](double x, double, double) { return std::exp2(x); }},
         {"log(x)", [](double x, double, double) { return std::log(x); }},
         {"log2(x)", [](double x, double, double) { return std::log2(x); }},
         {"log10(abs(x))", [](double x, double, double) { return std::log10(std::abs(x)); }},
         {"sqrt(x)", [](double x, double, double) { return std::sqrt(x); }},
         {"precise::rsqrt(fabs(x))",
          [](double x, double, double) { return 1 / std::sqrt(std::abs(x)); }},
         {"fast::exp(y)", [](double, double y, double) { return std::exp(y); }},
         {"metal::powr(abs(x), y)",
          [](double x, double y, double) { return std::pow(std::abs(x), y); }}});
}

TEST_F(FloatFunctions, Angles) {
  check({{"sin(x)", [](double x, double, double) { return std::sin(x); }},
         {"cos(x)", [](double x, double, double) { return std::cos(x); }},
         {"tan(x * 0.25)", [](double x, double, double) { return std::tan(x * 0.25); }},
         {"atan(x)", [](double x, double, double) { return std::atan(x); }},
         {"atan2(x, y)", [](double x, double y, double) { return std::atan2(x, y); }},
         {"asin(x * 0.25)", [](double x, double, double) { return std::asin(x * 0.25); }, 1e-6},
         {"acos(x * 0.25)", [](double x, double, double) { return std::acos(x * 0.25); }, 1e-6},
         {"sinh(x)", [](double x, double, double) { return std::sinh(x); }},
         {"cosh(x)", [](double x, double, double) { return std::cosh(x); }},
         {"tanh(x)", [](double x, double, double) { return std::tanh(x); }}});
}

TEST_F(FloatFunctions, RoundingAndParts) {
  check({{"floor(x)", [](double x, double, double) { return std::floor(x); }, 0},
         {"ceil(x)", [](double x, double, double) { return std::ceil(x); }, 0},
         {"trunc(x)", [](double x, double, double) { return std::trunc(x); }, 0},
         {"round(x)", [](double x, double, double) { return std::round(x); }, 0},
         {"rint(x)", [](double x, double, double) { return std::nearbyint(x); }, 0},
         {"rint(trunc(x) + 0.5)",
          [](double x, double, double) { return std::nearbyint(std::trunc(x) + 0.5); }, 0},
         {"fract(x)", [](double x, double, double) { return x - std::floor(x); }},
         {"fmod(x, y)", [](double x, double y, double) { return std::fmod(x, y); }},
         {"copysign(x, y)", [](double x, double y, double) { return std::copysign(x, y); }, 0},
         {"sign(x)", [](double x, double, double) { return x > 0   ? 1
                                                           : x < 0 ? -1
                                                                   : 0; }, 0}});
}

TEST_F(FloatFunctions, ChoicesAndBlends) {
  check({{"min(x, y)", [](double x, double y, double) { return std::min(x, y); }, 0},
         {"max(x, y)", [](double x, double y, double) { return std::max(x, y); }, 0},
         {"fmax(x, y)", [](double x, double y, double) { return std::max(x, y); }, 0},
         {"clamp(x, -1.0, 2.0)", [](double x, double, double) { return std::clamp(x, -1.0, 2.0); },
          0},
         {"saturate(x)", [](double x, double, double) { return std::clamp(x, 0.0, 1.0); }, 0},
         {"max3(x, y, z)", [](double x, double y, double z) { return std::max(x, std::max(y, z)); },
          0},
         {"median3(x, y, z)",
          [](double x, double y, double z) {
            return std::max(std::min(x, y), std::min(std::max(x, y), z));
          },
          0},
         {"mix(x, y, z)", [](double x, double y, double z) { return x + (y - x) * z; }, 2e-6},
         {"step(x, y)", [](double x, double y, double) { return y < x ? 0 : 1; }, 0},
         {"select(x, y, x < z)", [](double x, double y, double z) { return x < z ? y : x; }, 0},
         {"fma(x, y, z)", [](double x, double y, double z) { return std::fma(x, y, z); }}});
}

TEST(MslLibrary, FmaRoundsOnceAndOtherSumsTwice) {
  // (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24, which a rounded product loses.
  const auto out = compute<float>("float", R"(
    float a = 1.0 + 0.000244140625 * float(i + 1u);
    float c = -(1.0 + 0.00048828125 * float(i + 1u));
    float x[2] = {fma(a, a, c), a * a + c};
    result = x[i];)",
                                  1);
  EXPECT_EQ(out[0], 0x1p-24f);
  const auto apart = compute<float>("float", R"(
    float a = 1.0 + 0.000244140625 * float(i + 1u);
    result = a * a - (1.0 + 0.00048828125 * float(i + 1u));)",
                                    1);
  EXPECT_EQ(apart[0], 0.0f);
}

TEST(MslLibrary, IntegersHaveTheirBits) {
  const auto out = compute<std::uint32_t>("uint", R"(
    uint v = 0x00f0f010u;
    int s = int(0xfffff000u);
    uint x[16] = {popcount(v), clz(v), ctz(v), clz(0u), uint(ctz(ushort(0))), reverse_bits(v),
                  extract_bits(v, 4u, 8u), uint(extract_bits(s, 8u, 8u)), extract_bits(v, 0u, 0u),
                  insert_bits(v, 0xffu, 8u, 4u), mulhi(0x80000000u, 6u), uint(mulhi(-1, 1)),
                  rotate(v, 8u), addsat(0xfffffff0u, 0x20u), absdiff(3u, 5u), hadd(0xffffffffu,
                      3u)};
    result = x[i];)",
                                          16);
  EXPECT_THAT(
      out, ElementsAre(9u, 8u, 4u, 32u, 16u, 0x080f0f00u, 0x01u, 0xfffffff0u, 0u, 0x00f0ff10u, 3u,
                       0xffffffffu, 0xf0f01000u, 0xffffffffu, 2u, 0x80000001u));
}

TEST(MslLibrary, AskedAboutNumbers) {
  const auto out = compute<std::uint32_t>("uint", R"(
    float nan = NAN, inf = INFINITY;
    uint x[7] = {isnan(nan), isinf(-inf), isfinite(inf), isnan(inf), signbit(-0.0),
                 uint(max(nan, 2.0f)), isunordered(1.0f, nan)};
    result = x[i];)",
                                          7);
  EXPECT_THAT(out, ElementsAre(1, 1, 0, 0, 1, 2, 1));
}

TEST(MslLibrary, PacksNumbers) {
  const auto out = compute<std::uint32_t>("uint", R"(
    float4 v = float4(1.0, 0.5, 0.0, 2.0);
    uint x[4] = {pack_float_to_unorm4x8(v), pack_float_to_snorm2x16(float2(-1.0, 1.0)),
                 uint(unpack_unorm4x8_to_float(0xff000000u).w * 100.0),
                 uint(unpack_snorm2x16_to_float(0x80007fffu).y * -50.0)};
    result = x[i];)",
                                          4);
  EXPECT_THAT(out, ElementsAre(0xff0080ffu, 0x7fff8001u, 100u, 50u));
}

TEST(MslLibrary, VectorsHaveLengths) {
  const auto out = compute<float>("float", R"(
    float3 a = float3(1, 2, 2), b = float3(0, 1, 0);
    float x[5] = {length(a), distance(a, b), normalize(a).y, cross(a, b).z, dot(a, b)};
    result = x[i];)",
                                  5);
  EXPECT_THAT(out,
              ElementsAre(3, testing::FloatEq(std::sqrt(6.0f)), testing::FloatEq(2.0f / 3), 1, 2));
}

TEST(MslLibrary, ExponentsAreTakenApart) {
  const auto out = compute<float>("float", R"(
    int e; float m = frexp(12.0f, e); float whole; float part = modf(-2.25f, whole);
    float x[5] = {m, float(e), ldexp(0.75f, 4), whole, part};
    result = x[i];)",
                                  5);
  EXPECT_THAT(out, ElementsAre(0.75f, 4, 12, -2, -0.25f));
}

TEST(MslLibrary, AtomicsCount) {
  auto module = compile(R"(
    kernel void f(device atomic_uint* sum [[buffer(0)]], device atomic_int* ends [[buffer(1)]],
                  volatile device atomic_float* real [[buffer(2)]], device uint* seen [[buffer(3)]],
                  uint i [[thread_position_in_grid]]) {
      threadgroup atomic_uint own;
      threadgroup uint plain;
      atomic_store_explicit(&own, 0u, memory_order_relaxed);
      plain = 0;
      threadgroup_barrier(mem_flags::mem_threadgroup);
      seen[atomic_fetch_add_explicit(sum, 1u, memory_order_relaxed)] = 1;
      atomic_fetch_min_explicit(&ends[0], int(i) - 50, memory_order_relaxed);
      atomic_fetch_max_explicit(&ends[1], int(i), memory_order_relaxed);
      atomic_fetch_or_explicit(&ends[2], int(i), memory_order_relaxed);
      atomic_fetch_add_explicit(real, 0.5, memory_order_relaxed);
      atomic_fetch_add_explicit(&own, 2u, memory_order_relaxed);
      atomic_fetch_add_explicit((threadgroup atomic_uint*)&plain, 1u, memory_order_relaxed);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      if (i % 64 == 0) ends[3 + i / 64].value = atomic_load_explicit(&own,
          memory_order_relaxed) + plain;
      uint expected = 100u;
      if (i == 99) {
        while (!atomic_compare_exchange_weak_explicit(sum, &expected, 7u, memory_order_relaxed,
                                                      memory_order_relaxed)) {}
        ends[5].value = atomic_exchange_explicit(&ends[0], 11, memory_order_relaxed);
      }
    })");
  std::vector<std::uint32_t> sum(1);
  std::vector<std::int32_t> ends(6);
  std::vector<float> real(1);
  std::vector<std::uint32_t> seen(100);
  run(module, launch("f", {.x = 100}, {.x = 64}, sum, ends, real, seen));
  EXPECT_EQ(sum[0], 7u);
  EXPECT_THAT(ends, ElementsAre(11, 99, 127, 64 * 3, 36 * 3, -50));
  EXPECT_EQ(real[0], 50.0f);
  EXPECT_THAT(seen, testing::Each(1u));
}

}  // namespace
}  // namespace metal_double::msl::test
