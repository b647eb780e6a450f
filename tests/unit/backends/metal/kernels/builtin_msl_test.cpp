// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/kernels/builtin_msl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <regex>
#include <string>
#include <vector>

#include "backends/metal/kernels/translator/msl.hpp"
#include "backends/vulkan/kernels/builtin_spirv.hpp"
#include "spirv/signature.hpp"
#include "unit/spirv/shader_text.hpp"

namespace segue::metal {
namespace {

using testing::ElementsAre;

std::vector<BuiltinMsl> all() {
  std::vector<BuiltinMsl> kernels(builtin_msl().begin(), builtin_msl().end());
  kernels.insert(kernels.end(), internal_msl().begin(), internal_msl().end());
  return kernels;
}

/// Everything that a signature says, of parameters in either form.
std::string text_of(const auto& signature) {
  std::string text;
  for (const auto& parameter : signature.parameters) {
    text +=
        std::string(parameter.name) + " kind " + std::to_string(static_cast<int>(parameter.kind)) +
        " access " + std::to_string(static_cast<int>(parameter.access)) + " known " +
        std::to_string(static_cast<int>(parameter.access_known)) + " size " +
        std::to_string(parameter.size_bytes) + " alignment " + std::to_string(parameter.alignment) +
        " sizing " + std::to_string(static_cast<int>(parameter.sizing)) + "\n";
  }
  const Extent3 size = signature.group_size;
  text += "group " + std::to_string(size.x) + " " + std::to_string(size.y) + " " +
          std::to_string(size.z) + (signature.guards_ragged_edges ? " guards" : "") +
          (signature.fixed_group_size ? " fixed" : "") + " items " +
          std::to_string(signature.items_per_group) + " batch " +
          std::to_string(signature.batch_per_group);
  return text;
}

TEST(BuiltinMsl, HasATwinOfEachVulkanKernelWithItsSignature) {
  std::map<std::string_view, std::string> expected;
  for (const vulkan::BuiltinSpirv& kernel : vulkan::builtin_spirv()) {
    if (kernel.name.contains('@')) continue;
    const auto reflection = spirv::test::reflect_words(kernel.words);
    ASSERT_TRUE(reflection.has_value()) << kernel.name;
    expected[kernel.name] = text_of(spirv::signature_of(*reflection, {}));
  }
  ASSERT_GT(expected.size(), 100);
  std::map<std::string_view, std::string> found;
  for (const BuiltinMsl& kernel : all()) {
    EXPECT_TRUE(found.emplace(kernel.name, text_of(kernel)).second) << kernel.name;
  }
  EXPECT_EQ(found.erase("internal_copy"), 1);
  EXPECT_EQ(found.erase("internal_fill"), 1);
  EXPECT_EQ(found, expected);
}

TEST(BuiltinMsl, InternalKernelsAreApart) {
  for (const BuiltinMsl& kernel : builtin_msl())
    EXPECT_FALSE(kernel.name.starts_with("internal_")) << kernel.name;
  std::vector<std::string_view> names;
  for (const BuiltinMsl& kernel : internal_msl()) names.push_back(kernel.name);
  std::ranges::sort(names);
  EXPECT_THAT(names, ElementsAre("internal_clamp_counts", "internal_copy", "internal_fill",
                                 "internal_load_slot"));
}

TEST(BuiltinMsl, EachIndexIsTakenOnce) {
  for (const BuiltinMsl& kernel : all()) {
    std::vector<unsigned> indices = translator::buffer_indices(kernel.text);
    std::ranges::sort(indices);
    std::vector<unsigned> expected(kernel.parameters.size());
    std::iota(expected.begin(), expected.end(), 0U);
    if (kernel.grid_index >= 0) expected.push_back(static_cast<unsigned>(kernel.grid_index));
    if (kernel.view_sizes_index >= 0) {
      expected.push_back(static_cast<unsigned>(kernel.view_sizes_index));
      EXPECT_LE(kernel.view_sizes_count, static_cast<unsigned>(kernel.view_sizes_index));
    }
    EXPECT_EQ(indices, expected) << kernel.name;
    EXPECT_LE(expected.back(), 30) << kernel.name;
  }
}

TEST(BuiltinMsl, FitsEveryDevice) {
  for (const BuiltinMsl& kernel : all()) {
    EXPECT_LE(kernel.group_size.count(), 1024) << kernel.name;
    EXPECT_EQ(kernel.group_size.x == 1 ? 0 : kernel.group_size.x % 32, 0) << kernel.name;
    EXPECT_LE(kernel.shared_bytes, 32 << 10) << kernel.name;
    const bool uses_shared =
        kernel.text.contains("threadgroup float") || kernel.text.contains("threadgroup uint");
    EXPECT_EQ(uses_shared, kernel.shared_bytes != 0) << kernel.name;
  }
}

TEST(BuiltinMsl, TheTextHasItsEntryPointAndConstants) {
  static const std::regex kConstant(R"(\[\[function_constant\((\d+)\)\]\])");
  for (const BuiltinMsl& kernel : all()) {
    const std::string text(kernel.text);
    EXPECT_EQ(kernel.entry_point, "segue_" + std::string(kernel.name));
    EXPECT_TRUE(text.contains("kernel void " + std::string(kernel.entry_point) + "("));
    std::vector<std::uint32_t> found, listed;
    for (auto it = std::sregex_iterator(text.begin(), text.end(), kConstant);
         it != std::sregex_iterator(); ++it) {
      found.push_back(static_cast<std::uint32_t>(std::stoul((*it)[1])));
    }
    for (const BuiltinMslConstant& constant : kernel.function_constants)
      listed.push_back(constant.id);
    EXPECT_EQ(found, listed) << kernel.name;
  }
}

TEST(BuiltinMsl, RoundsEveryOperationByItself) {
  for (const BuiltinMsl& kernel : all()) {
    EXPECT_TRUE(kernel.text.contains("fp contract(off)")) << kernel.name;
    EXPECT_FALSE(kernel.text.contains("fast::")) << kernel.name;
    EXPECT_FALSE(kernel.text.contains("optnone")) << kernel.name;
  }
}

}  // namespace
}  // namespace segue::metal
