// SPDX-License-Identifier: Apache-2.0
#include "support/fake_hal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "runtime/device_state.hpp"
#include "support/fake_timeline.hpp"

namespace segue::test {

namespace {

constexpr std::byte kUninitialised{0xCD};

class FakeMemory final : public hal::Memory {
 public:
  FakeMemory(std::vector<std::byte> bytes, bool visible, bool cached,
             std::shared_ptr<std::atomic<int>> live)
      : bytes_(std::move(bytes)), live_(std::move(live)) {
    native = bytes_.data();
    handle = {"fake.memory", native, 0};
    host = visible ? bytes_.data() : nullptr;
    host_cached = visible && cached;
    ++*live_;
  }
  FakeMemory(std::byte* imported, std::shared_ptr<std::atomic<int>> live) : live_(std::move(live)) {
    native = imported;
    handle = {"fake.memory", native, 0};
    host = imported;
    host_cached = true;
    ++*live_;
  }
  ~FakeMemory() override { --*live_; }

 private:
  std::vector<std::byte> bytes_;
  std::shared_ptr<std::atomic<int>> live_;
};

struct FakeKernel final : ir::Kernel {
  FakeKernel(std::shared_ptr<std::atomic<int>> live_kernels,
             std::shared_ptr<base::IndexAllocator> kernel_indices)
      : live(std::move(live_kernels)), indices(std::move(kernel_indices)) {
    index = indices->take();
    ++*live;
  }
  ~FakeKernel() override {
    --*live;
    indices->give_back(index);
  }
  FakeBody body;
  std::shared_ptr<std::atomic<int>> live;
  std::shared_ptr<base::IndexAllocator> indices;
};

/// The address of a storage's first byte, also where the host is not meant to see it.
std::byte* address(const ir::Storage& storage) {
  return static_cast<std::byte*>(storage.native) + storage.native_offset;
}

FakeArgument resolve(const ir::CommandList& list, const ir::Argument& argument) {
  if (argument.is_view()) return {address(*argument.storage) + argument.offset, argument.size};
  return {const_cast<std::byte*>(list.bytes(argument)), argument.size};
}

void run(const ir::CommandList& list, const ir::Command& command) {
  std::vector<FakeArgument> arguments;
  for (const ir::Argument& argument : list.arguments(command))
    arguments.push_back(resolve(list, argument));
  switch (command.kind) {
    case ir::CommandKind::kDispatch:
    case ir::CommandKind::kDispatchIndirect: {
      const auto& kernel = static_cast<const FakeKernel&>(*command.kernel);
      if (kernel.body && !command.group_count.empty()) kernel.body(arguments);
      return;
    }
    case ir::CommandKind::kFill:
      std::memset(arguments[0].data, command.fill_byte, arguments[0].size_bytes);
      return;
    case ir::CommandKind::kCopy:
      std::memcpy(arguments[1].data, arguments[0].data, arguments[0].size_bytes);
      return;
    case ir::CommandKind::kUpload:
      std::memcpy(arguments[0].data, arguments[1].data, arguments[0].size_bytes);
      return;
    case ir::CommandKind::kNative: list.native_callback(command)({}); return;
    case ir::CommandKind::kBarrier: return;
  }
}

/// Its instances' lists are what jobs run; only values that the device reads itself are its own
/// business.
class FakeProgram final : public hal::Program {
 public:
  FakeProgram(FakeDevice& device, std::span<const hal::ProgramInstance> instances)
      : device_(device), instances_(instances.begin(), instances.end()) {}

  Result<> update(unsigned, std::span<const ir::SlotUse>) override {
    if (auto error = device_.injected("update", ErrorCode::kBackend))
      return std::unexpected(*std::move(error));
    return {};
  }
  void load(unsigned instance, std::span<const hal::SlotLoad> loads) {
    ir::CommandList& list = *instances_[instance].list;
    for (const hal::SlotLoad& load : loads) {
      const ir::Slot& slot = list.slots()[load.slot];
      std::vector<std::byte> value(address(*load.source) + load.offset,
                                   address(*load.source) + load.offset + slot.size);
      if (slot.max != UINT32_MAX) {
        std::uint32_t number = 0;
        std::memcpy(&number, value.data(), sizeof(number));
        number = std::min(number, slot.max);
        std::memcpy(value.data(), &number, sizeof(number));
      }
      for (const ir::SlotUse& use : list.slot_uses()) {
        if (use.slot != load.slot) continue;
        const ir::Argument& argument = list.arguments(list.commands()[use.command])[use.argument];
        std::memcpy(list.mutable_bytes(argument) + use.offset, value.data(), value.size());
      }
    }
  }

