// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "llama/structure.hpp"
#include "llama/synth.hpp"
#include "segue/fusion_patterns.hpp"
#include "segue/host.hpp"

namespace segue::e2e {
namespace {

/// Barriers of a schedule, after the independent checker has looked at the plan.
std::uint32_t certified_barriers(const Graph& graph, Schedule schedule) {
  const Certificate certificate = graph.certify(schedule);
  EXPECT_TRUE(certificate.tight()) << certificate.to_string();
  EXPECT_EQ(certificate.critical_path, graph.critical_path());
  if (schedule == Schedule::kCriticalPath) {
    EXPECT_TRUE(certificate.minimal()) << certificate.to_string();
  }
  return certificate.barriers;
}

struct Shape {
  const char* name;
  std::uint32_t layers;
};

class PublishedShapes : public ::testing::TestWithParam<Shape> {};

// Only the shape: no weights, and no memory for them.
TEST_P(PublishedShapes, HaveOneBarrierLessThanTheirCriticalPath) {  // rows E5, E7, L1
  const auto device = host::create_device();
  ASSERT_TRUE(device);
  const auto ops = ops::Ops::create(*device);
  ASSERT_TRUE(ops);
  const auto shape = llama::synth_shape(GetParam().name);
  ASSERT_TRUE(shape);
  const std::uint32_t layers = GetParam().layers;
  ASSERT_EQ(shape->layers, layers);
  const std::uint64_t used = device->memory_info().used_bytes;
  const auto structure = llama::structure(*device, *ops, *shape, DType::kF16, 4096);
  ASSERT_TRUE(structure) << structure.error().message;
  // A ring of sampled tokens and the like, which replays share with the host.
  EXPECT_LE(device->memory_info().used_bytes - used, 20'000U);

  const Graph& graph = structure->graph;
  EXPECT_EQ(graph.dispatch_count(), 19 * layers + 6);
  EXPECT_EQ(certified_barriers(graph, Schedule::kCriticalPath), 14 * layers + 6 - 1);
  const auto fused = graph.fuse(ops::fusion_patterns(*device));
  ASSERT_TRUE(fused) << fused.error().message;
  EXPECT_EQ(fused->graph.dispatch_count(), 5 * layers + 4);
  EXPECT_EQ(certified_barriers(fused->graph, Schedule::kCriticalPath), 5 * layers + 4 - 1);
  for (const Graph* each : {&graph, &fused->graph}) {
    const std::uint32_t fewest = certified_barriers(*each, Schedule::kCriticalPath);
    EXPECT_GE(certified_barriers(*each, Schedule::kRecorded), fewest);
    EXPECT_GE(certified_barriers(*each, Schedule::kLookahead), fewest);
  }
}

INSTANTIATE_TEST_SUITE_P(Llama, PublishedShapes,
                         ::testing::Values(Shape{"llama-3.2-1b", 16}, Shape{"llama-3-8b", 32},
                                           Shape{"qwen3-0.6b", 28}),
                         [](const auto& instance) {
                           std::string name = instance.param.name;
                           std::erase_if(name, [](char c) { return c == '-' || c == '.'; });
                           return name;
                         });

}  // namespace
}  // namespace segue::e2e
