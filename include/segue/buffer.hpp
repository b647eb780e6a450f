// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "segue/access.hpp"
#include "segue/error.hpp"
#include "segue/limits.hpp"
#include "segue/ref.hpp"

namespace segue {

class BufferView;
class Device;

namespace runtime {
struct BufferState;
void add_handle(BufferState* state) noexcept;
void drop_handle(BufferState* state) noexcept;
}  // namespace runtime

/// What the host may do with a buffer's memory directly. upload() and download() work with every
/// kind.
///
/// Where device and host share memory, or the host sees all of the device's, both kinds are in the
/// same memory. Where it does not, kReadWrite places the buffer in memory of the host, which
/// kernels reach over the bus: good for what is written or read once, such as logits, and slow for
/// weights. There kNone is the choice for everything that kernels read often; upload() and
/// download() then go through a bounded staging buffer. The host reads device memory that it does
/// see, without caching it, at a fraction of the speed of download().
enum class HostAccess : std::uint8_t {
  kNone,       ///< Device only; mapping is an error.
  kReadWrite,  ///< Mappable, coherent: no flush is ever needed.
};

struct BufferDesc {
  std::uint64_t size_bytes = 0;
  HostAccess host_access = HostAccess::kReadWrite;
  bool uninitialised = false;  ///< False: every byte is zero.
  /// Memory is taken when a submission or the host first uses the buffer. Until then it can be
  /// recorded, planned and checked.
  bool deferred = false;
  /// Content does not outlive a submission, so the host has no access, a graph may eliminate the
  /// buffer, and an executable places it together with others. Implies `deferred`.
  bool transient = false;
  std::string label = {};
};

/// What to do when unfinished work uses the memory.
enum class WaitMode : std::uint8_t {
  kWait,      ///< Wait for that work.
  kDontWait,  ///< Fail with kBusy.
};

/// Device memory. A handle that shares ownership: copies name the same memory, which lives until
/// the last handle is gone and the last submission using it completed. Thread-safe but for the
/// bytes themselves.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(runtime::BufferState* state) noexcept : state_(state) {
    runtime::add_handle(state_);
  }
  Buffer(const Buffer& other) noexcept : Buffer(other.state_) {}
  Buffer(Buffer&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Buffer() { runtime::drop_handle(state_); }

  [[nodiscard]] explicit operator bool() const { return state_ != nullptr; }
  [[nodiscard]] std::uint64_t size_bytes() const;
  [[nodiscard]] std::string_view label() const;
  [[nodiscard]] HostAccess host_access() const;
  /// Whether BufferDesc::transient was set: content does not outlive a submission.
  [[nodiscard]] bool is_transient() const;
  /// Whether there is memory: not for a deferred buffer that nobody has used yet.
  [[nodiscard]] bool is_backed() const;
  /// The native object that has the bytes, and in `value` where in it they begin: a "VkBuffer", an
  /// "MTLBuffer" or a "host.pointer". Empty without memory.
  [[nodiscard]] NativeHandle native_handle() const;

  /// All of the buffer.
  [[nodiscard]] BufferView view() const;
  /// Bytes `[offset_bytes, offset_bytes + size_bytes)`.
  ///
  /// @error kInvalidArgument  The range leaves the buffer or overflows.
  [[nodiscard]] Result<BufferView> view(std::uint64_t offset_bytes, std::uint64_t size_bytes) const;

  friend bool operator==(const Buffer&, const Buffer&) = default;

  /// For the library itself.
  [[nodiscard]] runtime::BufferState* state() const { return state_; }

 private:
  runtime::BufferState* state_ = nullptr;
};

namespace runtime {
struct MappedBytes {
  Buffer buffer;
  std::byte* data = nullptr;
  std::uint64_t size_bytes = 0;
  bool writable = false;
};
Result<MappedBytes> map_view(const BufferView& view, bool writable, WaitMode mode,
                             std::size_t element_size, std::size_t element_alignment);
void unmap(MappedBytes& mapped) noexcept;
}  // namespace runtime

/// Direct host access to a view, for as long as this object lives. While it does, committing work
/// that writes the buffer (that uses it at all, if T is not const) fails with kBusy instead of
/// racing. Move-only.
template <class T>
class Mapping {
 public:
  explicit Mapping(runtime::MappedBytes mapped) : mapped_(std::move(mapped)) {}
  Mapping(Mapping&& other) noexcept : mapped_(std::exchange(other.mapped_, {})) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(mapped_, other.mapped_);
    return *this;
  }
  ~Mapping() { runtime::unmap(mapped_); }

  [[nodiscard]] std::span<T> span() const {
    return {reinterpret_cast<T*>(mapped_.data),
            static_cast<std::size_t>(mapped_.size_bytes / sizeof(T))};
  }
  [[nodiscard]] T& operator[](std::size_t i) const { return span()[i]; }
  [[nodiscard]] std::size_t size() const { return span().size(); }
  [[nodiscard]] auto begin() const { return span().begin(); }
  [[nodiscard]] auto end() const { return span().end(); }

 private:
  runtime::MappedBytes mapped_;
};

/// Bytes `[offset, offset + size)` of a buffer. The same three values serve binding, hazard
/// tracking, capture and host access. A view keeps its buffer alive.
class BufferView {
 public:
  BufferView() = default;

  [[nodiscard]] const Buffer& buffer() const { return buffer_; }
  /// From the start of the buffer.
  [[nodiscard]] std::uint64_t offset_bytes() const { return offset_bytes_; }
  /// The view's own size, never the buffer's or an allocation's.
  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(buffer_); }
  /// The view's bytes in the coordinates in which accesses are compared: buffers that share memory
  /// share them. Empty without a buffer.
  [[nodiscard]] AccessRange range(Access access) const;

  /// A part of this view; the offset counts from this view's start.
  ///
  /// @error kInvalidArgument  The part leaves this view or overflows.
  [[nodiscard]] Result<BufferView> subview(std::uint64_t offset_bytes,
                                           std::uint64_t size_bytes) const;

  /// The view's bytes as T for reading. Waits for unfinished work that writes them.
  ///
  /// @error kInvalidArgument  The view does not divide into T, or its address does not align to T.
  /// @error kUnsupported      The buffer has no host access; use Device::download().
  /// @error kBusy             Unfinished work writes the bytes, and `mode` says not to wait.
  template <class T>
  [[nodiscard]] Result<Mapping<const T>> map_read(WaitMode mode = WaitMode::kWait) const {
    return map<const T>(false, mode);
  }
  /// The view's bytes as T for reading and writing. Waits for unfinished work that uses them.
  /// Errors as map_read().
  template <class T>
  [[nodiscard]] Result<Mapping<T>> map_write(WaitMode mode = WaitMode::kWait) const {
    return map<T>(true, mode);
  }

  friend bool operator==(const BufferView&, const BufferView&) = default;

 private:
  friend class Buffer;
  BufferView(Buffer buffer, std::uint64_t offset_bytes, std::uint64_t size_bytes)
      : buffer_(std::move(buffer)), offset_bytes_(offset_bytes), size_bytes_(size_bytes) {}

  template <class T>
  Result<Mapping<T>> map(bool writable, WaitMode mode) const {
    static_assert(std::is_trivially_copyable_v<T>,
                  "Device memory holds trivially copyable types only.");
    auto mapped = runtime::map_view(*this, writable, mode, sizeof(T), alignof(T));
    if (!mapped) return std::unexpected(std::move(mapped).error());
    return Mapping<T>(*std::move(mapped));
  }

  Buffer buffer_;
  std::uint64_t offset_bytes_ = 0;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace segue