 private:
  FakeDevice& device_;
  std::vector<hal::ProgramInstance> instances_;
};

/// Whether everything has happened that the job waits for.
bool is_ready(const hal::Job& job) {
  return std::ranges::all_of(job.waits,
                             [](const hal::Job* other) { return other->completed.load(); }) &&
         std::ranges::all_of(job.timeline_waits, [](const hal::TimelineUse& use) {
           return use.timeline->value().value() >= use.value;
         });
}

/// Every look at the clock takes a second: so does every command whose time is taken.
hal::Outcome run(const hal::Job& job, FakeDevice& device) {
  const ir::Plan& plan = *job.plan;
  hal::Outcome outcome;
  outcome.start_seconds = device.tick();
  for (const std::uint32_t index : plan.order) {
    hal::CommandTime time{index, 0, 0};
    if (job.time_commands) time.start_seconds = device.tick();
    run(*plan.list, plan.list->commands()[index]);
    if (!job.time_commands) continue;
    time.end_seconds = device.tick();
    outcome.command_times.push_back(time);
  }
  outcome.command_buffers = 1;
  outcome.barriers_issued = plan.barriers.size();
  outcome.end_seconds = device.tick();
  return outcome;
}

}  // namespace

KernelSource fake_kernel(std::string name, std::vector<Parameter> parameters, FakeBody body) {
  KernelSource source;
  source.name = std::move(name);
  source.backend = "fake";
  source.signature.parameters = std::move(parameters);
  source.native = std::make_shared<const FakeBody>(std::move(body));
  return source;
}

Parameter buffer_parameter(std::string name, Access access) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.kind = ParameterKind::kBuffer;
  parameter.access = access;
  return parameter;
}

Parameter bytes_parameter(std::string name, std::uint32_t size_bytes) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.kind = ParameterKind::kBytes;
  parameter.access = Access::kRead;
  parameter.size_bytes = size_bytes;
  return parameter;
}

FakeQueue::~FakeQueue() {
  device_.finish(*this);
  while (completing_.load() != 0) std::this_thread::yield();
}

Result<> FakeQueue::submit(hal::Job& job) {
  if (auto error = device_.injected("submit", ErrorCode::kBackend))
    return std::unexpected(*std::move(error));
  {
    const std::scoped_lock lock(mutex_);
    pending_.push_back(&job);
  }
  if (device_.options.completion == Completion::kAtSubmit) complete_all();
  return {};
}

bool FakeQueue::wait(hal::Job& job, std::optional<std::chrono::steady_clock::time_point> deadline) {
  if (!deadline) job.completed.wait(false);
  return job.completed.load();
}

std::vector<hal::Job*> FakeQueue::pending() const {
  const std::scoped_lock lock(mutex_);
  return pending_;
}

bool FakeQueue::complete_next(std::optional<Error> error) {
  class Completing {
   public:
    explicit Completing(std::atomic<int>& running) : running_(running) { ++running_; }
    Completing(const Completing&) = delete;
    Completing& operator=(const Completing&) = delete;
    ~Completing() { --running_; }

   private:
    std::atomic<int>& running_;
  };
  const Completing completing(completing_);
  hal::Job* job = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    if (pending_.empty() || !is_ready(*pending_.front())) return false;
    job = pending_.front();
    pending_.erase(pending_.begin());
  }
  hal::Outcome outcome;
  if (error) {
    outcome.error = std::move(error);
  } else {
    if (job->program != nullptr)
      static_cast<FakeProgram*>(job->program)->load(job->instance, job->loads);
    outcome = run(*job, device_);
    for (const hal::TimelineUse& use : job->timeline_signals) {
      if (Result<> done = use.timeline->signal(use.value); !done) outcome.error = done.error();
    }
  }
  job->complete(std::move(outcome));
  return true;
}

std::size_t FakeQueue::complete_all() {
  std::size_t count = 0;
  while (complete_next()) ++count;
  return count;
}

void FakeDevice::finish(FakeQueue& queue) {
  // Jobs of one queue may wait for those of another.
  while (!queue.pending().empty()) {
    for (FakeQueue* each : queues_) each->complete_next();
  }
  std::erase(queues_, &queue);
}

FakeDevice::FakeDevice(FakeOptions given) : options(std::move(given)) {
  test_limits.max_buffer_bytes = std::uint64_t{1} << 30;
  test_limits.max_view_bytes = std::uint64_t{1} << 30;
  test_limits.view_offset_alignment = 1;
  test_limits.max_arguments = 32;
  test_limits.max_inline_bytes = 4096;
  test_limits.max_shared_memory_bytes = 32768;
  test_limits.max_group_threads = 1024;
  test_limits.max_group_size = {1024, 1024, 64};
  test_limits.max_group_count = {65535, 65535, 65535};
  test_limits.host_import_alignment = 1;
  test_limits.max_submissions_in_flight = 64;
  test_features.unified_memory = true;
  test_features.ragged_groups = true;
  test_features.indirect_dispatch = true;
  test_features.gpu_timestamps = true;
  test_features.shared_timelines = true;
}

std::optional<Error> FakeDevice::injected(std::string_view call, ErrorCode code) const {
  if (!options.fail_call || !options.fail_call(call)) return std::nullopt;
  Error error;
  error.code = code;
  error.message = fmt::format("The fake device refuses to {}.", call);
  error.native = NativeError{"fake", -1, "injected"};
  return error;
}

