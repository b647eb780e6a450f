// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/index_allocator.hpp"
#include "hal/hal.hpp"
#include "segue/device.hpp"

/// A backend for tests of the runtime: it keeps what it is told, runs it in order when the test
/// says so, and fails the calls that the test chooses.
namespace segue::test {

/// Memory of one argument as a fake kernel sees it.
struct FakeArgument {
  std::byte* data = nullptr;
  std::uint64_t size_bytes = 0;

  template <class T>
  [[nodiscard]] std::span<T> as() const {
    return {reinterpret_cast<T*>(data), static_cast<std::size_t>(size_bytes / sizeof(T))};
  }
};
using FakeBody = std::function<void(std::span<const FakeArgument>)>;

/// A kernel for the fake backend; without a body it does nothing.
[[nodiscard]] KernelSource fake_kernel(std::string name, std::vector<Parameter> parameters = {},
                                       FakeBody body = {});
/// A buffer parameter.
[[nodiscard]] Parameter buffer_parameter(std::string name, Access access);
/// An inline parameter; size 0: any.
[[nodiscard]] Parameter bytes_parameter(std::string name, std::uint32_t size_bytes = 0);

/// When a submission completes.
enum class Completion : std::uint8_t {
  kAtSubmit,  ///< Within submit(), before it returns.
  kManual,    ///< When the test calls FakeQueue::complete_next() or its kin.
};

struct FakeOptions {
  Completion completion = Completion::kAtSubmit;
  /// Whether memory has host pointers that nobody asked for, and whether the host reads through
  /// pointers at full speed.
  bool host_visible = true;
  bool host_cached = true;
  /// Asked before each call with its name ("allocate", "import", "write", "read", "fill",
  /// "compile", "create_queue", "submit", "link", "update", "create_timeline"); true makes it fail.
  std::function<bool(std::string_view call)> fail_call;
  /// Called by compile(), outside of any lock of the fake's.
  std::function<void(const KernelSource& source, std::span<const SpecConstant> constants)>
      on_compile;
  std::vector<KernelSource> builtin_kernels;
};

class FakeDevice;

/// Jobs in the order of submission. Thread-safe.
class FakeQueue final : public hal::Queue {
 public:
  explicit FakeQueue(FakeDevice& device) : device_(device) {}
  ~FakeQueue() override;

  Result<> submit(hal::Job& job) override;
  /// With a deadline: answers at once, so that no test waits for time to pass.
  bool wait(hal::Job& job, std::optional<std::chrono::steady_clock::time_point> deadline) override;

  /// Jobs that have not completed, the oldest first.
  [[nodiscard]] std::vector<hal::Job*> pending() const;
  /// Runs the oldest job, or fails it with `error` without running it. False: there is none, or it
  /// waits for another queue's or for a timeline.
  bool complete_next(std::optional<Error> error = std::nullopt);
  /// Runs all jobs whose turn has come; how many.
  std::size_t complete_all();

 private:
  FakeDevice& device_;
  mutable std::mutex mutex_;
  std::vector<hal::Job*> pending_;
  std::atomic<int> completing_{0};  ///< Threads in complete_next().
};

class FakeDevice final : public hal::Device {
 public:
  explicit FakeDevice(FakeOptions options = {});

  /// For the test to change before it uses them.
  Limits test_limits;
  Features test_features;
  FakeOptions options;

  [[nodiscard]] std::size_t queue_count() const { return queues_.size(); }
  [[nodiscard]] FakeQueue& queue(std::size_t index = 0) const { return *queues_.at(index); }
  [[nodiscard]] int live_memories() const { return live_memories_->load(); }
  [[nodiscard]] int allocations() const { return allocations_.load(); }
  [[nodiscard]] int compilations() const { return compilations_.load(); }
  [[nodiscard]] int live_kernels() const { return live_kernels_->load(); }
  [[nodiscard]] int live_timelines() const { return live_timelines_->load(); }
  /// Bytes that write(), read() and fill() moved.
  [[nodiscard]] std::uint64_t staged_bytes() const { return staged_bytes_.load(); }
  /// Memory that is to be kept resident, by Memory::native.
  [[nodiscard]] const std::set<void*>& resident() const { return resident_; }

  [[nodiscard]] std::string_view backend() const override { return "fake"; }
  [[nodiscard]] std::string_view name() const override { return "Fake device"; }
  [[nodiscard]] std::string_view clock_name() const override { return "fake clock"; }
  [[nodiscard]] const Limits& limits() const override { return test_limits; }
  [[nodiscard]] const Features& features() const override { return test_features; }
  [[nodiscard]] std::optional<std::uint64_t> memory_budget() const override { return std::nullopt; }
  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> allocate(
      const hal::MemoryRequest& request) override;
  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> import_host(std::byte* data,
                                                                 std::uint64_t size_bytes,
                                                                 bool writable) override;
  [[nodiscard]] Result<> write(hal::Memory& destination, std::uint64_t offset,
                               std::span<const std::byte> source) override;
  [[nodiscard]] Result<> read(hal::Memory& source, std::uint64_t offset,
                              std::span<std::byte> destination) override;
  [[nodiscard]] Result<> fill(hal::Memory& destination, std::uint64_t offset,
                              std::uint64_t size_bytes, std::byte value) override;
  void set_residency(hal::Memory& memory, bool resident) override;
  [[nodiscard]] Result<base::Ref<ir::Kernel>> compile(
      const KernelSource& source, std::span<const SpecConstant> constants) override;
  [[nodiscard]] Result<std::unique_ptr<hal::Queue>> create_queue() override;
  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> create_timeline(
      std::uint64_t initial, std::string_view label) override;
  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> import_timeline(
      const NativeHandle& handle, std::string_view label) override;
  [[nodiscard]] Result<std::unique_ptr<hal::Program>> link(
      std::span<const hal::ProgramInstance> instances) override;
  [[nodiscard]] std::vector<KernelSource> builtin_kernels() const override {
    return options.builtin_kernels;
  }
  [[nodiscard]] NativeHandle native_handle() const override { return {"fake.device", nullptr, 7}; }

  /// Runs everything that the queue waits for and has, and forgets it.
  void finish(FakeQueue& queue);
  /// Seconds that go up by one with each call.
  [[nodiscard]] double tick() { return clock_.fetch_add(1); }
  /// The error of a call that the test makes fail, or nothing.
  [[nodiscard]] std::optional<Error> injected(std::string_view call, ErrorCode code) const;

 private:
  std::vector<FakeQueue*> queues_;
  std::shared_ptr<std::atomic<int>> live_memories_ = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<int>> live_kernels_ = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<int>> live_timelines_ = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<base::IndexAllocator> kernel_indices_ = std::make_shared<base::IndexAllocator>();
  std::atomic<int> allocations_{0};
  std::atomic<int> compilations_{0};
  std::atomic<std::uint64_t> staged_bytes_{0};
  std::set<void*> resident_;
  std::atomic<int> clock_{0};
};

/// A public device over a fake backend, which `hal` lets the test reach.
struct FakeSetup {
  std::shared_ptr<FakeDevice> hal;
  Device device;
};
/// Fails the test, and ends the program, if the device cannot be made.
[[nodiscard]] FakeSetup open_fake(FakeOptions options = {},
                                  const DeviceOptions& device_options = {});
[[nodiscard]] FakeSetup open_fake(Completion completion, const DeviceOptions& device_options = {});
/// Opens a device over a fake that was made before.
[[nodiscard]] Result<Device> open_fake(std::shared_ptr<FakeDevice> hal,
                                       const DeviceOptions& device_options = {});

}  // namespace segue::test
