// SPDX-License-Identifier: Apache-2.0
// Kernels are compiled with the address sanitizer when the tests are.
#include <gtest/gtest.h>

#include "metal_double/msl/sanitizers.hpp"
#include "metal_double/msl/tests/test_kernel.hpp"

namespace metal_double::msl::test {
namespace {

#ifdef SEGUE_MSL_ASAN
TEST(MslBoundsDeathTest, ReadingPastABufferIsSeen) {
  auto module = compile(
      "kernel void f(device float* x [[buffer(0)]], uint i "
      "[[thread_position_in_grid]]) {\n  x[i] += x[i + 1];\n}");
  std::vector<float> x(8);
  EXPECT_DEATH(error_of(module, launch("f", {.x = 8}, {.x = 8}, x)), "heap-buffer-overflow");
}

TEST(MslBoundsDeathTest, LeavingAThreadgroupVariableIsSeenOnFibers) {
  constexpr std::string_view kText = R"(kernel void f(device uint* out [[buffer(0)]],
        threadgroup uint* given [[threadgroup(0)]], uint i [[thread_position_in_grid]]) {
      threadgroup uint a[8], b[8];
      a[i] = b[i] = given[i] = i;
      threadgroup_barrier(mem_flags::mem_threadgroup);
      out[i] = WHICH[i + 1];
    })";
  auto variable = compile(kText, {{"WHICH", "a"}});
  auto argument = compile(kText, {{"WHICH", "given"}});
  std::vector<std::uint32_t> out(8);
  Launch job = launch("f", {.x = 8}, {.x = 8}, out);
  job.threadgroup_bytes[0] = 32;
  EXPECT_DEATH(error_of(variable, job), "use-after-poison");
  EXPECT_DEATH(error_of(argument, job), "use-after-poison");
}
#endif

}  // namespace
}  // namespace metal_double::msl::test
