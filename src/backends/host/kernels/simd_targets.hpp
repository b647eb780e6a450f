// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which of Highway's instruction sets kernels are compiled for; to be included before Highway.
// SSSE3 is as good as plain C++ here, and the scalable vectors of SVE do not fit into arrays.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
// Without vectors, one lane at a time: emulated vectors take sanitized builds minutes to compile.
#define HWY_BROKEN_EMU128 1
