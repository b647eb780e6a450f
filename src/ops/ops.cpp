// SPDX-License-Identifier: Apache-2.0
#include "segue/ops.hpp"

#include <cmath>
#include <cstddef>

#include "base/op_params.hpp"
#include "ops/kernel_table.hpp"
#include "ops/record.hpp"

namespace segue::ops {
namespace {

/// Kernels count elements with 32 bits.
bool require_count(CommandEncoder& encoder, const char* name, const Tensor& x) {
  return require(encoder, x.element_count() <= UINT32_MAX,
                 "{}: {}, which are {} elements; one dispatch takes at most {}.", name,
                 describe("x", x), x.element_count(), UINT32_MAX);
}

/// From how many tokens on tiles pay, rather than reading all weights once for every few tokens.
constexpr std::uint32_t kManyTokens = 16;

/// Both shapes of add() and mul(): the second operand repeats after `period` elements.
void record_elementwise(CommandEncoder& encoder, const Kernel& kernel, OpKind op, const char* name,
                        const Tensor& a, const Tensor& b, const Tensor& y) {
  const std::uint32_t b_rows = b.rows == 1 ? 1 : a.rows;
  if (!require_tensor(encoder, name, "a", a, DType::kF32, a.rows, a.columns) ||
      !require_tensor(encoder, name, "b", b, DType::kF32, b_rows, a.columns) ||
      !require_tensor(encoder, name, "y", y, DType::kF32, a.rows, a.columns) ||
      !require_count(encoder, name, a)) {
    return;
  }
  const auto count = static_cast<std::uint32_t>(a.element_count());
  const base::ElementwiseParams params{count, static_cast<std::uint32_t>(b.element_count())};
  record(encoder, kernel, op, {a.view, b.view, y.view}, params, count);
}

}  // namespace

Result<Ops> Ops::create(const Device& device, const Options& options) {
  SEGUE_TRY_ASSIGN(KernelTable table, KernelTable::create(device, options));
  return Ops(std::make_shared<const KernelTable>(std::move(table)));
}

void Ops::embedding(CommandEncoder& encoder, const Tensor& table, const Tensor& tokens,
                    const Tensor& y) const {
  const Kernel& kernel = at(kernels_->embedding, table.dtype);
  if (!require(encoder, static_cast<bool>(kernel),
               "embedding: {}, but a table is F32, F16, BF16, Q8_0 or Q4_0.",
               describe("table", table)) ||
      !require_view(encoder, "embedding", "table", table) ||
      !require_tensor(encoder, "embedding", "tokens", tokens, DType::kU32, 1, y.rows) ||
      !require_tensor(encoder, "embedding", "y", y, DType::kF32, y.rows, table.columns)) {
    return;
  }
  const base::EmbeddingParams params{y.rows, table.rows, table.columns};
  record(encoder, kernel, OpKind::kGather, {tokens.view, table.view, y.view}, params, y.rows);
}

void Ops::embedding_token(CommandEncoder& encoder, const Tensor& table, Scalar token,
                          const Tensor& y) const {
  constexpr const char* kName = "embedding_token";
  const Kernel& kernel = at(kernels_->embedding_token, table.dtype);
  if (!require(
          encoder, static_cast<bool>(kernel),
          "embedding_token: {}, for which the device has no kernel; tables are F32, F16, BF16, "
          "Q8_0 or Q4_0.",
          describe("table", table)) ||
      !require_view(encoder, kName, "table", table) ||
      !require_tensor(encoder, kName, "y", y, DType::kF32, 1, table.columns)) {
    return;
  }
  const base::EmbeddingTokenParams params{token.value, table.rows, table.columns};
  record(encoder, kernel, OpKind::kGather, {table.view, y.view}, params, 1,
         Slots().add(token, offsetof(base::EmbeddingTokenParams, token), table.rows - 1));
}

void Ops::rms_norm(CommandEncoder& encoder, const Tensor& x, const Tensor& y, float epsilon) const {
  if (!require_tensor(encoder, "rms_norm", "x", x, DType::kF32, x.rows, x.columns) ||
      !require_tensor(encoder, "rms_norm", "y", y, DType::kF32, x.rows, x.columns)) {
    return;
  }
  const base::RmsNormParams params{x.rows, x.columns, epsilon};
  record(encoder, kernels_->rms_norm, OpKind::kRmsNorm, {x.view, y.view}, params, x.rows);
}

void Ops::rms_norm_weighted(CommandEncoder& encoder, const Tensor& x, const Tensor& weight,
                            const Tensor& y, float epsilon) const {
  constexpr const char* kName = "rms_norm_weighted";
  if (!require_tensor(encoder, kName, "x", x, DType::kF32, x.rows, x.columns) ||
      !require_tensor(encoder, kName, "weight", weight, DType::kF32, 1, x.columns) ||
      !require_tensor(encoder, kName, "y", y, DType::kF32, x.rows, x.columns)) {
    return;
  }
  const base::RmsNormParams params{x.rows, x.columns, epsilon};
  record(encoder, kernels_->rms_norm_weighted, OpKind::kRmsNorm, {x.view, weight.view, y.view},
         params, x.rows);
}

void Ops::add(CommandEncoder& encoder, const Tensor& a, const Tensor& b, const Tensor& y) const {
  record_elementwise(encoder, kernels_->add, OpKind::kElemAdd, "add", a, b, y);
}

void Ops::mul(CommandEncoder& encoder, const Tensor& a, const Tensor& b, const Tensor& y) const {
  record_elementwise(encoder, kernels_->mul, OpKind::kElemMul, "mul", a, b, y);
}

void Ops::silu(CommandEncoder& encoder, const Tensor& x, const Tensor& y) const {
  if (!require_tensor(encoder, "silu", "x", x, DType::kF32, x.rows, x.columns) ||
      !require_tensor(encoder, "silu", "y", y, DType::kF32, x.rows, x.columns) ||
      !require_count(encoder, "silu", x)) {
    return;
  }
  const auto count = static_cast<std::uint32_t>(x.element_count());
  record(encoder, kernels_->silu, OpKind::kSilu, {x.view, y.view},
         base::ElementwiseParams{count, count}, count);
}

void Ops::silu_mul(CommandEncoder& encoder, const Tensor& gate, const Tensor& up,
                   const Tensor& y) const {
  if (!require_tensor(encoder, "silu_mul", "up", up, DType::kF32, gate.rows, gate.columns)) return;
  record_elementwise(encoder, kernels_->silu_mul, OpKind::kSiluMul, "silu_mul", gate, up, y);
}

void Ops::mat_mul(CommandEncoder& encoder, const WeightMatrix& weights, const Tensor& x,
                  const Tensor& y) const {
  const Tensor& w = weights.tensor;
  const Kernel& kernel = at(at(kernels_->mat_vec, w.dtype), weights.layout);
  if (!require(encoder, static_cast<bool>(kernel),
               "mat_mul: {} in layout {}, for which the device has no kernel.",
               describe("weights", w), to_string(weights.layout)) ||
      !require_view(encoder, "mat_mul", "weights", w, weights.layout) ||
      !require_tensor(encoder, "mat_mul", "x", x, DType::kF32, x.rows, w.columns) ||
      !require_tensor(encoder, "mat_mul", "y", y, DType::kF32, x.rows, w.rows)) {
    return;
  }
  const base::MatMulParams params{x.rows, w.rows, w.columns};
  const Kernel& prompt = at(at(kernels_->mat_mul, w.dtype), weights.layout);
  const bool many = prompt && x.rows >= kManyTokens;
  record(encoder, many ? prompt : kernel, x.rows == 1 ? OpKind::kMatVec : OpKind::kMatMul,
         {w.view, x.view, y.view}, params, w.rows, {}, x.rows);
}

void Ops::rope(CommandEncoder& encoder, const Tensor& x, const Tensor& y,
               const RopeOptions& options) const {
  const std::uint32_t size = options.head_size;
  const std::uint32_t rotated = options.rotated != 0 ? options.rotated : size;
  if (!require(encoder, size != 0 && x.columns % size == 0,
               "rope: {}, but its columns must divide into heads of {}.", describe("x", x), size) ||
      !require(encoder, rotated % 2 == 0 && rotated <= size,
               "rope: {} elements of a head rotate, but it must be an even number of at most {}.",
               rotated, size) ||
      !require_tensor(encoder, "rope", "x", x, DType::kF32, x.rows, x.columns) ||
      !require_tensor(encoder, "rope", "y", y, DType::kF32, x.rows, x.columns)) {
    return;
  }
  const std::uint32_t heads = x.columns / size;
  const base::RopeParams params{x.rows, heads, size, rotated, options.position.value, options.base};
  const Kernel& kernel =
      options.pairs == RopePairs::kInterleaved ? kernels_->rope_interleaved : kernels_->rope_neox;
  record(encoder, kernel, OpKind::kRope, {x.view, y.view}, params, x.rows * heads,
         Slots().add(options.position, offsetof(base::RopeParams, position)));
}

void Ops::kv_append(CommandEncoder& encoder, const Tensor& x, const Tensor& cache,
                    Scalar position) const {
  const Kernel& kernel = at(kernels_->kv_append, cache.dtype);
  if (!require(encoder, static_cast<bool>(kernel), "kv_append: {}, but a cache is F32 or F16.",
               describe("cache", cache)) ||
      !require_view(encoder, "kv_append", "cache", cache) ||
      !require_tensor(encoder, "kv_append", "x", x, DType::kF32, x.rows, cache.columns) ||
      !require(encoder, position.value <= cache.rows && x.rows <= cache.rows - position.value,
               "kv_append: rows {} to {} are written, but the cache has {}.", position.value,
               std::uint64_t{position.value} + x.rows, cache.rows)) {
    return;
  }
  const base::KvAppendParams params{x.rows, x.columns, position.value};
  record(encoder, kernel, OpKind::kKvAppend, {x.view, cache.view}, params, x.rows,
         Slots().add(position, offsetof(base::KvAppendParams, position), cache.rows - x.rows));
}

void Ops::attention(CommandEncoder& encoder, const Tensor& q, const Tensor& keys,
                    const Tensor& values, const Tensor& y, const AttentionOptions& options) const {
  const Kernel& kernel = at(kernels_->attention, keys.dtype);
  const std::uint32_t size = options.head_size;
  if (!require(encoder, static_cast<bool>(kernel), "attention: {}, but a cache is F32 or F16.",
               describe("keys", keys)) ||
      !require(encoder, size != 0 && q.columns % size == 0 && keys.columns % size == 0,
               "attention: {} and {}, but their columns must divide into heads of {}.",
               describe("q", q), describe("keys", keys), size)) {
    return;
  }
  const std::uint32_t heads = q.columns / size;
  const std::uint32_t kv_heads = keys.columns / size;
  const std::uint32_t position = options.position.value;
  if (!require(encoder, kv_heads != 0 && heads % kv_heads == 0,
               "attention: {} query heads do not share {} key heads evenly.", heads, kv_heads) ||
      !require(encoder, position < keys.rows && q.rows <= keys.rows - position,
               "attention: {} tokens from position {} on need {} rows, but the cache has {}.",
               q.rows, position, std::uint64_t{position} + q.rows, keys.rows) ||
      !require_view(encoder, "attention", "keys", keys) ||
      !require_tensor(encoder, "attention", "values", values, keys.dtype, keys.rows,
                      keys.columns) ||
      !require_tensor(encoder, "attention", "q", q, DType::kF32, q.rows, q.columns) ||
      !require_tensor(encoder, "attention", "y", y, DType::kF32, q.rows, q.columns)) {
    return;
  }
  const float scale =
      options.scale != 0.0F ? options.scale : 1.0F / std::sqrt(static_cast<float>(size));
  const base::AttentionParams params{q.rows, heads, kv_heads, size, position, scale};
  record(
      encoder, kernel, OpKind::kSdpa, {q.view, keys.view, values.view, y.view}, params,
      q.rows * heads,
      Slots().add(options.position, offsetof(base::AttentionParams, position), keys.rows - q.rows));
}

void Ops::softmax(CommandEncoder& encoder, const Tensor& x, const Tensor& y) const {
  if (!require_tensor(encoder, "softmax", "x", x, DType::kF32, x.rows, x.columns) ||
      !require_tensor(encoder, "softmax", "y", y, DType::kF32, x.rows, x.columns)) {
    return;
  }
  record(encoder, kernels_->softmax, OpKind::kSoftmax, {x.view, y.view},
         base::SoftmaxParams{x.rows, x.columns}, x.rows);
}

void Ops::argmax(CommandEncoder& encoder, const Tensor& logits, const Tensor& tokens) const {
  if (!require_tensor(encoder, "argmax", "logits", logits, DType::kF32, logits.rows,
                      logits.columns) ||
      !require_tensor(encoder, "argmax", "tokens", tokens, DType::kU32, 1, logits.rows)) {
    return;
  }
  record(encoder, kernels_->argmax, OpKind::kArgmax, {logits.view, tokens.view},
         base::ArgmaxParams{logits.rows, logits.columns}, logits.rows);
}

void Ops::sample(CommandEncoder& encoder, const Tensor& logits, const Tensor& tokens,
                 const SampleOptions& options) const {
  if (!require_tensor(encoder, "sample", "logits", logits, DType::kF32, logits.rows,
                      logits.columns) ||
      !require_tensor(encoder, "sample", "tokens", tokens, DType::kU32, 1, logits.rows) ||
      !require(encoder, options.temperature >= 0.0F && std::isfinite(options.temperature),
               "sample: the temperature is {}; it must be 0 or more.", options.temperature) ||
      !require(encoder, options.top_p >= 0.0F && options.top_p <= 1.0F,
               "sample: top_p is {}; it must be from 0 to 1.", options.top_p)) {
    return;
  }
  const SampleSettings settings = options.settings();
  const base::SampleParams params{logits.rows,        logits.columns,       settings.top_k,
                                  settings.top_p,     settings.temperature, settings.seed_low,
                                  settings.seed_high, options.step.value};
  static_assert(offsetof(base::SampleParams, step) - offsetof(base::SampleParams, top_k) ==
                sizeof(SampleSettings));
  record(
      encoder, kernels_->sample, OpKind::kSample, {logits.view, tokens.view}, params, logits.rows,
      Slots()
          .add(options.settings_slot, offsetof(base::SampleParams, top_k), sizeof(SampleSettings))
          .add(options.step, offsetof(base::SampleParams, step)));
}

void Ops::advance(CommandEncoder& encoder, const Tensor& token, const Tensor& state,
                  const Tensor& ring) const {
  if (!require(encoder, static_cast<bool>(kernels_->advance),
               "advance: the device has no kernel for it.") ||
      !require(encoder, ring.columns != 0, "advance: the ring has 0 slots; it takes at least 1.") ||
      !require_tensor(encoder, "advance", "token", token, DType::kU32, 1, 1) ||
      !require_tensor(encoder, "advance", "state", state, DType::kU32, 1, 2) ||
      !require_tensor(encoder, "advance", "ring", ring, DType::kU32, 1, ring.columns)) {
    return;
  }
  record(encoder, kernels_->advance, OpKind::kOther, {token.view, state.view, ring.view},
         base::AdvanceParams{ring.columns}, 1);
}

WeightLayout Ops::preferred_layout(DType type) const {
  for (const WeightLayout layout : {WeightLayout::kRowTile16, WeightLayout::kPlanes}) {
    if (at(at(kernels_->mat_vec, type), layout)) return layout;
  }
  return WeightLayout::kRowMajor;
}

void Ops::repack(CommandEncoder& encoder, const WeightMatrix& source,
                 const WeightMatrix& destination) const {
  const Tensor& from = source.tensor;
  const Tensor& to = destination.tensor;
  const Kernel& kernel = at(at(kernels_->repack, from.dtype), destination.layout);
  if (!require(encoder, static_cast<bool>(kernel) && source.layout == WeightLayout::kRowMajor,
               "repack: {} in layout {}, which the device cannot bring into layout {}.",
               describe("source", from), to_string(source.layout), to_string(destination.layout)) ||
      !require(encoder, to.dtype == from.dtype && same_shape(to, from),
               "repack: {} and {}, but both must have one type and shape.",
               describe("source", from), describe("destination", to)) ||
      !require_view(encoder, "repack", "source", from) ||
      !require_view(encoder, "repack", "destination", to, destination.layout)) {
    return;
  }
  record(encoder, kernel, OpKind::kRepack, {from.view, to.view},
         base::RepackParams{from.rows, from.columns}, from.rows);
}

}  // namespace segue::ops
