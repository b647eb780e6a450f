// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <utility>

#include "backends/metal/metal_kernel.hpp"
#include "segue/metal.hpp"

namespace segue::metal {
namespace {

KernelSource make_source(std::string name, std::string entry_point, MslCode code) {
  KernelSource source;
  source.name = std::move(name);
  source.backend = "metal";
  source.entry_point = std::move(entry_point);
  source.native = std::make_shared<const MslCode>(std::move(code));
  return source;
}

KernelSource with_signature(KernelSource source, Signature signature) {
  MslCode code = *static_cast<const MslCode*>(source.native.get());
  code.declared = true;
  source.native = std::make_shared<const MslCode>(std::move(code));
  source.signature = std::move(signature);
  return source;
}

KernelSource from_table(const BuiltinMsl& builtin) {
  MslCode code;
  code.builtin = &builtin;
  return make_source(std::string(builtin.name), std::string(builtin.entry_point), std::move(code));
}

}  // namespace

KernelSource msl_kernel(std::string name, std::string text, std::string entry_point) {
  KernelSource source = make_source(std::move(name), std::move(entry_point), {});
  source.text = std::move(text);
  return source;
}

KernelSource msl_kernel(std::string name, Signature signature, std::string text,
                        std::string entry_point) {
  return with_signature(msl_kernel(std::move(name), std::move(text), std::move(entry_point)),
                        std::move(signature));
}

KernelSource metallib_kernel(std::string name, std::span<const std::byte> library,
                             std::string entry_point) {
  MslCode code;
  code.library.assign(library.begin(), library.end());
  return make_source(std::move(name), std::move(entry_point), std::move(code));
}

KernelSource metallib_kernel(std::string name, Signature signature,
                             std::span<const std::byte> library, std::string entry_point) {
  return with_signature(metallib_kernel(std::move(name), library, std::move(entry_point)),
                        std::move(signature));
}

std::vector<KernelSource> builtin_kernels() {
  std::vector<KernelSource> sources;
  for (const BuiltinMsl& builtin : builtin_msl()) sources.push_back(from_table(builtin));
  return sources;
}

KernelSource internal_kernel(std::string_view name) {
  const auto found = std::ranges::find(internal_msl(), name, &BuiltinMsl::name);
  return from_table(*found);
}

}  // namespace segue::metal
