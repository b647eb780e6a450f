// SPDX-License-Identifier: Apache-2.0
// Two halves are written by two dispatches, then two dispatches each read what the other thread
// wrote. With the barrier between the pairs all is well; without it the thread sanitizer must
// report a data race.

#include <cstdio>
#include <string_view>

#include "segue/host.hpp"

namespace {

using namespace segue;

Result<> run(bool with_barrier) {
  host::HostOptions host_options;
  host_options.threads = 2;
  host_options.parallelism = host::Parallelism::kAlways;
  SEGUE_TRY_ASSIGN(const Device device, host::create_device({}, host_options));

  SEGUE_TRY(device.kernels().add(host::kernel(
      "count_up", {"values"}, [](const host::KernelContext&, host::Out<std::uint32_t> values) {
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint32_t>(i);
      })));
  SEGUE_TRY(device.kernels().add(
      host::kernel("sum", {"values", "total"},
                   [](const host::KernelContext&, host::In<std::uint32_t> values,
                      host::Out<std::uint32_t> total) {
                     total[0] = 0;
                     for (const std::uint32_t value : values) total[0] += value;
                   })));
  SEGUE_TRY_ASSIGN(const Kernel count_up, device.kernels().get("count_up"));
  SEGUE_TRY_ASSIGN(const Kernel sum, device.kernels().get("sum"));

  SEGUE_TRY_ASSIGN(const Buffer a, device.create_buffer({.size_bytes = 4096, .label = "a"}));
  SEGUE_TRY_ASSIGN(const Buffer b, device.create_buffer({.size_bytes = 4096, .label = "b"}));
  SEGUE_TRY_ASSIGN(const Buffer totals,
                   device.create_buffer({.size_bytes = 128, .label = "totals"}));
  SEGUE_TRY_ASSIGN(const BufferView total_a, totals.view().subview(0, 4));
  SEGUE_TRY_ASSIGN(const BufferView total_b, totals.view().subview(64, 4));

  EncoderOptions options;
  options.barriers = BarrierMode::kManual;
  SEGUE_TRY_ASSIGN(CommandEncoder encoder, device.create_encoder(options));
  encoder.dispatch(count_up, {a.view()}, groups(1));
  encoder.dispatch(count_up, {b.view()}, groups(1));
  if (with_barrier) encoder.memory_barrier();
  encoder.dispatch(sum, {b.view(), total_b}, groups(1));
  encoder.dispatch(sum, {a.view(), total_a}, groups(1));
  return encoder.commit_and_wait();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc == 2 ? argv[1] : "";
  if (mode != "with" && mode != "without") {
    std::fputs("usage: race_demo with|without\n", stderr);
    return 2;
  }
  const Result<> result = run(mode == "with");
  if (!result) std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
  return result ? 0 : 1;
}
