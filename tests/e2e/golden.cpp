// SPDX-License-Identifier: Apache-2.0
#include "e2e/golden.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "segue/host.hpp"
#include "segue/open.hpp"
#include "support/required_devices.hpp"
#if defined(SEGUE_HAS_METAL)
#include "support/metal_device.hpp"
#endif
#if defined(SEGUE_HAS_VULKAN)
#include "support/vulkan_device.hpp"
#endif

namespace segue::e2e {

std::filesystem::path models_folder() { return std::filesystem::path(SEGUE_SOURCE_DIR) / "models"; }

std::string tales_model(const std::string& format) {
  return (models_folder() / ("tales-" + format + ".gguf")).string();
}

std::vector<GoldenPrompt> golden_prompts(const std::string& format) {
  std::ifstream file(models_folder() / "tales-golden.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  std::vector<GoldenPrompt> prompts;
  for (const nlohmann::json& entry : golden.at(format)) {
    prompts.push_back({entry.at("prompt"), entry.at("prompt_ids"), entry.at("greedy_ids"),
                       entry.at("greedy_text"), entry.at("margins")});
  }
  return prompts;
}

std::vector<float> golden_logits(const std::string& format) {
  std::ifstream file(models_folder() / ("tales-" + format + ".prompt0-logits.f32"),
                     std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<float> logits(bytes.size() / sizeof(float));
  std::memcpy(logits.data(), bytes.data(), logits.size() * sizeof(float));
  return logits;
}

namespace {

Result<Device> open(const std::string& device) {
#if defined(SEGUE_HAS_METAL)
  if (device == "metal") return test::open_metal({});
#endif
#if defined(SEGUE_HAS_VULKAN)
  if (device == "vulkan") return test::open_validated_vulkan({});
#endif
  return open_device(device);
}

}  // namespace

bool has_device(const std::string& device) {
  const auto opened = open(device);
  if (!opened && test::is_required(device)) ADD_FAILURE() << opened.error().to_string();
  return opened.has_value();
}

std::shared_ptr<const llama::Model> load_tales(const std::string& format,
                                               const llama::ModelOptions& options,
                                               const std::string& device_name) {
  const auto device = open(device_name);
  if (!device) {
    ADD_FAILURE() << device.error().to_string();
    return nullptr;
  }
  auto model = llama::Model::load(*device, tales_model(format), options);
  if (!model) {
    ADD_FAILURE() << model.error().to_string();
    return nullptr;
  }
  return *std::move(model);
}

std::shared_ptr<const llama::Model> load_tales_without(const std::string& without) {
  const auto device = host::create_device();
  if (!device) return nullptr;
  if (!without.empty()) {
    const auto kernel = device->kernels().get(without);
    if (!kernel) return nullptr;
    auto nothing = host::raw_kernel(without, kernel->signature(), [](const auto&) {});
    if (!device->kernels().replace(std::move(nothing))) return nullptr;
  }
  const auto model = llama::Model::load(*device, tales_model("q8_0"));
  return model ? *model : nullptr;
}

Distance distance(const std::vector<float>& actual, const std::vector<float>& expected) {
  Distance result;
  double error = 0, norm = 0;
  EXPECT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
    const double difference = double{actual[i]} - double{expected[i]};
    error += difference * difference;
    norm += double{expected[i]} * double{expected[i]};
    result.max_absolute = std::max(result.max_absolute, std::abs(difference));
  }
  result.relative_l2 = std::sqrt(error / norm);
  return result;
}

}  // namespace segue::e2e
