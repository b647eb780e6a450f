// SPDX-License-Identifier: Apache-2.0
#include "llama/decoder.hpp"

#include <algorithm>
#include <utility>

#include "llama/allocate.hpp"
#include "segue/encoder.hpp"
#include "segue/fusion_patterns.hpp"

namespace segue::llama {

Result<StepBuffers> StepBuffers::create(const Device& device, const Hyperparameters& shape,
                                        std::uint32_t context) {
  StepBuffers buffers;
  SEGUE_TRY_ASSIGN(buffers.activations, Activations::create(device, shape, 1));
  SEGUE_TRY_ASSIGN(buffers.logits,
                   allocate_transient(device, "logits", DType::kF32, 1, shape.vocabulary));
  SEGUE_TRY_ASSIGN(buffers.sampled, allocate(device, "sampled token", DType::kU32, 1, 1));
  SEGUE_TRY_ASSIGN(buffers.state, allocate(device, "step state", DType::kU32, 1, 2));
  SEGUE_TRY_ASSIGN(buffers.ring, allocate(device, "sampled tokens", DType::kU32, 1, context));
  return buffers;
}

Result<Graph> capture_step(const Device& device, const ForwardPass& pass, const ops::Ops& ops,
                           const StepBuffers& buffers, const KvCache& cache,
                           const StepDefaults& defaults) {
  SEGUE_TRY_ASSIGN(CommandEncoder encoder, device.create_encoder());
  const Activations& a = buffers.activations;
  const ops::Scalar position{defaults.position, kPositionSlot};
  ops::SampleOptions sampling;
  sampling.temperature = defaults.sampling.temperature;
  sampling.top_k = defaults.sampling.top_k;
  sampling.top_p = defaults.sampling.top_p;
  sampling.seed = (std::uint64_t{defaults.sampling.seed_high} << 32) | defaults.sampling.seed_low;
  sampling.step = position;
  sampling.settings_slot = kSamplingSlot;
  encoder.start_capture();
  pass.record_token(encoder, {defaults.token, kTokenSlot}, a.residual);
  pass.record_layers(encoder, a, cache, position);
  pass.record_output(encoder, a.residual, a.normed, a.scaled, buffers.logits);
  ops.sample(encoder, buffers.logits, buffers.sampled, sampling);
  ops.advance(encoder, buffers.sampled, buffers.state, buffers.ring);
  return encoder.take_capture();
}

Result<Decoder> Decoder::create(const Model& model, const KvCache& cache,
                                const DecoderOptions& options) {
  const Device& device = model.device();
  Decoder decoder;
  SEGUE_TRY_ASSIGN(decoder.buffers_,
                   StepBuffers::create(device, model.hyperparameters(), cache.context));
  const ForwardPass pass(model.hyperparameters(), model.weights(), model.ops());
  SEGUE_TRY_ASSIGN(Graph graph, capture_step(device, pass, model.ops(), decoder.buffers_, cache));
  if (options.fuse) {
    SEGUE_TRY_ASSIGN(FusedGraph fused, graph.fuse(ops::fusion_patterns(device)));
    graph = std::move(fused.graph);
    decoder.fusion_ = std::move(fused.report);
  }
  CompileOptions compile;
  compile.schedule = options.schedule;
  compile.max_in_flight = options.max_in_flight;
  compile.label = "decoding step";
  SEGUE_TRY_ASSIGN(decoder.executable_, graph.compile(device, compile));
  SEGUE_TRY_ASSIGN(decoder.token_slot_, decoder.executable_.slot(kTokenSlot));
  SEGUE_TRY_ASSIGN(decoder.position_slot_, decoder.executable_.slot(kPositionSlot));
  SEGUE_TRY_ASSIGN(decoder.sampling_slot_, decoder.executable_.slot(kSamplingSlot));
  const BufferView& state = decoder.buffers_.state.view;
  SEGUE_TRY_ASSIGN(decoder.state_position_, state.subview(0, sizeof(std::uint32_t)));
  SEGUE_TRY_ASSIGN(decoder.state_token_,
                   state.subview(sizeof(std::uint32_t), sizeof(std::uint32_t)));
  decoder.in_flight_.resize(options.max_in_flight);
  return decoder;
}

Result<std::uint32_t> Decoder::step(std::uint32_t token, std::uint32_t position,
                                    const ops::SampleSettings& sampling) {
  SEGUE_TRY(executable_.set(token_slot_, token));
  SEGUE_TRY(executable_.set(position_slot_, position));
  SEGUE_TRY(executable_.set(sampling_slot_, sampling));
  SEGUE_TRY(executable_.submit_and_wait());
  SEGUE_TRY_ASSIGN(const auto sampled, buffers_.sampled.view.map_read<std::uint32_t>());
  return sampled[0];
}

Result<> Decoder::run(std::uint32_t token, std::uint32_t position,
                      const ops::SampleSettings& sampling, std::span<std::uint32_t> sampled) {
  {
    SEGUE_TRY_ASSIGN(const auto state, buffers_.state.view.map_write<std::uint32_t>());
    state[0] = position;
    state[1] = token;
  }
  SEGUE_TRY(executable_.load(position_slot_, state_position_));
  SEGUE_TRY(executable_.load(token_slot_, state_token_));
  SEGUE_TRY(executable_.set(sampling_slot_, sampling));
  SEGUE_TRY(submit_steps(sampled.size()));
  SEGUE_TRY_ASSIGN(const auto ring, buffers_.ring.view.map_read<std::uint32_t>());
  for (std::size_t i = 0; i < sampled.size(); ++i) sampled[i] = ring[(position + i) % ring.size()];
  return {};
}

/// Keeps steps in flight: when there may be no more, it waits until half of them are done. Each
/// submission is waited for, so that no error is lost.
Result<> Decoder::submit_steps(std::size_t count) {
  const std::size_t window = in_flight_.size();
  Result<> first_error;
  const auto wait_for = [&](std::size_t step) {
    Result<> result = in_flight_[step % window].wait();
    if (!result && first_error) first_error = std::move(result);
  };
  std::size_t submitted = 0;
  std::size_t done = 0;
  for (; submitted < count; ++submitted) {
    if (submitted - done == window) {
      const std::size_t half = done + (window + 1) / 2;
      while (done < half) wait_for(done++);
    }
    if (!first_error) break;
    Result<Submission> submission = executable_.submit({}, Waiting::kSoon);
    if (!submission) {
      first_error = std::unexpected(std::move(submission).error());
      break;
    }
    in_flight_[submitted % window] = *std::move(submission);
  }
  while (done < submitted) wait_for(done++);
  return first_error;
}

}  // namespace segue::llama
