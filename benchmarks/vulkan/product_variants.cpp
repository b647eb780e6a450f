// SPDX-License-Identifier: Apache-2.0
//
// Times variants of a product of one token, compiled with other constants, on the device at hand:
//
//   bench_vulkan_products mat_vec_add f16 2048x8192 one.spv one.spv:0=128,1=16 …
//
// where id=value are integer specialisation constants.
//
// Each variant multiplies 24 matrices one after the other, a barrier between them as in a decoder;
// together they are far larger than the caches of the device.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/op_params.hpp"
#include "segue/graph.hpp"
#include "segue/vulkan.hpp"

namespace {

using namespace segue;

constexpr int kMatrices = 24;

struct Shape {
  std::uint32_t rows = 0, columns = 0;
};

std::uint64_t matrix_bytes(std::string_view form, Shape shape) {
  const std::uint64_t elements = std::uint64_t{shape.rows} * shape.columns;
  if (form == "f32") return 4 * elements;
  if (form == "f16" || form == "bf16") return 2 * elements;
  if (form.starts_with("q8_0")) return elements / 32 * 34;
  return elements / 32 * 18;
}

std::vector<SpecConstant> read_constants(std::string text) {
  std::vector<SpecConstant> constants;
  while (!text.empty()) {
    std::uint32_t id = 0, value = 0;
    if (std::sscanf(text.c_str(), "%u=%u", &id, &value) != 2) break;
    constants.push_back({id, value});
    text.erase(0, text.find(',') == std::string::npos ? text.size() : text.find(',') + 1);
  }
  return constants;
}

std::vector<std::uint32_t> read_words(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::vector<std::uint32_t> words(static_cast<std::size_t>(file.tellg()) / 4);
  file.seekg(0);
  file.read(reinterpret_cast<char*>(words.data()), static_cast<std::streamsize>(4 * words.size()));
  return words;
}

Buffer make_buffer(const Device& device, std::uint64_t bytes) {
  BufferDesc desc;
  desc.size_bytes = (bytes + 255) / 256 * 256;
  desc.host_access = HostAccess::kNone;
  return device.create_buffer(desc).value();
}

/// Seconds of one dispatch.
double time_variant(const Device& device, const Kernel& kernel, std::string_view family,
                    Shape shape, std::string_view form) {
  const bool gated = family.contains("silu_mul"), triple = family.contains("mat_vec3");
  const bool norm = family.starts_with("norm"), add = family.contains("_add");
  const std::uint32_t group = kernel.signature().items_per_group;
  const Buffer x = make_buffer(device, 4 * shape.columns),
               weight = make_buffer(device, 4 * shape.columns);
  const Buffer y = make_buffer(device, 4 * shape.rows);
  const std::uint32_t part = shape.rows / 6;  // 4 : 1 : 1, as grouped heads have
  std::vector<Buffer> matrices;
  for (int i = 0; i < kMatrices; ++i)
    matrices.push_back(make_buffer(device, (gated ? 2 : 1) * matrix_bytes(form, shape)));
  CommandEncoder encoder = device.create_encoder().value();
  encoder.start_capture();
  for (const Buffer& matrix : matrices) {
    const std::uint64_t bytes = matrix_bytes(form, shape);
    std::vector<KernelArg> args;
    base::FusedMatVecParams params{{shape.rows, 0, 0}, shape.columns, norm ? 1e-5F : 0.0F};
    std::uint32_t groups_needed = (shape.rows + group - 1) / group;
    if (gated) {
      args = {matrix.view(0, bytes).value(), matrix.view(bytes, bytes).value()};
      params.rows[1] = shape.rows;
    } else if (triple) {
      params = {{4 * part, part, part}, shape.columns, params.epsilon};
      const std::uint64_t row = bytes / shape.rows;
      args = {matrix.view(0, 4 * part * row).value(),
              matrix.view(4 * part * row, part * row).value(),
              matrix.view(5 * part * row, part * row).value()};
      groups_needed = (4 * part + group - 1) / group + 2 * ((part + group - 1) / group);
    } else {
      args = {matrix.view(0, bytes).value()};
    }
    args.push_back(x.view());
    if (norm) args.push_back(weight.view());
    if (add) args.push_back(y.view(0, 4 * shape.rows).value());
    if (triple) {
      args.push_back(y.view(0, 16 * part).value());
      args.push_back(y.view(16 * part, 4 * part).value());
      args.push_back(y.view(20 * part, 4 * part).value());
    } else {
      args.push_back(y.view(0, 4 * shape.rows).value());
    }
    args.push_back(KernelArg::bytes(params));
    encoder.dispatch(kernel, args, groups(groups_needed));
    encoder.memory_barrier();
  }
  const Graph graph = encoder.take_capture().value();
  Executable executable = graph.compile(device).value();
  std::vector<double> seconds;
  for (int round = 0; round < 12; ++round) {
    Submission work = executable.submit().value();
    if (const Result<> done = work.wait(); !done) fmt::print("{}\n", done.error().to_string());
    const auto time = work.gpu_time();
    seconds.push_back((time->end_seconds - time->start_seconds) / kMatrices);
  }
  std::ranges::sort(seconds);
  return seconds[seconds.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "Usage: {} <family> <form> <rows>x<columns> <file.spv>...\n", argv[0]);
    return 2;
  }
  const std::string_view family = argv[1], form = argv[2];
  Shape shape;
  if (std::sscanf(argv[3], "%ux%u", &shape.rows, &shape.columns) != 2) return 2;
  auto device = vulkan::create_device();
  if (!device) {
    fmt::print(stderr, "{}\n", device.error().to_string());
    return 1;
  }
  const double bytes =
      static_cast<double>(matrix_bytes(form, shape)) * (family.contains("silu_mul") ? 2 : 1);
  for (int i = 4; i < argc; ++i) {
    const std::string name = fmt::format("variant{}", i);
    const std::string_view variant = argv[i];
    const std::size_t colon = std::min(variant.find(':'), variant.size());
    const std::vector<SpecConstant> constants =
        read_constants(std::string(variant.substr(std::min(colon + 1, variant.size()))));
    auto added = device->kernels().add(
        vulkan::spirv_kernel(name, read_words(std::string(variant.substr(0, colon)))));
    auto kernel = device->kernels().get(name, constants);
    if (!added || !kernel) {
      fmt::print("{}: {}\n", argv[i], kernel.error().to_string());
      continue;
    }
    const double seconds = time_variant(*device, *kernel, family, shape, form);
    fmt::print("{} {} {}: {:7.2f} us {:6.0f} GB/s  {}\n", family, form, argv[3], 1e6 * seconds,
               bytes / seconds / 1e9, argv[i]);
  }
  return 0;
}
