// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "host_program.hpp"

namespace segue::host {
namespace {

using namespace testing;

TEST(HostDevice, SaysWhatItIsAndCanDo) {  // row H8
  const auto device = make_device();
  EXPECT_EQ(device->backend(), "host");
  EXPECT_FALSE(device->name().empty());
  EXPECT_EQ(device->clock_name(), "host steady clock");
  EXPECT_GE(device->limits().max_inline_bytes, 4096U);
  EXPECT_TRUE(device->features().unified_memory);
  EXPECT_FALSE(device->features().ragged_groups);
  EXPECT_GT(device->memory_budget().value_or(0), 0U);
}

TEST(HostDevice, AllocationsAreZeroedAndAlignedWhateverTheirSize) {  // row H3
  const auto device = make_device();
  for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{65}, std::uint64_t{5000},
                                   (std::uint64_t{2} << 20) - 1, (std::uint64_t{4} << 20) + 3}) {
    for (int round = 0; round < 2; ++round) {  // the second may get the first one's memory
      const TestBuffer buffer = make_buffer(*device, size);
      const auto bytes = buffer.as<std::uint8_t>();
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0U);
      EXPECT_EQ(std::ranges::count(bytes, 0), static_cast<std::ptrdiff_t>(size));
      std::ranges::fill(bytes, 0xCD);
    }
  }
}

TEST(HostDevice, AnAllocationBeyondMemoryIsAnErrorWithItsSize) {  // row K4
  const auto device = make_device();
  const auto memory = device->allocate({std::uint64_t{1} << 60, true, true, "too large"});
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(memory.error().message.find("1152921504606846976 bytes"), std::string::npos)
      << memory.error().message;
  EXPECT_NE(memory.error().message.find("\"too large\""), std::string::npos);
}

TEST(HostDevice, ImportsUseTheCallersMemory) {  // row H6
  const auto device = make_device();
  std::byte bytes[3] = {};
  const auto memory = value_of(device->import_host(bytes, sizeof(bytes), true));
  EXPECT_EQ(memory->host, bytes);
}

TEST(HostDevice, TooManyThreadsAreRefused) {  // row K4
  HostOptions options;
  options.threads = 257;
  const auto device = create_hal_device(options);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().message,
            "The host device is asked for 257 threads; at most 256 are allowed.");
}

void nothing(const KernelContext&) {}

Error compile_error(const KernelSource& source) {
  const auto device = make_device();
  const auto kernel = device->compile(source, {});
  if (kernel) return {};
  EXPECT_EQ(kernel.error().code, ErrorCode::kCompileFailed);
  EXPECT_NE(kernel.error().message.find("\"k\""), std::string::npos) << kernel.error().message;
  return kernel.error();
}

TEST(HostDevice, KernelsThatDoNotFitAreCompileErrorsThatNameThem) {  // row I4
  EXPECT_NE(compile_error(raw_kernel("k", {}, nullptr)).message, "");
  KernelSource foreign = raw_kernel("k", {}, nothing);
  foreign.backend = "cuda";
  EXPECT_NE(compile_error(foreign).message.find("\"cuda\""), std::string::npos);

  Signature shared_first;
  shared_first.parameters = {{"s", ParameterKind::kShared, Access::kReadWrite, true, 64}, {"b"}};
  EXPECT_NE(compile_error(raw_kernel("k", shared_first, nothing)).message.find("come last"),
            std::string::npos);

  Signature many;
  many.parameters.resize(65);
  EXPECT_NE(compile_error(raw_kernel("k", many, nothing)).message.find("65"), std::string::npos);

  Signature many_shared;
  many_shared.parameters.assign(17, {"s", ParameterKind::kShared, Access::kReadWrite, true, 4});
  EXPECT_NE(compile_error(raw_kernel("k", many_shared, nothing)).message.find("17 shared"),
            std::string::npos);

  Signature large;
  large.parameters = {{"p", ParameterKind::kBytes, Access::kRead, true, 1 << 20}};
  EXPECT_NE(compile_error(raw_kernel("k", large, nothing)).message.find("1048576"),
            std::string::npos);

  Signature no_threads;
  no_threads.group_size = {4, 0, 1};
  EXPECT_NE(compile_error(raw_kernel("k", no_threads, nothing)).message.find("4 x 0 x 1"),
            std::string::npos);

  Signature specialised;
  specialised.parameters = {
      {"s", ParameterKind::kShared, Access::kReadWrite, true, 0, 1, SharedSizing::kSpecialisation}};
  EXPECT_NE(compile_error(raw_kernel("k", specialised, nothing)).message.find("specialisation"),
            std::string::npos);
}

TEST(HostDevice, KernelIndicesStaySmallAndAreUniqueAmongTheLiving) {  // row I2
  const auto device = make_device();
  const auto compile = [&] { return value_of(device->compile(raw_kernel("k", {}, nothing), {})); };
  std::vector<base::Ref<ir::Kernel>> kernels;
  for (int i = 0; i < 40; ++i) kernels.push_back(compile());
  const std::uint32_t freed = kernels[7]->index;
  kernels[7] = {};
  kernels[7] = compile();
  EXPECT_EQ(kernels[7]->index, freed);
  std::vector<std::uint32_t> indices;
  for (const auto& kernel : kernels) indices.push_back(kernel->index);
  std::ranges::sort(indices);
  for (std::uint32_t i = 0; i < 40; ++i) EXPECT_EQ(indices[i], i);
}

}  // namespace
}  // namespace segue::host
