// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "hal/hal.hpp"
#include "ir/storage.hpp"
#include "runtime/device_core.hpp"
#include "segue/buffer.hpp"

namespace segue::runtime {

/// A buffer: storage, who allocated it, and how the host uses it now.
struct BufferState final : ir::Storage {
  std::shared_ptr<DeviceCore> core;
  std::unique_ptr<hal::Memory> allocation;
  HostAccess host_access = HostAccess::kReadWrite;
  bool writable = true;  ///< By kernels.
  bool imported = false;
  bool zeroed = true;  ///< What a deferred allocation asks for.
  /// Whether there is memory: not for a deferred buffer that nobody has used yet.
  std::atomic<bool> backed{true};
  std::uint64_t alias_token = 0;  ///< Of an import, as ImportOptions gave it.
  /// Whose bytes these are from `native_offset` on, where this buffer has no memory of its own.
  base::Ref<BufferState> whole;
  /// How often the host maps or copies the buffer now, for reading and for writing. A commit that
  /// conflicts is refused: it has to look after it registered, for the host counts itself before it
  /// looks at what is registered.
  std::atomic<std::uint32_t> read_mappings{0};
  std::atomic<std::uint32_t> write_mappings{0};

  /// The memory that the bytes are in, from `native_offset` on; null as long as there is none.
  [[nodiscard]] hal::Memory* backing() const {
    if (!backed.load(std::memory_order_acquire)) return nullptr;
    return whole ? whole->allocation.get() : allocation.get();
  }

 protected:
  /// Gives the index and the bytes back to the device.
  void destroy() noexcept override;
};

/// @error as Device::create_buffer.
[[nodiscard]] Result<Buffer> create_buffer(const std::shared_ptr<DeviceCore>& core,
                                           const BufferDesc& desc);
/// A buffer over bytes of `whole`, which has no memory yet; the two conflict where they overlap.
///
/// @param desc  Host access, label and size; the rest is without meaning.
/// @pre   The bytes are within `whole`, which is deferred and no part itself.
[[nodiscard]] Buffer create_part(const Buffer& whole, std::uint64_t offset, const BufferDesc& desc);
/// Gives a deferred buffer its memory, if it has none yet. Thread-safe.
///
/// @error kOutOfMemory, or what else Device::create_buffer returns.
[[nodiscard]] Result<> ensure_backed(BufferState& state);
/// @error as Device::import_host_memory.
[[nodiscard]] Result<Buffer> import_buffer(const std::shared_ptr<DeviceCore>& core, std::byte* data,
                                           std::uint64_t size_bytes, const ImportOptions& options);
[[nodiscard]] Result<> upload(DeviceCore& core, const BufferView& destination,
                              std::span<const std::byte> source, WaitMode mode);
[[nodiscard]] Result<> download(DeviceCore& core, const BufferView& source,
                                std::span<std::byte> destination, WaitMode mode);

/// Announces that the host is going to read or write the bytes, once unfinished work does not
/// conflict with that. Each success needs an end_host_use().
///
/// @error kBusy  Unfinished work conflicts, and `mode` says not to wait.
[[nodiscard]] Result<> begin_host_use(BufferState& state, std::uint64_t offset,
                                      std::uint64_t size_bytes, bool writes, WaitMode mode);
void end_host_use(BufferState& state, bool writes) noexcept;

/// Sets every byte of a buffer that nobody uses.
[[nodiscard]] Result<> fill_idle(BufferState& state, std::byte value);

}  // namespace segue::runtime
