// SPDX-License-Identifier: Apache-2.0
#include "llama/model.hpp"

#include <utility>

#include "base/fail.hpp"

namespace segue::llama {

Result<std::shared_ptr<const Model>> Model::load(const Device& device, const std::string& path,
                                                 const ModelOptions& options) {
  SEGUE_TRY_ASSIGN(GgufFile file, GgufFile::open(path));
  SEGUE_TRY_ASSIGN(const Hyperparameters hyperparameters, Hyperparameters::read(file));
  SEGUE_TRY_ASSIGN(Tokenizer tokenizer, Tokenizer::read(file));
  ops::Options ops_options;
  ops_options.quantise_activations = options.quantise_activations;
  SEGUE_TRY_ASSIGN(ops::Ops ops, ops::Ops::create(device, ops_options));

  std::shared_ptr<Model> model(
      new Model(device, std::move(ops), std::move(file), std::move(tokenizer)));
  model->hyperparameters_ = hyperparameters;
  SEGUE_TRY_ASSIGN(const ModelTensors tensors, ModelTensors::find(model->file_, hyperparameters));
  if (tensors.rope_factors != nullptr) {
    return base::fail(
        ErrorCode::kUnsupported,
        "File \"{}\" scales its rotary frequencies (tensor \"{}\"); Segue runs models "
        "without scaling.",
        path, tensors.rope_factors->name);
  }
  SEGUE_TRY_ASSIGN(model->weights_, Weights::load(model->device_, model->ops_, model->file_,
                                                  tensors, options.weights));
  model->quantises_activations_ = options.quantise_activations && model->weights_.quantised;
  return model;
}

}  // namespace segue::llama
