// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "llama/gguf.hpp"
#include "llama/hyperparameters.hpp"
#include "llama/tokenizer.hpp"
#include "llama/weights.hpp"
#include "segue/device.hpp"
#include "segue/ops.hpp"

namespace segue::llama {

struct ModelOptions {
  /// True: products with quantised weights quantise activations too, which is faster. False: float
  /// mode, for checking.
  bool quantise_activations = true;
  WeightOptions weights;
};

/// A Llama-style model on a device: immutable, shared by any number of sessions, thread-safe.
class Model {
 public:
  /// Reads a GGUF file and makes its weights ready on `device`.
  ///
  /// @error  Those of GgufFile::open, Hyperparameters::read, ModelTensors::find, Tokenizer and
  ///         Weights::load; kUnsupported for scaled rotary frequencies.
  [[nodiscard]] static Result<std::shared_ptr<const Model>> load(const Device& device,
                                                                 const std::string& path,
                                                                 const ModelOptions& options = {});

  [[nodiscard]] const Device& device() const { return device_; }
  [[nodiscard]] const ops::Ops& ops() const { return ops_; }
  [[nodiscard]] const Hyperparameters& hyperparameters() const { return hyperparameters_; }
  [[nodiscard]] const Tokenizer& tokenizer() const { return tokenizer_; }
  [[nodiscard]] const Weights& weights() const { return weights_; }
  /// Whether any product quantises activations: some matrix is quantised, and it was not forbidden.
  [[nodiscard]] bool quantises_activations() const { return quantises_activations_; }
  [[nodiscard]] const GgufFile& file() const { return file_; }

 private:
  Model(Device device, ops::Ops ops, GgufFile file, Tokenizer tokenizer)
      : device_(std::move(device)),
        ops_(std::move(ops)),
        file_(std::move(file)),
        tokenizer_(std::move(tokenizer)) {}

  Device device_;
  ops::Ops ops_;
  GgufFile file_;  // mapped: the weights may lie in it
  Tokenizer tokenizer_;
  Hyperparameters hyperparameters_;
  Weights weights_;
  bool quantises_activations_ = false;
};

}  // namespace segue::llama
