// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "segue/access.hpp"
#include "segue/buffer.hpp"
#include "segue/error.hpp"
#include "segue/graph.hpp"
#include "segue/grid.hpp"
#include "segue/hazard.hpp"
#include "segue/kernel.hpp"
#include "segue/submission.hpp"
#include "segue/timeline.hpp"

namespace segue {

namespace runtime {
class EncoderState;
class DeviceState;
}  // namespace runtime

/// Part of an inline argument that a replay may set; see Executable::set(). The bytes given at
/// recording are its default: direct encoding uses them, and so does a replay that sets nothing.
struct BytesSlot {
  std::string_view name;
  std::uint32_t offset_bytes = 0;  ///< In the argument.
  std::uint32_t size_bytes = 0;    ///< 0: up to the argument's end.
  /// Of a slot of 4 bytes, an unsigned number: the largest value allowed.
  std::uint32_t max = UINT32_MAX;
};

/// One argument of a dispatch: a view, a view at an explicit offset, inline bytes, or a slot of
/// either kind. All uses of a slot's name in a recording agree in kind, size and default. Borrows:
/// what it was made from must live until the call it is given to returns.
class KernelArg {
 public:
  KernelArg(const BufferView&
                view)  // NOLINT(google-explicit-constructor): arguments read as a list of views.
      : state_(view.buffer().state()),
        offset_(view.offset_bytes()),
        size_(view.size_bytes()),
        kind_(Kind::kView) {}

  /// The storage of `view` from exactly `offset_bytes` after the storage's start to its end, or
  /// `size_bytes` of it.
  [[nodiscard]] static KernelArg at(const BufferView& view, std::uint64_t offset_bytes,
                                    std::optional<std::uint64_t> size_bytes = std::nullopt);

  /// A trivially copyable value, copied at the call.
  template <class T>
    requires(!std::is_convertible_v<const T&, std::span<const std::byte>>)
  [[nodiscard]] static KernelArg bytes(const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>,
                  "Inline bytes are a trivially copyable value.");
    return bytes(std::as_bytes(std::span(&value, 1)));
  }
  [[nodiscard]] static KernelArg bytes(std::span<const std::byte> bytes) {
    KernelArg argument;
    argument.bytes_ = bytes.data();
    argument.size_ = bytes.size();
    argument.kind_ = Kind::kBytes;
    return argument;
  }

  /// Inline bytes, parts of which a replay may set: in ascending order, none sharing a byte.
  template <class T>
    requires(!std::is_convertible_v<const T&, std::span<const std::byte>>)
  [[nodiscard]] static KernelArg bytes(const T& value, std::span<const BytesSlot> slots) {
    KernelArg argument = bytes(value);
    argument.extra_ = slots.data();
    argument.extra_count_ = static_cast<std::uint32_t>(slots.size());
    argument.has_slots_ = !slots.empty();
    return argument;
  }
  [[nodiscard]] static KernelArg bytes(std::span<const std::byte> bytes,
                                       std::span<const BytesSlot> slots) {
    KernelArg argument = KernelArg::bytes(bytes);
    argument.extra_ = slots.data();
    argument.extra_count_ = static_cast<std::uint32_t>(slots.size());
    argument.has_slots_ = !slots.empty();
    return argument;
  }
  /// A view that a replay may replace by another one of the same size. `view` is the default, and
  /// what planning uses.
  [[nodiscard]] static KernelArg slot(std::string_view name, const BufferView& view) {
    KernelArg argument(view);
    argument.extra_ = name.data();
    argument.extra_count_ = static_cast<std::uint32_t>(name.size());
    argument.has_slots_ = true;
    return argument;
  }

