// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/fibers.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

// Registers that a function must keep go to the stack that is left, and come from the other one.
// The jump measured better than a return, which is predicted by the calls on the stack that is
// left.
#if defined(__x86_64__)
asm(R"(
.text
.globl segue_msl_switch_stack
.type segue_msl_switch_stack, @function
.p2align 4
segue_msl_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmpq *%rcx
.size segue_msl_switch_stack, . - segue_msl_switch_stack
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl segue_msl_switch_stack
.type segue_msl_switch_stack, %function
.p2align 4
segue_msl_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size segue_msl_switch_stack, . - segue_msl_switch_stack
)");
#else
#error "Fibers need to know how this processor switches stacks."
#endif

namespace metal_double::msl {
namespace {

constexpr std::size_t kPage = 16384;  // a multiple of the page sizes that there are
#ifdef SEGUE_MSL_ASAN
constexpr std::size_t kStackSize = 256 * 1024;
#else
constexpr std::size_t kStackSize = 64 * 1024;
#endif

}  // namespace

Fiber::~Fiber() {
#ifdef SEGUE_MSL_TSAN
  if (owns_state_) __tsan_destroy_fiber(sanitizer_state_);
#endif
}

void Fiber::prepare(std::byte* stack, std::size_t size, std::size_t shift, void (*entry)()) {
#ifdef SEGUE_MSL_ASAN
  stack_ = stack;
  stack_size_ = size;
  __asan_unpoison_memory_region(stack, size);
  sanitizer_state_ = nullptr;
#endif
#ifdef SEGUE_MSL_TSAN
  if (sanitizer_state_ == nullptr) sanitizer_state_ = __tsan_create_fiber(0);
  owns_state_ = true;
#endif
  std::byte* top = stack + size - shift;
#if defined(__x86_64__)
  // Six registers, where to go on, and what would be the address of the caller.
  constexpr std::size_t kFrame = 8 * sizeof(void*);
  constexpr std::size_t kEntry = 6 * sizeof(void*);
#else
  constexpr std::size_t kFrame = 160;
  constexpr std::size_t kEntry = 88;
#endif
  std::byte* frame = top - kFrame;
  std::memset(frame, 0, kFrame);
  const auto address = reinterpret_cast<std::uintptr_t>(entry);
  std::memcpy(frame + kEntry, &address, sizeof address);
  stack_pointer_ = frame;
}

void Fiber::adopt_thread() {
#ifdef SEGUE_MSL_TSAN
  sanitizer_state_ = __tsan_get_current_fiber();
#endif
}

FiberStacks::FiberStacks(std::size_t count) : count_(count) {
  const std::size_t each = kStackSize + kPage;
  void* memory =
      ::mmap(nullptr, count * each, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  memory_ = static_cast<std::byte*>(memory);
  for (std::size_t i = 0; i < count; ++i) {
    if (::mprotect((*this)[i], kStackSize, PROT_READ | PROT_WRITE) != 0) std::abort();
  }
}

FiberStacks::~FiberStacks() { ::munmap(memory_, count_ * (kStackSize + kPage)); }

std::size_t FiberStacks::size() { return kStackSize; }

std::byte* FiberStacks::operator[](std::size_t index) const {
  return memory_ + index * (kStackSize + kPage) + kPage;
}

}  // namespace metal_double::msl
