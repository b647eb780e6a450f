// SPDX-License-Identifier: Apache-2.0
#include "unit/architecture/include_rules.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace segue::architecture {
namespace {

bool allowed(std::string_view path, std::string_view directive) {
  return !include_violation(path, parse_include(directive).value());
}

TEST(IncludeRules, EveryIncludeOfTheTreeFollowsTheDirection) {
  std::size_t checked = 0;
  for (const SourceFile& file : project_tree()) {
    if (!is_cpp(file)) continue;
    ++checked;
    for (const std::string& violation : include_violations(file)) ADD_FAILURE() << violation;
  }
  EXPECT_GT(checked, 10U) << "The walk over the tree finds too few files to mean anything.";
}

TEST(IncludeRules, EveryFolderOfSrcHasARule) {
  for (const SourceFile& file : project_tree()) {
    if (!is_cpp(file)) continue;
    EXPECT_FALSE(room_of(file.path).starts_with("unknown")) << file.path;
  }
}

TEST(IncludeRules, APlantedViolationIsReportedWithItsPlace) {
  const SourceFile planted{"src/graph/planted.cpp",
                           {"// SPDX-License-Identifier: Apache-2.0", "#include <vector>",
                            "#include \"runtime/device_state.hpp\""}};
  const auto violations = include_violations(planted);
  ASSERT_EQ(violations.size(), 1U);
  EXPECT_EQ(violations[0],
            "src/graph/planted.cpp:3: room \"graph\" includes \"runtime/device_state.hpp\" but may "
            "use only: ir, base.");
}

TEST(IncludeRules, LowerRoomsMayNotIncludeUpperOnes) {
  EXPECT_FALSE(allowed("src/base/a.cpp", "#include \"ir/storage.hpp\""));
  EXPECT_FALSE(allowed("src/ir/a.cpp", "#include \"graph/plan.hpp\""));
  EXPECT_FALSE(allowed("src/hal/a.hpp", "#include \"graph/plan.hpp\""));
  EXPECT_FALSE(allowed("src/backends/host/a.cpp", "#include \"graph/hazard_tracker.hpp\""));
  EXPECT_FALSE(allowed("src/backends/host/a.cpp", "#include \"runtime/device.hpp\""));
  EXPECT_FALSE(allowed("src/backends/host/a.cpp", "#include \"backends/vulkan/device.hpp\""));
  EXPECT_FALSE(allowed("src/ops/a.cpp", "#include \"runtime/device.hpp\""));
  EXPECT_FALSE(allowed("src/llama/a.cpp", "#include \"ir/command_list.hpp\""));
  EXPECT_FALSE(allowed("src/runtime/a.cpp", "#include \"segue/open.hpp\""));
  EXPECT_FALSE(allowed("src/runtime/a.cpp", "#include \"backends/host/host_device.hpp\""));
  EXPECT_FALSE(allowed("tools/segue/a.cpp", "#include \"graph/plan.hpp\""));
  EXPECT_FALSE(allowed("examples/a.cpp", "#include \"base/fail.hpp\""));
}

TEST(IncludeRules, TheDirectionOfTheRoomsIsAllowed) {
  EXPECT_TRUE(allowed("src/graph/a.cpp", "#include \"graph/plan.hpp\""));
  EXPECT_TRUE(allowed("src/graph/a.cpp", "#include \"ir/command_list.hpp\""));
  EXPECT_TRUE(allowed("src/runtime/a.cpp", "#include \"graph/plan.hpp\""));
  EXPECT_TRUE(allowed("src/backends/host/kernels/a.cpp", "#include \"backends/host/abi.hpp\""));
  EXPECT_TRUE(allowed("src/backends/host/a.cpp", "#include \"hal/hal.hpp\""));
  EXPECT_TRUE(allowed("src/open/a.cpp", "#include \"backends/host/host_device.hpp\""));
  EXPECT_TRUE(allowed("src/open/a.cpp", "#include \"runtime/device_state.hpp\""));
  EXPECT_TRUE(allowed("src/llama/a.cpp", "#include \"ops/names.hpp\""));
  EXPECT_TRUE(allowed("src/base/a.cpp", "#include <fmt/format.h>"));
  EXPECT_TRUE(allowed("tests/unit/a.cpp", "#include \"runtime/device.hpp\""));
}

TEST(IncludeRules, TheCoreDoesNotKnowTransformers) {
  EXPECT_FALSE(allowed("src/runtime/a.cpp", "#include \"segue/ops.hpp\""));
  EXPECT_FALSE(allowed("include/segue/encoder.hpp", "#include \"segue/ops.hpp\""));
  EXPECT_FALSE(allowed("src/backends/host/a.cpp", "#include \"segue/llama.hpp\""));
  EXPECT_FALSE(allowed("src/ops/a.cpp", "#include \"segue/llama.hpp\""));
  EXPECT_TRUE(allowed("include/segue/llama.hpp", "#include \"segue/ops.hpp\""));
  EXPECT_TRUE(allowed("src/llama/a.cpp", "#include \"segue/llama.hpp\""));
}

TEST(IncludeRules, PublicHeadersIncludeOnlyPublicAndStandardOnes) {
  EXPECT_TRUE(allowed("include/segue/a.hpp", "#include <expected>"));
  EXPECT_TRUE(allowed("include/segue/a.hpp", "#include \"segue/error.hpp\""));
  EXPECT_FALSE(allowed("include/segue/a.hpp", "#include \"base/fail.hpp\""));
  EXPECT_FALSE(allowed("include/segue/a.hpp", "#include <fmt/format.h>"));
  EXPECT_FALSE(allowed("include/segue/a.hpp", "#include <vulkan/vulkan.h>"));
  EXPECT_TRUE(allowed("include/segue/vulkan.hpp", "#include <vulkan/vulkan.h>"));
}

TEST(IncludeRules, OnlyIncludeDirectivesAreRead) {
  EXPECT_FALSE(parse_include("// see base/fail.hpp"));
  EXPECT_FALSE(parse_include("#pragma once"));
  EXPECT_EQ(parse_include("#  include \"base/fail.hpp\"  // why")->target, "base/fail.hpp");
  EXPECT_TRUE(parse_include("#include <vector>")->angled);
}

}  // namespace
}  // namespace segue::architecture
