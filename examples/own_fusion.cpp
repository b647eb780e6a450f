// SPDX-License-Identifier: Apache-2.0
// A fusion of one's own: y = factor * (a + b) in one kernel, and its replay with another factor.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>
#include <utility>

#include "segue/host.hpp"

namespace {

using namespace segue;  // NOLINT(google-build-using-namespace): the example shows the API itself.

void run_add(const host::KernelContext& work, host::In<float> a, host::In<float> b,
             host::Out<float> sum) {
  for (auto i = work.group_begin; i < work.group_end; ++i) sum[i] = a[i] + b[i];
}

void run_scale(const host::KernelContext& work, host::In<float> x, host::Out<float> y,
               float factor) {
  for (auto i = work.group_begin; i < work.group_end; ++i) y[i] = factor * x[i];
}

void run_add_scale(const host::KernelContext& work, host::In<float> a, host::In<float> b,
                   host::Out<float> y, float factor) {
  for (auto i = work.group_begin; i < work.group_end; ++i) y[i] = factor * (a[i] + b[i]);
}

struct Kernels {
  Kernel add, scale, add_scale;
};

Result<Kernels> make_kernels(const Device& device) {
  KernelLibrary& library = device.kernels();
  SEGUE_TRY(library.add(host::kernel("example.add", {"a", "b", "sum"}, run_add)));
  SEGUE_TRY(library.add(host::kernel("example.scale", {"x", "y", "factor"}, run_scale)));
  SEGUE_TRY(
      library.add(host::kernel("example.add_scale", {"a", "b", "y", "factor"}, run_add_scale)));
  Kernels kernels;
  SEGUE_TRY_ASSIGN(kernels.add, library.get("example.add"));
  SEGUE_TRY_ASSIGN(kernels.scale, library.get("example.scale"));
  SEGUE_TRY_ASSIGN(kernels.add_scale, library.get("example.add_scale"));
  return kernels;
}

/// The pattern: an "add" whose sum nobody but a "scale" reads. That the sum is transient, that both
/// views are the same bytes, and that nothing has to run in between is checked by the library; what
/// only the kernels' author knows is checked here.
FusionPattern add_scale_pattern(const Kernels& kernels) {
  FusionPattern pattern;
  pattern.name = "example.add_scale";
  pattern.steps = {
      {OpKind::kOther, [kernels](const auto& node) { return node.runs(kernels.add); }},
      {OpKind::kOther, [kernels](const auto& node) { return node.runs(kernels.scale); }}};
  pattern.links = {{FusionFlow::kEliminated, {0, 2}, {1, 0}}};  // sum of "add" is x of "scale"
  pattern.fuse =
      [kernels](std::span<const FusionNode> nodes) -> std::expected<FusedDispatch, std::string> {
    if (nodes[0].grid() != nodes[1].grid()) return std::unexpected("The grids differ.");
    return FusedDispatch{kernels.add_scale,
                         OpKind::kOther,
                         nodes[1].grid(),
                         {FusedArgument::take(0, 0), FusedArgument::take(0, 1),
                          FusedArgument::take(1, 1), FusedArgument::take(1, 2)}};
  };
  return pattern;
}

Result<> run() {
  SEGUE_TRY_ASSIGN(Device device, host::create_device());
  SEGUE_TRY_ASSIGN(Kernels kernels, make_kernels(device));
  constexpr std::uint32_t kCount = 1024;
  const auto floats = [&](std::string label, bool transient) {
    return device.create_buffer(
        {.size_bytes = kCount * sizeof(float), .transient = transient, .label = std::move(label)});
  };
  SEGUE_TRY_ASSIGN(Buffer a, floats("a", false));
  SEGUE_TRY_ASSIGN(Buffer b, floats("b", false));
  SEGUE_TRY_ASSIGN(Buffer sum, floats("sum", true));
  SEGUE_TRY_ASSIGN(Buffer y, floats("y", false));
  for (const Buffer& input : {a, b}) {
    SEGUE_TRY_ASSIGN(auto values, input.view().map_write<float>());
    for (float& value : values) value = 1.5F;
  }

  SEGUE_TRY_ASSIGN(CommandEncoder encoder, device.create_encoder());
  const BytesSlot factor{.name = "factor"};
  encoder.start_capture();
  encoder.dispatch(kernels.add, {a.view(), b.view(), sum.view()}, threads(kCount));
  encoder.dispatch(kernels.scale,
                   {sum.view(), y.view(), KernelArg::bytes(2.0F, std::span(&factor, 1))},
                   threads(kCount));
  SEGUE_TRY_ASSIGN(const Graph graph, encoder.take_capture());

  const FusionPattern pattern = add_scale_pattern(kernels);
  SEGUE_TRY_ASSIGN(const FusedGraph fused, graph.fuse(std::span(&pattern, 1)));
  std::cout << graph.dispatch_count() << " dispatches became " << fused.graph.dispatch_count()
            << "\n";

  SEGUE_TRY_ASSIGN(Executable executable, fused.graph.compile(device));
  SEGUE_TRY_ASSIGN(const SlotId slot, executable.slot("factor"));
  for (const float value : {2.0F, 10.0F}) {
    SEGUE_TRY(executable.set(slot, value));
    SEGUE_TRY(executable.submit_and_wait());
    SEGUE_TRY_ASSIGN(const auto result, y.view().map_read<float>());
    std::cout << value << " * (1.5 + 1.5) = " << result[kCount - 1] << "\n";
  }
  return {};
}

}  // namespace

int main() {
  if (const Result<> done = run(); !done) {
    std::cerr << done.error().to_string() << "\n";
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
