// SPDX-License-Identifier: Apache-2.0
// Two kernels of one's own, three dispatches, and the one barrier that they need.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "segue/host.hpp"

namespace {

using namespace segue;  // NOLINT(google-build-using-namespace): the example shows the API itself.

// What a kernel reads and writes follows from its parameters: In, Out, InOut, or a plain value.
void run_scale(const host::KernelContext& work, host::In<float> x, host::Out<float> y,
               float factor) {
  for (auto i = work.group_begin; i < work.group_end; ++i) y[i] = factor * x[i];
}

void run_add(const host::KernelContext& work, host::In<float> a, host::In<float> b,
             host::Out<float> sum) {
  for (auto i = work.group_begin; i < work.group_end; ++i) sum[i] = a[i] + b[i];
}

Result<float> add_two_and_three() {
  SEGUE_TRY_ASSIGN(Device device, host::create_device());
  KernelLibrary& kernels = device.kernels();
  SEGUE_TRY(kernels.add(host::kernel("example.scale", {"x", "y", "factor"}, run_scale)));
  SEGUE_TRY(kernels.add(host::kernel("example.add", {"a", "b", "sum"}, run_add)));
  SEGUE_TRY_ASSIGN(Kernel scale, kernels.get("example.scale"));
  SEGUE_TRY_ASSIGN(Kernel add, kernels.get("example.add"));

  constexpr std::uint32_t kCount = 1024;
  const auto floats = [&](std::string label) {
    return device.create_buffer({.size_bytes = kCount * sizeof(float), .label = std::move(label)});
  };
  SEGUE_TRY_ASSIGN(Buffer x, floats("x"));
  SEGUE_TRY_ASSIGN(Buffer a, floats("a"));
  SEGUE_TRY_ASSIGN(Buffer b, floats("b"));
  SEGUE_TRY_ASSIGN(Buffer sum, floats("sum"));
  {
    SEGUE_TRY_ASSIGN(auto values, x.view().map_write<float>());
    for (float& value : values) value = 1.0F;
  }

  SEGUE_TRY_ASSIGN(CommandEncoder encoder, device.create_encoder());
  encoder.dispatch(scale, {x.view(), a.view(), KernelArg::bytes(2.0F)}, threads(kCount));
  encoder.dispatch(scale, {x.view(), b.view(), KernelArg::bytes(3.0F)}, threads(kCount));
  encoder.dispatch(add, {a.view(), b.view(), sum.view()}, threads(kCount));
  for (const BarrierInfo& barrier : encoder.barriers()) std::cout << barrier.to_string() << "\n";
  SEGUE_TRY(encoder.commit_and_wait());

  SEGUE_TRY_ASSIGN(auto result, sum.view().map_read<float>());
  return result[kCount - 1];
}

}  // namespace

int main() {
  const Result<float> sum = add_two_and_three();
  if (!sum) {
    std::cerr << sum.error().to_string() << "\n";
    return EXIT_FAILURE;
  }
  std::cout << "2 + 3 = " << *sum << "\n";
  return EXIT_SUCCESS;
}
