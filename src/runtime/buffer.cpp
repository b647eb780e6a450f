// SPDX-License-Identifier: Apache-2.0
#include "segue/buffer.hpp"

#include <bit>

#include "base/fail.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/describe.hpp"

namespace segue {

namespace {

/// What a view is taken of.
enum class Parent : std::uint8_t { kBuffer, kView };

/// Checks that `[offset, offset + size)` lies in the first `limit` bytes of its parent. Words are
/// made on refusal only, since views are taken for every token.
Result<> check_part(std::uint64_t offset, std::uint64_t size, std::uint64_t limit,
                    const runtime::BufferState& state, Parent kind) {
  if (offset <= limit && size <= limit - offset) return {};
  const std::string parent =
      (kind == Parent::kView ? "its parent view of " : "") + runtime::describe(state);
  if (size > UINT64_MAX - offset) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "Buffer view of {} bytes at offset {} overflows 64 bits, and {} has {} bytes.", size,
        offset, parent, limit);
  }
  return base::fail(ErrorCode::kInvalidArgument, "Buffer view ends at byte {} but {} has {} bytes.",
                    offset + size, parent, limit);
}

}  // namespace

std::uint64_t Buffer::size_bytes() const { return state_ == nullptr ? 0 : state_->size_bytes; }

std::string_view Buffer::label() const {
  return state_ == nullptr ? std::string_view() : state_->label;
}

HostAccess Buffer::host_access() const {
  return state_ == nullptr ? HostAccess::kNone : state_->host_access;
}

bool Buffer::is_transient() const { return state_ != nullptr && state_->transient; }

bool Buffer::is_backed() const { return state_ != nullptr && state_->backed.load(); }

NativeHandle Buffer::native_handle() const {
  if (state_ == nullptr) return {};
  const hal::Memory* const memory = state_->backing();
  if (memory == nullptr) return {};
  NativeHandle handle = memory->handle;
  handle.value += state_->native_offset;
  return handle;
}

BufferView Buffer::view() const { return {*this, 0, size_bytes()}; }

Result<BufferView> Buffer::view(std::uint64_t offset_bytes, std::uint64_t size_bytes) const {
  if (state_ == nullptr) {
    return base::fail(ErrorCode::kInvalidState,
                      "The buffer handle is empty, so it has no bytes to view.");
  }
  SEGUE_TRY(check_part(offset_bytes, size_bytes, state_->size_bytes, *state_, Parent::kBuffer));
  return BufferView(*this, offset_bytes, size_bytes);
}

AccessRange BufferView::range(Access access) const {
  if (!buffer_) return {};
  return buffer_.state()->range(offset_bytes_, size_bytes_, access);
}

Result<BufferView> BufferView::subview(std::uint64_t offset_bytes, std::uint64_t size_bytes) const {
  if (!buffer_) {
    return base::fail(ErrorCode::kInvalidState, "The view is empty, so it has no parts.");
  }
  SEGUE_TRY(check_part(offset_bytes, size_bytes, size_bytes_, *buffer_.state(), Parent::kView));
  return BufferView(buffer_, offset_bytes_ + offset_bytes, size_bytes);
}

namespace runtime {

void add_handle(BufferState* state) noexcept {
  if (state == nullptr) return;
  if (state->handles.fetch_add(1, std::memory_order_relaxed) == 0) state->retain();
}

void drop_handle(BufferState* state) noexcept {
  if (state == nullptr) return;
  if (state->handles.fetch_sub(1, std::memory_order_acq_rel) == 1) state->release();
}

Result<MappedBytes> map_view(const BufferView& view, bool writable, WaitMode mode,
                             std::size_t element_size, std::size_t element_alignment) {
  BufferState* state = view.buffer().state();
  if (state == nullptr) {
    return base::fail(ErrorCode::kInvalidState, "The view is empty, so it has no bytes to map.");
  }
  if (state->host_access != HostAccess::kNone) SEGUE_TRY(ensure_backed(*state));
  if (state->host_access == HostAccess::kNone || state->host == nullptr) {
    return base::fail(
        ErrorCode::kUnsupported,
        "The memory of {} has no host access; Device::upload and Device::download copy its bytes.",
        describe(*state));
  }
  if (writable && state->imported && !state->writable) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "The memory of {} is imported for reading only and cannot be mapped for writing.",
        describe(*state));
  }
  if (view.size_bytes() % element_size != 0) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The view of {} has {} bytes, which elements of {} bytes do not divide.",
                      describe(*state), view.size_bytes(), element_size);
  }
  std::byte* data = state->host + view.offset_bytes();
  if (std::bit_cast<std::uintptr_t>(data) % element_alignment != 0) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "The view at offset {} of {} does not align to {} bytes, as its elements need.",
        view.offset_bytes(), describe(*state), element_alignment);
  }
  SEGUE_TRY(begin_host_use(*state, view.offset_bytes(), view.size_bytes(), writable, mode));
  return MappedBytes{view.buffer(), data, view.size_bytes(), writable};
}

void unmap(MappedBytes& mapped) noexcept {
  if (mapped.buffer.state() == nullptr) return;
  end_host_use(*mapped.buffer.state(), mapped.writable);
  mapped = {};
}

}  // namespace runtime

}  // namespace segue
