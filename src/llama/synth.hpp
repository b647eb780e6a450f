// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llama/hyperparameters.hpp"
#include "llama/mapped_file.hpp"
#include "llama/tensor_type.hpp"
#include "segue/error.hpp"

// Models of a known shape with random weights, to measure and test with. They speak no language,
// but every number stays in the range that trained models keep: a matrix maps a vector of unit
// variance to one of unit variance.

namespace segue::llama {

struct SynthOptions {
  Hyperparameters shape;
  TensorType type = TensorType::kQ8_0;  ///< Of the matrices; norms are F32.
  std::uint64_t seed = 1;
  std::string name = "synthetic";  ///< general.name
};

/// The names that synth_shape() knows.
[[nodiscard]] std::vector<std::string_view> synth_shape_names();

/// The shape of a published model, as a Llama: "llama-3.2-1b", "llama-3-8b" or "qwen3-0.6b". The
/// last has 16 heads of 128 at width 1024.
///
/// @error kNotFound  Another name; the message lists them.
[[nodiscard]] Result<Hyperparameters> synth_shape(std::string_view name);

/// Says whether such a model can be written: extents within limits, heads a multiple of kv_heads,
/// even heads, rows that divide into the blocks of the type, and a vocabulary with room for the 259
/// tokens that every one has.
///
/// @error kInvalidArgument  It cannot; the message names the number.
[[nodiscard]] Result<> check_synth(const SynthOptions& options);

/// The size of the file that write_synthetic_model() makes, or a little more: at most a percent and
/// 16 KiB.
[[nodiscard]] std::uint64_t estimate_synth_bytes(const SynthOptions& options);

/// Writes the model in bounded memory. The same options give the same bytes on every machine.
///
/// @return The size of the file in bytes.
/// @error kInvalidArgument  See check_synth().
/// @error kIo               The disk has too little room or fails; nothing is left at `path`.
[[nodiscard]] Result<std::uint64_t> write_synthetic_model(const std::string& path,
                                                          const SynthOptions& options,
                                                          const Progress& progress = {});

}  // namespace segue::llama
