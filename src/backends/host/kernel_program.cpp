// SPDX-License-Identifier: Apache-2.0
#include "backends/host/kernel_program.hpp"

#include <bit>
#include <string>
#include <utility>

#include "backends/host/scratch.hpp"
#include "base/fail.hpp"

namespace segue::host {
namespace {

template <class... Args>
std::unexpected<Error> refuse(const KernelSource& source, fmt::format_string<Args...> format,
                              Args&&... args) {
  return base::fail(ErrorCode::kCompileFailed, "Kernel \"{}\" does not compile for the host: {}",
                    source.name, fmt::format(format, std::forward<Args>(args)...));
}

Result<> check_shared(const KernelSource& source, const Parameter& parameter) {
  switch (parameter.sizing) {
    case SharedSizing::kFixed:
      if (parameter.size_bytes == 0) {
        return refuse(source,
                      "shared parameter \"{}\" has a fixed size of 0 bytes; at least 1 is allowed.",
                      parameter.name);
      }
      break;
    case SharedSizing::kSpecialisation:
      return refuse(source,
                    "shared parameter \"{}\" is sized by a specialisation constant; the host takes "
                    "a fixed size or "
                    "one given by the dispatch.",
                    parameter.name);
    case SharedSizing::kLaunch: break;
  }
  return {};
}

Result<> check_parameters(const KernelSource& source, const Limits& limits) {
  std::uint64_t fixed_shared = 0;
  std::size_t arguments = 0;
  std::size_t shared_count = 0;
  for (const Parameter& parameter : source.signature.parameters) {
    if (parameter.kind == ParameterKind::kShared) {
      ++shared_count;
      SEGUE_TRY(check_shared(source, parameter));
      if (parameter.sizing == SharedSizing::kFixed) fixed_shared += parameter.size_bytes;
      continue;
    }
    ++arguments;
    if (shared_count != 0) {
      return refuse(
          source, "parameter \"{}\" stands after a shared parameter; shared parameters come last.",
          parameter.name);
    }
    if (!std::has_single_bit(parameter.alignment)) {
      return refuse(source,
                    "parameter \"{}\" wants an alignment of {} bytes; powers of two are allowed.",
                    parameter.name, parameter.alignment);
    }
    if (parameter.kind == ParameterKind::kBytes && parameter.size_bytes > limits.max_inline_bytes) {
      return refuse(source, "parameter \"{}\" has {} inline bytes; at most {} are allowed.",
                    parameter.name, parameter.size_bytes, limits.max_inline_bytes);
    }
  }
  if (arguments > limits.max_arguments) {
    return refuse(source, "it takes {} arguments; at most {} are allowed.", arguments,
                  limits.max_arguments);
  }
  if (shared_count > kMaxSharedParameters) {
    return refuse(source, "it takes {} shared parameters; at most {} are allowed.", shared_count,
                  kMaxSharedParameters);
  }
  if (fixed_shared > limits.max_shared_memory_bytes) {
    return refuse(source, "it uses {} bytes of shared memory; at most {} are allowed.",
                  fixed_shared, limits.max_shared_memory_bytes);
  }
  return {};
}

Result<> check_group_size(const KernelSource& source, const Limits& limits) {
  const Extent3 size = source.signature.group_size;
  if (size.empty()) {
    return refuse(source, "its group size is {} x {} x {}; each dimension is at least 1.", size.x,
                  size.y, size.z);
  }
  if (size.x > limits.max_group_size.x || size.y > limits.max_group_size.y ||
      size.z > limits.max_group_size.z || size.count() > limits.max_group_threads) {
    return refuse(source, "its group size is {} x {} x {}; at most {} threads are allowed.", size.x,
                  size.y, size.z, limits.max_group_threads);
  }
  return {};
}

}  // namespace

KernelSource raw_kernel(std::string name, Signature signature, KernelFunction function) {
  KernelSource source;
  source.name = std::move(name);
  source.backend = "host";
  source.signature = std::move(signature);
  source.native = std::make_shared<const KernelProgram>(KernelProgram{std::move(function)});
  return source;
}

Result<base::Ref<ir::Kernel>> compile_kernel(const KernelSource& source,
                                             std::span<const SpecConstant> constants,
                                             const Limits& limits,
                                             const std::shared_ptr<base::IndexAllocator>& indices) {
  if (source.backend != "host") {
    return refuse(source, "it is for backend \"{}\"; \"host\" is allowed.", source.backend);
  }
  const auto* program = static_cast<const KernelProgram*>(source.native.get());
  if (program == nullptr || !program->function) return refuse(source, "it has no function.");
  SEGUE_TRY(check_parameters(source, limits));
  SEGUE_TRY(check_group_size(source, limits));
  base::Ref<CompiledKernel> kernel(new CompiledKernel(indices));
  kernel->name = source.name;
  kernel->signature = source.signature;
  kernel->function = program->function;
  kernel->constants.assign(constants.begin(), constants.end());
  return base::Ref<ir::Kernel>(kernel.get());
}

}  // namespace segue::host
