// SPDX-License-Identifier: Apache-2.0
#include "support/allocation_counter.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_THREAD__)
#define SEGUE_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SEGUE_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef SEGUE_COUNTS_ALLOCATIONS
#define SEGUE_COUNTS_ALLOCATIONS 1
#endif

#if SEGUE_COUNTS_ALLOCATIONS
namespace {

std::atomic<std::uint64_t> allocations{0};

void* allocate(std::size_t size, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace segue::test {

std::uint64_t allocation_count() { return allocations.load(std::memory_order_relaxed); }
bool counts_allocations() { return true; }

}  // namespace segue::test

#else

namespace segue::test {

std::uint64_t allocation_count() { return 0; }
bool counts_allocations() { return false; }

}  // namespace segue::test

#endif  // SEGUE_COUNTS_ALLOCATIONS
