// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <thread>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace segue::host {

/// Tells the processor that this thread waits in a loop, without giving it up.
inline void relax_processor() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// How long a wait spins and yields before it is worth sleeping. Counted in loop rounds, for
/// reading a clock in each would cost more than the round.
struct SpinLimits {
  unsigned spins = 0;   ///< Rounds of relax_processor(); about 15 to 60 ns each.
  unsigned yields = 0;  ///< Rounds of giving the processor to other threads; at least 0.2 us each.
};

/// Waits until `ready()`: first spinning, then yielding. Returns false if that was not enough.
template <class Ready>
[[nodiscard]] bool spin_until(const SpinLimits& limits, Ready&& ready) {
  for (unsigned i = 0; i < limits.spins; ++i) {
    if (ready()) return true;
    relax_processor();
  }
  for (unsigned i = 0; i < limits.yields; ++i) {
    if (ready()) return true;
    std::this_thread::yield();
  }
  return ready();
}

}  // namespace segue::host
