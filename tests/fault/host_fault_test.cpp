// SPDX-License-Identifier: Apache-2.0
//
// Fails each native call of the host backend in turn: an error comes back, nothing hangs, and
// everything that exists by then works once calls succeed again. Under the address sanitizer,
// nothing leaks either.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "segue/host.hpp"

namespace segue {
namespace {

constexpr std::uint32_t kCount = 1000;

/// Counts native calls and fails one of them.
class FaultPlan {
 public:
  bool operator()(std::string_view call) {
    const std::uint64_t index = calls_.fetch_add(1);
    if (index != failing_.load()) return false;
    failed_call_ = call;
    hit_ = true;
    return true;
  }
  void fail(std::uint64_t index) {
    calls_ = 0;
    hit_ = false;
    failing_ = index;
  }
  void fail_nothing() { failing_ = UINT64_MAX; }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  [[nodiscard]] bool hit() const { return hit_; }
  [[nodiscard]] const std::string& failed_call() const { return failed_call_; }

 private:
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> failing_{UINT64_MAX};
  std::atomic<bool> hit_{false};
  std::string failed_call_;
};

KernelSource double_kernel() {
  host::KernelOptions options;
  options.guards_ragged_edges = true;
  return host::kernel(
      "double", {"x", "y"},
      [](const host::KernelContext& work, host::In<float> x, host::Out<float> y) {
        for (std::uint64_t i = work.group_begin; i < work.group_end; ++i) y[i] = 2 * x[i];
      },
      options);
}

/// Everything a program does with a device, each object made once and kept, so that running again
/// goes on with what an earlier attempt left.
class Program {
 public:
  Program(FaultPlan& faults, unsigned queue_count) : faults_(faults), queue_count_(queue_count) {
    std::iota(numbers_.begin(), numbers_.end(), 0.0F);
  }

  /// Quadruples the numbers on the device.
  Result<std::vector<float>> run() {
    SEGUE_TRY(prepare());
    SEGUE_TRY_ASSIGN(PoolLease temporary, pool_->allocate(kCount * sizeof(float)));
    if (!encoder_) {
      EncoderOptions options;
      options.queue = queue_count_ - 1;
      SEGUE_TRY_ASSIGN(encoder_, device_.create_encoder(options));
    }
    SEGUE_TRY(encoder_->begin());
    SEGUE_TRY_ASSIGN(const Kernel kernel, device_.kernels().get("double"));
    encoder_->fill(output_.view(), std::byte{0xFF});
    encoder_->dispatch(kernel, {input_.view(), temporary.view()}, threads(kCount));
    encoder_->dispatch(kernel, {temporary.view(), output_.view()}, threads(kCount));
    SEGUE_TRY_ASSIGN(Submission work, encoder_->commit("program"));
    temporary.release();
    SEGUE_TRY(work.wait());

    SEGUE_TRY(encoder_->begin());
    encoder_->copy(output_.view(), copy_.view());
    SEGUE_TRY(encoder_->commit_and_wait("copy"));
    std::vector<float> result(kCount);
    SEGUE_TRY(device_.download(copy_.view(), std::as_writable_bytes(std::span(result))));
    return result;
  }

  [[nodiscard]] const Device& device() const { return device_; }
  [[nodiscard]] std::vector<float> expected() const {
    std::vector<float> expected = numbers_;
    for (float& number : expected) number *= 4;
    return expected;
  }

 private:
  Result<> prepare() {
    if (!device_) {
      DeviceOptions options;
      options.queue_count = queue_count_;
      options.error_handler = [](const Error&) {};
      host::HostOptions host_options;
      host_options.threads = 2;
      host_options.parallelism = host::Parallelism::kAlways;
      host_options.fail_call = [this](std::string_view call) { return faults_(call); };
      SEGUE_TRY_ASSIGN(device_, host::create_device(options, host_options));
    }
    if (!device_.kernels().contains("double")) SEGUE_TRY(device_.kernels().add(double_kernel()));
    if (!pool_) {
      SEGUE_TRY_ASSIGN(pool_, device_.create_pool());
    }
    if (!input_) {
      const auto bytes = std::as_bytes(std::span(numbers_));
      SEGUE_TRY_ASSIGN(input_, device_.import_host_memory(std::span<const std::byte>(bytes)));
    }
    BufferDesc desc;
    desc.size_bytes = kCount * sizeof(float);
    desc.label = "output";
    if (!output_) {
      SEGUE_TRY_ASSIGN(output_, device_.create_buffer(desc));
    }
    desc.label = "copy";
    desc.host_access = HostAccess::kNone;
    if (!copy_) {
      SEGUE_TRY_ASSIGN(copy_, device_.create_buffer(desc));
    }
    return {};
  }

