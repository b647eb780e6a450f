// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/plan.hpp"
#include "ir/storage.hpp"
#include "segue/error.hpp"
#include "segue/kernel.hpp"
#include "segue/limits.hpp"

/// The narrow seam: what a backend implements. Callers have validated everything; a backend only
/// translates.
namespace segue::hal {

/// One allocation or import. Destroyed by the runtime only after all work that uses it completed.
class Memory {
 public:
  virtual ~Memory() = default;
  std::byte* host = nullptr;  ///< First byte, or null without host access.
  bool host_cached = false;   ///< Reads through `host` go at full speed.
  void* native = nullptr;     ///< What ir::Storage::native of its buffers is.
  /// The native object for users, and in `value` where in it the memory begins, in bytes.
  NativeHandle handle = {};
};

struct MemoryRequest {
  std::uint64_t size_bytes = 0;
  bool host_access = true;  ///< Memory::host is needed, not only welcome.
  bool zero = true;
  std::string_view label;
};

/// When a command of a plan ran.
struct CommandTime {
  std::uint32_t command = 0;  ///< Position in the plan's list.
  double start_seconds = 0;
  double end_seconds = 0;
};

/// How a job ended. Times are seconds on the device clock that Device::clock_name() names.
struct Outcome {
  std::optional<Error> error;
  double start_seconds = 0;
  double end_seconds = 0;
  std::uint64_t command_buffers = 0;  ///< Native ones begun.
  std::uint64_t barriers_issued = 0;
  std::uint64_t barrier_ns = 0;  ///< CPU time of the barrier calls, if Job::time_barriers.
  std::vector<CommandTime> command_times;  ///< If Job::time_commands, in order of execution.
};

/// The device fills a slot of inline bytes itself when a job starts: in every use of the slot, from
/// memory.
struct SlotLoad {
  std::uint32_t slot = 0;
  const ir::Storage* source = nullptr;
  std::uint64_t offset = 0;   ///< In the source.
  std::uint64_t version = 0;  ///< Of the slot: another one whenever the source is.
};

/// One of the parameter sets of a program. Its list is the runtime's, which changes arguments and
/// inline bytes of slots between submissions; addresses stay.
struct ProgramInstance {
  ir::CommandList* list = nullptr;
  const ir::Plan* plan = nullptr;
};

/// A plan made ready for many submissions. Destroyed after the last job that names it completed.
class Program {
 public:
  virtual ~Program() = default;
  /// The arguments at `uses`, all of one slot, have changed in an instance that no job is using.
  /// On error the instance is updated again before it is next submitted.
  virtual Result<> update(unsigned instance, std::span<const ir::SlotUse> uses) = 0;
};

/// A number that only grows, by which queues, the host and other processes wait for one another.
/// Calls may come from several threads, with locks of the runtime held: none completes a job before
/// it returns. Destroyed in complete() of the last job that names it, at the earliest.
///
/// Jobs may wait for values that nobody has signalled yet. The runtime sees to it that each wait of
/// a job comes to an end: by a signal or by fail().
class Timeline {
 public:
  virtual ~Timeline() = default;
  [[nodiscard]] virtual Result<std::uint64_t> value() = 0;
  /// By the host. `value` is above the present one and below those that unfinished jobs signal.
  virtual Result<> signal(std::uint64_t value) = 0;
  /// True once the value is reached, false if `deadline` passed before (none: waits as long as it
  /// takes), or the error that fail() gave.
  virtual Result<bool> wait(std::uint64_t value,
                            std::optional<std::chrono::steady_clock::time_point> deadline) = 0;
  /// Ends all waits, now and later, for values that are not reached yet. The host gets `error`.
  /// Jobs fail with it unrun where the backend knows that they wait; where the device waits by
  /// itself, the number is raised to `value`, for which a job waits, and jobs run, and the runtime
  /// makes them fail when they complete. What jobs signal later is of no consequence. May be called
  /// again, with larger values; without meaning on a lost device, whose jobs all fail.
  virtual void fail(std::uint64_t value, const Error& error) noexcept = 0;
  [[nodiscard]] virtual NativeHandle native_handle() const = 0;
  /// For another process or API; its owner is the caller.
  [[nodiscard]] virtual Result<NativeHandle> export_handle() = 0;
};

struct TimelineUse {
  Timeline* timeline = nullptr;
  std::uint64_t value = 0;
};

class Queue;

/// One submission. Owned by the runtime, which keeps it and its plan alive until complete() was
/// called.
class Job {
 public:
  /// Called exactly once, from any thread, after the last command finished or the job failed, and
  /// after the signals of `timeline_signals`. For a job that failed before them complete() calls
  /// Timeline::fail().
  virtual void complete(Outcome&& outcome) noexcept = 0;

