// SPDX-License-Identifier: Apache-2.0
#include "llama/session.hpp"

#include <algorithm>
#include <utility>

#include "base/fail.hpp"
#include "llama/allocate.hpp"

namespace segue::llama {
namespace {

using base::fail;

ops::SampleOptions sample_options(const Sampling& sampling) {
  ops::SampleOptions options;
  options.temperature = sampling.temperature;
  options.top_k = sampling.top_k;
  options.top_p = sampling.top_p;
  options.seed = sampling.seed;
  return options;
}

ops::SampleSettings settings(const Sampling& sampling) {
  return sample_options(sampling).settings();
}

Result<Tensor> last_row(const Tensor& tensor) {
  const std::uint64_t bytes = row_bytes(tensor.dtype, tensor.columns);
  SEGUE_TRY_ASSIGN(BufferView view, tensor.view.subview((tensor.rows - 1) * bytes, bytes));
  return Tensor{std::move(view), tensor.dtype, 1, tensor.columns};
}

}  // namespace

Result<Session> Session::create(std::shared_ptr<const Model> model, const SessionOptions& options) {
  const Hyperparameters& shape = model->hyperparameters();
  const Device& device = model->device();
  const std::uint32_t context = options.context != 0 ? options.context : shape.context;
  if (options.chunk_tokens == 0) {
    return fail(ErrorCode::kInvalidArgument, "A chunk has 0 tokens; it needs at least 1.");
  }
  const DType cache_type =
      options.cache_type.value_or(model->quantises_activations() ? DType::kF16 : DType::kF32);
  if (cache_type != DType::kF16 && cache_type != DType::kF32) {
    return fail(ErrorCode::kInvalidArgument, "The cache type is {}; it is F16 or F32.",
                to_string(cache_type));
  }
  EncoderOptions encoder_options;
  encoder_options.label = "session";
  SEGUE_TRY_ASSIGN(CommandEncoder encoder, device.create_encoder(encoder_options));
  Session session(std::move(model), std::move(encoder));
  SEGUE_TRY_ASSIGN(session.cache_, KvCache::create(device, shape, context, cache_type));
  SEGUE_TRY_ASSIGN(session.chunk_,
                   Activations::create(device, shape, std::min(options.chunk_tokens, context)));
  SEGUE_TRY_ASSIGN(session.single_, session.chunk_.first(1));
  SEGUE_TRY_ASSIGN(session.logits_,
                   allocate_transient(device, "logits", DType::kF32, 1, shape.vocabulary));
  SEGUE_TRY_ASSIGN(session.sampled_, allocate(device, "sampled token", DType::kU32, 1, 1));
  if (options.decoding == Decoding::kReplay) {
    SEGUE_TRY_ASSIGN(Decoder decoder,
                     Decoder::create(*session.model_, session.cache_, options.decoder));
    session.decoder_.emplace(std::move(decoder));
  }
  return session;
}

Result<> Session::check(std::span<const TokenId> tokens) const {
  const std::uint32_t vocabulary = model_->hyperparameters().vocabulary;
  if (tokens.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "A sequence is continued by 0 tokens; it takes at "
                "least 1.");
  }
  if (tokens.size() > context() - position_) {
    return fail(ErrorCode::kInvalidArgument,
                "The sequence has {} tokens and {} more are given, but the context holds {}.",
                position_, tokens.size(), context());
  }
  for (const TokenId token : tokens) {
    if (token >= 0 && static_cast<std::uint32_t>(token) < vocabulary) continue;
    return fail(ErrorCode::kInvalidArgument, "Token {} is outside the vocabulary of {} tokens.",
                token, vocabulary);
  }
  return {};
}

Result<Activations> Session::activations_for(std::size_t token_count) const {
  if (token_count == 1) return single_;
  return chunk_.first(static_cast<std::uint32_t>(token_count));
}

/// From tokens to the last layer's residual. A token that the device sampled itself stays there.
void Session::record_chunk(std::span<const TokenId> tokens, Activations& a) {
  if (tokens.size() == 1 && sampled_token_ == tokens[0]) {
    a.token_ids = sampled_;
  } else {
    encoder_.upload(a.token_ids.view, std::as_bytes(tokens));
  }
  pass().record_tokens(encoder_, a.token_ids, a.residual);
  pass().record_layers(encoder_, a, cache_, position_);
}

Result<> Session::submit(std::size_t token_count) {
  const RecordingStats recorded = encoder_.stats();
  SEGUE_TRY(encoder_.commit_and_wait());
  last_step_ = {recorded.commands, recorded.barriers_inferred + recorded.barriers_requested,
                std::nullopt};
  if (const std::uint64_t tracked = recorded.concurrent + recorded.barriers_inferred; tracked > 0) {
    last_step_.elision_rate =
        static_cast<double>(recorded.concurrent) / static_cast<double>(tracked);
  }
  position_ += static_cast<std::uint32_t>(token_count);
  return {};
}

