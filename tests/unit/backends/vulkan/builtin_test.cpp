// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/kernels/builtin.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "backends/vulkan/spirv_validator.hpp"
#include "backends/vulkan/vulkan_kernel.hpp"
#include "unit/spirv/shader_text.hpp"

namespace segue::vulkan {
namespace {

DeviceTraits everything() {
  DeviceTraits traits;
  traits.float16 = traits.int8 = traits.int16 = traits.int64 = true;
  traits.vulkan_memory_model = traits.integer_dot_product = true;
  traits.cooperative_matrix_nv = true;
  return traits;
}

/// First words of the kernels that were chosen.
std::vector<std::string> chosen(std::span<const BuiltinSpirv> kernels, const DeviceTraits& traits) {
  std::vector<std::string> names;
  for (const KernelSource& source : choose_builtin(kernels, traits)) {
    const auto& code = *static_cast<const ShaderCode*>(source.native.get());
    const auto found = std::ranges::find_if(kernels, [&](const BuiltinSpirv& kernel) {
      return kernel.words.data() == code.words.data();
    });
    names.push_back(source.name + " from " + std::string(found->name));
  }
  return names;
}

TEST(BuiltinKernels, AreValidSpirv) {  // rows I1, I3
  for (const BuiltinSpirv& kernel : builtin_spirv()) {
    const Result<> valid = validate_spirv(kernel.words);
    EXPECT_TRUE(valid.has_value()) << kernel.name << ": " << valid.error().message;
  }
}

TEST(BuiltinKernels, NeedOnlyWhatIsKnown) {  // row I3
  std::set<std::string_view> names;
  for (const BuiltinSpirv& kernel : builtin_spirv()) names.insert(base_name(kernel.name));
  EXPECT_EQ(builtin_kernels(everything()).size(), names.size());
}

TEST(BuiltinKernels, TheBestVariantThatADeviceRunsIsTaken) {  // row I3
  const spirv::test::Words plain = spirv::test::glsl("void main() { }");
  const spirv::test::Words dot = plain, coopmat = plain, unknown = plain;
  const std::vector<BuiltinSpirv> kernels{
      {"product", plain}, {"product@dot", dot}, {"half@coopmat", coopmat}, {"odd@x", unknown}};
  EXPECT_THAT(chosen(kernels, everything()),
              testing::ElementsAre("half from half@coopmat", "product from product@dot"));
  DeviceTraits traits = everything();
  traits.cooperative_matrix_nv = false;
  traits.int8 = false;
  EXPECT_THAT(chosen(kernels, traits), testing::ElementsAre("product from product"));
}

TEST(BuiltinKernels, KernelsThatADeviceCannotRunAreLeftOut) {  // row I3
  const spirv::test::Words plain = spirv::test::glsl("void main() { }");
  const spirv::test::Words half = spirv::test::glsl(
      "#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require\n"
      "layout(binding = 0) buffer X { float x; };"
      "void main() { float16_t h = float16_t(x); x = float(h * h); }");
  const std::vector<BuiltinSpirv> kernels{{"a", plain}, {"b", half}};
  EXPECT_THAT(chosen(kernels, everything()), testing::ElementsAre("a from a", "b from b"));
  EXPECT_THAT(chosen(kernels, {}), testing::ElementsAre("a from a"));
}

}  // namespace
}  // namespace segue::vulkan
