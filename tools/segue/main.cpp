// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "commands.hpp"

namespace {

using segue::Result;
using namespace segue::tool;

constexpr int kSucceeded = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

void add_generate(CLI::App& app, GenerateOptions& options) {
  app.add_option("-m,--model", options.model, "GGUF file; the shipped tales model if left out");
  app.add_option("-p,--prompt", options.prompt, "Text to continue; \"\" starts from nothing")
      ->capture_default_str();
  app.add_option("-n,--tokens", options.tokens, "How many tokens at the most")
      ->capture_default_str();
  app.add_option("--temp", options.temperature, "Temperature; 0 takes the most likely token")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--top-k", options.top_k, "Only the k most likely tokens; 0: all")
      ->capture_default_str();
  app.add_option("--top-p", options.top_p,
                 "Only the most likely tokens that reach this probability together")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--seed", options.seed,
                 "Makes sampling repeatable; another one each time if left out");
  app.add_option("--device", options.device,
                 "host, vulkan[:n], cuda[:n], metal or auto; SEGUE_DEVICE or auto if left out");
  app.add_flag("--echo", options.echo, "Print the prompt too");
  app.add_flag("--float", options.float_activations,
               "Do not quantise activations: slower, closer to the weights");
}

void add_synth(CLI::App& app, SynthOptions& options) {
  app.add_option("--shape", options.shape, "llama-3.2-1b, llama-3-8b or qwen3-0.6b");
  app.add_option("--type", options.type, "Of the matrices: f32, f16, bf16, q8_0 or q4_0")
      ->capture_default_str();
  app.add_option("-o,--output", options.output, "The file to write")->required();
  app.add_option("--seed", options.seed, "Of the random weights")->capture_default_str();
  app.add_option("--layers", options.layers, "A shape of your own, instead of --shape");
  app.add_option("--width", options.width);
  app.add_option("--heads", options.heads);
  app.add_option("--kv-heads", options.kv_heads);
  app.add_option("--head-size", options.head_size, "width / heads if left out");
  app.add_option("--ffn", options.feed_forward, "Feed-forward size");
  app.add_option("--vocab", options.vocabulary);
  app.add_option("--context", options.context);
  app.add_option("--rope-base", options.rope_base);
  app.add_flag("--tied", options.tied, "The output uses the token embedding");
}

void add_graph(CLI::App& app, GraphOptions& options) {
  CLI::Option* file = app.add_option("file", options.file, "A graph that --save wrote");
  CLI::Option* model = app.add_option("-m,--model", options.model,
                                      "GGUF file whose decoding step to look at; the shipped tales "
                                      "model if nothing is named");
  CLI::Option* shape = app.add_option("--shape", options.shape,
                                      "Only the shape: llama-3.2-1b, llama-3-8b or qwen3-0.6b");
  CLI::Option* type = app.add_option("--type", options.type,
                                     "Of the shape's matrices: f32, f16, bf16, q8_0 or q4_0")
                          ->capture_default_str();
  CLI::Option* context = app.add_option("--context", options.context,
                                        "Rows of the cache; the model's own if left out");
  model->excludes(file);
  shape->excludes(file)->excludes(model);
  type->needs(shape);
  context->excludes(file);
  app.add_option("--save", options.save, "Write the graph to this file, as JSON");
  app.add_option("--device", options.device,
                 "host, vulkan[:n], cuda[:n], metal or auto; SEGUE_DEVICE or auto if left out");
  app.add_flag("--no-fuse", options.no_fuse, "Leave the dispatches as they were recorded");
  CLI::Option* json = app.add_flag("--json", options.json, "Print the reports as JSON");
  app.add_flag("--dot", options.dot, "Print the graph in Graphviz's language")->excludes(json);
}

void add_check(CLI::App& app, CheckOptions& options) {
  CLI::Option* file = app.add_option("file", options.file, "A graph that graph --save wrote");
  CLI::Option* model = app.add_option("-m,--model", options.model,
                                      "GGUF file whose decoding step to check; the shipped tales "
                                      "model if nothing is named");
  model->excludes(file);
  app.add_option("--orders", options.orders, "How many random orders to run")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of the noise, and of the first order")
      ->capture_default_str();
  app.add_option("--device", options.device,
                 "host, vulkan[:n], cuda[:n], metal or auto; SEGUE_DEVICE or auto if left out");
  app.add_flag("--no-fuse", options.no_fuse, "Only the graph as recorded, not the fused one");
}

void add_profile(CLI::App& app, ProfileOptions& options) {
  app.add_option("-m,--model", options.model, "GGUF file; the shipped tales model if left out");
  app.add_option("--device", options.device,
                 "host, vulkan[:n], cuda[:n], metal or auto; SEGUE_DEVICE or auto if left out");
  app.add_option("-n,--tokens", options.tokens, "How many tokens to time")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--position", options.position, "Of the first of them")->capture_default_str();
  app.add_option("--prompt", options.prompt, "Also time a prompt of this many tokens");
  app.add_option("--chunk", options.chunk, "How many prompt tokens at a time")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_flag("--no-fuse", options.no_fuse, "Leave the dispatches as they were recorded");
  app.add_flag("--float", options.float_activations, "Do not quantise activations");
}

int finish(const Result<>& result) {
  if (result) return kSucceeded;
  fmt::print(stderr, "segue: {}\n", result.error().to_string());
  return kFailed;
}

int finish(const Result<bool>& good) {
  if (good) return *good ? kSucceeded : kFailed;
  fmt::print(stderr, "segue: {}\n", good.error().to_string());
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Segue: plays the forward pass of a language model on this machine's devices.",
               "segue");
  app.require_subcommand(1);
  GenerateOptions generate_options;
  SynthOptions synth_options;
  CLI::App* generate_app = app.add_subcommand("generate", "Continue a text with a model");
  add_generate(*generate_app, generate_options);
  CLI::App* synth_app = app.add_subcommand("synth", "Write a model with random weights");
  add_synth(*synth_app, synth_options);
  GraphOptions graph_options;
  CLI::App* graph_app =
      app.add_subcommand("graph", "Show what a decoding step costs under each schedule");
  add_graph(*graph_app, graph_options);
  CheckOptions check_options;
  CLI::App* check_app = app.add_subcommand(
      "check", "Certify the plans of a decoding step, audit its kernels, fuzz its schedules");
  add_check(*check_app, check_options);
  ProfileOptions profile_options;
  CLI::App* profile_app =
      app.add_subcommand("profile", "Measure what a token costs, and each kernel's part of it");
  add_profile(*profile_app, profile_options);
  CLI::App* devices_app = app.add_subcommand("devices", "List the devices of this machine");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kSucceeded : kWrongUsage;
  }
  if (generate_app->parsed()) return finish(generate(generate_options));
  if (synth_app->parsed()) return finish(synth(synth_options));
  if (graph_app->parsed()) return finish(graph(graph_options));
  if (check_app->parsed()) return finish(check(check_options));
  if (profile_app->parsed()) return finish(profile(profile_options));
  if (devices_app->parsed()) return finish(devices());
  return kWrongUsage;
}
