// SPDX-License-Identifier: Apache-2.0
#include "runtime/buffer_state.hpp"

#include <bit>
#include <cassert>
#include <cstring>

#include "base/fail.hpp"
#include "runtime/describe.hpp"

namespace segue::runtime {

namespace {

/// The part of a device's memory statistics and tables that a buffer takes, and gives back in
/// destroy().
base::Ref<BufferState> make_state(const std::shared_ptr<DeviceCore>& core,
                                  std::unique_ptr<hal::Memory> memory, std::uint64_t size_bytes,
                                  const std::string& label) {
  base::Ref<BufferState> state(new BufferState);
  state->core = core;
  state->allocation = std::move(memory);
  state->size_bytes = size_bytes;
  if (state->allocation != nullptr) {
    state->host = state->allocation->host;
    state->native = state->allocation->native;
  }
  state->label = label;
  state->index = core->storage_indices.take();
  return state;
}

/// Checks what upload() and download() share, and returns the buffer's state.
Result<BufferState*> check_transfer(const DeviceCore& core, const BufferView& view,
                                    std::size_t host_bytes, std::string_view verb) {
  BufferState* state = view.buffer().state();
  if (state == nullptr) {
    return base::fail(ErrorCode::kInvalidArgument, "The view is empty, so it has no bytes to {}.",
                      verb);
  }
  if (state->core.get() != &core) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The device cannot {} bytes of {}, which belongs to another device.", verb,
                      describe(*state));
  }
  if (view.size_bytes() != host_bytes) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The view of {} has {} bytes but the host side of the {} has {}.",
                      describe(*state), view.size_bytes(), verb, host_bytes);
  }
  if (state->transient) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The content of {} is transient, so there is nothing to {}.",
                      describe(*state), verb);
  }
  SEGUE_TRY(ensure_backed(*state));
  return state;
}

/// So few bytes the host reads faster itself from memory that it does not cache than the device
/// copies them where it does.
constexpr std::size_t kReadUncachedUpTo = 4096;

Result<> write_bytes(BufferState& state, std::uint64_t offset, std::span<const std::byte> source) {
  if (state.host == nullptr)
    return state.core->hal().write(*state.backing(), state.native_offset + offset, source);
  std::memcpy(state.host + offset, source.data(), source.size());
  return {};
}

Result<> read_bytes(const BufferState& state, std::uint64_t offset,
                    std::span<std::byte> destination) {
  hal::Memory& memory = *state.backing();
  if (state.host == nullptr || (!memory.host_cached && destination.size() > kReadUncachedUpTo)) {
    return state.core->hal().read(memory, state.native_offset + offset, destination);
  }
  std::memcpy(destination.data(), state.host + offset, destination.size());
  return {};
}

}  // namespace

void BufferState::destroy() noexcept {
  if (memory != MemoryId::kNone) core->memories.remove(*this, alias_token);
  core->storage_indices.give_back(index);
  if (!imported && !whole && backed.load())
    core->used_bytes.fetch_sub(size_bytes, std::memory_order_relaxed);
  delete this;
}

Result<Buffer> create_buffer(const std::shared_ptr<DeviceCore>& core, const BufferDesc& desc) {
  SEGUE_TRY(core->check_alive());
  const std::uint64_t limit = core->hal().limits().max_buffer_bytes;
  if (desc.size_bytes == 0) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The size given for {} is 0 bytes; a buffer has at least 1.",
                      describe_buffer(desc.label));
  }
  if (desc.size_bytes > limit) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The size given for {} is {} bytes but Limits::max_buffer_bytes is {}.",
                      describe_buffer(desc.label), desc.size_bytes, limit);
  }
  base::Ref<BufferState> state = make_state(core, nullptr, desc.size_bytes, desc.label);
  state->backed.store(false);
  state->zeroed = !desc.uninitialised;
  state->transient = desc.transient;
  state->host_access = desc.transient ? HostAccess::kNone : desc.host_access;
  core->memories.add_allocation(*state);
  if (!desc.deferred && !desc.transient) SEGUE_TRY(ensure_backed(*state));
  return Buffer(state.get());
}

Buffer create_part(const Buffer& whole, std::uint64_t offset, const BufferDesc& desc) {
  BufferState& owner = *whole.state();
  assert(!owner.whole && !owner.backed.load());
  assert(offset <= owner.size_bytes && desc.size_bytes <= owner.size_bytes - offset);
  base::Ref<BufferState> state = make_state(owner.core, nullptr, desc.size_bytes, desc.label);
  state->backed.store(false);
  state->whole = base::Ref<BufferState>(&owner);
  state->native_offset = offset;
  state->host_access = desc.host_access;
  owner.core->memories.add_part(*state, owner, offset);
  return Buffer(state.get());
}