Result<std::unique_ptr<hal::Memory>> FakeDevice::allocate(const hal::MemoryRequest& request) {
  if (auto error = injected("allocate", ErrorCode::kOutOfMemory))
    return std::unexpected(*std::move(error));
  ++allocations_;
  std::vector<std::byte> bytes(request.size_bytes, request.zero ? std::byte{0} : kUninitialised);
  return std::make_unique<FakeMemory>(std::move(bytes), options.host_visible || request.host_access,
                                      options.host_cached, live_memories_);
}

Result<std::unique_ptr<hal::Memory>> FakeDevice::import_host(std::byte* data,
                                                             std::uint64_t /*size_bytes*/,
                                                             bool /*writable*/) {
  if (auto error = injected("import", ErrorCode::kOutOfMemory))
    return std::unexpected(*std::move(error));
  return std::make_unique<FakeMemory>(data, live_memories_);
}

Result<> FakeDevice::write(hal::Memory& destination, std::uint64_t offset,
                           std::span<const std::byte> source) {
  if (auto error = injected("write", ErrorCode::kBackend))
    return std::unexpected(*std::move(error));
  std::ranges::copy(source, static_cast<std::byte*>(destination.native) + offset);
  staged_bytes_ += source.size();
  return {};
}

Result<> FakeDevice::read(hal::Memory& source, std::uint64_t offset,
                          std::span<std::byte> destination) {
  if (auto error = injected("read", ErrorCode::kBackend)) return std::unexpected(*std::move(error));
  std::copy_n(static_cast<std::byte*>(source.native) + offset, destination.size(),
              destination.begin());
  staged_bytes_ += destination.size();
  return {};
}

Result<> FakeDevice::fill(hal::Memory& destination, std::uint64_t offset, std::uint64_t size_bytes,
                          std::byte value) {
  if (auto error = injected("fill", ErrorCode::kBackend)) return std::unexpected(*std::move(error));
  std::fill_n(static_cast<std::byte*>(destination.native) + offset, size_bytes, value);
  staged_bytes_ += size_bytes;
  return {};
}

void FakeDevice::set_residency(hal::Memory& memory, bool resident) {
  if (resident)
    resident_.insert(memory.native);
  else
    resident_.erase(memory.native);
}

Result<base::Ref<ir::Kernel>> FakeDevice::compile(const KernelSource& source,
                                                  std::span<const SpecConstant> constants) {
  ++compilations_;
  if (options.on_compile) options.on_compile(source, constants);
  if (auto error = injected("compile", ErrorCode::kCompileFailed))
    return std::unexpected(*std::move(error));
  auto* const kernel = new FakeKernel(live_kernels_, kernel_indices_);
  base::Ref<ir::Kernel> owner(kernel);
  kernel->name = source.name;
  kernel->signature = source.signature;
  kernel->body = *std::static_pointer_cast<const FakeBody>(source.native);
  return owner;
}

Result<std::unique_ptr<hal::Queue>> FakeDevice::create_queue() {
  if (auto error = injected("create_queue", ErrorCode::kOutOfMemory))
    return std::unexpected(*std::move(error));
  auto queue = std::make_unique<FakeQueue>(*this);
  queues_.push_back(queue.get());
  return queue;
}

Result<std::unique_ptr<hal::Timeline>> FakeDevice::create_timeline(std::uint64_t initial,
                                                                   std::string_view /*label*/) {
  if (auto error = injected("create_timeline", ErrorCode::kOutOfMemory))
    return std::unexpected(*std::move(error));
  auto payload = std::make_shared<FakeTimeline::Payload>();
  payload->value = initial;
  return std::make_unique<FakeTimeline>(std::move(payload), live_timelines_);
}

Result<std::unique_ptr<hal::Timeline>> FakeDevice::import_timeline(const NativeHandle& handle,
                                                                   std::string_view /*label*/) {
  return std::make_unique<FakeTimeline>(FakeTimeline::take_over(handle), live_timelines_);
}

Result<std::unique_ptr<hal::Program>> FakeDevice::link(
    std::span<const hal::ProgramInstance> instances) {
  if (auto error = injected("link", ErrorCode::kBackend)) return std::unexpected(*std::move(error));
  return std::make_unique<FakeProgram>(*this, instances);
}

Result<Device> open_fake(std::shared_ptr<FakeDevice> hal, const DeviceOptions& device_options) {
  SEGUE_TRY_ASSIGN(std::shared_ptr<runtime::DeviceState> state,
                   runtime::DeviceState::create(std::move(hal), device_options));
  return Device(std::move(state));
}

FakeSetup open_fake(FakeOptions options, const DeviceOptions& device_options) {
  auto hal = std::make_shared<FakeDevice>(std::move(options));
  Result<Device> device = open_fake(hal, device_options);
  if (!device) {
    std::fputs(device.error().to_string().c_str(), stderr);
    std::abort();
  }
  return {std::move(hal), *std::move(device)};
}

FakeSetup open_fake(Completion completion, const DeviceOptions& device_options) {
  FakeOptions options;
  options.completion = completion;
  return open_fake(std::move(options), device_options);
}

}  // namespace segue::test
