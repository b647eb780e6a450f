// SPDX-License-Identifier: Apache-2.0
#pragma once

// SEGUE_MSL_ASAN or SEGUE_MSL_TSAN in builds with the address or the thread sanitizer, and what
// these want to be told.

#if defined(__SANITIZE_ADDRESS__)
#define SEGUE_MSL_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define SEGUE_MSL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEGUE_MSL_ASAN 1
#elif __has_feature(thread_sanitizer)
#define SEGUE_MSL_TSAN 1
#endif
#endif

#ifdef SEGUE_MSL_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SEGUE_MSL_TSAN
#include <sanitizer/tsan_interface.h>
#endif