Result<> Session::evaluate_leading_chunks(std::span<const TokenId>& tokens) {
  while (tokens.size() > chunk_.tokens) {
    SEGUE_TRY(encoder_.begin());
    record_chunk(tokens.first(chunk_.tokens), chunk_);
    SEGUE_TRY(submit(chunk_.tokens));
    tokens = tokens.subspan(chunk_.tokens);
  }
  return {};
}

Result<TokenId> Session::next(std::span<const TokenId> tokens, const Sampling& sampling) {
  SEGUE_TRY(check(tokens));
  if (decoder_ && tokens.size() == 1) return decode(tokens[0], sampling);
  SEGUE_TRY(evaluate_leading_chunks(tokens));
  SEGUE_TRY_ASSIGN(Activations a, activations_for(tokens.size()));
  SEGUE_TRY_ASSIGN(const Tensor residual, last_row(a.residual));
  SEGUE_TRY(encoder_.begin());
  record_chunk(tokens, a);
  pass().record_output(encoder_, residual, single_.normed, single_.scaled, logits_);
  record_sampling(sampling);
  sampled_token_.reset();
  SEGUE_TRY(submit(tokens.size()));
  SEGUE_TRY_ASSIGN(const auto sampled, sampled_.view.map_read<TokenId>());
  sampled_token_ = sampled[0];
  return sampled[0];
}

Result<TokenId> Session::decode(TokenId token, const Sampling& sampling) {
  SEGUE_TRY_ASSIGN(const std::uint32_t sampled, decoder_->step(static_cast<std::uint32_t>(token),
                                                               position_, settings(sampling)));
  count_steps(1);
  return static_cast<TokenId>(sampled);
}

void Session::count_steps(std::uint32_t steps) {
  const ScheduleReport report = decoder_->executable().report();
  last_step_.dispatches = report.dispatches;
  last_step_.barriers = report.barriers;
  last_step_.elision_rate =
      1.0 - static_cast<double>(report.barriers) / std::max(report.dispatches, 1U);
  position_ += steps;
  sampled_token_.reset();
}

Result<> Session::continue_by(TokenId token, const Sampling& sampling, std::span<TokenId> sampled) {
  SEGUE_TRY(check({&token, 1}));
  if (!decoder_) {
    return fail(ErrorCode::kInvalidState,
                "The session records each token; only Decoding::kReplay lets the device advance.");
  }
  if (sampled.empty() || sampled.size() > context() - position_) {
    return fail(ErrorCode::kInvalidArgument,
                "{} tokens are asked for, but the context has room for 1 to {}.", sampled.size(),
                context() - position_);
  }
  static_assert(sizeof(TokenId) == sizeof(std::uint32_t));
  std::vector<std::uint32_t> ids(sampled.size());
  SEGUE_TRY(decoder_->run(static_cast<std::uint32_t>(token), position_, settings(sampling), ids));
  std::ranges::transform(ids, sampled.begin(),
                         [](std::uint32_t id) { return static_cast<TokenId>(id); });
  count_steps(static_cast<std::uint32_t>(sampled.size()));
  return {};
}

void Session::record_sampling(const Sampling& sampling) {
  if (sampling.temperature == 0.0F) {
    return model_->ops().argmax(encoder_, logits_, sampled_);
  }
  ops::SampleOptions options = sample_options(sampling);
  options.step = position_;
  model_->ops().sample(encoder_, logits_, sampled_, options);
}

Result<std::vector<float>> Session::logits(std::span<const TokenId> tokens) {
  SEGUE_TRY(check(tokens));
  const std::uint32_t vocabulary = model_->hyperparameters().vocabulary;
  SEGUE_TRY_ASSIGN(const Tensor all, allocate(model_->device(), "all logits", DType::kF32,
                                              chunk_.tokens, vocabulary));
  std::vector<float> result;
  while (!tokens.empty()) {
    const std::size_t count = std::min<std::size_t>(tokens.size(), chunk_.tokens);
    SEGUE_TRY_ASSIGN(Activations a, activations_for(count));
    Tensor rows = all;
    rows.rows = static_cast<std::uint32_t>(count);
    SEGUE_TRY_ASSIGN(rows.view, all.view.subview(0, count * vocabulary * sizeof(float)));
    SEGUE_TRY(encoder_.begin());
    record_chunk(tokens.first(count), a);
    pass().record_output(encoder_, a.residual, a.normed, a.scaled, rows);
    SEGUE_TRY(submit(count));
    SEGUE_TRY_ASSIGN(const auto values, rows.view.map_read<float>());
    result.insert(result.end(), values.begin(), values.end());
    tokens = tokens.subspan(count);
  }
  return result;
}

}  // namespace segue::llama
