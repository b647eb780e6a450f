// SPDX-License-Identifier: Apache-2.0
#include "workload.hpp"

#include "segue/vulkan.hpp"

namespace segue::bench {
namespace {

constexpr std::size_t kWeights = kBuffers / 2;  // which are only read
constexpr std::size_t kGroup = 8;

Slice weight(std::size_t i) { return {static_cast<std::uint32_t>(i % kWeights), 0}; }
Slice activation(std::size_t i, std::size_t part = 0) {
  return {static_cast<std::uint32_t>(kWeights + i % (kBuffers - kWeights)), part * kViewBytes};
}

}  // namespace

const char* to_string(Mode mode) {
  constexpr std::array kNames{"same", "chained", "independent", "groups of 8"};
  return kNames[static_cast<std::size_t>(mode)];
}

std::vector<Call> make_calls(Mode mode, std::size_t count) {
  std::vector<Call> calls;
  for (std::size_t i = 0; i < count; ++i) {
    Call call;
    call.slices = {weight(i), weight(i + 7), activation(0)};
    switch (mode) {
      case Mode::kSame:
        call.slices = {weight(0), weight(7), activation(0)};
        call.barrier = i != 0;
        break;
      case Mode::kChained:
        call.slices[1] = activation(i);
        call.slices[2] = activation(i + 1);
        call.barrier = i != 0;
        break;
      case Mode::kIndependent: call.slices[2] = activation(i, i / (kBuffers - kWeights)); break;
      case Mode::kGroupsOf8:
        call.slices[1] = activation(i + kWeights - kGroup);
        call.slices[2] = activation(i);
        call.barrier = i != 0 && i % kGroup == 0;
        break;
    }
    calls.push_back(call);
  }
  return calls;
}

KernelSource add_kernel(bool parameters) {
  std::string text = R"(#version 460
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) readonly buffer A { uint a[]; };
layout(set = 0, binding = 1, std430) readonly buffer B { uint b[]; };
layout(set = 0, binding = 2, std430) writeonly buffer C { uint c[]; };
)";
  if (parameters)
    text +=
        "layout(set = 0, binding = 3, std140) uniform P { uint p0; uint p1; uint p2; uint p3; } "
        "p;\n";
  text += "void main() {\n  const uint i = gl_GlobalInvocationID.x;\n  c[i] = a[i] + b[i]";
  text += parameters ? " + p.p0;\n}\n" : ";\n}\n";
  return vulkan::glsl_kernel(parameters ? "bench_add_parameters" : "bench_add", std::move(text));
}

}  // namespace segue::bench
