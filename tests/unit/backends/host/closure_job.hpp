// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <utility>

#include "host_program.hpp"

namespace segue::host::testing {

/// A kernel from a closure without parameters.
inline base::Ref<ir::Kernel> closure(hal::Device& device, std::function<void()> function) {
  return value_of(device.compile(
      raw_kernel("closure", {},
                 [function = std::move(function)](const KernelContext&) { function(); }),
      {}));
}

/// A job of one kernel call.
struct ClosureJob {
  ClosureJob(hal::Device& device, std::function<void()> function)
      : kernel(closure(device, std::move(function))) {
    program.dispatch(kernel, {}, {1, 1, 1});
    job.plan = &program.finish();
  }
  base::Ref<ir::Kernel> kernel;
  TestProgram program;
  TestJob job;
};

}  // namespace segue::host::testing
