// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "llama/forward_pass.hpp"
#include "llama/kv_cache.hpp"
#include "llama/model.hpp"
#include "segue/executable.hpp"
#include "segue/graph.hpp"
#include "segue/ops.hpp"
#include "segue/tensor.hpp"

namespace segue::llama {

/// What one decoding step works on besides weights and cache.
struct StepBuffers {
  Activations activations;  ///< Of one token; transient.
  Tensor logits;            ///< [1, vocabulary]; transient.
  Tensor sampled;           ///< [1, 1] U32: the token that the step chose.
  Tensor state;             ///< [1, 2] U32: the position of the next step, and its token.
  Tensor ring;              ///< [1, context] U32: the token chosen at each position.

  /// @error  Those of Device::create_buffer.
  [[nodiscard]] static Result<StepBuffers> create(const Device& device,
                                                  const Hyperparameters& shape,
                                                  std::uint32_t context);
};

/// Slots of a captured step.
inline constexpr std::string_view kTokenSlot = "token";        ///< std::uint32_t
inline constexpr std::string_view kPositionSlot = "position";  ///< std::uint32_t
inline constexpr std::string_view kSamplingSlot = "sampling";  ///< ops::SampleSettings

/// What the slots of a step hold until they are set.
struct StepDefaults {
  std::uint32_t token = 0;
  std::uint32_t position = 0;
  ops::SampleSettings sampling{.temperature = 0.0F};
};

/// Captures one step of decoding, from a token's id to the id of the next one: 19 dispatches a
/// layer and six around them.
///
/// @error  What recording reports.
[[nodiscard]] Result<Graph> capture_step(const Device& device, const ForwardPass& pass,
                                         const ops::Ops& ops, const StepBuffers& buffers,
                                         const KvCache& cache, const StepDefaults& defaults = {});

struct DecoderOptions {
  bool fuse = true;
  Schedule schedule = Schedule::kCriticalPath;
  unsigned max_in_flight = 8;  ///< Steps that may be unfinished when the device advances by itself.
};

/// A model's decoding step, compiled once and replayed for each token. Attention reaches as far
/// back as the position slot says, within one executable. Single-threaded; keeps alive what it
/// uses.
class Decoder {
 public:
  /// @error  Those of capture_step(), Graph::fuse() and Graph::compile().
  [[nodiscard]] static Result<Decoder> create(const Model& model, const KvCache& cache,
                                              const DecoderOptions& options = {});

  /// Feeds `token` at `position`, waits, and gives the token sampled after it.
  ///
  /// @error  Those of Executable::set() and submit().
  Result<std::uint32_t> step(std::uint32_t token, std::uint32_t position,
                             const ops::SampleSettings& sampling);

  /// Feeds `token` at `position` and then each token that was sampled, as many steps as `sampled`
  /// has room for. The device carries position and token from one step to the next; the host only
  /// submits, and reads the tokens off a ring at the end.
  ///
  /// @pre   position + sampled.size() does not exceed the context.
  /// @error The first error of any step; `sampled` has no meaning then.
  Result<> run(std::uint32_t token, std::uint32_t position, const ops::SampleSettings& sampling,
               std::span<std::uint32_t> sampled);

  [[nodiscard]] Executable& executable() { return executable_; }
  [[nodiscard]] const FusionReport& fusion() const { return fusion_; }

 private:
  Decoder() = default;
  Result<> set_sampling(const ops::SampleSettings& sampling);
  Result<> submit_steps(std::size_t count);

  StepBuffers buffers_;
  Executable executable_;
  FusionReport fusion_;
  SlotId token_slot_{}, position_slot_{}, sampling_slot_{};
  BufferView state_position_, state_token_;
  std::vector<Submission> in_flight_;
};

}  // namespace segue::llama
