// SPDX-License-Identifier: Apache-2.0
#include "conformance/vulkan_conformance_kernels.hpp"

#include <string>
#include <string_view>
#include <utility>

#include "segue/vulkan.hpp"

namespace segue::test {
namespace {

/// One thread an element; any group size.
constexpr std::string_view kLine = R"(#version 460
layout(local_size_x = 64, local_size_x_id = 0, local_size_y_id = 1, local_size_z_id = 2) in;
)";

constexpr std::string_view kAddOne = R"(
layout(std430, binding = 0) buffer X { uint x[]; };
layout(binding = 1) uniform segue_Grid { uvec3 segue_thread_count; };
void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i < segue_thread_count.x) x[i] += 1;
}
)";

constexpr std::string_view kAdd = R"(
layout(std430, binding = 0) readonly buffer X { uint x[]; };
layout(std430, binding = 1) buffer Y { uint y[]; };
layout(binding = 2) uniform Params { uint a; };
layout(binding = 3) uniform segue_Grid { uvec3 segue_thread_count; };
void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i < segue_thread_count.x) y[i] += a * x[i];
}
)";

// The host's compiler does not contract, so neither may this one.
constexpr std::string_view kSaxpy = R"(
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) buffer Y { float y[]; };
layout(binding = 2) uniform Params { float a; };
layout(binding = 3) uniform segue_Grid { uvec3 segue_thread_count; };
void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i >= segue_thread_count.x) return;
  precise float product = a * x[i];
  precise float sum = y[i] + product;
  y[i] = sum;
}
)";

constexpr std::string_view kCopy = R"(
layout(std430, binding = 0) readonly buffer X { uint x[]; };
layout(std430, binding = 1) writeonly buffer Y { uint y[]; };
layout(binding = 2) uniform segue_Grid { uvec3 segue_thread_count; };
void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i < segue_thread_count.x) y[i] = x[i];
}
)";

constexpr std::string_view kStore = R"(
layout(std430, binding = 0) readonly buffer Data { uint data[]; };
layout(std430, binding = 1) writeonly buffer Y { uint y[]; };
layout(binding = 2) uniform segue_Grid { uvec3 segue_thread_count; };
void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i < segue_thread_count.x) y[i] = data[i];
}
)";

constexpr std::string_view kMarkThreads = R"(#version 460
layout(local_size_x = 4, local_size_y = 4, local_size_z = 2, local_size_x_id = 0,
       local_size_y_id = 1, local_size_z_id = 2) in;
layout(std430, binding = 0) writeonly buffer Y { uint y[]; };
layout(binding = 1) uniform Extent { uint width; uint height; } extent;
layout(binding = 2) uniform segue_Grid { uvec3 segue_thread_count; };
void main() {
  const uvec3 at = gl_GlobalInvocationID;
  if (any(greaterThanEqual(at, segue_thread_count))) return;
  y[(at.z * extent.height + at.y) * extent.width + at.x] = 1;
}
)";

constexpr std::string_view kReverse = R"(
layout(constant_id = 3) const uint s_count = 64;
layout(std430, binding = 0) readonly buffer X { uint x[]; };
layout(std430, binding = 1) writeonly buffer Y { uint y[]; };
layout(binding = 2) uniform segue_Grid { uvec3 segue_thread_count; };
shared uint s[s_count];
void main() {
  const uint i = gl_GlobalInvocationID.x;
  const uint local = gl_LocalInvocationID.x;
  if (i < segue_thread_count.x && local < s_count) s[local] = x[i];
  barrier();
  const uint from = gl_WorkGroupSize.x - 1 - local;
  if (i < segue_thread_count.x && from < s_count) y[i] = s[from];
}
)";

KernelSource line(std::string name, std::string_view code) {
  return vulkan::glsl_kernel(std::move(name), std::string(kLine) + std::string(code));
}

KernelSource declared(std::string name, std::vector<Parameter> parameters, std::string_view code) {
  Signature signature;
  signature.parameters = std::move(parameters);
  return vulkan::glsl_kernel(std::move(name), std::move(signature),
                             std::string(kLine) + std::string(code));
}

KernelSource store() {
  Parameter data;
  data.name = "data";
  data.kind = ParameterKind::kBytes;
  Parameter target;
  target.name = "y";
  target.access = Access::kWrite;
  return declared("test_store", {data, target}, kStore);
}

KernelSource unknown_access() {
  Parameter parameter;
  parameter.name = "x";
  parameter.access_known = false;
  return declared("test_unknown_access", {parameter}, kAddOne);
}

}  // namespace

std::vector<KernelSource> vulkan_conformance_kernels() {
  std::vector<KernelSource> sources;
  sources.push_back(line("test_add_one", kAddOne));
  sources.push_back(line("test_add", kAdd));
  sources.push_back(line("test_saxpy", kSaxpy));
  sources.push_back(line("test_copy", kCopy));
  sources.push_back(vulkan::glsl_kernel("test_mark_threads", std::string(kMarkThreads)));
  sources.push_back(line("test_reverse", kReverse));
  sources.push_back(store());
  sources.push_back(unknown_access());
  return sources;
}

}  // namespace segue::test
