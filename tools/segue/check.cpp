// SPDX-License-Identifier: Apache-2.0
//
// Verification from the command line: of a model's decoding step, or of a saved graph.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fail.hpp"
#include "commands.hpp"
#include "llama/allocate.hpp"
#include "llama/decoder.hpp"
#include "llama/forward_pass.hpp"
#include "llama/kv_cache.hpp"
#include "llama/model.hpp"
#include "llama/structure.hpp"
#include "saved_graph.hpp"
#include "segue/fusion_patterns.hpp"
#include "segue/open.hpp"
#include "segue/verify.hpp"
#include "shipped_model.hpp"

namespace segue::tool {
namespace {

using base::fail;

/// What the step comes after: some rows for attention to look at.
constexpr std::string_view kPrompt = "Once upon a time there was a fox who lived near a river.";
/// Enough for the prompt, and small, for every byte of the cache is copied in each audit and run.
constexpr std::uint32_t kMostContext = 128;

/// The beginning of the prompt that leaves room for a token in the cache.
Result<std::vector<llama::TokenId>> prompt_tokens(const llama::Model& model,
                                                  std::uint32_t context) {
  SEGUE_TRY_ASSIGN(std::vector<llama::TokenId> tokens, model.tokenizer().encode(kPrompt));
  if (context < 2) {
    return fail(ErrorCode::kUnsupported,
                "The context of the model holds {} tokens; a check needs at least 2.", context);
  }
  tokens.resize(std::min<std::size_t>(tokens.size(), context - 1));
  return tokens;
}

/// Puts the tokens into the cache.
Result<> evaluate(const llama::Model& model, const llama::ForwardPass& pass,
                  const llama::KvCache& cache, std::span<const llama::TokenId> tokens) {
  const Device& device = model.device();
  SEGUE_TRY_ASSIGN(const llama::Activations activations,
                   llama::Activations::create(device, model.hyperparameters(),
                                              static_cast<std::uint32_t>(tokens.size())));
  SEGUE_TRY_ASSIGN(CommandEncoder encoder, device.create_encoder());
  encoder.upload(activations.token_ids.view, std::as_bytes(tokens));
  pass.record_tokens(encoder, activations.token_ids, activations.residual);
  pass.record_layers(encoder, activations, cache, 0);
  return encoder.commit_and_wait();
}

/// The step that decodes the token behind a short prompt.
Result<Graph> decoding_step(const llama::Model& model) {
  const Device& device = model.device();
  const llama::Hyperparameters& shape = model.hyperparameters();
  const std::uint32_t context = std::min(shape.context, kMostContext);
  const DType type = llama::default_cache_type(model.quantises_activations());
  SEGUE_TRY_ASSIGN(const llama::KvCache cache,
                   llama::KvCache::create(device, shape, context, type));
  SEGUE_TRY_ASSIGN(const std::vector<llama::TokenId> tokens, prompt_tokens(model, context));
  const llama::ForwardPass pass(shape, model.weights(), model.ops());
  SEGUE_TRY(evaluate(model, pass, cache, tokens));
  SEGUE_TRY_ASSIGN(llama::StepBuffers buffers, llama::StepBuffers::create(device, shape, context));
  // Logits that stay are compared between orders, bit for bit, and not by the sampled token alone.
  SEGUE_TRY_ASSIGN(buffers.logits,
                   llama::allocate(device, "logits", DType::kF32, 1, shape.vocabulary));
  llama::StepDefaults defaults;
  defaults.token = static_cast<std::uint32_t>(tokens.back());
  defaults.position = static_cast<std::uint32_t>(tokens.size());
  defaults.sampling = {40, 0.95F, 0.8F, 1, 0};
  return llama::capture_step(device, pass, model.ops(), buffers, cache, defaults);
}

/// Prints the verdict on one graph, under a title, and gives whether it is good.
Result<bool> check_graph(const Device& device, const Graph& graph, std::string_view title,
                         const CheckOptions& options) {
  verify::CheckOptions check_options;
  check_options.audit.seed = options.seed;
  check_options.fuzz.seed = options.seed;
  check_options.fuzz.orders = options.orders;
  SEGUE_TRY_ASSIGN(const verify::Verdict verdict, verify::check(device, graph, check_options));
  fmt::print("{}, {} dispatches:\n{}", title, graph.dispatch_count(), verdict.to_string());
  if (std::fflush(stdout) != 0) return fail(ErrorCode::kIo, "Standard output takes no more text.");
  return verdict.good();
}

/// The graph as recorded, and the fused one if fusing changes it.
Result<bool> check_both(const Device& device, const Graph& graph, const CheckOptions& options) {
  SEGUE_TRY_ASSIGN(const bool recorded_good, check_graph(device, graph, "As recorded", options));
  if (options.no_fuse) return recorded_good;
  SEGUE_TRY_ASSIGN(const FusedGraph fused, graph.fuse(ops::fusion_patterns(device)));
  if (fused.graph.dispatch_count() == graph.dispatch_count()) return recorded_good;
  SEGUE_TRY_ASSIGN(const bool fused_good, check_graph(device, fused.graph, "Fused", options));
  return recorded_good && fused_good;
}

}  // namespace

Result<bool> check(const CheckOptions& options) {
  SEGUE_TRY_ASSIGN(const Device device, open_device(options.device));
  if (!options.file.empty()) {
    SEGUE_TRY_ASSIGN(const Graph graph, load_graph(device, options.file));
    SEGUE_TRY(verify::fill_unbacked(device, graph, options.seed));
    return check_both(device, graph, options);
  }
  std::string path = options.model;
  if (path.empty()) {
    SEGUE_TRY_ASSIGN(path, find_shipped_model());
  }
  SEGUE_TRY_ASSIGN(const std::shared_ptr<const llama::Model> model,
                   llama::Model::load(device, path));
  SEGUE_TRY_ASSIGN(const Graph graph, decoding_step(*model));
  return check_both(device, graph, options);
}

}  // namespace segue::tool
