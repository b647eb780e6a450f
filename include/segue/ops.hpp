// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "segue/device.hpp"
#include "segue/encoder.hpp"
#include "segue/error.hpp"
#include "segue/tensor.hpp"

/// Operations of a transformer, each recorded as one dispatch of a kernel that the device brings.
namespace segue::ops {

struct Options {
  /// Products with Q8_0 and Q4_0 weights quantise the activations to 8 bits per block of 32 on the
  /// way. False: float mode, which dequantises the weights.
  bool quantise_activations = true;
};

/// A number that an operation takes: as given, or the default of a slot that replays set by name
/// (Executable::set() with a std::uint32_t).
struct Scalar {
  std::uint32_t value = 0;
  std::string_view slot = {};  ///< Empty: none.

  constexpr Scalar(std::uint32_t number = 0)  // NOLINT(google-explicit-constructor): a number.
      : value(number) {}
  constexpr Scalar(std::uint32_t number, std::string_view slot_name)
      : value(number), slot(slot_name) {}
};

/// Which elements of a head rotate together.
enum class RopePairs : std::uint8_t {
  kInterleaved,  ///< (2i, 2i + 1), as GGUF stores Llama.
  kNeox,         ///< (i, i + rotated / 2)
};

struct RopeOptions {
  std::uint32_t head_size = 0;
  std::uint32_t rotated = 0;  ///< Elements of a head that rotate, even; 0: all.
  float base = 10000.0F;
  Scalar position;  ///< Of the first token.
  RopePairs pairs = RopePairs::kInterleaved;
};

struct AttentionOptions {
  std::uint32_t head_size = 0;
  Scalar position;     ///< Of the first token.
  float scale = 0.0F;  ///< 0: 1 / sqrt(head_size).
};

/// How a token is drawn, as a slot takes it: SampleOptions::settings_slot.
struct SampleSettings {
  std::uint32_t top_k = 0;   ///< 0: all.
  float top_p = 1.0F;        ///< 1: all.
  float temperature = 1.0F;  ///< 0: the most likely token.
  std::uint32_t seed_low = 0;
  std::uint32_t seed_high = 0;
};

struct SampleOptions {
  float temperature = 1.0F;  ///< 0: the most likely token.
  std::uint32_t top_k = 0;   ///< 0: all.
  float top_p = 1.0F;        ///< 1: all.
  std::uint64_t seed = 0;
  Scalar step;                          ///< Position in the seed's stream of random numbers.
  std::string_view settings_slot = {};  ///< A slot for all but the step.

  [[nodiscard]] SampleSettings settings() const {
    return {top_k, top_p, temperature, static_cast<std::uint32_t>(seed),
            static_cast<std::uint32_t>(seed >> 32)};
  }
};

class KernelTable;

/// Records operations. Activations are F32, `[tokens, columns]`. A wrong shape or type makes the
/// recording fail with a sentence; every method only appends a dispatch. A cheap handle, immutable
/// and thread-safe; it keeps the device's kernels alive.
class Ops {
 public:
  /// @error kNotFound  The device lacks a kernel that the operations need.
  [[nodiscard]] static Result<Ops> create(const Device& device, const Options& options = {});

  /// y[t, c] = table[tokens[t], c].
  ///
  /// @param table   `[vocabulary, columns]`, any type but U32.
  /// @param tokens  `[1, tokens]` U32. An id outside the vocabulary gives NaN.
  void embedding(CommandEncoder& encoder, const Tensor& table, const Tensor& tokens,
                 const Tensor& y) const;

  /// y[c] = table[token, c], with the token in the recording: a replay that patches inline bytes
  /// feeds another one. NaN if it is outside the vocabulary.
  ///
  /// @param y  `[1, columns]`
  void embedding_token(CommandEncoder& encoder, const Tensor& table, Scalar token,
                       const Tensor& y) const;

  /// y[r, c] = x[r, c] / sqrt(mean over c of x[r, c]^2 + epsilon) (Zhang and Sennrich 2019). y may
  /// be x.
  void rms_norm(CommandEncoder& encoder, const Tensor& x, const Tensor& y, float epsilon) const;
  /// rms_norm() times weight[c], `[1, columns]`.
  void rms_norm_weighted(CommandEncoder& encoder, const Tensor& x, const Tensor& weight,
                         const Tensor& y, float epsilon) const;

