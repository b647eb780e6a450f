// SPDX-License-Identifier: Apache-2.0
// Atomic operations. The threads of a launch take turns, but other launches run beside it.
#pragma once

namespace metal {

enum memory_order {
  memory_order_relaxed = __ATOMIC_RELAXED,
  memory_order_acquire = __ATOMIC_ACQUIRE,
  memory_order_release = __ATOMIC_RELEASE,
  memory_order_acq_rel = __ATOMIC_ACQ_REL,
  memory_order_seq_cst = __ATOMIC_SEQ_CST,
};

enum thread_scope {
  thread_scope_thread,
  thread_scope_simdgroup,
  thread_scope_threadgroup,
  thread_scope_device,
};

enum class mem_flags : uint {
  mem_none = 0,
  mem_device = 1,
  mem_threadgroup = 2,
  mem_texture = 4,
  mem_threadgroup_imageblock = 8,
  mem_device_and_threadgroup = mem_device | mem_threadgroup,
};

SEGUE_MSL_INLINE constexpr mem_flags operator|(mem_flags a, mem_flags b) {
  return mem_flags(uint(a) | uint(b));
}

template <typename T>
struct atomic {
  T value;
};
typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<bool> atomic_bool;
typedef atomic<float> atomic_float;
typedef atomic<ulong> atomic_ulong;

template <typename T>
SEGUE_MSL_INLINE T atomic_load_explicit(const volatile atomic<T>* object, memory_order) {
  T value;
  __atomic_load(&object->value, &value, __ATOMIC_RELAXED);
  return value;
}
template <typename T>
SEGUE_MSL_INLINE void atomic_store_explicit(volatile atomic<T>* object, Same<T> value,
                                            memory_order) {
  __atomic_store(&object->value, &value, __ATOMIC_RELAXED);
}
template <typename T>
SEGUE_MSL_INLINE T atomic_exchange_explicit(volatile atomic<T>* object, Same<T> value,
                                            memory_order) {
  T before;
  __atomic_exchange(&object->value, &value, &before, __ATOMIC_RELAXED);
  return before;
}
template <typename T>
SEGUE_MSL_INLINE bool atomic_compare_exchange_weak_explicit(volatile atomic<T>* object, T* expected,
                                                            Same<T> desired, memory_order,
                                                            memory_order) {
  return __atomic_compare_exchange(&object->value, expected, &desired, true, __ATOMIC_RELAXED,
                                   __ATOMIC_RELAXED);
}

#define SEGUE_MSL_FETCH(name)                                                                  \
  template <typename T>                                                                        \
  SEGUE_MSL_INLINE T atomic_fetch_##name##_explicit(volatile atomic<T>* object, Same<T> value, \
                                                    memory_order) {                            \
    return __atomic_fetch_##name(&object->value, value, __ATOMIC_RELAXED);                     \
  }
SEGUE_MSL_FETCH(add)
SEGUE_MSL_FETCH(sub)
SEGUE_MSL_FETCH(and)
SEGUE_MSL_FETCH(or)
SEGUE_MSL_FETCH(xor)
SEGUE_MSL_FETCH(min)
SEGUE_MSL_FETCH(max)
#undef SEGUE_MSL_FETCH

SEGUE_MSL_INLINE void atomic_thread_fence(mem_flags, memory_order = memory_order_relaxed,
                                          thread_scope = thread_scope_device) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

}  // namespace metal
