// SPDX-License-Identifier: Apache-2.0
//
// Kernels of these tests, one text, so that it is compiled once.
#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

constexpr std::string_view kText = R"(#include <metal_stdlib>
using namespace metal;

kernel void add_one(device uint* x [[buffer(0)]], constant packed_uint3& segue_grid [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  if (i < segue_grid[0]) x[i] += 1;
}

struct Line { uint factor; uint summand; };

// Does not commute: each order of two of them gives another result.
kernel void line(device uint* x [[buffer(0)]], constant Line& line [[buffer(1)]],
                 constant packed_uint3& segue_grid [[buffer(2)]],
                 uint i [[thread_position_in_grid]]) {
  if (i < segue_grid[0]) x[i] = line.factor * x[i] + line.summand;
}

kernel void line_to(const device uint* x [[buffer(0)]], device uint* y [[buffer(1)]],
                    constant Line& line [[buffer(2)]],
                    constant packed_uint3& segue_grid [[buffer(3)]],
                    uint i [[thread_position_in_grid]]) {
  if (i < segue_grid[0]) y[i] = line.factor * x[i] + line.summand + 5 * y[i];
}

// Every thread of a grid without a guard leaves the size of its group.
kernel void mark(device uint* y [[buffer(0)]], constant Line& extent [[buffer(1)]],
                 uint3 at [[thread_position_in_grid]], uint3 size [[threads_per_threadgroup]]) {
  y[(at.z * extent.summand + at.y) * extent.factor + at.x] += size.x * size.y * size.z;
}

kernel void mark_guarded(device uint* y [[buffer(0)]], constant Line& extent [[buffer(1)]],
                         constant packed_uint3& segue_grid [[buffer(2)]],
                         uint3 at [[thread_position_in_grid]],
                         uint3 size [[threads_per_threadgroup]]) {
  if (at.x >= segue_grid[0] || at.y >= segue_grid[1] || at.z >= segue_grid[2]) return;
  y[(at.z * extent.summand + at.y) * extent.factor + at.x] += size.x * size.y * size.z;
}

// The exact grid, as one thread finds it.
kernel void tell_grid(device uint* y [[buffer(0)]],
                      constant packed_uint3& segue_grid [[buffer(1)]],
                      uint3 at [[thread_position_in_grid]]) {
  if (at.x + at.y + at.z != 0) return;
  for (uint i = 0; i < 3; ++i) y[i] = segue_grid[i];
}

kernel void tell_sizes(const device uchar* a [[buffer(0)]], const device uchar* b [[buffer(1)]],
                       device uint* y [[buffer(2)]],
                       constant uint* segue_view_sizes [[buffer(3)]]) {
  for (uint i = 0; i < 3; ++i) y[i] = segue_view_sizes[i];
}

kernel void copy_bytes(const device uchar* x [[buffer(0)]], device uchar* y [[buffer(1)]],
                       constant uint* segue_view_sizes [[buffer(2)]],
                       uint i [[thread_position_in_grid]]) {
  if (i < segue_view_sizes[0]) y[i] = x[i];
}

kernel void sum(const device uint* data [[buffer(0)]], device uint* y [[buffer(1)]],
                constant uint* segue_view_sizes [[buffer(2)]]) {
  uint total = 0;
  for (uint i = 0; i < segue_view_sizes[0] / 4; ++i) total += data[i] * (i + 1);
  y[0] = total;
}

kernel void reverse(const device uint* x [[buffer(0)]], device uint* y [[buffer(1)]],
                    constant packed_uint3& segue_grid [[buffer(2)]],
                    threadgroup uint* s [[threadgroup(0)]], uint i [[thread_position_in_grid]],
                    uint local [[thread_index_in_threadgroup]],
                    uint3 size [[threads_per_threadgroup]]) {
  if (i < segue_grid[0]) s[local] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (i < segue_grid[0]) y[i] = s[size.x - 1 - local];
}

// 1 KiB of its own besides what the launch gives.
kernel void two_shared(device uint* y [[buffer(0)]], threadgroup uint* a [[threadgroup(0)]],
                       threadgroup uint* b [[threadgroup(1)]],
                       uint local [[thread_index_in_threadgroup]]) {
  threadgroup uint own[256];
  own[local] = local;
  a[local] = 2 * local;
  b[local] = 3 * local;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[local] = own[31 - local] + a[31 - local] + b[31 - local];
}

[[max_total_threads_per_threadgroup(64)]]
kernel void small_groups(device uint* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  y[i] = i;
}

constant uint kFactor [[function_constant(0)]];
constant int kSummand [[function_constant(1)]];
constant bool kTwice [[function_constant(2)]];
constant float kScale [[function_constant(3)]];
constant uint kGivenOrFive [[function_constant(7)]];
constant uint kFive = is_function_constant_defined(kGivenOrFive) ? kGivenOrFive : 5;

kernel void specialised(device uint* y [[buffer(0)]]) {
  y[0] = kFactor * 10 + uint(kSummand) + (kTwice ? 1000 : 0) + uint(kScale * 10000.0f);
}
kernel void with_default(device uint* y [[buffer(0)]]) { y[0] = kFive; }
)";

}  // namespace

std::string test_kernel_text() { return std::string(kText); }

}  // namespace segue::metal
