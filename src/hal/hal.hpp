// SPDX-License-Identifier: Apache-2.0
#pragma once

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
  void* native = nullptr;     ///< What ir::Storage::native of its buffers is.
};

struct MemoryRequest {
  std::uint64_t size_bytes = 0;
  bool host_access = true;
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
  std::uint64_t offset = 0;  ///< In the source.
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

/// One submission. Owned by the runtime, which keeps it and its plan alive until complete() was
/// called.
class Job {
 public:
  /// Called exactly once, from any thread, after the last command finished or the job failed.
  virtual void complete(Outcome&& outcome) noexcept = 0;

  const ir::Plan* plan = nullptr;
  Program* program = nullptr;  ///< Null: `plan` is to be executed once.
  unsigned instance = 0;       ///< Of the program; `plan` is its plan.
  std::span<const SlotLoad> loads;
  /// Jobs of other queues that must complete first; they were submitted earlier, and outlive this
  /// job.
  std::span<Job* const> waits;
  bool time_barriers = false;
  bool time_commands = false;
  bool waited_for = false;  ///< The caller waits at once; a backend may skip waking its worker.
  std::atomic<bool> completed{false};  ///< Set by complete().

 protected:
  ~Job() = default;
};

/// Executes jobs in the order of submission. Calls may come from several threads.
class Queue {
 public:
  /// Finishes what was submitted, then goes.
  virtual ~Queue() = default;
  /// On error nothing was submitted and complete() is not called.
  virtual Result<> submit(Job& job) = 0;
  /// Returns once `job` completed (true) or `deadline` passed (false; no deadline: waits as long as
  /// it takes).
  virtual bool wait(Job& job, std::optional<std::chrono::steady_clock::time_point> deadline) = 0;
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
  [[nodiscard]] virtual Result<base::Ref<ir::Kernel>> compile(
      const KernelSource& source, std::span<const SpecConstant> constants) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<Queue>> create_queue() = 0;
  /// Makes a plan ready for replay. All instances are alike but for their memory.
  [[nodiscard]] virtual Result<std::unique_ptr<Program>> link(
      std::span<const ProgramInstance> instances) = 0;
  /// The kernels that src/ops needs, in this backend's form.
  [[nodiscard]] virtual std::vector<KernelSource> builtin_kernels() const = 0;
  [[nodiscard]] virtual NativeHandle native_handle() const = 0;
};

}  // namespace segue::hal
