// SPDX-License-Identifier: Apache-2.0
// What Metal Shading Language has and C++ has not.
#include <gmock/gmock.h>

#include <cmath>

#include "metal_double/msl/tests/test_kernel.hpp"

namespace metal_double::msl::test {
namespace {

using testing::ElementsAre;

TEST(MslLanguage, LiteralsAreFloats) {
  // In double, 0.1 + 0.2 would round to another float.
  const auto out = compute<float>("float", "float third = 3.0; result = 0.1 * third + 1e-3;", 1);
  EXPECT_EQ(out[0], 0.1f * 3.0f + 1e-3f);
  const auto sizes = compute<std::uint32_t>(
      "uint", "result = sizeof(1.0) * 100 + sizeof(0.5h) * 10 + sizeof(1e3);", 1);
  EXPECT_EQ(sizes[0], 424u);
}

TEST(MslLanguage, HalvesRoundEachOperation) {
  // 2049 is no half, so the sum rounds to 2048 before the difference is taken.
  const auto out = compute<float>(
      "float", "half a = half(2048.0 + float(i) * 0.0); result = float((a + 1.0h) - a);", 1);
  EXPECT_EQ(out[0], 0.0f);
}

TEST(MslLanguage, VectorsAreMadeOfPartsAndOfOneValue) {
  const auto out = compute<float>("float", R"(
    float2 a = float2(1, 2);
    float4 b = float4(a.yx, uint2(3, 4).y, 5.0);
    float4 c = float4(2.0) + float4(int4(1, 2, 3, 4));
    uint4 d = uint4(7.9f);
    float x[9] = {b.x, b.y, b.z, b.w, c.x, c.w, float(d.z), dot(b, c), vec<float, 2>(3, 4).y};
    result = x[i];)",
                                  9);
  EXPECT_THAT(out, ElementsAre(2, 1, 4, 5, 3, 6, 7, 2 * 3 + 1 * 4 + 4 * 5 + 5 * 6, 4));
}

TEST(MslLanguage, CastsOfVectorsConvert) {
  const auto out = compute<float>(
      "float", "int4 a = int4(-1, 2, 3, 4); float4 b = (float4)a * (float4)2; result = b[i];", 4);
  EXPECT_THAT(out, ElementsAre(-2, 4, 6, 8));
}

TEST(MslLanguage, SwizzlesReadAndWrite) {
  const auto out = compute<float>("float", R"(
    float4 a = float4(1, 2, 3, 4);
    a.xy = a.wz;
    a.zw += float2(10, 20);
    a.rgb = a.bgr;
    result = a[i];)",
                                  4);
  EXPECT_THAT(out, ElementsAre(13, 3, 4, 24));
}

TEST(MslLanguage, ComparisonsOfVectorsAreBools) {
  const auto out = compute<std::uint32_t>("uint", R"(
    float4 a = float4(1, 2, 3, 4);
    bool4 less = a < float4(2.5);
    bool4 even = bool4(false, true, false, true);
    uint4 both = uint4(less && even);
    uint4 chosen = select(uint4(1, 2, 3, 4), uint4(10, 20, 30, 40), !less);
    uint x[8] = {both.x, both.y, uint(any(less)), uint(all(less)),
                 chosen.x, chosen.z, uint(less.y), uint(any(isnan(a)))};
    result = x[i];)",
                                          8);
  EXPECT_THAT(out, ElementsAre(0, 1, 1, 0, 1, 30, 1, 0));
}

TEST(MslLanguage, BitsAreTakenAsTheyAre) {
  const auto out = compute<std::uint32_t>("uint", R"(
    uint4 x = uint4(as_type<uint>(1.0), as_type<uint>(half2(1.0h, 2.0h)),
        as_type<uint4>(float4(2.0)).w,
                    as_type<ushort2>(0x12345678u).y);
    result = x[i];)",
                                          4);
  EXPECT_THAT(out, ElementsAre(0x3f800000u, 0x40003c00u, 0x40000000u, 0x1234u));
}

TEST(MslLanguage, PackedVectorsHaveNoPadding) {
  const auto out = compute<std::uint32_t>("uint", R"(
    struct Packed { packed_float3 a; float b; packed_half2 c; };
    Packed p = {packed_float3(1, 2, 3), 4, half2(5.0h, 6.0h)};
    float3 twice = p.a * 2.0;
    p.a = twice + p.a;
    p.a.y += 1.0;
    uint x[6] = {uint(sizeof(Packed)), uint(sizeof(float3)), uint(p.a.x), uint(p.a.y),
                 uint(p.a[2]), uint(p.c.y)};
    result = x[i];)",
                                          6);
  EXPECT_THAT(out, ElementsAre(20, 16, 3, 7, 9, 6));
}

