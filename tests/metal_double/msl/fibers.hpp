// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "metal_double/msl/sanitizers.hpp"

extern "C" void segue_msl_switch_stack(void** from, void* to);

namespace metal_double::msl {

/// A flow of control with a stack of its own, or the one that the operating system gave to a
/// thread.
class Fiber {
 public:
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  /// Gives the fiber a stack, on which it begins with `entry` when it is first switched to. `entry`
  /// calls arrived() first and must not return. What the fiber did before is forgotten.
  void prepare(std::byte* stack, std::size_t size, std::size_t shift, void (*entry)());

  /// Makes the calling thread the fiber that it is on.
  void adopt_thread();

  /// Goes on with `target`. Returns when something switches to this fiber, on which it must be
  /// called.
  void switch_to(Fiber& target) {
#ifdef SEGUE_MSL_ASAN
    left = this;
    __sanitizer_start_switch_fiber(&sanitizer_state_, target.stack_, target.stack_size_);
#endif
#ifdef SEGUE_MSL_TSAN
    __tsan_switch_to_fiber(target.sanitizer_state_, 0);
#endif
    segue_msl_switch_stack(&stack_pointer_, target.stack_pointer_);
#ifdef SEGUE_MSL_ASAN
    __sanitizer_finish_switch_fiber(sanitizer_state_, &left->stack_, &left->stack_size_);
#endif
  }

  /// To be called first on a new stack.
  static void arrived() {
#ifdef SEGUE_MSL_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &left->stack_, &left->stack_size_);
#endif
  }

 private:
  void* stack_pointer_ = nullptr;
#if defined(SEGUE_MSL_ASAN) || defined(SEGUE_MSL_TSAN)
  void* sanitizer_state_ = nullptr;
#endif
#ifdef SEGUE_MSL_ASAN
  const void* stack_ = nullptr;
  std::size_t stack_size_ = 0;
  // Where the stack of a thread is, the sanitizer tells whoever comes from there.
  static inline thread_local Fiber* left = nullptr;
#endif
#ifdef SEGUE_MSL_TSAN
  bool owns_state_ = false;
#endif
};

/// Memory for the stacks of fibers, with a page between any two of them that must not be touched.
class FiberStacks {
 public:
  explicit FiberStacks(std::size_t count);
  FiberStacks(const FiberStacks&) = delete;
  FiberStacks& operator=(const FiberStacks&) = delete;
  ~FiberStacks();

  static std::size_t size();
  std::byte* operator[](std::size_t index) const;

 private:
  std::byte* memory_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace metal_double::msl
