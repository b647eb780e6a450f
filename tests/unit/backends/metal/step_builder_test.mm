// SPDX-License-Identifier: Apache-2.0
//
// Fills and copies that are too large for one dispatch, without running them.
#include "backends/metal/step_builder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "metal_double/double.hpp"

namespace segue::metal {
namespace {

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

class MetalStepBuilder : public testing::Test {
 protected:
  void SetUp() override {
    metal_double::reset();
    pool_ = [[NSAutoreleasePool alloc] init];
    context_ = create_context({}).value();
    internal_ = std::make_unique<InternalKernels>(context_);
    arena_ = std::make_unique<Arena>(context_);
    builder_ = std::make_unique<StepBuilder>(context_, *internal_);
    builder_->begin(list_, *arena_, BytesMode::kInBlock);
    // Its size is of no consequence, since nothing is told to Metal.
    buffer_ = adopt([context_->device.get() newBufferWithLength:16 options:0]);
  }
  void TearDown() override {
    builder_.reset();
    arena_.reset();
    internal_.reset();
    context_.reset();
    buffer_ = {};
    [pool_ drain];
    EXPECT_THAT(metal_double::take_violations(), testing::IsEmpty());
    EXPECT_THAT(metal_double::live_objects(), testing::IsEmpty());
  }
  StepBuilder::Sink collect() {
    return [this](const Step& step) -> Result<> {
      steps_.push_back(step);
      return {};
    };
  }
  template <class Params>
  [[nodiscard]] static Params params_of(const Step& step) {
    Params params;
    std::memcpy(&params, step.bindings[step.binding_count - 1].data, sizeof(params));
    return params;
  }
  [[nodiscard]] static std::uint64_t threads_of(const Step& step) {
    return std::uint64_t{step.grid.width} * step.group.width;
  }

  NSAutoreleasePool* pool_ = nil;
  ContextPointer context_;
  std::unique_ptr<InternalKernels> internal_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<StepBuilder> builder_;
  Retained<id<MTLBuffer>> buffer_;
  ir::CommandList list_;
  std::vector<Step> steps_;
};

TEST_F(MetalStepBuilder, SplitsFillsThatExceedAGibibyte) {  // row B7
  for (const std::uint64_t size : {kGib, kGib + 1, 3 * kGib + 5}) {
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{7}, 4 * kGib + 17}) {
      steps_.clear();
      ASSERT_TRUE(builder_->fill_steps({buffer_.get(), offset}, size, 9, collect()).has_value());
      EXPECT_EQ(steps_.size(), (size + kGib - 1) / kGib);
      std::uint64_t next = offset;
      for (const Step& step : steps_) {
        const auto params = params_of<FillParams>(step);
        EXPECT_EQ(step.bindings[0].offset % 16, 0U);
        EXPECT_EQ(step.bindings[0].offset + params.begin, next);
        EXPECT_EQ(params.value, 9U);
        EXPECT_GE(threads_of(step) * 16, params.end);  // 16 bytes a thread
        next = step.bindings[0].offset + params.end;
      }
      EXPECT_EQ(next, offset + size);
    }
  }
}

TEST_F(MetalStepBuilder, SplitsCopiesThatExceedAGibibyte) {  // row B7
  for (const std::uint64_t size : {kGib, kGib + 1, 2 * kGib + 31}) {
    const std::uint64_t from = 5, to = 5 * kGib + 19;
    steps_.clear();
    ASSERT_TRUE(builder_->copy_steps({buffer_.get(), from}, {buffer_.get(), to}, size, collect())
                    .has_value());
    EXPECT_EQ(steps_.size(), (size + kGib - 1) / kGib);
    std::uint64_t done = 0;
    for (const Step& step : steps_) {
      const auto params = params_of<CopyParams>(step);
      EXPECT_EQ(step.bindings[0].offset + params.from, from + done);
      EXPECT_EQ(step.bindings[1].offset + params.to, to + done);
      EXPECT_GE(threads_of(step) * 16, params.to + std::uint64_t{params.size});
      done += params.size;
    }
    EXPECT_EQ(done, size);
  }
}

TEST_F(MetalStepBuilder, MakesNothingOfNothing) {  // row B4
  ASSERT_TRUE(builder_->fill_steps({buffer_.get(), 3}, 0, 9, collect()).has_value());
  ASSERT_TRUE(
      builder_->copy_steps({buffer_.get(), 3}, {buffer_.get(), 4}, 0, collect()).has_value());
  EXPECT_TRUE(steps_.empty());
}

}  // namespace
}  // namespace segue::metal
