// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/fail.hpp"
#include "commands.hpp"
#include "llama/session.hpp"
#include "progress_bar.hpp"
#include "segue/open.hpp"
#include "shipped_model.hpp"

namespace segue::tool {
namespace {

namespace fs = std::filesystem;
using base::fail;
using llama::TokenId;

constexpr std::uint64_t kLargeModelBytes = std::uint64_t{64} << 20;

Result<std::shared_ptr<const llama::Model>> load_model(const Device& device,
                                                       const std::string& path,
                                                       const GenerateOptions& options) {
  llama::ModelOptions model_options;
  model_options.quantise_activations = !options.float_activations;
  ProgressBar bar("Loading " + fs::path(path).filename().string());
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  if (!error && size >= kLargeModelBytes) {
    model_options.weights.progress = [&bar](std::size_t done, std::size_t total) {
      bar.show(done, total);
    };
  }
  return llama::Model::load(device, path, model_options);
}

Result<> write_text(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return fail(ErrorCode::kIo, "Standard output takes no more text.");
  }
  return {};
}

/// Tokens generated, and the time since the first of them.
struct Progress {
  std::uint32_t tokens = 0;
  double decode_seconds = 0;
};

Result<Progress> stream(llama::Session& session, const llama::Tokenizer& tokenizer,
                        std::vector<TokenId> tokens, const GenerateOptions& options,
                        const llama::Sampling& sampling) {
  using Clock = std::chrono::steady_clock;
  // The decoder starts with the prompt, so that the space before the first word is as in one text.
  llama::StreamDecoder decoder(tokenizer);
  for (const TokenId token : tokens) {
    const std::string_view text = decoder.push(token);
    if (options.echo) SEGUE_TRY(write_text(text));
  }
  Progress progress;
  Clock::time_point first;
  while (progress.tokens < options.tokens) {
    SEGUE_TRY_ASSIGN(const TokenId token, session.next(tokens, sampling));
    if (progress.tokens++ == 0) first = Clock::now();
    if (tokenizer.is_end(token)) break;
    SEGUE_TRY(write_text(decoder.push(token)));
    if (session.position() == session.context()) break;
    tokens.assign(1, token);
  }
  progress.decode_seconds = std::chrono::duration<double>(Clock::now() - first).count();
  SEGUE_TRY(write_text(decoder.finish()));
  return progress;
}

void print_figures(const Progress& progress, const llama::StepStats& step, const Device& device,
                   std::uint64_t seed) {
  std::string rate = "-";
  if (progress.tokens > 1 && progress.decode_seconds > 0) {
    rate = fmt::format("{:.0f}", (progress.tokens - 1) / progress.decode_seconds);
  }
  fmt::print(stderr,
             "{} tokens, {} tok/s; per token: {} dispatches, {} barriers, elision rate {}; {}, "
             "seed {}\n",
             progress.tokens, rate, step.dispatches, step.barriers,
             step.elision_rate ? fmt::format("{:.1f} %", 100 * *step.elision_rate) : "-",
             device.backend(), seed);
}

}  // namespace

Result<> generate(const GenerateOptions& options) {
  std::string path = options.model;
  if (path.empty()) {
    SEGUE_TRY_ASSIGN(path, find_shipped_model());
  }
  SEGUE_TRY_ASSIGN(const Device device, open_device(options.device));
  SEGUE_TRY_ASSIGN(const std::shared_ptr<const llama::Model> model,
                   load_model(device, path, options));

  // An empty prompt is the beginning of a text: nothing but its first token.
  std::vector<TokenId> tokens{model->tokenizer().bos()};
  if (!options.prompt.empty()) {
    SEGUE_TRY_ASSIGN(tokens, model->tokenizer().encode(options.prompt));
  }
  const std::uint32_t context = model->hyperparameters().context;
  if (tokens.size() > context) {
    return fail(ErrorCode::kInvalidArgument,
                "The prompt has {} tokens but the context of the model holds {}.", tokens.size(),
                context);
  }
  llama::SessionOptions session_options;  // models may allow far more than this text needs
  session_options.context =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(context, tokens.size() + options.tokens));
  SEGUE_TRY_ASSIGN(llama::Session session, llama::Session::create(model, session_options));
  llama::Sampling sampling{options.temperature, options.top_k, options.top_p,
                           options.seed ? *options.seed : std::random_device()()};
  SEGUE_TRY_ASSIGN(const Progress progress,
                   stream(session, model->tokenizer(), std::move(tokens), options, sampling));
  if (options.echo) SEGUE_TRY(write_text("\n"));
  print_figures(progress, session.last_step(), device, sampling.seed);
  return {};
}

}  // namespace segue::tool
