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

struct GraphOptions {
  std::string file;           ///< A saved graph.
  std::string model;          ///< Or a model; the one that ships with Segue if all three are empty.
  std::string shape;          ///< Or a shape by name.
  std::string type = "q8_0";  ///< Of the shape's matrices.
  std::uint32_t context = 0;  ///< Rows of the cache; 0: what the model was trained for.
  std::string device;         ///< As open_device() takes it.
  std::string save;           ///< A file for the graph as JSON.
  bool no_fuse = false;       ///< The graph as it was recorded.
  bool json = false;          ///< The reports as JSON.
  bool dot = false;           ///< The graph for Graphviz instead of the reports.
};

/// Reports what a decoding step, or a saved graph, costs under each schedule.
[[nodiscard]] Result<> graph(const GraphOptions& options);

struct ProfileOptions {
  std::string model;             ///< Empty: the model that ships with Segue.
  std::string device;            ///< As open_device() takes it.
  std::uint32_t tokens = 100;    ///< How many are timed.
  std::uint32_t position = 100;  ///< Of the first of them: how far back attention reaches.
  std::uint32_t prompt = 0;      ///< Tokens of a prompt that is timed as well; 0: none.
  std::uint32_t chunk = 256;     ///< Of them, how many at a time.
  bool no_fuse = false;
  bool float_activations = false;
};

/// Prints what a token costs, waited for and advanced by the device, and each kernel's part of it.
[[nodiscard]] Result<> profile(const ProfileOptions& options);

struct CheckOptions {
  std::string file;           ///< A saved graph.
  std::string model;          ///< Or a model; the one that ships with Segue if both are empty.
  std::string device;         ///< As open_device() takes it.
  std::uint32_t orders = 50;  ///< Random ones.
  std::uint64_t seed = 1;     ///< Of the noise, and of the first order.
  bool no_fuse = false;       ///< Only the graph as it was recorded.
};

/// Prints what verification finds in a decoding step, or in a saved graph, and a verdict. Gives
/// whether all is well.
[[nodiscard]] Result<bool> check(const CheckOptions& options);

/// Lists what this machine has to offer, and why the rest cannot be used.
[[nodiscard]] Result<> devices();

}  // namespace segue::tool
