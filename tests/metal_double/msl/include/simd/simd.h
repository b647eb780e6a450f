// SPDX-License-Identifier: Apache-2.0
// The vector types by the names that they have outside of Metal.
#pragma once

#include <metal_stdlib>

namespace simd {
using namespace ::metal;
}
