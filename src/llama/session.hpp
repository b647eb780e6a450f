// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "llama/decoder.hpp"
#include "llama/forward_pass.hpp"
#include "llama/kv_cache.hpp"
#include "llama/model.hpp"
#include "segue/encoder.hpp"

namespace segue::llama {

/// How the next token is chosen from the logits.
struct Sampling {
  float temperature = 0.8F;  ///< 0: greedy, the most likely token; the rest is ignored then.
  std::uint32_t top_k = 40;  ///< Only the k most likely tokens; 0: all.
  float top_p = 0.95F;       ///< Only the most likely tokens that reach this probability together.
  std::uint64_t seed = 0;
};

/// How the tokens after the prompt are made.
enum class Decoding : std::uint8_t {
  kReplay,  ///< One step is compiled when the session is made, and replayed for each token.
  kRecord,  ///< Each token is recorded afresh; for comparison.
};

struct SessionOptions {
  std::uint32_t context = 0;        ///< Tokens; 0: as the model was trained for.
  std::uint32_t chunk_tokens = 64;  ///< Prompt tokens of one recording.
  /// F16 or F32. Nothing: F16 where activations are quantised anyway, else F32, so that a model in
  /// floats loses nothing.
  std::optional<DType> cache_type;
  Decoding decoding = Decoding::kReplay;
  DecoderOptions decoder;
};

/// What the last recording held.
struct StepStats {
  std::uint64_t dispatches = 0;
  std::uint64_t barriers = 0;
  std::optional<double> elision_rate;
};

/// One sequence of tokens through a model: its KV cache and position. A prompt's chunk is one
/// recording and one submission; a token after it is one replay of a compiled step. Everything from
/// the token's id to the sampled id happens on the device. Not thread-safe; keeps the model alive.
class Session {
 public:
  /// @error kInvalidArgument  A length of 0, or a cache type other than F16 and F32.
  /// @error                   Those of Device::create_buffer.
  [[nodiscard]] static Result<Session> create(std::shared_ptr<const Model> model,
                                              const SessionOptions& options = {});

  /// Appends `tokens` to the sequence and samples the one that follows, which is not appended.
  ///
  /// @error kInvalidArgument  No token, one outside the vocabulary, or more than the context has
  ///                          room for; the sequence is unchanged.
  /// @error                   Those of CommandEncoder::commit; the session can not go on then.
  Result<TokenId> next(std::span<const TokenId> tokens, const Sampling& sampling);

  /// Appends `token` and then every token sampled after it but the last, as many as `sampled` has
  /// room for, without a round trip to the host in between.
  ///
  /// @error kInvalidState     The session was made with Decoding::kRecord.
  /// @error kInvalidArgument  A token outside the vocabulary, or more than the context has room
  /// for.
  Result<> continue_by(TokenId token, const Sampling& sampling, std::span<TokenId> sampled);

  /// Appends `tokens` and gives the logits of each, `[tokens, vocabulary]`, for checking. Errors as
  /// next().
  Result<std::vector<float>> logits(std::span<const TokenId> tokens);

  /// Forgets the sequence.
  void reset() { position_ = 0; }
  [[nodiscard]] std::uint32_t position() const { return position_; }
  [[nodiscard]] std::uint32_t context() const { return cache_.context; }
  [[nodiscard]] const StepStats& last_step() const { return last_step_; }

 private:
  explicit Session(std::shared_ptr<const Model> model, CommandEncoder encoder)
      : model_(std::move(model)), encoder_(std::move(encoder)) {}

  [[nodiscard]] Result<> check(std::span<const TokenId> tokens) const;
  void record_chunk(std::span<const TokenId> tokens, Activations& activations);
  void record_sampling(const Sampling& sampling);
  Result<TokenId> decode(TokenId token, const Sampling& sampling);
  void count_steps(std::uint32_t steps);
  Result<> evaluate_leading_chunks(std::span<const TokenId>& tokens);
  Result<> submit(std::size_t token_count);
  [[nodiscard]] Result<Activations> activations_for(std::size_t token_count) const;
  [[nodiscard]] ForwardPass pass() const {
    return {model_->hyperparameters(), model_->weights(), model_->ops()};
  }

  std::shared_ptr<const Model> model_;
  CommandEncoder encoder_;
  KvCache cache_;
  std::optional<Decoder> decoder_;        ///< Nothing: tokens are recorded.
  Activations chunk_;                     ///< For a prompt's chunk.
  Activations single_;                    ///< Its first token's part: decoding.
  Tensor logits_;                         ///< [1, vocabulary]
  Tensor sampled_;                        ///< [1, 1] U32
  std::optional<TokenId> sampled_token_;  ///< What `sampled_` holds.
  std::uint32_t position_ = 0;
  StepStats last_step_;
};

}  // namespace segue::llama
