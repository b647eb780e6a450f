// SPDX-License-Identifier: Apache-2.0
//
// A step made from the shape alone against that of a model of the shape.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "llama/model.hpp"
#include "llama/structure.hpp"
#include "llama/synth.hpp"
#include "segue/host.hpp"

namespace segue::e2e {
namespace {

namespace fs = std::filesystem;
using llama::TensorType;

constexpr std::uint32_t kContext = 48;

llama::Hyperparameters small_shape(bool tied) {
  llama::Hyperparameters shape;
  shape.layers = 2;
  shape.width = 64;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_size = 32;
  shape.feed_forward = 96;
  shape.context = 64;
  shape.vocabulary = 333;
  shape.tied_output = tied;
  return shape;
}

Graph step_of(const llama::Model& model) {
  const llama::Hyperparameters& shape = model.hyperparameters();
  const auto cache =
      llama::KvCache::create(model.device(), shape, kContext,
                             llama::default_cache_type(model.quantises_activations()))
          .value();
  const auto buffers = llama::StepBuffers::create(model.device(), shape, kContext).value();
  const llama::ForwardPass pass(shape, model.weights(), model.ops());
  return llama::capture_step(model.device(), pass, model.ops(), buffers, cache).value();
}

void expect_same_step(const Graph& structure, const Graph& model) {
  ASSERT_EQ(structure.node_count(), model.node_count());
  for (std::size_t i = 0; i < model.node_count(); ++i) {
    SCOPED_TRACE(i);
    const GraphNode a = structure.node(i), b = model.node(i);
    EXPECT_EQ(a.kernel.impl(), b.kernel.impl());
    EXPECT_EQ(a.grid, b.grid);
    EXPECT_EQ(a.op, b.op);
    ASSERT_EQ(a.arguments.size(), b.arguments.size());
    for (std::size_t j = 0; j < b.arguments.size(); ++j) {
      EXPECT_EQ(a.arguments[j].bytes, b.arguments[j].bytes);
      EXPECT_EQ(a.arguments[j].view.size_bytes(), b.arguments[j].view.size_bytes());
    }
  }
  for (const Schedule schedule : {Schedule::kRecorded, Schedule::kCriticalPath})
    EXPECT_EQ(structure.report(schedule).barriers, model.report(schedule).barriers);
  EXPECT_EQ(structure.placement().placed_bytes, model.placement().placed_bytes);
}

TEST(Structure, IsTheStepOfAModelOfThatShape) {  // row E1
  const Device device = host::create_device().value();
  const fs::path file =
      fs::temp_directory_path() / ("segue-structure-" + std::to_string(::getpid()) + ".gguf");
  const std::pair<TensorType, DType> types[] = {{TensorType::kF32, DType::kF32},
                                                {TensorType::kF16, DType::kF16},
                                                {TensorType::kQ8_0, DType::kQ8_0},
                                                {TensorType::kQ4_0, DType::kQ4_0}};
  for (const auto& [type, dtype] : types) {
    for (const bool tied : {false, true}) {
      SCOPED_TRACE(std::string(to_string(dtype)) + (tied ? " tied" : ""));
      llama::SynthOptions options;
      options.shape = small_shape(tied);
      options.type = type;
      ASSERT_TRUE(llama::write_synthetic_model(file.string(), options).has_value());
      const auto model = llama::Model::load(device, file.string()).value();
      const auto made =
          llama::structure(device, model->ops(), model->hyperparameters(), dtype, kContext);
      ASSERT_TRUE(made.has_value()) << made.error().to_string();
      expect_same_step(made->graph, step_of(*model));
    }
  }
  fs::remove(file);
}

TEST(Structure, TakesNoMemoryForALargeModel) {  // row E1
  const Device device = host::create_device().value();
  const ops::Ops ops = ops::Ops::create(device).value();
  const auto shape = llama::synth_shape("llama-3-8b").value();
  const auto made = llama::structure(device, ops, shape, DType::kQ8_0, shape.context);
  ASSERT_TRUE(made.has_value()) << made.error().to_string();
  EXPECT_EQ(made->graph.node_count(), 32u * 19 + 6);
  EXPECT_LT(device.memory_info().used_bytes, 100u << 10) << "Only what a step leaves behind.";
}

TEST(Structure, RefusesWhatNoModelHas) {  // row E1
  const Device device = host::create_device().value();
  const ops::Ops ops = ops::Ops::create(device).value();
  llama::Hyperparameters shape = small_shape(false);
  EXPECT_FALSE(llama::structure(device, ops, shape, DType::kU32, 8).has_value());
  EXPECT_FALSE(llama::structure(device, ops, shape, DType::kQ8_0, 0).has_value());
  shape.width = 40;
  const auto ragged = llama::structure(device, ops, shape, DType::kQ8_0, 8);
  ASSERT_FALSE(ragged.has_value());
  EXPECT_NE(ragged.error().message.find("40 columns"), std::string::npos);
}

}  // namespace
}  // namespace segue::e2e
