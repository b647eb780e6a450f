# SPDX-License-Identifier: Apache-2.0

set(SEGUE_WARNINGS
    -Wall
    -Wextra
    -Wpedantic
    -Wshadow
    -Wnon-virtual-dtor
    -Woverloaded-virtual
    -Wold-style-cast
    -Wcast-align
    -Wunused
    -Wextra-semi
    -Wundef)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these inside std::string and std::vector, in code that is right.
  foreach(warning IN ITEMS restrict array-bounds stringop-overflow)
    list(APPEND SEGUE_WARNINGS $<$<COMPILE_LANGUAGE:CXX>:-Wno-${warning}>)
  endforeach()
endif()
if(SEGUE_WARNINGS_AS_ERRORS)
  list(APPEND SEGUE_WARNINGS -Werror)
endif()
