# SPDX-License-Identifier: Apache-2.0

include(GoogleTest)

# segue_add_test(base SOURCES error_test.cpp LABELS unit LIBRARIES segue::segue)
#
# One GoogleTest program per room, named test_<name>; each TEST is one ctest test with the labels
# given. LIBRARIES adds to segue::segue, the test support and gtest, which every test has. Tests see
# the private headers ("graph/hazard_tracker.hpp"), those of tests ("support/oracle.hpp"), and the
# tree's path as SEGUE_SOURCE_DIR.
function(segue_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LABELS;LIBRARIES")
  if(NOT arg_SOURCES)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set(target test_${name})
  add_executable(${target} ${arg_SOURCES})
  segue_configure_target(${target})
  segue_keep_libraries_loaded(${target})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_compile_definitions(${target} PRIVATE SEGUE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE ${arg_LIBRARIES} segue_test_support segue::segue fmt::fmt
                                          GTest::gmock GTest::gtest_main)
  if("unit" IN_LIST arg_LABELS)
    add_dependencies(unit_tests ${target})
  endif()
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
endfunction()