  FaultPlan& faults_;
  unsigned queue_count_;
  std::vector<float> numbers_ = std::vector<float>(kCount);
  Device device_;
  std::optional<Pool> pool_;
  Buffer input_;
  Buffer output_;
  Buffer copy_;
  std::optional<CommandEncoder> encoder_;
};

/// How many native calls a run without faults makes.
std::uint64_t count_calls(unsigned queue_count) {
  FaultPlan faults;
  Program program(faults, queue_count);
  const auto result = program.run();
  EXPECT_TRUE(result.has_value()) << result.error().to_string();
  if (result) {
    EXPECT_EQ(*result, program.expected());
  }
  return faults.calls();
}

class HostFault : public testing::TestWithParam<unsigned> {};

TEST_P(HostFault, AnyNativeCallMayFail) {  // row K3
  // Threads share the work, so the count varies a little from run to run.
  const std::uint64_t calls = count_calls(GetParam()) + 8;
  EXPECT_GE(calls, 15u) << "the hook is asked";
  std::uint64_t hits = 0;
  for (std::uint64_t n = 0; n < calls; ++n) {
    FaultPlan faults;
    Program program(faults, GetParam());
    faults.fail(n);
    const auto first = program.run();
    SCOPED_TRACE(testing::Message() << "call " << n << " \"" << faults.failed_call() << "\" fails");
    if (first) {
      // A helper thread that the system refuses costs speed, not results.
      EXPECT_TRUE(!faults.hit() || faults.failed_call() == "create_thread");
      EXPECT_EQ(*first, program.expected());
    } else {
      ++hits;
      EXPECT_TRUE(faults.hit());
      EXPECT_THAT(first.error().message, testing::EndsWith("."));
    }
    faults.fail_nothing();
    const auto again = program.run();
    if (!again && again.error().code == ErrorCode::kDeviceLost) {
      // The documented dead state: every later call says so, and none hangs.
      EXPECT_EQ(faults.failed_call(), "device");
      EXPECT_EQ(program.device().create_buffer({16}).error().code, ErrorCode::kDeviceLost);
      EXPECT_EQ(program.device().wait_idle().error().code, ErrorCode::kDeviceLost);
      continue;
    }
    ASSERT_TRUE(again.has_value()) << again.error().to_string();
    EXPECT_EQ(*again, program.expected());
    EXPECT_TRUE(program.device().wait_idle().has_value());
  }
  EXPECT_GE(hits, 8u);
}

TEST_P(HostFault, WorkInFlightMayFailWhenNobodyWaits) {  // row K3, G3
  const std::uint64_t calls = count_calls(GetParam()) + 8;
  for (std::uint64_t n = 0; n < calls; ++n) {
    FaultPlan faults;
    faults.fail(n);
    host::HostOptions host_options;
    host_options.threads = 2;
    host_options.fail_call = [&faults](std::string_view call) { return faults(call); };
    std::atomic<int> reported{0};
    int observed = 0;
    {
      DeviceOptions options;
      options.queue_count = GetParam();
      options.error_handler = [&reported](const Error&) { ++reported; };
      const auto device = host::create_device(options, host_options);
      if (!device) continue;
      BufferDesc desc;
      desc.size_bytes = 64;
      const auto buffer = device->create_buffer(desc);
      if (!buffer) continue;
      if (!device->kernels().add(double_kernel())) continue;
      const auto kernel = device->kernels().get("double");
      if (!kernel) continue;
      for (unsigned i = 0; i < 4; ++i) {
        EncoderOptions encoder_options;
        encoder_options.queue = i % GetParam();
        auto encoder = device->create_encoder(encoder_options);
        if (!encoder) break;
        encoder->dispatch(*kernel, {buffer->view(0, 32).value(), buffer->view(32, 32).value()},
                          threads(8));
        // Each submission is dropped at once.
        if (!encoder->commit()) ++observed;
      }
    }
    // Everything finished when the device went: a failed call is told exactly once.
    const bool optional_call =
        faults.failed_call() == "create_thread" || faults.failed_call() == "device";
    if (faults.hit() && !optional_call) {
      EXPECT_EQ(observed + reported, 1) << "call " << n << " \"" << faults.failed_call() << "\"";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Queues, HostFault, testing::Values(1u, 2u));

}  // namespace
}  // namespace segue
