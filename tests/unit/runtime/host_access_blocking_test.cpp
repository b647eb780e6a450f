// SPDX-License-Identifier: Apache-2.0
//
// Host access against a kernel that is really running on another thread.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>

#include "segue/host.hpp"

namespace segue {
namespace {

/// A device with a kernel that writes 7 to its argument once the test opens the gate.
class BlockedKernel : public testing::Test {
 protected:
  BlockedKernel() {
    host::HostOptions options;
    options.threads = 2;
    device_ = host::create_device({}, options).value();
    const auto added = device_.kernels().add(host::kernel(
        "gated", {"y"}, [this](const host::KernelContext&, host::Out<std::uint32_t> y) {
          running_ = true;
          running_.notify_all();
          gate_.wait(false);
          for (std::uint32_t& value : y) value = 7;
        }));
    EXPECT_TRUE(added.has_value());
    BufferDesc desc;
    desc.size_bytes = 64;
    desc.label = "output";
    buffer_ = device_.create_buffer(desc).value();
  }
  ~BlockedKernel() override { open_gate(); }

  /// Starts the kernel on the first 32 bytes and returns while it runs.
  Submission start() {
    CommandEncoder encoder = device_.create_encoder().value();
    encoder.dispatch(device_.kernels().get("gated").value(), {buffer_.view(0, 32).value()},
                     groups(1));
    Submission work = encoder.commit().value();
    running_.wait(false);
    return work;
  }
  void open_gate() {
    gate_ = true;
    gate_.notify_all();
  }

  std::atomic<bool> running_{false};
  std::atomic<bool> gate_{false};
  Device device_;
  Buffer buffer_;
};

TEST_F(BlockedKernel, MakesHostAccessBusyWhereItWrites) {  // row C7
  Submission work = start();
  const BufferView written = buffer_.view(0, 32).value();
  const BufferView other = buffer_.view(32, 32).value();
  std::array<std::byte, 32> bytes{};
  EXPECT_EQ(written.map_read<std::uint32_t>(WaitMode::kDontWait).error().code, ErrorCode::kBusy);
  EXPECT_EQ(written.map_write<std::uint32_t>(WaitMode::kDontWait).error().code, ErrorCode::kBusy);
  EXPECT_EQ(device_.download(written, bytes, WaitMode::kDontWait).error().code, ErrorCode::kBusy);
  EXPECT_EQ(device_.upload(written, bytes, WaitMode::kDontWait).error().code, ErrorCode::kBusy);
  EXPECT_TRUE(other.map_write<std::uint32_t>(WaitMode::kDontWait).has_value());
  EXPECT_FALSE(work.is_done());
  open_gate();
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_TRUE(written.map_write<std::uint32_t>(WaitMode::kDontWait).has_value());
}

TEST_F(BlockedKernel, IsWaitedForByDefault) {  // row C7
  const Submission work = start();
  auto value = std::async(std::launch::async,
                          [this] { return buffer_.view().map_read<std::uint32_t>().value()[0]; });
  EXPECT_NE(value.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  open_gate();
  EXPECT_EQ(value.get(), 7u);
}

TEST_F(BlockedKernel, FinishesBeforeAnUpload) {  // row C7
  const Submission work = start();
  auto uploaded = std::async(std::launch::async, [this] {
    const std::uint32_t value = 9;
    return device_.upload(buffer_.view(0, 4).value(), std::as_bytes(std::span(&value, 1)))
        .has_value();
  });
  open_gate();
  EXPECT_TRUE(uploaded.get());
  const auto mapped = buffer_.view().map_read<std::uint32_t>().value();
  EXPECT_EQ(mapped[0], 9u);
  EXPECT_EQ(mapped[1], 7u);
}

TEST_F(BlockedKernel, KeepsABufferThatNobodyElseNames) {  // row H1
  Submission work = start();
  std::uint64_t used = device_.memory_info().used_bytes;
  EXPECT_EQ(used, 64u);
  buffer_ = {};
  EXPECT_EQ(device_.memory_info().used_bytes, 64u);
  open_gate();
  EXPECT_TRUE(work.wait().has_value());
  EXPECT_EQ(device_.memory_info().used_bytes, 0u);
}

TEST_F(BlockedKernel, FinishesBeforeItsDeviceGoes) {  // row K5, G6
  static_cast<void>(start());
  auto closed = std::async(std::launch::async, [this] {
    buffer_ = {};
    device_ = {};
  });
  open_gate();
  closed.get();
}

}  // namespace
}  // namespace segue
