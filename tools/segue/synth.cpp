// SPDX-License-Identifier: Apache-2.0
#include "llama/synth.hpp"

#include <fmt/format.h>

#include "base/fail.hpp"
#include "commands.hpp"
#include "progress_bar.hpp"

namespace segue::tool {
namespace {

using base::fail;

/// A shape of the caller's own; numbers left out are those of a small model.
Result<llama::Hyperparameters> own_shape(const SynthOptions& options) {
  const auto or_default = [](auto value, auto fallback) { return value != 0 ? value : fallback; };
  llama::Hyperparameters shape;
  shape.layers = or_default(options.layers, 2U);
  shape.width = or_default(options.width, 256U);
  shape.heads = or_default(options.heads, 8U);
  shape.kv_heads = or_default(options.kv_heads, shape.heads);
  shape.head_size = or_default(options.head_size, shape.width / shape.heads);
  shape.feed_forward = or_default(options.feed_forward, 4 * shape.width);
  shape.vocabulary = or_default(options.vocabulary, 512U);
  shape.context = or_default(options.context, 2048U);
  shape.rope_base = or_default(options.rope_base, 10000.0F);
  shape.tied_output = options.tied;
  return shape;
}

bool has_own_numbers(const SynthOptions& o) {
  return o.layers != 0 || o.width != 0 || o.heads != 0 || o.kv_heads != 0 || o.head_size != 0 ||
         o.feed_forward != 0 || o.vocabulary != 0 || o.context != 0 || o.rope_base != 0 || o.tied;
}

Result<llama::Hyperparameters> choose_shape(const SynthOptions& options) {
  if (options.shape.empty()) return own_shape(options);
  if (has_own_numbers(options)) {
    return fail(ErrorCode::kInvalidArgument,
                "The shape \"{}\" comes with its numbers; leave out either it or yours.",
                options.shape);
  }
  return llama::synth_shape(options.shape);
}

}  // namespace

Result<> synth(const SynthOptions& options) {
  llama::SynthOptions synth_options;
  SEGUE_TRY_ASSIGN(synth_options.shape, choose_shape(options));
  const auto type = llama::parse_tensor_type(options.type);
  if (!type) {
    return fail(ErrorCode::kInvalidArgument,
                "The type \"{}\" is unknown; Segue writes f32, f16, bf16, q8_0 and q4_0.",
                options.type);
  }
  synth_options.type = *type;
  synth_options.seed = options.seed;
  if (!options.shape.empty()) synth_options.name = options.shape;

  std::uint64_t size = 0;
  {
    ProgressBar bar("Writing " + options.output);
    SEGUE_TRY_ASSIGN(size,
                     llama::write_synthetic_model(
                         options.output, synth_options,
                         [&bar](std::size_t done, std::size_t total) { bar.show(done, total); }));
  }
  fmt::print(stderr, "Wrote {} ({:.1f} MB).\n", options.output, static_cast<double>(size) / 1e6);
  return {};
}

}  // namespace segue::tool