  enum class Kind : std::uint8_t { kMissing, kView, kBytes };
  /// @name For the library itself.
  /// @{
  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] runtime::BufferState* state() const { return state_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::byte* data() const { return bytes_; }
  [[nodiscard]] bool has_slots() const { return has_slots_; }
  [[nodiscard]] std::string_view view_slot() const {
    return {static_cast<const char*>(extra_), extra_count_};
  }
  [[nodiscard]] std::span<const BytesSlot> bytes_slots() const {
    return {static_cast<const BytesSlot*>(extra_), extra_count_};
  }
  /// The same argument, a slot of a view, with its name kept elsewhere.
  [[nodiscard]] KernelArg with_slot_name(std::string_view name) const {
    KernelArg copy = *this;
    copy.extra_ = name.data();
    copy.extra_count_ = static_cast<std::uint32_t>(name.size());
    return copy;
  }
  KernelArg() = default;
  /// @}

 private:
  runtime::BufferState* state_ = nullptr;
  const std::byte* bytes_ = nullptr;
  std::uint64_t offset_ = 0;
  std::uint64_t size_ = 0;
  const void* extra_ = nullptr;  // slots of bytes, or the name of a view's slot
  std::uint32_t extra_count_ = 0;
  Kind kind_ = Kind::kMissing;
  bool has_slots_ = false;
};

/// Bytes of one launch-sized shared parameter, named by its place in Signature::parameters.
struct SharedMemorySize {
  std::uint32_t parameter = 0;
  std::uint32_t size_bytes = 0;
};

/// What a dispatch may say beyond kernel, arguments and grid. Borrows, as KernelArg.
struct DispatchOptions {
  std::span<const SharedMemorySize> shared_memory = {};
  Extent3 group_size{0, 0, 0};              ///< Zero: the signature's.
  std::optional<OpKind> op = std::nullopt;  ///< Nothing: set_op_kind()'s, or kOther.
  std::string_view label = {};
  /// A slot for the grid, by this name: a replay may choose a smaller grid, never a larger one.
  std::string_view grid_slot = {};
  /// Explicit footprint: replaces what the signature says of reads, or of writes. It may narrow an
  /// argument or add memory reached through pointers.
  std::optional<std::span<const BufferView>> reads = std::nullopt;
  std::optional<std::span<const BufferView>> writes = std::nullopt;
};

/// What a dispatch says that says nothing more.
inline constexpr DispatchOptions kPlainDispatch{};

/// Whether a recording keeps what it uses alive until it completed.
enum class Lifetime : std::uint8_t {
  kRetained,
  kUnretained,  ///< The caller does. Builds with lifetime checks fail with the label of a buffer
                ///< freed too early.
};

struct EncoderOptions {
  BarrierMode barriers = BarrierMode::kAutomatic;
  std::optional<Lifetime> lifetime = {};  ///< Nothing: as DeviceOptions::unretained says.
  unsigned queue = 0;
  std::string label = {};
};

/// What a recording holds so far.
struct RecordingStats {
  std::uint64_t commands = 0;  ///< Dispatches, fills, copies, uploads and native callbacks.
  std::uint64_t barriers_inferred = 0;   ///< Inside the recording, because of conflicts.
  std::uint64_t barriers_requested = 0;  ///< Placed by hand.
  std::uint64_t concurrent = 0;          ///< Tracked commands that needed no barrier before them.
  std::uint64_t unannotated = 0;         ///< Dispatches with an access that nobody declared.
  std::uint64_t live_ranges = 0;         ///< In the hazard tracker now.
};

/// Gives a native callback the object it records into: the backend's header says which.
using NativeRecorder = std::function<void(void* native_object)>;

/// Records commands for one submission. Single-threaded, movable between threads, no device work
/// until commit.
///
/// The first invalid call makes the recording fail: later calls do nothing, and commit() returns
/// that first error with its label path and command index. After commit(), whatever it returned,
/// begin() makes the encoder usable again; recording without it is an error. Dropping an encoder
/// discards what was not committed.
class CommandEncoder {
 public:
  CommandEncoder();
  explicit CommandEncoder(std::unique_ptr<runtime::EncoderState> state);
  CommandEncoder(CommandEncoder&&) noexcept;
  CommandEncoder& operator=(CommandEncoder&&) noexcept;
  ~CommandEncoder();