  /// y = a + b. b has a's shape, or one row that every row of a gets: a bias. y may be a.
  void add(CommandEncoder& encoder, const Tensor& a, const Tensor& b, const Tensor& y) const;
  /// y = a * b, element by element. Shapes as add().
  void mul(CommandEncoder& encoder, const Tensor& a, const Tensor& b, const Tensor& y) const;
  /// y = x * sigmoid(x).
  void silu(CommandEncoder& encoder, const Tensor& x, const Tensor& y) const;
  /// y = silu(gate) * up, the gated unit of Shazeer 2020.
  void silu_mul(CommandEncoder& encoder, const Tensor& gate, const Tensor& up,
                const Tensor& y) const;

  /// y[t, r] = sum over c of weights[r, c] * x[t, c].
  ///
  /// @param weights  `[rows, columns]`, any type but U32, in any layout.
  /// @param x        `[tokens, columns]`
  /// @param y        `[tokens, rows]`
  void mat_mul(CommandEncoder& encoder, const WeightMatrix& weights, const Tensor& x,
               const Tensor& y) const;

  /// Rotary position embedding (Su et al. 2021): turns each pair i of each head of token t by
  /// (position + t) * base^(-2i / rotated). x and y are `[tokens, heads * head_size]`; y may be x.
  void rope(CommandEncoder& encoder, const Tensor& x, const Tensor& y,
            const RopeOptions& options) const;

  /// cache[position + t, c] = x[t, c].
  ///
  /// @param cache  `[context, columns]`, F32 or F16.
  void kv_append(CommandEncoder& encoder, const Tensor& x, const Tensor& cache,
                 Scalar position) const;

  /// Causal attention over a cache, with grouped heads (Ainslie et al. 2023): query head h of token
  /// t weighs the rows 0 to position + t of key and value head h * kv_heads / heads by
  /// softmax(scale * q . k).
  ///
  /// @param q, y           `[tokens, heads * head_size]`
  /// @param keys, values   `[context, kv_heads * head_size]`, F32 or F16, context > position + t.
  void attention(CommandEncoder& encoder, const Tensor& q, const Tensor& keys, const Tensor& values,
                 const Tensor& y, const AttentionOptions& options) const;

  /// y[r, c] = exp(x[r, c]) / sum over c of exp(x[r, c]). y may be x.
  void softmax(CommandEncoder& encoder, const Tensor& x, const Tensor& y) const;

  /// tokens[r] = the lowest c with the largest logits[r, c]. `tokens` is `[1, rows]` U32.
  void argmax(CommandEncoder& encoder, const Tensor& logits, const Tensor& tokens) const;

  /// Draws tokens[r] from softmax(logits[r] / temperature), restricted to the top_k most likely,
  /// and of these to the most likely that reach top_p together (Holtzman et al. 2019). The same
  /// seed and step give the same token.
  void sample(CommandEncoder& encoder, const Tensor& logits, const Tensor& tokens,
              const SampleOptions& options) const;

  /// Ends a token of a loop that feeds itself: ring[position mod slots] = token, then state =
  /// {position + 1, token}.
  ///
  /// @param token  `[1, 1]` U32
  /// @param state  `[1, 2]` U32: {position, last token}.
  /// @param ring   `[1, slots]` U32
  void advance(CommandEncoder& encoder, const Tensor& token, const Tensor& state,
               const Tensor& ring) const;

  /// The layout in which this device multiplies matrices of `type` fastest.
  [[nodiscard]] WeightLayout preferred_layout(DType type) const;
  /// Brings `source` (row-major) into the layout of `destination`, whose view has weight_bytes().
  void repack(CommandEncoder& encoder, const WeightMatrix& source,
              const WeightMatrix& destination) const;

 private:
  explicit Ops(std::shared_ptr<const KernelTable> kernels) : kernels_(std::move(kernels)) {}
  std::shared_ptr<const KernelTable> kernels_;
};

}  // namespace segue::ops
