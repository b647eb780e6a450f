// SPDX-License-Identifier: Apache-2.0
//
// Models of many shapes and types with random weights, against plain loops in double.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "e2e/golden.hpp"
#include "llama/synth.hpp"
#include "segue/host.hpp"
#include "support/plain_llama.hpp"

namespace segue::e2e {
namespace {

using llama::TensorType;

struct ShapeCase {
  const char* name;
  llama::Hyperparameters shape;
  TensorType type;
};

llama::Hyperparameters shape(std::uint32_t layers, std::uint32_t width, std::uint32_t heads,
                             std::uint32_t kv_heads, std::uint32_t head_size,
                             std::uint32_t feed_forward, float rope_base, bool tied) {
  llama::Hyperparameters s;
  s.layers = layers;
  s.width = width;
  s.heads = heads;
  s.kv_heads = kv_heads;
  s.head_size = head_size;
  s.feed_forward = feed_forward;
  s.vocabulary = 333;
  s.context = 64;
  s.rope_base = rope_base;
  s.rms_epsilon = 1e-5F;
  s.tied_output = tied;
  return s;
}

class ModelShape : public testing::TestWithParam<ShapeCase> {};

TEST_P(ModelShape, LogitsAgreeWithPlainLoops) {
  const ShapeCase& c = GetParam();
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("segue-{}-{}.gguf", c.name, ::getpid()))
          .string();
  llama::SynthOptions synth;
  synth.shape = c.shape;
  synth.type = c.type;
  const auto written = llama::write_synthetic_model(path, synth);
  ASSERT_TRUE(written) << written.error().to_string();
  const auto device = host::create_device();
  ASSERT_TRUE(device);
  llama::ModelOptions options;
  options.quantise_activations = false;
  const auto model = llama::Model::load(*device, path, options);
  std::filesystem::remove(path);
  ASSERT_TRUE(model) << model.error().to_string();
  auto session = llama::Session::create(*model);
  ASSERT_TRUE(session);

  const std::vector<llama::TokenId> tokens{1, 300, 17, 299, 5, 5, 260, 331, 8};
  const auto logits = session->logits(tokens);
  ASSERT_TRUE(logits) << logits.error().to_string();
  test::PlainLlama plain((*model)->file(), (*model)->hyperparameters());
  double error = 0, norm = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    const std::vector<double>& expected = plain.step(static_cast<std::uint32_t>(tokens[t]));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double difference = double{(*logits)[t * expected.size() + i]} - expected[i];
      error += difference * difference;
      norm += expected[i] * expected[i];
    }
  }
  EXPECT_GT(norm, 0);
  EXPECT_LE(std::sqrt(error / norm), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Synthetic, ModelShape,
    testing::Values(
        ShapeCase{"TiedQ8", shape(2, 64, 4, 2, 16, 160, 1e4F, true), TensorType::kQ8_0},
        ShapeCase{"UntiedQ4", shape(3, 96, 6, 2, 16, 128, 5e5F, false), TensorType::kQ4_0},
        ShapeCase{"WideHeadsF16", shape(2, 64, 4, 1, 64, 96, 1e6F, false), TensorType::kF16},
        ShapeCase{"OddWidthF32", shape(1, 50, 5, 5, 10, 77, 1e4F, true), TensorType::kF32},
        ShapeCase{"OddWidthBF16", shape(2, 34, 1, 1, 34, 33, 123.0F, false), TensorType::kBf16}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace segue::e2e
