// SPDX-License-Identifier: Apache-2.0
//
// What threads may do to a submission while its device completes it. Most of these need a
// sanitizer to fail in a way that a person sees; each also checks what must hold at the end.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "unit/runtime/encoder_fixture.hpp"

namespace segue {
namespace {

constexpr int kRounds = 300;

/// A thread that completes what is submitted, until it goes.
class Pump {
 public:
  explicit Pump(test::FakeDevice& hal, std::optional<Error> error = std::nullopt)
      : thread_([this, &hal, error] {
          while (!stop_.load()) {
            for (std::size_t i = 0; i < hal.queue_count(); ++i) hal.queue(i).complete_next(error);
          }
        }) {}
  ~Pump() {
    stop_.store(true);
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// Lets two threads go on together.
class Gate {
 public:
  void meet() {
    arrived_.fetch_add(1);
    while (arrived_.load() < 2) std::this_thread::yield();
  }

 private:
  std::atomic<int> arrived_{0};
};

Error failure() { return {ErrorCode::kBackend, "The device fails.", {}, {}, {}}; }

class SubmissionRaceTest : public test::EncoderTest {
 protected:
  const Buffer buffer_ = make_buffer(64, "shared");
};

TEST_F(SubmissionRaceTest, DroppingWhileItFailsReportsExactlyOnce) {  // row G3
  std::atomic<int> reports{0};
  device().set_error_handler([&reports](const Error&) { ++reports; });
  CommandEncoder encoder = make_encoder();
  for (int round = 0; round < kRounds; ++round) {
    encoder.fill(buffer_.view(), std::byte{1});
    std::optional<Submission> work = encoder.commit().value();
    Gate gate;
    std::thread completer([&] {
      gate.meet();
      queue().complete_next(failure());
    });
    gate.meet();
    work.reset();
    completer.join();
    ASSERT_EQ(reports.load(), round + 1);
    ASSERT_TRUE(encoder.begin().has_value());
  }
}

TEST_F(SubmissionRaceTest, WaitingWhileItFailsKeepsTheErrorForTheWaiter) {  // row G3
  std::atomic<int> reports{0};
  device().set_error_handler([&reports](const Error&) { ++reports; });
  const Pump pump(hal(), failure());
  CommandEncoder encoder = make_encoder();
  for (int round = 0; round < kRounds; ++round) {
    encoder.fill(buffer_.view(), std::byte{1});
    ASSERT_FALSE(encoder.commit_and_wait().has_value());
    ASSERT_TRUE(encoder.begin().has_value());
  }
  EXPECT_EQ(reports.load(), 0);
}

TEST_F(SubmissionRaceTest, RecordingIsFreeForTheNextOneWhenTheWaitReturns) {  // row G11
  const Pump pump(hal());
  CommandEncoder encoder = make_encoder();
  std::vector<void*> used;
  for (int round = 0; round < kRounds; ++round) {
    encoder.fill(buffer_.view(), std::byte{1});
    Submission work = encoder.commit().value();
    const void* recording = work.native_handle().object;
    ASSERT_TRUE(work.wait().has_value());
    ASSERT_EQ(buffer_.state()->reference_count(), 1u) << "The handles' own.";
    work = Submission();
    ASSERT_TRUE(encoder.begin().has_value());
    if (round == 0) used.push_back(const_cast<void*>(recording));
    ASSERT_EQ(recording, used[0]) << "No second one is ever needed.";
  }
}

TEST_F(SubmissionRaceTest, HostWaitsWhileOthersCommit) {  // row C7
  const Pump pump(hal());
  std::atomic<bool> stop{false};
  std::thread recorder([&] {
    CommandEncoder encoder = make_encoder();
    for (std::uint8_t value = 1; !stop.load(); ++value) {
      encoder.fill(buffer_.view(), std::byte{value});
      static_cast<void>(encoder.commit());  // refused now and then, for the host maps the buffer
      ASSERT_TRUE(encoder.begin().has_value());
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<std::uint8_t> bytes = test::read_bytes(buffer_.view());
    ASSERT_EQ(std::ranges::count(bytes, bytes.front()), 64)
        << "A fill is seen whole or not at all.";
  }
  stop.store(true);
  recorder.join();
}

TEST_F(SubmissionRaceTest, IdleMeansThatAllIsDone) {  // row G3
  const Pump pump(hal());
  CommandEncoder encoder = make_encoder();
  for (int round = 0; round < kRounds; ++round) {
    encoder.fill(buffer_.view(), std::byte{1});
    const Submission work = encoder.commit().value();
    ASSERT_TRUE(device().wait_idle().has_value());
    ASSERT_TRUE(work.is_done());
    ASSERT_TRUE(encoder.begin().has_value());
  }
}

TEST_F(SubmissionRaceTest, QueuesTakeSubmissionsOfSeveralThreads) {  // row C8, G7
  DeviceOptions options;
  options.queue_count = 2;
  test::FakeSetup setup = test::open_fake(test::Completion::kManual, options);
  BufferDesc desc;
  desc.size_bytes = 8;
  const Buffer counter = setup.device.create_buffer(desc).value();
  KernelSource source = test::fake_kernel(
      "increment", {test::buffer_parameter("counter", Access::kReadWrite)},
      [](std::span<const test::FakeArgument> arguments) { ++arguments[0].as<std::uint64_t>()[0]; });
  ASSERT_TRUE(setup.device.kernels().add(std::move(source)).has_value());
  const Kernel increment = setup.device.kernels().get("increment").value();
  {
    std::atomic<bool> stop{false};
    const auto complete = [&](std::size_t index) {
      while (!stop.load()) setup.hal->queue(index).complete_next();
    };
    std::thread first(complete, 0);
    std::thread second(complete, 1);
    std::vector<std::thread> recorders;
    for (unsigned i = 0; i < 2; ++i) {
      recorders.emplace_back([&, i] {
        EncoderOptions encoder_options;
        encoder_options.queue = i;
        CommandEncoder encoder = setup.device.create_encoder(encoder_options).value();
        for (int round = 0; round < kRounds; ++round) {
          encoder.dispatch(increment, {counter.view()}, groups(1));
          ASSERT_TRUE(encoder.commit().has_value());
          ASSERT_TRUE(encoder.begin().has_value());
        }
      });
    }
    for (std::thread& recorder : recorders) recorder.join();
    EXPECT_TRUE(setup.device.wait_idle().has_value());
    stop.store(true);
    first.join();
    second.join();
  }
  EXPECT_EQ(counter.view().map_read<std::uint64_t>().value()[0], 2u * kRounds);
}

TEST_F(SubmissionRaceTest, DeviceMayGoWhileTheHostWaitsForABuffer) {  // row K5
  for (int round = 0; round < kRounds; ++round) {
    test::FakeSetup setup = test::open_fake(test::Completion::kManual);
    BufferDesc desc;
    desc.size_bytes = 64;
    const Buffer buffer = setup.device.create_buffer(desc).value();
    CommandEncoder encoder = setup.device.create_encoder().value();
    encoder.fill(buffer.view(), std::byte{3});
    std::optional<Submission> work = encoder.commit().value();
    Gate gate;
    std::thread reader([&gate, &buffer] {
      gate.meet();
      EXPECT_EQ(test::read_bytes(buffer.view()).front(), 3);
    });
    gate.meet();
    encoder = CommandEncoder();
    work.reset();
    setup.device = Device();  // the last handle; the queue finishes the work
    reader.join();
  }
}

TEST_F(SubmissionRaceTest, LastHandleMayGoOnTheThreadThatCompletes) {  // row K5
  std::atomic<int> gone{0};
  struct Witness {
    std::atomic<int>* gone;
    ~Witness() { ++*gone; }
  };
  constexpr int kDevices = 20;
  for (int round = 0; round < kDevices; ++round) {
    auto setup = std::make_unique<test::FakeSetup>(test::open_fake(test::Completion::kManual));
    const std::shared_ptr<test::FakeDevice> hal = setup->hal;
    // The body of a kernel goes with the device: it tells when that is gone.
    auto witness = std::make_shared<Witness>(&gone);
    ASSERT_TRUE(setup->device.kernels()
                    .add(test::fake_kernel("witness", {}, [witness](auto) {}))
                    .has_value());
    witness.reset();
    CommandEncoder encoder = setup->device.create_encoder().value();
    encoder.native({}, {}, [device = setup->device](void*) { EXPECT_TRUE(bool(device)); });
    static_cast<void>(encoder.commit().value());
    encoder = CommandEncoder();
    setup.reset();
    std::thread([&hal] { EXPECT_TRUE(hal->queue().complete_next()); }).join();
  }
  while (gone.load() < kDevices) std::this_thread::yield();
}

TEST_F(SubmissionRaceTest, LastHandleMayGoInACallback) {  // row K5, G9
  auto setup = std::make_unique<test::FakeSetup>(test::open_fake(test::Completion::kManual));
  const std::shared_ptr<test::FakeDevice> hal = setup->hal;
  auto alive = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = alive;
  ASSERT_TRUE(
      setup->device.kernels().add(test::fake_kernel("witness", {}, [alive](auto) {})).has_value());
  alive.reset();
  CommandEncoder encoder = setup->device.create_encoder().value();
  encoder.native({}, {},
                 [device = std::make_shared<Device>(setup->device)](void*) { *device = Device(); });
  static_cast<void>(encoder.commit().value());
  encoder = CommandEncoder();
  setup.reset();
  std::thread([&hal] { EXPECT_TRUE(hal->queue().complete_next()); }).join();
  while (!watch.expired()) std::this_thread::yield();
}

}  // namespace
}  // namespace segue
