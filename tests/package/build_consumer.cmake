# SPDX-License-Identifier: Apache-2.0
# Builds and runs the consumer project. WAY is find_package (installs BINARY_DIR into a fresh prefix
# first) or add_subdirectory (builds Segue from SOURCE_DIR inside the consumer).

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(prefix "${WORK_DIR}/prefix")
set(build "${WORK_DIR}/build")
file(REMOVE_RECURSE "${prefix}" "${build}")

if(WAY STREQUAL "find_package")
  run("${CMAKE_COMMAND}" --install "${BINARY_DIR}" --prefix "${prefix}")
  set(way_options -D CMAKE_PREFIX_PATH=${prefix})
elseif(WAY STREQUAL "add_subdirectory")
  set(way_options -D SEGUE_SOURCE=${SOURCE_DIR})
else()
  message(FATAL_ERROR "WAY is \"${WAY}\" but find_package or add_subdirectory is expected.")
endif()

run("${CMAKE_COMMAND}" -G Ninja -S "${SOURCE_DIR}/tests/package/consumer" -B "${build}"
    -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
    -D CMAKE_BUILD_TYPE=${BUILD_TYPE} ${way_options})
run("${CMAKE_COMMAND}" --build "${build}" --parallel 2)
run("${build}/consumer")
if(WAY STREQUAL "find_package")
  run("${build}/all_backends")
endif()
