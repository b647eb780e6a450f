// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "segue/error.hpp"

/// The commands of the segue tool. main.cpp turns arguments into these options and Results into
/// exit codes.
namespace segue::tool {

struct GenerateOptions {
  std::string model;  ///< Empty: the model that ships with Segue.
  std::string prompt = "Once upon a time";
  std::uint32_t tokens = 200;
  float temperature = 0.8F;
  std::uint32_t top_k = 40;
  float top_p = 0.95F;
  std::optional<std::uint64_t> seed;  ///< Nothing: another one each time.
  std::string device;                 ///< As open_device() takes it.
  bool echo = false;                  ///< The prompt goes to standard output too.
  bool float_activations = false;     ///< Float mode, for checking.
};

/// Streams a continuation of the prompt to standard output, and a line of figures to standard
/// error.
[[nodiscard]] Result<> generate(const GenerateOptions& options);

struct SynthOptions {
  std::string shape;  ///< A name, or empty for the numbers.
  std::string type = "q8_0";
  std::string output;
  std::uint64_t seed = 1;
  std::uint32_t layers = 0, width = 0, heads = 0, kv_heads = 0, head_size = 0, feed_forward = 0,
                vocabulary = 0, context = 0;
  float rope_base = 0;
  bool tied = false;
};

/// Writes a model of a known shape with random weights.
[[nodiscard]] Result<> synth(const SynthOptions& options);

/// Lists what this machine has to offer, and why the rest cannot be used.
[[nodiscard]] Result<> devices();

}  // namespace segue::tool
