// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "segue/buffer.hpp"
#include "segue/counters.hpp"
#include "segue/encoder.hpp"
#include "segue/error.hpp"
#include "segue/kernel.hpp"
#include "segue/limits.hpp"
#include "segue/pool.hpp"
#include "segue/residency.hpp"
#include "segue/timeline.hpp"

namespace segue {

namespace runtime {
class DeviceState;
}

/// Gets errors that nobody waited for. Called from any thread; it must not call back into the
/// device.
using ErrorHandler = std::function<void(const Error&)>;

/// How to open a device. What is left empty comes from the environment, read once when the device
/// is made, and then from the default named here; what is given here wins.
struct DeviceOptions {
  /// SEGUE_AUTO_BARRIER; true. Direct encoding only; for measuring.
  std::optional<bool> automatic_barriers = {};
  /// SEGUE_PROFILE; false. Takes the time of every dispatch: Device::label_times(),
  /// Submission::dispatch_times().
  std::optional<bool> profile = {};
  /// SEGUE_PROFILE_BARRIERS; false. Fills Counters::barrier_ns.
  std::optional<bool> profile_barriers = {};
  /// SEGUE_UNRETAINED_REFS; false. Default of EncoderOptions::lifetime.
  std::optional<bool> unretained = {};
  /// SEGUE_NO_RESIDENCY; false.
  std::optional<bool> no_residency = {};
  /// SEGUE_LOG: trace, debug, info, warn, error, off; "warn".
  std::optional<std::string> log_level = {};
  unsigned queue_count = 1;         ///< Queues that may run work side by side.
  ErrorHandler error_handler = {};  ///< Default: logs the error.
};

struct ImportOptions {
  std::string label = {};
  /// True: kernels may write. False: the memory may be mapped read-only, and recording a write is
  /// an error.
  bool writable = false;
  /// Imports with the same token, other than 0, share memory behind different addresses (a file
  /// mapped twice) and are tracked as one. Imports that share addresses need none.
  std::uint64_t alias_token = 0;
  /// Where this import begins in what the token names, such as the offset in the file. 0 without a
  /// token.
  std::uint64_t alias_offset_bytes = 0;
};

/// A device: the CPU or a GPU. A handle that shares ownership; buffers, encoders and submissions
/// keep the device alive, so handles may be dropped in any order. Thread-safe.
class Device {
 public:
  Device() = default;
  explicit Device(std::shared_ptr<runtime::DeviceState> state) : state_(std::move(state)) {}

  [[nodiscard]] explicit operator bool() const { return state_ != nullptr; }
  [[nodiscard]] std::string_view name() const;
  /// "host", "vulkan", "cuda" or "metal".
  [[nodiscard]] std::string_view backend() const;
  /// The clock of GpuTime, such as "host steady clock".
  [[nodiscard]] std::string_view clock_name() const;
  [[nodiscard]] const Limits& limits() const;
  [[nodiscard]] const Features& features() const;
  [[nodiscard]] MemoryInfo memory_info() const;
  [[nodiscard]] unsigned queue_count() const;

  /// Allocates memory, zeroed unless the description says otherwise.
  ///
  /// @error kInvalidArgument  The size is 0 or over Limits::max_buffer_bytes.
  /// @error kOutOfMemory
  [[nodiscard]] Result<Buffer> create_buffer(const BufferDesc& desc) const;
  /// Uses the caller's memory as a buffer without a copy; the caller keeps it mapped until the
  /// buffer is gone.
  ///
  /// @error kUnsupported      Device and host share no memory; allocate a buffer and upload().
  /// @error kInvalidArgument  Pointer or size does not divide by Limits::host_import_alignment.
  [[nodiscard]] Result<Buffer> import_host_memory(std::span<std::byte> memory,
                                                  const ImportOptions& options = {}) const;
  [[nodiscard]] Result<Buffer> import_host_memory(std::span<const std::byte> memory,
                                                  const ImportOptions& options = {}) const;

  /// Copies host bytes to a view, for any kind of buffer; returns when they are there. A write
  /// between dispatches of one recording is CommandEncoder::upload().
  ///
  /// @error kInvalidArgument  The sizes differ.
  /// @error kBusy             Unfinished work uses the bytes, and `mode` says not to wait.
  Result<> upload(const BufferView& destination, std::span<const std::byte> source,
                  WaitMode mode = WaitMode::kWait) const;
  /// Copies a view to host bytes. Errors as upload().
  Result<> download(const BufferView& source, std::span<std::byte> destination,
                    WaitMode mode = WaitMode::kWait) const;

  /// The device's kernels: those of segue::ops, and what users add.
  [[nodiscard]] KernelLibrary& kernels() const;
  [[nodiscard]] Result<CommandEncoder> create_encoder(const EncoderOptions& options = {}) const;
  /// A timeline that has reached `initial`, for all queues of the device and the host.
  [[nodiscard]] Result<Timeline> create_timeline(std::uint64_t initial = 0,
                                                 std::string_view label = {}) const;
  /// A timeline that another process or API exported; see Timeline::export_handle(). Takes the
  /// handle over if it succeeds.
  ///
  /// @error kUnsupported  Without Features::shared_timelines, or of a type that the device does not
  ///                      know.
  [[nodiscard]] Result<Timeline> import_timeline(const NativeHandle& handle,
                                                 std::string_view label = {}) const;
  [[nodiscard]] Result<Pool> create_pool(const PoolOptions& options = {}) const;
  [[nodiscard]] ResidencySet residency() const;

  [[nodiscard]] Counters counters() const;
  void reset_counters() const;
  /// Device time by label of all submissions that completed with profiling on
  /// (DeviceOptions::profile, Executable::set_profiling), most time first. Nothing waits for it.
  [[nodiscard]] std::vector<LabelTime> label_times() const;
  void reset_label_times() const;
  void set_error_handler(ErrorHandler handler) const;
  /// Waits until everything submitted is done.
  Result<> wait_idle() const;
  [[nodiscard]] NativeHandle native_handle() const;

  /// For the library itself.
  [[nodiscard]] const std::shared_ptr<runtime::DeviceState>& state() const { return state_; }

 private:
  std::shared_ptr<runtime::DeviceState> state_;
};

}  // namespace segue