TEST(MslLanguage, FunctionsMayDifferInAddressSpacesOnly) {
  auto module = compile(R"(
    template <typename T, size_t N> struct Values {
      T all[N];
      thread T& operator[](size_t i) thread { return all[i]; }
      constexpr const thread T& operator[](size_t i) const thread { return all[i]; }
      device T& operator[](size_t i) device { return all[i]; }
      constexpr const device T& operator[](size_t i) const device { return all[i]; }
      constexpr const constant T& operator[](size_t i) const constant { return all[i]; }
      threadgroup T& operator[](size_t i) threadgroup { return all[i]; }
    };
    float first(device const float* x) { return x[0]; }
    float first(threadgroup const float* x) { return x[0]; }
    float first(constant float* x) { return x[0]; }
    kernel void f(device Values<float, 2>& in [[buffer(0)]], constant Values<float,
        2>& more [[buffer(1)]],
                  device float* out [[buffer(2)]]) {
      threadgroup Values<float, 2> shared;
      shared[1] = 5.0;
      Values<float, 3> own = {{1.0, 2.0, 3.0}};
      in[1] += 1.0;
      out[0] = in[1] + more[0] + shared[1] + own[2] + first(&in[0]) + first(&more[0]);
    })");
  std::vector<float> in = {10, 20};
  std::vector<float> more = {100, 200};
  std::vector<float> out(1);
  run(module, launch("f", {}, {}, in, more, out));
  EXPECT_EQ(out[0], 21 + 100 + 5 + 3 + 10 + 100);
}

TEST(MslLanguage, ConstantsOfTheProgramSizeArrays) {
  auto module = compile(R"(
    #ifndef COUNT
    #define COUNT 4u
    #endif
    constant uint count = COUNT;
    constant uint twice = count * 2u;
    constant float table[3] = {1.0, 2.0, 3.0};
    namespace inner { constant uint three = 3u; uint sum(threadgroup uint (&x)[twice]) {
        return x[three]; } }
    kernel void f(device uint* out [[buffer(0)]]) {
      threadgroup uint shared[twice];
      for (uint i = 0; i < twice; ++i) shared[i] = i;
      out[0] = sizeof(shared) + inner::sum(shared) + uint(table[2]);
    })",
                        {{"COUNT", "(2u + 3u)"}});
  std::vector<std::uint32_t> out(1);
  run(module, launch("f", {}, {}, out));
  EXPECT_EQ(out[0], 40u + 3u + 3u);
}

TEST(MslLanguage, AutoReferencesLookAtABufferAsAnotherType) {
  auto module = compile(R"(
    struct Words { uint words[1]; };
    struct Quads { uint4 quads[1]; };
    kernel void f(device void* all [[buffer(0)]], const device void* in [[buffer(1)]]) {
      device auto& words = *(device Words*)all;
      const device auto& quads = *(const device Quads*)in;
      words.words[5] = quads.quads[1].z;
    })");
  std::vector<std::uint32_t> all(8);
  alignas(16) std::array<std::uint32_t, 8> in = {0, 1, 2, 3, 4, 5, 6, 7};
  run(module, launch("f", {}, {}, all, in));
  EXPECT_EQ(all[5], 6u);
}

TEST(MslLanguage, PointersInBuffersAreFollowed) {
  auto module = compile(R"(
    struct Arguments { device float* x; uint count; };
    kernel void f(constant Arguments& arguments [[buffer(0)]], uint i [[thread_position_in_grid]]) {
      if (i < arguments.count) arguments.x[i] *= 2.0;
    })");
  std::vector<float> x = {1, 2, 3, 4};
  struct {
    float* x;
    std::uint32_t count;
  } arguments = {x.data(), 3};
  run(module, launch("f", {.x = 4}, {.x = 4}, arguments));
  EXPECT_THAT(x, ElementsAre(2, 4, 6, 4));
}

TEST(MslLanguage, MatricesMultiply) {
  const auto out = compute<float>("float", R"(
    float2x2 m = float2x2(float2(1, 2), float2(3, 4));
    float2 a = m * float2(5, 6);
    float2 b = float2(5, 6) * m;
    float2x2 square = m * transpose(m);
    float x[6] = {a.x, a.y, b.x, b.y, square[0][0], square[1][0]};
    result = x[i];)",
                                  6);
  EXPECT_THAT(out, ElementsAre(5 + 18, 10 + 24, 5 + 12, 15 + 24, 1 + 9, 2 + 12));
}

TEST(MslLanguage, ReferencesToThreadgroupArraysArePassed) {
  auto module = compile(R"(
    static inline __attribute__((always_inline))
    void put(threadgroup float4 (&to)[4], thread const uint& i) { to[i].y = float(i); }
    [[clang::optnone]] float exact(float a, float b) { return fma(a, b, 1.0); }
    kernel void f(device float* out [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
      threadgroup float4 shared[4];
      threadgroup float4* where = &shared[0];
      put(shared, i);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      out[i] = exact(where[3 - i].y, 2.0);
    })");
  std::vector<float> out(4);
  run(module, launch("f", {.x = 4}, {.x = 4}, out));
  EXPECT_THAT(out, ElementsAre(7, 5, 3, 1));
}

}  // namespace
}  // namespace metal_double::msl::test
