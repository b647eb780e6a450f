// SPDX-License-Identifier: Apache-2.0
//
// What goes while work is in flight: handles of all kinds, buffers of unretained recordings, jobs
// whose place is used again.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/metal/metal_device.hpp"
#include "conformance/metal_conformance_kernels.hpp"
#include "fault/metal_fixture.hpp"
#include "fault/metal_scenario.hpp"
#include "fault/watchdog.hpp"
#include "hal/hal.hpp"
#include "ir/command_list.hpp"
#include "metal_double/double.hpp"
#include "runtime/device_state.hpp"

namespace segue::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint32_t kThreads = 64;

/// A device, two queues, a kernel.
class MetalLifetimeTest : public MetalDoubleTest {
 protected:
  void SetUp() override {
    MetalDoubleTest::SetUp();
    start(unified_machine());
  }
  void TearDown() override {
    metal_double::hold_execution(false);
    close();
    MetalDoubleTest::TearDown();
  }
  void start(const Machine& machine) {
    close();
    use(machine);
    DeviceOptions options;
    options.queue_count = 2;
    options.error_handler = [this](const Error&) { ++reported_; };
    take(metal::create_device(options, machine.metal).value());
  }
  void take(Device device) {
    device_ = std::move(device);
    for (KernelSource& source : metal_conformance_kernels())
      expect_success(device_.kernels().add(std::move(source)));
    add_one_ = device_.kernels().get("test_add_one").value();
    copy_ = device_.kernels().get("test_copy").value();
  }
  void close() {
    add_one_ = copy_ = Kernel();
    device_ = Device();
  }
  [[nodiscard]] Buffer make_buffer(std::string label,
                                   HostAccess access = HostAccess::kReadWrite) const {
    BufferDesc desc;
    desc.size_bytes = 4 * kThreads;
    desc.host_access = access;
    desc.label = std::move(label);
    return device_.create_buffer(desc).value();
  }
  [[nodiscard]] CommandEncoder make_encoder(unsigned queue,
                                            std::optional<Lifetime> lifetime = std::nullopt) const {
    EncoderOptions options;
    options.queue = queue;
    options.lifetime = lifetime;
    return device_.create_encoder(options).value();
  }
  void add_one(CommandEncoder& encoder, const Buffer& buffer) const {
    encoder.dispatch(add_one_, {buffer.view()}, threads(kThreads));
  }
  /// Copies the first slot's buffer to the second's.
  [[nodiscard]] Executable compile_copy(const Buffer& from, const Buffer& to,
                                        unsigned max_in_flight) const {
    CommandEncoder encoder = make_encoder(0);
    encoder.start_capture();
    encoder.dispatch(copy_,
                     {KernelArg::slot("from", from.view()), KernelArg::slot("to", to.view())},
                     threads(kThreads));
    CompileOptions options;
    options.max_in_flight = max_in_flight;
    return encoder.take_capture().value().compile(device_, options).value();
  }

  std::atomic<int> reported_{0};
  Device device_;
  Kernel add_one_, copy_;
  Watchdog watchdog_{
      kPatience,
      [] { return std::string(testing::UnitTest::GetInstance()->current_test_info()->name()); }};
};

/// Memory of the host's, which shows what was done when all handles are gone.
class Pages {
 public:
  explicit Pages(const Device& device)
      : size_(device.limits().host_import_alignment),
        memory_(std::aligned_alloc(size_, size_), &std::free) {
    std::memset(memory_.get(), 0, size_);
  }
  [[nodiscard]] Buffer import(const Device& device) const {
    const std::span bytes(static_cast<std::byte*>(memory_.get()), size_);
    return device.import_host_memory(bytes, {.label = "pages", .writable = true}).value();
  }
  [[nodiscard]] std::uint32_t first() const {
    return *static_cast<const std::uint32_t*>(memory_.get());
  }

 private:
  std::size_t size_;
  std::unique_ptr<void, decltype(&std::free)> memory_;
};

/// On two queues, in recordings and a replay, with timelines, residency and profiling.
TEST_F(MetalLifetimeTest, EverythingMayBeDroppedWhileWorkIsInFlight) {  // rows H1, G6, K5
  const Pages pages(device_);
  metal_double::hold_execution(true);
  Submission last;
  {
    const Buffer memory = pages.import(device_);
    const Buffer other = make_buffer("other", HostAccess::kNone);
    const Timeline turn = device_.create_timeline(0, "turn").value();
    device_.residency().add(memory);
    device_.residency().add(other);
    CommandEncoder first = make_encoder(0);
    add_one(first, memory);
    first.signal(turn, 1);
    static_cast<void>(first.commit("first").value());
    CommandEncoder second = make_encoder(1);
    second.wait_for(turn, 1);
    add_one(second, memory);
    add_one(second, other);
    static_cast<void>(second.commit("second").value());
    const BufferView view = memory.view(0, 4 * kThreads).value();
    CommandEncoder recorder = make_encoder(0);
    recorder.start_capture();
    recorder.dispatch(add_one_, {KernelArg::slot("x", view)}, threads(kThreads));
    Executable executable = recorder.take_capture().value().compile(device_).value();
    static_cast<void>(executable.submit("third").value());
    executable.set_profiling(true);
    last = executable.submit("fourth").value();
  }
  close();
  EXPECT_EQ(pages.first(), 0U);
  metal_double::hold_execution(false);
  expect_success(last.wait());
  EXPECT_EQ(pages.first(), 4U);
  last = Submission();
  EXPECT_EQ(reported_, 0);
  expect_clean();
}

