# SPDX-License-Identifier: Apache-2.0
# The functions with which each room declares what it builds.

include(GNUInstallDirs)
include(SegueWarnings)
include(SegueSanitizers)

# What every target of this tree shares: the language, the warnings, and the private headers under
# src/.
function(segue_configure_target target)
  target_compile_features(${target} PUBLIC cxx_std_23)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF OBJCXX_STANDARD 23
                                             OBJCXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE ${SEGUE_WARNINGS})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src"
                                               "${PROJECT_SOURCE_DIR}/include")
  if(SEGUE_CHECK_LIFETIMES)
    target_compile_definitions(${target} PRIVATE SEGUE_CHECK_LIFETIMES=1)
  endif()
endfunction()

# segue_add_library(ops SOURCES a.cpp b.cpp LIBRARIES PUBLIC segue::segue PRIVATE fmt::fmt)
#
# Builds libsegue_ops.a, known as segue::ops here and to users of the installed package. Without
# sources there is no target.
function(segue_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  if(NOT arg_SOURCES)
    return()
  endif()
  set(target segue_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(segue::${name} ALIAS ${target})
  segue_configure_target(${target})
  target_include_directories(
    ${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                     $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  if(arg_LIBRARIES)
    target_link_libraries(${target} ${arg_LIBRARIES})
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  set_property(GLOBAL APPEND PROPERTY SEGUE_LIBRARIES ${target})
endfunction()

# segue_add_executable(decode SOURCES decode.cpp LIBRARIES segue::llama)
function(segue_add_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  if(NOT arg_SOURCES)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  segue_configure_target(${name})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES})
endfunction()
