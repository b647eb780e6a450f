# SPDX-License-Identifier: Apache-2.0
# Every third-party package, found in one place. On Debian, scripts/install-dependencies.sh installs
# them.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(hwy REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(spdlog REQUIRED)

if(SEGUE_VULKAN)
  find_package(VulkanHeaders REQUIRED)
  find_package(SPIRV-Headers REQUIRED)
  find_package(glslang REQUIRED)
  find_package(SPIRV-Tools REQUIRED)
  find_program(SEGUE_GLSLANG_VALIDATOR glslangValidator REQUIRED)
endif()
if(SEGUE_BUILD_TOOLS)
  find_package(CLI11 REQUIRED)
endif()
if(SEGUE_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(rapidcheck REQUIRED)
endif()
if(SEGUE_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
