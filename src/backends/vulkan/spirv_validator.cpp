// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/spirv_validator.hpp"

#include <memory>

#include <spirv-tools/libspirv.h>

#include "base/fail.hpp"

namespace segue::vulkan {
namespace {

template <class T, void (*destroy)(T*)>
struct Destroy {
  void operator()(T* object) const { destroy(object); }
};
using ToolContext = std::unique_ptr<spv_context_t, Destroy<spv_context_t, &spvContextDestroy>>;
using Options = std::unique_ptr<spv_validator_options_t,
                                Destroy<spv_validator_options_t, &spvValidatorOptionsDestroy>>;
using Diagnostic =
    std::unique_ptr<spv_diagnostic_t, Destroy<spv_diagnostic_t, &spvDiagnosticDestroy>>;

}  // namespace

Result<> validate_spirv(std::span<const std::uint32_t> words) {
  const ToolContext context(spvContextCreate(SPV_ENV_VULKAN_1_3));
  const Options options(spvValidatorOptionsCreate());
  if (!context || !options)
    return base::fail(ErrorCode::kBackend, "The SPIR-V validator does not start.");
  spvValidatorOptionsSetScalarBlockLayout(options.get(), true);
  spv_const_binary_t binary{words.data(), words.size()};
  spv_diagnostic_t* reported = nullptr;
  const spv_result_t result =
      spvValidateWithOptions(context.get(), options.get(), &binary, &reported);
  const Diagnostic diagnostic(reported);
  if (result == SPV_SUCCESS) return {};
  return base::fail(ErrorCode::kCompileFailed, "The SPIR-V validator says:\n{}",
                    diagnostic && diagnostic->error != nullptr ? diagnostic->error : "(nothing)");
}

}  // namespace segue::vulkan