  /// @name Dispatch
  /// @{

  /// Runs `kernel` over `grid`.
  ///
  /// @param args     One per kernel parameter but the shared ones, in order. Views are kept alive,
  /// bytes are copied.
  /// @param grid     threads(...) counts threads, groups(...) counts thread groups. Any zero:
  /// nothing runs, and the
  ///                 command still counts as recorded.
  /// @param options  Shared memory, group size, op kind, label, explicit footprint.
  /// @error kInvalidArgument  An argument does not fit the signature or a limit (returned by
  /// commit()).
  /// @note  Host: one task. Vulkan: vkCmdDispatch. Metal: dispatchThreadgroups. CUDA: one kernel
  /// node.
  void dispatch(const Kernel& kernel, std::span<const KernelArg> args, Grid grid,
                const DispatchOptions& options = kPlainDispatch);
  void dispatch(const Kernel& kernel, std::initializer_list<KernelArg> args, Grid grid,
                const DispatchOptions& options = kPlainDispatch) {
    dispatch(kernel, std::span<const KernelArg>(args.begin(), args.size()), grid, options);
  }

  /// As dispatch() with a grid of groups that the device reads from `group_counts`: three uint32,
  /// each at most that of `bound`. Larger counts run as the bound. The read is tracked.
  void dispatch_indirect(const Kernel& kernel, std::span<const KernelArg> args,
                         const BufferView& group_counts, Extent3 bound,
                         const DispatchOptions& options = kPlainDispatch);

  /// Sets every byte of `destination`, a view or a slot of one, to `value`.
  void fill(const KernelArg& destination, std::byte value);
  /// Copies `source` to `destination` of the same size; they must not overlap.
  void copy(const KernelArg& source, const KernelArg& destination);
  /// Copies host bytes, taken now, to `destination` when the device gets here. Sizes must agree.
  void upload(const KernelArg& destination, std::span<const std::byte> source) {
    upload(destination, KernelArg::bytes(source));
  }
  /// As above, of inline bytes that may have slots.
  void upload(const KernelArg& destination, const KernelArg& source);
  /// Calls `record` when the recording is lowered, between its neighbours, for native calls that
  /// touch no more than these views. Host: `native_object` is null, and the call happens on the
  /// device's thread.
  void native(std::span<const BufferView> reads, std::span<const BufferView> writes,
              NativeRecorder record);
  /// @}

  /// @name Stateful form, for ported code. Arguments stay set until the kernel changes.
  /// @{
  void set_kernel(const Kernel& kernel);
  void set_argument(std::uint32_t index, const KernelArg& arg);
  void set_shared_memory(std::uint32_t index, std::uint32_t size_bytes);
  void dispatch_threads(Extent3 threads, Extent3 group_size = {0, 0, 0});
  void dispatch_groups(Extent3 groups, Extent3 group_size = {0, 0, 0});
  /// @}

  /// @name Barriers. None is needed for correctness in automatic mode.
  /// @{

  /// A fence: nothing moves across it. Nothing happens when no command precedes it.
  void memory_barrier();
  /// memory_barrier() under the name that ported code knows.
  void force_barrier_and_reset() { memory_barrier(); }
  /// Places a barrier if these views conflict with commands since the last one. They become the
  /// pending ranges of the next dispatch.
  void barrier_between(std::span<const BufferView> reads, std::span<const BufferView> writes);
  /// The footprint of the next dispatch, if it brings none itself.
  void set_pending_ranges(std::span<const BufferView> reads, std::span<const BufferView> writes);
  /// While capturing: gives the last captured dispatch the reads, or the writes, that it has no
  /// ranges for.
  void fill_missing_ranges(std::span<const BufferView> reads, std::span<const BufferView> writes);
  /// The kind of the next dispatch, captured or not.
  void set_op_kind(OpKind kind);
  /// @}

