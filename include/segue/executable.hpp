// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "segue/buffer.hpp"
#include "segue/certificate.hpp"
#include "segue/error.hpp"
#include "segue/grid.hpp"
#include "segue/schedule.hpp"
#include "segue/submission.hpp"
#include "segue/timeline.hpp"

namespace segue {

namespace runtime {
class ExecutableHandle;
}

struct CompileOptions {
  Schedule schedule = Schedule::kCriticalPath;
  std::uint64_t seed = 0;  ///< For Schedule::kRandom.
  /// Transient buffers share one allocation where they are not alive at the same time. False: each
  /// keeps the memory that it has of its own.
  bool place_transients = true;
  /// Replays that may be unfinished at a time, each with parameters of its own. One more waits for
  /// the oldest.
  unsigned max_in_flight = 4;
  unsigned queue = 0;
  std::string label = {};
};

/// Where transient buffers went.
struct PlacementReport {
  std::uint32_t buffers = 0;
  std::uint64_t separate_bytes = 0;  ///< Each for itself.
  std::uint64_t placed_bytes = 0;    ///< What they share.
  /// The most that is alive at one time: no placement takes less.
  std::uint64_t lower_bound_bytes = 0;
  std::uint32_t barriers_added = 0;  ///< By sharing memory: always 0.
  /// Bytes if memory were used again as soon as the order of commands allows, and the barriers that
  /// this alone would add.
  std::uint64_t tight_bytes = 0;
  std::uint32_t tight_barriers = 0;
};

/// What the caller of a submission does next.
enum class Waiting : std::uint8_t {
  kUnknown,
  /// This thread goes on to wait for the submission, or for a later one of the queue. The host then
  /// runs the work on the waiting thread and wakes no other; GPUs start at once either way.
  kSoon,
};

/// What a replay may say beyond the values of its slots. Borrows.
struct SubmitOptions {
  std::string_view label = {};
  Waiting waiting = Waiting::kUnknown;
  std::span<const TimelinePoint> waits = {};    ///< Reached before the replay starts.
  std::span<const TimelinePoint> signals = {};  ///< Signalled when it is done.
};

enum class SlotId : std::uint32_t {};
enum class SlotType : std::uint8_t { kView, kBytes, kGrid };

/// A slot of an executable: declared when the graph was recorded.
struct SlotInfo {
  std::string name;
  SlotType type = SlotType::kBytes;
  std::uint64_t size_bytes = 0;    ///< Of the view, or of the value.
  std::uint32_t max = UINT32_MAX;  ///< The largest value of a slot of 4 bytes.
  Extent3 bound{0, 0, 0};          ///< The largest grid.
};

/// A graph made ready for a device, to be submitted again and again without recording.
///
/// Slots keep their value from one submission to the next until they are set again; unfinished
/// submissions keep those that they were submitted with. Move-only, single-threaded. May be dropped
/// while submissions are unfinished. An empty one, made without a graph or moved from, refuses what
/// can be refused and has nothing to report.
class Executable {
 public:
  Executable() noexcept;
  explicit Executable(std::unique_ptr<runtime::ExecutableHandle> handle);
  Executable(Executable&&) noexcept;
  Executable& operator=(Executable&&) noexcept;
  ~Executable();

  /// @name Slots. The values of all are checked together by submit().
  /// @{

  /// @error kNotFound  The graph has no slot of that name; the message lists those it has.
  [[nodiscard]] Result<SlotId> slot(std::string_view name) const;
  [[nodiscard]] std::vector<SlotInfo> slots() const;
  /// Binds another view of the slot's size.
  ///
  /// @error kInvalidArgument  Size, alignment, device or access do not fit, or the buffer is a
  ///                          transient one that compile() has placed.
  Result<> set(SlotId slot, const BufferView& view);
  /// Gives a slot of inline bytes a value of the same size.
  ///
  /// @error kInvalidArgument  The size differs, or the value exceeds SlotInfo::max.
  Result<> set(SlotId slot, std::span<const std::byte> bytes);
  template <class T>
    requires(std::is_trivially_copyable_v<T> && !std::is_convertible_v<const T&, BufferView> &&
             !std::is_convertible_v<const T&, std::span<const std::byte>> &&
             !std::is_same_v<T, Extent3>)
  Result<> set(SlotId slot, const T& value) {
    return set(slot, std::as_bytes(std::span(&value, 1)));
  }
  /// Chooses a grid, of threads or groups as it was recorded.
  ///
  /// @error kInvalidArgument  An extent exceeds SlotInfo::bound.
  Result<> set(SlotId slot, Extent3 grid);
  /// Lets the device read the value of a slot of inline bytes itself, from `source`, at the start
  /// of each replay; until the slot is set again. So a replay can go on from what the one before it
  /// computed, without the host in between. A number above SlotInfo::max is taken as that.
  ///
  /// @error kInvalidArgument  The size differs, the slot is of another kind, or the buffer is
  ///                          transient.
  Result<> load(SlotId slot, const BufferView& source);
  /// @}

  /// Submits one replay.
  ///
  /// @error kInvalidArgument  Views bound to slots overlap others in a way that the schedule did
  ///                          not allow for; the message names both ranges.
  /// @error kInvalidArgument  Timelines as CommandEncoder::wait_for() and signal().
  /// @error kBusy             The host maps a buffer that the replay uses; or all replays that may
  ///                          be unfinished wait for timelines that nothing submitted signals.
  /// Otherwise why the device refuses it. Nothing was submitted then.
  Result<Submission> submit(std::string_view label = {}, Waiting waiting = Waiting::kUnknown);
  Result<Submission> submit(const SubmitOptions& options);
  Result<> submit_and_wait(std::string_view label = {});
  Result<> submit_and_wait(const SubmitOptions& options);

  /// Takes the time of each dispatch of later submissions; see Submission::dispatch_times().
  void set_profiling(bool on);

  [[nodiscard]] ScheduleReport report() const;
  [[nodiscard]] PlacementReport placement() const;
  /// Each barrier and why it is there, slots with their defaults. Commands are positions in the
  /// order of execution.
  [[nodiscard]] std::vector<BarrierInfo> barriers() const;
  /// Checks what will be executed, placed memory included, slots with their defaults; see
  /// certificate.hpp.
  [[nodiscard]] Certificate certify() const;

 private:
  std::unique_ptr<runtime::ExecutableHandle> handle_;
};

}  // namespace segue