  const ir::Plan* plan = nullptr;
  Program* program = nullptr;  ///< Null: `plan` is to be executed once.
  unsigned instance = 0;       ///< Of the program; `plan` is its plan.
  std::span<const SlotLoad> loads;
  /// Jobs of other queues that must complete first; they were submitted earlier, and outlive this
  /// job.
  std::span<Job* const> waits;
  /// Reached before the first command.
  std::span<const TimelineUse> timeline_waits;
  /// Signalled after the last command; each timeline once, with a value above what it has then.
  std::span<const TimelineUse> timeline_signals;
  bool time_barriers = false;
  bool time_commands = false;
  bool waited_for = false;  ///< The caller waits at once; a backend may skip waking its worker.
  std::string_view name;    ///< For native tools.
  /// The backend's own, set by submit(): where the job is in its queue.
  std::uint64_t ticket = 0;
  Queue* ticket_queue = nullptr;
  std::atomic<bool> completed{false};  ///< Set by complete().

 protected:
  ~Job() = default;
};

/// Executes jobs in the order of submission. Calls may come from several threads. A job that waits
/// for a timeline holds up no other queue, whose jobs may be what signals it.
class Queue {
 public:
  /// Finishes what was submitted, then goes.
  virtual ~Queue() = default;
  /// On error nothing was submitted and complete() is not called.
  virtual Result<> submit(Job& job) = 0;
  /// Returns once `job` completed (true) or `deadline` passed (false; no deadline: waits as long as
  /// it takes).
  virtual bool wait(Job& job, std::optional<std::chrono::steady_clock::time_point> deadline) = 0;
  /// What tells of a submitted job that it is done: a native object that counts, and the number
  /// that it then has reached. Without a type where there is none.
  [[nodiscard]] virtual NativeHandle native_handle(const Job& /*job*/) const { return {}; }
};

class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual std::string_view backend() const = 0;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::string_view clock_name() const = 0;
  [[nodiscard]] virtual const Limits& limits() const = 0;
  [[nodiscard]] virtual const Features& features() const = 0;
  [[nodiscard]] virtual std::optional<std::uint64_t> memory_budget() const = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<Memory>> allocate(const MemoryRequest& request) = 0;
  /// Uses memory of the caller, who keeps it valid. `writable` false: the device only reads.
  [[nodiscard]] virtual Result<std::unique_ptr<Memory>> import_host(std::byte* data,
                                                                    std::uint64_t size_bytes,
                                                                    bool writable) = 0;
  /// Copy bytes to and from memory and set bytes of it, also where the host does not see it. No job
  /// uses those bytes meanwhile; all is done when a call returns.
  [[nodiscard]] virtual Result<> write(Memory& destination, std::uint64_t offset,
                                       std::span<const std::byte> source) = 0;
  [[nodiscard]] virtual Result<> read(Memory& source, std::uint64_t offset,
                                      std::span<std::byte> destination) = 0;
  [[nodiscard]] virtual Result<> fill(Memory& destination, std::uint64_t offset,
                                      std::uint64_t size_bytes, std::byte value) = 0;
  /// Asks for the memory to be kept on the device when memory runs short, or takes that back. A
  /// hint, which a backend without Features::residency_sets never gets.
  virtual void set_residency(Memory& /*memory*/, bool /*resident*/) {}
  [[nodiscard]] virtual Result<base::Ref<ir::Kernel>> compile(
      const KernelSource& source, std::span<const SpecConstant> constants) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<Queue>> create_queue() = 0;
  /// Of queues of this device. `label` is for native tools.
  [[nodiscard]] virtual Result<std::unique_ptr<Timeline>> create_timeline(
      std::uint64_t initial, std::string_view label) = 0;
  /// What another process or API exported. Takes the handle over if it succeeds.
  [[nodiscard]] virtual Result<std::unique_ptr<Timeline>> import_timeline(
      const NativeHandle& handle, std::string_view label) = 0;
  /// Makes a plan ready for replay. All instances are alike but for their memory.
  [[nodiscard]] virtual Result<std::unique_ptr<Program>> link(
      std::span<const ProgramInstance> instances) = 0;
  /// The kernels that src/ops needs, in this backend's form.
  [[nodiscard]] virtual std::vector<KernelSource> builtin_kernels() const = 0;
  [[nodiscard]] virtual NativeHandle native_handle() const = 0;
  /// Whether some call has found the device gone, whoever made it.
  [[nodiscard]] virtual bool is_lost() const { return false; }
};

}  // namespace segue::hal
