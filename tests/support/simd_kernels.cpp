// SPDX-License-Identifier: Apache-2.0
#include "support/simd_kernels.hpp"

#include <cstdint>

#include "backends/host/kernels/builtin.hpp"
#include "backends/host/kernels/simd_targets.hpp"

#include <hwy/highway.h>

namespace segue::test {
namespace {

std::vector<SimdKernels> make() {
  std::vector<SimdKernels> all;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    all.push_back({hwy::TargetName(target), host::builtin_kernels()});
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
  return all;
}

}  // namespace

const std::vector<SimdKernels>& simd_kernels() {
  static const std::vector<SimdKernels> all = make();
  return all;
}

}  // namespace segue::test
