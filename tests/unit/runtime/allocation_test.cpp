// SPDX-License-Identifier: Apache-2.0
//
// Recording, submitting and completing allocate nothing once every table has its size. A program of
// its own, for it counts every allocation.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "segue/host.hpp"
#include "support/allocation_counter.hpp"

namespace segue {
namespace {

struct Params {
  std::array<std::uint32_t, 8> values;
};
static_assert(sizeof(Params) == 32);

/// One token of a decoder: dispatches of four views and 32 inline bytes over weights and a few
/// activations that follow from each other.
class Decoder {
 public:
  static constexpr int kDispatches = 119;

  explicit Decoder(const Device& device) {
    EXPECT_TRUE(device.kernels()
                    .add(host::kernel("layer", {"weights", "scales", "x", "y", "params"},
                                      [](const host::KernelContext&, host::In<float> weights,
                                         host::In<float> scales, host::In<float> x,
                                         host::Out<float> y, const Params& params) {
                                        y[0] = weights[0] * scales[0] * x[0] +
                                               static_cast<float>(params.values[0]);
                                      }))
                    .has_value());
    kernel_ = device.kernels().get("layer").value();
    for (int i = 0; i < kDispatches; ++i) weights_.push_back(make_buffer(device));
    for (int i = 0; i < 14; ++i) activations_.push_back(make_buffer(device));
    scales_ = make_buffer(device);
  }

  void record(CommandEncoder& encoder) const {
    for (int layer = 0; layer < 7; ++layer) {
      const LabelScope scope(encoder, "a layer with a name that is too long to be kept in place");
      DispatchOptions options;
      options.op = OpKind::kMatVec;
      options.label = "a dispatch with a name that is too long to be kept in place";
      for (int i = 0; i < kDispatches / 7; ++i) {
        const auto n = static_cast<std::size_t>(layer * (kDispatches / 7) + i);
        const Params params{{static_cast<std::uint32_t>(i)}};
        encoder.dispatch(kernel_,
                         {weights_[n], scales_, activations_[n % 14], activations_[(n + 1) % 14],
                          KernelArg::bytes(params)},
                         groups(1), options);
      }
    }
  }

 private:
  static BufferView make_buffer(const Device& device) {
    BufferDesc desc;
    desc.size_bytes = 256;
    desc.label = "buffer";
    return device.create_buffer(desc).value().view();
  }

  Kernel kernel_;
  std::vector<BufferView> weights_;
  std::vector<BufferView> activations_;
  BufferView scales_;
};

class AllocationTest : public testing::TestWithParam<unsigned> {
 protected:
  static Device open() {
    host::HostOptions options;
    options.threads = GetParam();
    return host::create_device({}, options).value();
  }
};

TEST_P(AllocationTest, CountsAllocations) {  // that the test below can fail
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  const std::uint64_t before = test::allocation_count();
  const auto number = std::make_unique<int>(1);
  EXPECT_EQ(test::allocation_count(), before + static_cast<std::uint64_t>(*number));
}

TEST_P(AllocationTest, ATokenAllocatesNothingAfterTheFirst) {  // row G11, K5
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  const Device device = open();
  const Decoder decoder(device);
  CommandEncoder encoder = device.create_encoder().value();
  for (int token = 0; token < 50; ++token) {
    const std::uint64_t before = test::allocation_count();
    decoder.record(encoder);
    ASSERT_EQ(encoder.stats().commands, 119u);
    const bool done = encoder.commit_and_wait().has_value();
    const bool ready = encoder.begin().has_value();
    const std::uint64_t allocations = test::allocation_count() - before;
    ASSERT_TRUE(done && ready);
    if (token >= 1) {
      ASSERT_EQ(allocations, 0u) << "token " << token;
    }
  }
}

TEST_P(AllocationTest, ATokenThatTheWorkerRunsAllocatesNothingAfterTheFirst) {  // row G11, K5
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  const Device device = open();
  const Decoder decoder(device);
  CommandEncoder encoder = device.create_encoder().value();
  for (int token = 0; token < 50; ++token) {
    const std::uint64_t before = test::allocation_count();
    decoder.record(encoder);
    bool done = false;
    {
      Result<Submission> work = encoder.commit("token");
      done = work.has_value() && work->wait().has_value();
    }
    const bool ready = encoder.begin().has_value();
    const std::uint64_t allocations = test::allocation_count() - before;
    ASSERT_TRUE(done && ready);
    if (token >= 1) {
      ASSERT_EQ(allocations, 0u) << "token " << token;
    }
  }
}

TEST_P(AllocationTest, AReplayWithOtherValuesAllocatesNothing) {  // row F1, F2, G11
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  const Device device = open();
  const Decoder decoder(device);
  CommandEncoder encoder = device.create_encoder().value();
  encoder.start_capture();
  decoder.record(encoder);
  const Buffer a = device.create_buffer({.size_bytes = 256}).value();
  const Buffer b = device.create_buffer({.size_bytes = 256}).value();
  const BytesSlot position{"position"};
  const std::uint32_t zero = 0;
  encoder.upload(KernelArg::slot("target", a.view(0, 4).value()),
                 KernelArg::bytes(zero, {&position, 1}));
  encoder.fill(KernelArg::slot("filled", b.view()), std::byte{1});
  Executable executable = encoder.take_capture()->compile(device).value();
  const SlotId position_id = executable.slot("position").value();
  const SlotId target_id = executable.slot("target").value();
  const BufferView targets[] = {a.view(0, 4).value(), a.view(64, 4).value()};
  for (std::uint32_t token = 0; token < 50; ++token) {
    const std::uint64_t before = test::allocation_count();
    bool done = executable.set(position_id, token).has_value() &&
                executable.set(target_id, targets[token % 2]).has_value();
    if (token % 3 == 0) {
      done = done && executable.submit_and_wait().has_value();
    } else {
      Result<Submission> work = executable.submit("token");
      done = done && work.has_value() && work->wait().has_value();
    }
    if (token % 5 == 4) done = done && executable.load(position_id, targets[0]).has_value();
    const std::uint64_t allocations = test::allocation_count() - before;
    ASSERT_TRUE(done);
    if (token >= 8) {  // each of the instances has been used
      ASSERT_EQ(allocations, 0u) << "token " << token;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, AllocationTest, testing::Values(1u, 2u));

}  // namespace
}  // namespace segue
