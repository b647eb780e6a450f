# SPDX-License-Identifier: Apache-2.0
# Objective-C++, for what is written against Metal. On a Mac it is the platform's; elsewhere
# clang++-19 compiles it against a double of Metal, for the tests.

if(APPLE)
  set(metal_double_default OFF)
else()
  set(metal_double_default ${SEGUE_BUILD_TESTS})
endif()
option(SEGUE_METAL_DOUBLE "Build the double of Metal that tests run on" ${metal_double_default})

if(SEGUE_METAL_DOUBLE)
  # GCC's Objective-C++ has no blocks.
  find_program(SEGUE_OBJCXX_COMPILER clang++-19 REQUIRED)
  set(CMAKE_OBJCXX_COMPILER "${SEGUE_OBJCXX_COMPILER}")
endif()
if(APPLE OR SEGUE_METAL_DOUBLE)
  enable_language(OBJCXX)
  if(SEGUE_CCACHE AND NOT CMAKE_OBJCXX_COMPILER_LAUNCHER)
    set(CMAKE_OBJCXX_COMPILER_LAUNCHER "${SEGUE_CCACHE}")
  endif()
endif()