Result<> ensure_backed(BufferState& state) {
  if (state.backed.load(std::memory_order_acquire)) [[likely]]
    return {};
  if (state.whole) SEGUE_TRY(ensure_backed(*state.whole));
  DeviceCore& core = *state.core;
  const std::lock_guard lock(core.backing_mutex);
  if (state.backed.load(std::memory_order_relaxed)) return {};
  if (state.whole) {
    const BufferState& whole = *state.whole;
    if (whole.host != nullptr) core.memories.set_address(state, whole.host + state.native_offset);
    state.native = whole.native;
    state.backed.store(true, std::memory_order_release);
    return {};
  }
  hal::MemoryRequest request;
  request.size_bytes = state.size_bytes;
  request.host_access = state.host_access != HostAccess::kNone;
  request.zero = state.zeroed;
  request.label = state.label;
  SEGUE_TRY_ASSIGN(state.allocation, core.hal().allocate(request));
  core.memories.set_address(state, state.allocation->host);
  state.native = state.allocation->native;
  core.used_bytes.fetch_add(state.size_bytes, std::memory_order_relaxed);
  state.backed.store(true, std::memory_order_release);
  return {};
}

Result<Buffer> import_buffer(const std::shared_ptr<DeviceCore>& core, std::byte* data,
                             std::uint64_t size_bytes, const ImportOptions& options) {
  SEGUE_TRY(core->check_alive());
  const std::string name = describe_buffer(options.label);
  const Limits& limits = core->hal().limits();
  if (!core->hal().features().unified_memory) {
    return base::fail(ErrorCode::kUnsupported,
                      "Device \"{}\" shares no memory with the host, so {} cannot be an import; "
                      "create a buffer and upload.",
                      core->hal().name(), name);
  }
  if (data == nullptr || size_bytes == 0) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "The memory imported as {} has {} bytes at address {:#x}; an import has at least 1 byte.",
        name, size_bytes, std::bit_cast<std::uintptr_t>(data));
  }
  if (size_bytes > limits.max_buffer_bytes) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The memory imported as {} has {} bytes but Limits::max_buffer_bytes is {}.",
                      name, size_bytes, limits.max_buffer_bytes);
  }
  const std::uint64_t address = std::bit_cast<std::uintptr_t>(data);
  const std::uint64_t alignment = limits.host_import_alignment;
  if (address % alignment != 0 || size_bytes % alignment != 0) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The memory imported as {} has {} bytes at address {:#x}; both divide by {} "
                      "(Limits::host_import_alignment).",
                      name, size_bytes, address, alignment);
  }
  if (options.alias_offset_bytes > UINT64_MAX - size_bytes) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The alias offset {} of {} and its {} bytes overflow 64 bits.",
                      options.alias_offset_bytes, name, size_bytes);
  }
  if (options.alias_token == 0 && options.alias_offset_bytes != 0) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "The alias offset of {} is {} but it has no alias token; without one it is 0.", name,
        options.alias_offset_bytes);
  }
  SEGUE_TRY_ASSIGN(std::unique_ptr<hal::Memory> memory,
                   core->hal().import_host(data, size_bytes, options.writable));

  base::Ref<BufferState> state = make_state(core, std::move(memory), size_bytes, options.label);
  state->imported = true;
  state->writable = options.writable;
  SEGUE_TRY(core->memories.add_import(*state, options.alias_token, options.alias_offset_bytes));
  state->alias_token = options.alias_token;
  return Buffer(state.get());
}

Result<> begin_host_use(BufferState& state, std::uint64_t offset, std::uint64_t size_bytes,
                        bool writes, WaitMode mode) {
  SEGUE_TRY(state.core->check_alive());
  // Counted before looking, so that a commit sees the use or this sees the commit.
  auto& uses = writes ? state.write_mappings : state.read_mappings;
  uses.fetch_add(1);
  const Access access = writes ? Access::kWrite : Access::kRead;
  Result<> free =
      state.core->wait_until_free(state.range(offset, size_bytes, access), mode, state.label);
  if (!free) uses.fetch_sub(1);
  return free;
}

void end_host_use(BufferState& state, bool writes) noexcept {
  (writes ? state.write_mappings : state.read_mappings).fetch_sub(1);
}

Result<> upload(DeviceCore& core, const BufferView& destination, std::span<const std::byte> source,
                WaitMode mode) {
  SEGUE_TRY_ASSIGN(BufferState* const state,
                   check_transfer(core, destination, source.size(), "upload"));
  if (state->imported && !state->writable) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The memory of {} is imported for reading only and takes no upload.",
                      describe(*state));
  }
  if (source.empty()) return {};
  SEGUE_TRY(begin_host_use(*state, destination.offset_bytes(), source.size(), true, mode));
  Result<> written = write_bytes(*state, destination.offset_bytes(), source);
  end_host_use(*state, true);
  return written;
}

Result<> download(DeviceCore& core, const BufferView& source, std::span<std::byte> destination,
                  WaitMode mode) {
  SEGUE_TRY_ASSIGN(BufferState* const state,
                   check_transfer(core, source, destination.size(), "download"));
  if (destination.empty()) return {};
  SEGUE_TRY(begin_host_use(*state, source.offset_bytes(), destination.size(), false, mode));
  Result<> read = read_bytes(*state, source.offset_bytes(), destination);
  end_host_use(*state, false);
  return read;
}

Result<> fill_idle(BufferState& state, std::byte value) {
  if (state.host == nullptr) {
    return state.core->hal().fill(*state.backing(), state.native_offset, state.size_bytes, value);
  }
  std::memset(state.host, std::to_integer<int>(value), state.size_bytes);
  return {};
}

}  // namespace segue::runtime
