// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "llama/gguf.hpp"
#include "llama/mapped_file.hpp"
#include "llama/model_tensors.hpp"
#include "segue/device.hpp"
#include "segue/ops.hpp"
#include "segue/tensor.hpp"

namespace segue::llama {

/// The weights of one layer, where the device's kernels want them. Shapes as in LayerTensors.
struct LayerWeights {
  Tensor attention_norm;
  WeightMatrix query, key, value, attention_output;
  Tensor feed_forward_norm;
  WeightMatrix gate, up, down;
};

struct WeightOptions {
  bool repack = true;  ///< False: every matrix stays as the file has it.
  Progress progress;   ///< Bytes of matrices made ready so far, and in all.
};

/// Every weight of a model on a device: the stage between a file and the forward pass.
///
/// The file's bytes are imported without a copy where device and host share memory, and uploaded
/// otherwise. A matrix whose type has a faster layout on the device is repacked into it, once, by a
/// recorded dispatch; what stays as it is costs no memory. The token embedding is gathered from the
/// file's layout; where the output is tied to it, the output's products use a repacked copy.
struct Weights {
  Tensor token_embedding;
  Tensor output_norm;
  WeightMatrix output;
  std::vector<LayerWeights> layers;
  bool quantised = false;  ///< Some matrix is Q8_0 or Q4_0.
  std::uint64_t repacked_bytes = 0;
  /// Bytes of matrices and norms that decoding one token reads, the embedding's one row not
  /// counted.
  std::uint64_t bytes_per_token = 0;

  /// @param file  Kept alive and in place by the caller as long as the weights are.
  /// @error       What the device says of an import, an allocation or a repacking dispatch.
  [[nodiscard]] static Result<Weights> load(const Device& device, const ops::Ops& ops,
                                            const GgufFile& file, const ModelTensors& tensors,
                                            const WeightOptions& options = {});
};

}  // namespace segue::llama
