// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "metal_double/double.hpp"

namespace metal_double {

/// Starts each test with a fresh double and a pool, and ends it without objects or violations that
/// the test did not take.
///
/// Kernels are plain functions; see double_fixture.mm for what there is.
class DoubleTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Starts over on another machine.
  void use(Options options);

  id<MTLBuffer> buffer(NSUInteger bytes, const char* label,
                       MTLResourceOptions options = MTLResourceHazardTrackingModeUntracked);
  id<MTLComputePipelineState> pipeline(const char* kernel, bool indirect = false);
  id<MTLCommandBuffer> command_buffer() { return [queue commandBuffer]; }
  /// An encoder with `kernel` set, all arguments bound to `memory`, and bytes `value` at index 1.
  id<MTLComputeCommandEncoder> encoder(id<MTLCommandBuffer> commands, bool concurrent = true);

  /// Encodes a dispatch that appends `number` to the journal.
  void append(id<MTLComputeCommandEncoder> encoder, std::uint32_t number);
  void run(id<MTLCommandBuffer> commands);
  /// The numbers that were appended, in order.
  std::vector<std::uint32_t> journal();

  id<MTLDevice> device = nil;
  id<MTLCommandQueue> queue = nil;
  id<MTLBuffer> log_buffer = nil;

 private:
  void begin();
  void end();

  NSAutoreleasePool* pool_ = nil;
  std::vector<id> owned_;
  std::map<std::pair<std::string, bool>, id> pipelines_;
};

/// Takes the violations, of which exactly one is expected, with this text in it.
void expect_violation(const std::string& text);
void expect_no_violation();

inline const MTLSize kOne = MTLSizeMake(1, 1, 1);

}  // namespace metal_double
