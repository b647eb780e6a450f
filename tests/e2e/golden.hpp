// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "llama/model.hpp"
#include "llama/session.hpp"

namespace segue::e2e {

/// One prompt of tales-golden.json: what a double-precision pass over the same file's dequantised
/// weights makes of it, greedily.
struct GoldenPrompt {
  std::string prompt;
  std::vector<llama::TokenId> prompt_ids;
  std::vector<llama::TokenId> greedy_ids;
  std::string greedy_text;
  std::vector<double> margins;  ///< Gap between the two best logits at each step.
};

/// The prompts for one format: "f16", "q8_0" or "q4_0".
std::vector<GoldenPrompt> golden_prompts(const std::string& format);

/// Logits of the first prompt, `[5, 2048]`.
std::vector<float> golden_logits(const std::string& format);

std::filesystem::path models_folder();
std::string tales_model(const std::string& format);

/// Whether this build and machine have the device; where SEGUE_REQUIRE_DEVICES names it, a missing
/// one fails the test.
bool has_device(const std::string& device);

/// The tales model of a format on a device of its own, by default the host. Fails the test on
/// error.
std::shared_ptr<const llama::Model> load_tales(const std::string& format,
                                               const llama::ModelOptions& options = {},
                                               const std::string& device = "host");

/// The tales model in Q8_0 on a device of its own where kernel `without` does nothing; empty: all
/// do what they should. Null on error.
std::shared_ptr<const llama::Model> load_tales_without(const std::string& without);

struct Distance {
  double relative_l2 = 0;
  double max_absolute = 0;
};
Distance distance(const std::vector<float>& actual, const std::vector<float>& expected);

}  // namespace segue::e2e
