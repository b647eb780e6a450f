# SPDX-License-Identifier: Apache-2.0
# What a user may choose, and the defaults that follow from the choice.

option(SEGUE_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(SEGUE_BUILD_BENCHMARKS "Build the benchmarks" OFF)
option(SEGUE_BUILD_TOOLS "Build the segue command-line tool" ${PROJECT_IS_TOP_LEVEL})
option(SEGUE_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(SEGUE_VULKAN "Build the Vulkan backend" ON)
option(SEGUE_METAL "Build the Metal backend" ${APPLE})
option(SEGUE_INSTALL "Create the install rules" ${PROJECT_IS_TOP_LEVEL})
option(SEGUE_WARNINGS_AS_ERRORS "Treat compiler warnings as errors" OFF)
if(SEGUE_BUILD_TESTS AND NOT APPLE)
  set(metal_double_default ON)
else()
  set(metal_double_default OFF)
endif()
option(SEGUE_METAL_DOUBLE "Test the Metal backend against a double of Metal"
       ${metal_double_default})
set(SEGUE_SANITIZE "" CACHE STRING "Sanitizers, such as address,undefined or thread")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(check_lifetimes_default ON)
else()
  set(check_lifetimes_default OFF)
endif()
option(SEGUE_CHECK_LIFETIMES "Detect buffers that are freed before the work that uses them ends"
       ${check_lifetimes_default})

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  find_program(SEGUE_CCACHE ccache)
  if(SEGUE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${SEGUE_CCACHE}")
  endif()
endif()
