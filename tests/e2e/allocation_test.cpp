// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>

#include "e2e/golden.hpp"
#include "segue/host.hpp"
#include "support/allocation_counter.hpp"

namespace segue::e2e {
namespace {

/// Allocations of each token from the third on, by all threads together.
std::uint64_t allocations_per_sequence(unsigned threads, float temperature) {
  host::HostOptions options;
  options.threads = threads;
  const auto device = host::create_device({}, options);
  const auto model = llama::Model::load(*device, tales_model("q8_0"));
  auto session = llama::Session::create(*model);
  const llama::Sampling sampling{temperature, 40, 0.95F, 1};
  auto token = session->next({{1}}, sampling);
  for (int i = 0; i < 2; ++i) token = session->next({{*token}}, sampling);
  const std::uint64_t before = test::allocation_count();
  for (int i = 0; i < 100; ++i) token = session->next({{*token}}, sampling);
  EXPECT_TRUE(token);
  return test::allocation_count() - before;
}

TEST(Session, ATokenAllocatesNothing) {
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  EXPECT_EQ(allocations_per_sequence(1, 0.0F), 0U);
  EXPECT_EQ(allocations_per_sequence(2, 0.0F), 0U);
  EXPECT_EQ(allocations_per_sequence(1, 0.8F), 0U);
}

TEST(AllocationCounter, Counts) {
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  const std::uint64_t before = test::allocation_count();
  const auto owned = std::make_unique<int>(1);
  EXPECT_GT(test::allocation_count(), before);
}

}  // namespace
}  // namespace segue::e2e