TEST_F(MetalLifetimeTest, TheEndOfADeviceWaitsForItsWork) {  // rows H1, K5
  const Pages pages(device_);
  metal_double::hold_execution(true);
  for (const unsigned queue : {0U, 1U, 0U}) {
    CommandEncoder encoder = make_encoder(queue);
    add_one(encoder, pages.import(device_));
    static_cast<void>(encoder.commit("dropped").value());
  }
  std::thread closer([this] { close(); });
  metal_double::hold_execution(false);
  closer.join();
  EXPECT_EQ(pages.first(), 3U);
  expect_clean();
}

TEST_F(MetalLifetimeTest, TheEndOfADeviceEndsWorkThatWaitsForATimeline) {  // rows G10, K5
  {
    const Timeline never = device_.create_timeline(0, "never").value();
    CommandEncoder encoder = make_encoder(0);
    encoder.wait_for(never, 1);
    add_one(encoder, make_buffer("waiting"));
    static_cast<void>(encoder.commit("waiting").value());
  }
  close();
  EXPECT_EQ(reported_, 1);
  expect_clean();
}

TEST_F(MetalLifetimeTest, ANewViewMayComeTogetherWithOthersWhoseOldOnesAreGone) {  // rows F2, H1
  for (const bool indirect : {true, false}) {
    Machine machine = unified_machine();
    machine.metal.indirect_command_buffers = indirect;
    start(machine);
    Buffer from = make_buffer("from");
    Buffer to = make_buffer("to");
    Executable executable = compile_copy(from, to, 1);
    const SlotId from_slot = executable.slot("from").value();
    const SlotId to_slot = executable.slot("to").value();
    for (std::uint32_t round = 0; round < 4; ++round) {
      from = make_buffer("from");
      to = make_buffer("to");
      *from.view().map_write<std::uint32_t>().value().begin() = round;
      expect_success(executable.set(from_slot, from.view()));
      expect_success(executable.set(to_slot, to.view()));
      expect_success(executable.submit_and_wait());
      EXPECT_EQ(*to.view().map_read<std::uint32_t>().value().begin(), round);
    }
  }
}

// Unretained recordings.

TEST_F(MetalLifetimeTest, AnUnretainedBufferThatGoesTooEarlyIsNamed) {  // row H2
  if (!device_.features().lifetime_checks) GTEST_SKIP() << "This build has no lifetime checks.";
  metal_double::hold_execution(true);
  Buffer buffer = make_buffer("early");
  CommandEncoder encoder = make_encoder(0, Lifetime::kUnretained);
  add_one(encoder, buffer);
  Submission work = encoder.commit("unretained").value();
  buffer = Buffer();
  metal_double::hold_execution(false);
  const Result<> done = work.wait();
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(to_string(done.error().code), "InvalidState");
  EXPECT_THAT(done.error().message, HasSubstr("Buffer \"early\" was freed before"));
}

