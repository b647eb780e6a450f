// SPDX-License-Identifier: Apache-2.0
//
// The kernels of src/ops exist on several backends. Callers give them the same arguments, and the
// same hazards follow, so their signatures agree.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "backends/host/kernels/builtin.hpp"
#include "backends/vulkan/kernel_signature.hpp"
#include "backends/vulkan/kernels/builtin.hpp"
#include "spirv/signature.hpp"
#include "unit/spirv/shader_text.hpp"

namespace segue::vulkan {
namespace {

/// Name, kind, access and size: what callers and hazards depend on.
std::string text_of(const Signature& signature) {
  std::string text;
  for (const Parameter& parameter : signature.parameters) {
    if (parameter.kind == ParameterKind::kShared) continue;  // each backend's own affair
    text += parameter.name;
    if (parameter.kind == ParameterKind::kBytes)
      text += ": " + std::to_string(parameter.size_bytes) + " bytes; ";
    else
      text += ": " + std::string(to_string(parameter.access)) + "; ";
  }
  return text;
}

std::map<std::string, Signature, std::less<>> host_signatures() {
  std::map<std::string, Signature, std::less<>> signatures;
  for (const KernelSource& source : host::builtin_kernels())
    signatures[source.name] = source.signature;
  return signatures;
}

/// Layouts and integer paths that only processors have.
bool is_for_processors(std::string_view name) {
  return name.contains("_tile16") || name.ends_with("_int8");
}

TEST(Signatures, OfBothBackendsAgree) {  // row I1
  const auto host = host_signatures();
  ASSERT_FALSE(host.empty());
  for (const BuiltinSpirv& kernel : builtin_spirv()) {
    const auto same = host.find(base_name(kernel.name));
    if (same == host.end()) continue;
    const auto reflection = spirv::test::reflect_words(kernel.words);
    ASSERT_TRUE(reflection.has_value()) << kernel.name << ": " << reflection.error().message;
    EXPECT_EQ(text_of(spirv::signature_of(*reflection, {})), text_of(same->second)) << kernel.name;
  }
}

TEST(Signatures, EveryKernelOfTheHostIsThere) {  // row I1
  std::set<std::string_view> here;
  for (const BuiltinSpirv& kernel : builtin_spirv()) here.insert(base_name(kernel.name));
  std::string missing;
  for (const auto& [name, signature] : host_signatures()) {
    if (!is_for_processors(name) && !here.contains(name)) missing += " " + name;
  }
  EXPECT_EQ(missing, "");
}

}  // namespace
}  // namespace segue::vulkan