  /// @name Labels: joined by '/', they tell where an error or a barrier comes from. Empty ones are
  /// refused.
  /// @{
  void push_label(std::string_view label);
  void pop_label();
  /// @}

  /// @name Capture: commands become nodes of a graph, and nothing of them reaches the device.
  /// @{
  void start_capture();
  [[nodiscard]] bool is_capturing() const;
  /// @error kInvalidState  No capture was started. Otherwise the first error during the capture.
  [[nodiscard]] Result<Graph> take_capture();
  /// @}

  /// @name Replay into this recording: captured commands are recorded again, with the defaults of
  /// their slots. Nodes of another device make the recording fail.
  /// @{

  /// One node of a graph; a hand-placed barrier becomes one here.
  ///
  /// @error kInvalidArgument  The graph has no such node.
  void encode_node(const Graph& graph, std::size_t index);
  /// All nodes in recorded order. Barriers are inferred as for any recording; a graph that was
  /// captured in manual mode gets the hand-placed ones only.
  void encode_sequential(const Graph& graph);
  /// All nodes but hand-placed barriers, in the order given, with the fewest barriers that it
  /// allows, whatever the barrier mode; hand-placed barriers are kept as fences.
  ///
  /// @error kInvalidArgument  `order` does not name each of them once, or breaks a dependency or a
  ///                          fence; the message names both commands.
  void encode_with_barriers(const Graph& graph, std::span<const std::uint32_t> order);
  /// @}

  /// @name Timelines: what the next commit as a whole waits for before its first command, and
  /// signals after its last; also if it has no command. See Timeline.
  /// @{

  /// @error kInvalidArgument  The handle is empty or of another device, or the recording signals
  ///                          this value or a smaller one of the timeline (returned by commit(), as
  ///                          are those below).
  /// @error kInvalidState     A capture is open: give timelines to Executable::submit().
  /// Otherwise why the timeline failed.
  void wait_for(const Timeline& timeline, std::uint64_t value);
  /// @error kInvalidArgument  As above; or the timeline has reached the value, or is signalled by
  ///                          the recording already.
  /// @error kInvalidState     As above.
  void signal(const Timeline& timeline, std::uint64_t value);
  /// @}

  /// @name Commit. An empty recording is valid and completes.
  /// @{

  /// The first error of this recording, if any.
  [[nodiscard]] Result<> status() const;
  /// Submits the recording.
  ///
  /// @error kInvalidState  Already committed, or a capture is open.
  /// @error kBusy          The host maps a buffer that the recording uses; or as many submissions
  /// as
  ///                       the device allows wait for timelines that none of them signals.
  /// Otherwise the first error of the recording, or why the device refuses it; nothing was
  /// submitted then.
  Result<Submission> commit();
  Result<Submission> commit(std::string_view label);
  Result<> commit_and_wait();
  Result<> commit_and_wait(std::string_view label);
  Result<GpuTime> commit_wait_with_gpu_time();
  Result<GpuTime> commit_wait_with_gpu_time(std::string_view label);
  /// Makes the encoder ready for a new recording, after a commit or an error. Discards what was not
  /// committed.
  ///
  /// @error kInvalidState  A capture is open.
  Result<> begin();
  /// @}

  [[nodiscard]] RecordingStats stats() const;
  [[nodiscard]] std::vector<BarrierInfo> barriers() const;

  /// Makes the recording fail with `error`, unless it already did: for code that records on behalf
  /// of others.
  void fail(Error error);

 private:
  std::unique_ptr<runtime::EncoderState> state_;
};

/// Pushes a label for a scope of code.
class LabelScope {
 public:
  LabelScope(CommandEncoder& encoder, std::string_view label) : encoder_(encoder) {
    encoder_.push_label(label);
  }
  LabelScope(const LabelScope&) = delete;
  LabelScope& operator=(const LabelScope&) = delete;
  ~LabelScope() { encoder_.pop_label(); }

 private:
  CommandEncoder& encoder_;
};

}  // namespace segue