/// A device as builds without lifetime checks have it.
class WithoutLifetimeChecks final : public hal::Device {
 public:
  explicit WithoutLifetimeChecks(std::shared_ptr<hal::Device> device)
      : device_(std::move(device)), features_(device_->features()) {
    features_.lifetime_checks = false;
  }
  [[nodiscard]] std::string_view backend() const override { return device_->backend(); }
  [[nodiscard]] std::string_view name() const override { return device_->name(); }
  [[nodiscard]] std::string_view clock_name() const override { return device_->clock_name(); }
  [[nodiscard]] const Limits& limits() const override { return device_->limits(); }
  [[nodiscard]] const Features& features() const override { return features_; }
  [[nodiscard]] std::optional<std::uint64_t> memory_budget() const override {
    return device_->memory_budget();
  }
  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> allocate(
      const hal::MemoryRequest& request) override {
    return device_->allocate(request);
  }
  [[nodiscard]] Result<std::unique_ptr<hal::Memory>> import_host(std::byte* data,
                                                                 std::uint64_t size,
                                                                 bool writable) override {
    return device_->import_host(data, size, writable);
  }
  [[nodiscard]] Result<> write(hal::Memory& to, std::uint64_t offset,
                               std::span<const std::byte> from) override {
    return device_->write(to, offset, from);
  }
  [[nodiscard]] Result<> read(hal::Memory& from, std::uint64_t offset,
                              std::span<std::byte> to) override {
    return device_->read(from, offset, to);
  }
  [[nodiscard]] Result<> fill(hal::Memory& to, std::uint64_t offset, std::uint64_t size,
                              std::byte value) override {
    return device_->fill(to, offset, size, value);
  }
  void set_residency(hal::Memory& memory, bool resident) override {
    device_->set_residency(memory, resident);
  }
  [[nodiscard]] Result<base::Ref<ir::Kernel>> compile(
      const KernelSource& source, std::span<const SpecConstant> constants) override {
    return device_->compile(source, constants);
  }
  [[nodiscard]] Result<std::unique_ptr<hal::Queue>> create_queue() override {
    return device_->create_queue();
  }
  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> create_timeline(
      std::uint64_t initial, std::string_view label) override {
    return device_->create_timeline(initial, label);
  }
  [[nodiscard]] Result<std::unique_ptr<hal::Timeline>> import_timeline(
      const NativeHandle& handle, std::string_view label) override {
    return device_->import_timeline(handle, label);
  }
  [[nodiscard]] Result<std::unique_ptr<hal::Program>> link(
      std::span<const hal::ProgramInstance> instances) override {
    return device_->link(instances);
  }
  [[nodiscard]] std::vector<KernelSource> builtin_kernels() const override {
    return device_->builtin_kernels();
  }
  [[nodiscard]] NativeHandle native_handle() const override { return device_->native_handle(); }
  [[nodiscard]] bool is_lost() const override { return device_->is_lost(); }

 private:
  std::shared_ptr<hal::Device> device_;
  Features features_;
};

TEST_F(MetalLifetimeTest, UnretainedReferencesReachMetal) {  // row H2
  close();
  use(unified_machine());
  auto hal = std::make_shared<WithoutLifetimeChecks>(metal::create_hal_device({}).value());
  take(Device(runtime::DeviceState::create(std::move(hal), {}).value()));
  for (const Lifetime lifetime : {Lifetime::kRetained, Lifetime::kUnretained}) {
    metal_double::hold_execution(true);
    Buffer buffer = make_buffer("early");
    CommandEncoder encoder = make_encoder(0, lifetime);
    add_one(encoder, buffer);
    Submission work = encoder.commit("work").value();
    buffer = Buffer();
    if (lifetime == Lifetime::kRetained) {
      EXPECT_THAT(metal_double::take_violations(), IsEmpty());
    } else {
      EXPECT_THAT(metal_double::take_violations(),
                  ElementsAre(HasSubstr("Buffer \"early\" is freed while 1 command buffers")));
    }
    metal_double::hold_execution(false);
    expect_success(work.wait());
  }
}

// Jobs.

/// A job that goes while it completes, as those of the runtime do.
class ShortJob final : public hal::Job {
 public:
  explicit ShortJob(std::function<void()> then) : then_(std::move(then)) {}
  void complete(hal::Outcome&& /*outcome*/) noexcept override {
    const std::function<void()> then = then_;
    completed.store(true);
    completed.notify_all();
    then();
  }

 private:
  std::function<void()> then_;
};

TEST_F(MetalLifetimeTest, AQueueKnowsJobsApartThatHaveHadOnePlace) {  // rows K3, K5
  const auto hal = metal::create_hal_device({}).value();
  std::unique_ptr<hal::Queue> queue = hal->create_queue().value();
  const std::unique_ptr<hal::Timeline> gate = hal->create_timeline(0, "gate").value();
  const ir::CommandList list;
  ir::Plan plan;
  plan.list = &list;
  std::binary_semaphore first_completes(0), second_is_submitted(0);
  std::atomic<bool> queue_is_gone{false}, second_was_late{false};

  alignas(ShortJob) std::byte place[sizeof(ShortJob)];
  auto* job = new (place) ShortJob([&] {
    first_completes.release();
    second_is_submitted.acquire();
  });
  job->plan = &plan;
  expect_success(queue->submit(*job));
  first_completes.acquire();
  job->~ShortJob();
  const hal::TimelineUse wait{gate.get(), 1};
  job = new (place) ShortJob([&] { second_was_late = queue_is_gone.load(); });
  job->plan = &plan;
  job->timeline_waits = std::span(&wait, 1);
  expect_success(queue->submit(*job));
  second_is_submitted.release();
  metal_double::drain();
  std::thread closer([&] {
    queue.reset();
    queue_is_gone = true;
  });
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  expect_success(gate->signal(1));
  closer.join();
  EXPECT_FALSE(second_was_late) << "the queue has not waited for its work";
  job->~ShortJob();
}

}  // namespace
}  // namespace segue::test
