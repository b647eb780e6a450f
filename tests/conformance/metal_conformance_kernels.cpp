// SPDX-License-Identifier: Apache-2.0
#include "conformance/metal_conformance_kernels.hpp"

#include <string>
#include <string_view>
#include <utility>

#include "segue/metal.hpp"
#include "support/parameters.hpp"

namespace segue::test {
namespace {

constexpr std::string_view kHead = R"(#include <metal_stdlib>
using namespace metal;
)";

constexpr std::string_view kAddOne = R"(
kernel void add_one(device uint* x [[buffer(0)]], constant packed_uint3& segue_grid [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  if (i < segue_grid[0]) x[i] += 1;
}
)";

constexpr std::string_view kAdd = R"(
struct Params { uint a; };
kernel void add(const device uint* x [[buffer(0)]], device uint* y [[buffer(1)]],
                constant Params& params [[buffer(2)]],
                constant packed_uint3& segue_grid [[buffer(3)]],
                uint i [[thread_position_in_grid]]) {
  if (i < segue_grid[0]) y[i] += params.a * x[i];
}
)";

// The host's compiler does not contract, so neither may this one.
constexpr std::string_view kSaxpy = R"(
#pragma METAL fp contract(off)
struct Params { float a; };
kernel void saxpy(const device float* x [[buffer(0)]], device float* y [[buffer(1)]],
                  constant Params& params [[buffer(2)]],
                  constant packed_uint3& segue_grid [[buffer(3)]],
                  uint i [[thread_position_in_grid]]) {
  if (i >= segue_grid[0]) return;
  const float product = params.a * x[i];
  y[i] = y[i] + product;
}
)";

constexpr std::string_view kCopy = R"(
kernel void copy(const device uint* x [[buffer(0)]], device uint* y [[buffer(1)]],
                 constant packed_uint3& segue_grid [[buffer(2)]],
                 uint i [[thread_position_in_grid]]) {
  if (i < segue_grid[0]) y[i] = x[i];
}
)";

constexpr std::string_view kStore = R"(
kernel void store(const device uint* data [[buffer(0)]], device uint* y [[buffer(1)]],
                  constant packed_uint3& segue_grid [[buffer(2)]],
                  uint i [[thread_position_in_grid]]) {
  if (i < segue_grid[0]) y[i] = data[i];
}
)";

constexpr std::string_view kMarkThreads = R"(
struct Size { uint width; uint height; };
kernel void mark_threads(device uint* y [[buffer(0)]], constant Size& extent [[buffer(1)]],
                         constant packed_uint3& segue_grid [[buffer(2)]],
                         uint3 at [[thread_position_in_grid]]) {
  if (at.x >= segue_grid[0] || at.y >= segue_grid[1] || at.z >= segue_grid[2]) return;
  y[(at.z * extent.height + at.y) * extent.width + at.x] = 1;
}
)";

constexpr std::string_view kReverse = R"(
kernel void reverse(const device uint* x [[buffer(0)]], device uint* y [[buffer(1)]],
                    constant packed_uint3& segue_grid [[buffer(2)]],
                    threadgroup uint* s [[threadgroup(0)]], uint i [[thread_position_in_grid]],
                    uint local [[thread_index_in_threadgroup]],
                    uint3 group_size [[threads_per_threadgroup]]) {
  if (i < segue_grid[0]) s[local] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (i < segue_grid[0]) y[i] = s[group_size.x - 1 - local];
}
)";

KernelSource kernel(std::string name, std::vector<Parameter> parameters, std::string_view code,
                    Extent3 group_size = {64, 1, 1}) {
  Signature signature;
  signature.parameters = std::move(parameters);
  signature.group_size = group_size;
  return metal::msl_kernel(std::move(name), std::move(signature),
                           std::string(kHead) + std::string(code));
}

Parameter unknown(std::string name) {
  Parameter parameter = view_parameter(std::move(name), Access::kReadWrite);
  parameter.access_known = false;
  return parameter;
}

}  // namespace

std::vector<KernelSource> metal_conformance_kernels() {
  const Parameter x = view_parameter("x", Access::kRead);
  const Parameter y_out = view_parameter("y", Access::kWrite);
  const Parameter y_both = view_parameter("y", Access::kReadWrite);
  std::vector<KernelSource> sources;
  sources.push_back(kernel("test_add_one", {view_parameter("x", Access::kReadWrite)}, kAddOne));
  sources.push_back(kernel("test_add", {x, y_both, bytes_parameter("a", 4)}, kAdd));
  sources.push_back(kernel("test_saxpy", {x, y_both, bytes_parameter("a", 4)}, kSaxpy));
  sources.push_back(kernel("test_copy", {x, y_out}, kCopy));
  sources.push_back(
      kernel("test_mark_threads", {y_out, bytes_parameter("extent", 8)}, kMarkThreads, {4, 4, 2}));
  sources.push_back(kernel("test_reverse", {x, y_out, shared_parameter("s")}, kReverse));
  sources.push_back(kernel("test_store", {bytes_parameter("data", 0), y_out}, kStore));
  sources.push_back(kernel("test_unknown_access", {unknown("x")}, kAddOne));
  return sources;
}

}  // namespace segue::test
