# SPDX-License-Identifier: Apache-2.0
# cmake -DPROGRAM=<race_demo> -P check.cmake: clean with the barrier, a reported race without it.

set(ENV{TSAN_OPTIONS} "exitcode=66")

execute_process(COMMAND "${PROGRAM}" with RESULT_VARIABLE with_result ERROR_VARIABLE with_report)
if(NOT with_result EQUAL 0)
  message(FATAL_ERROR "With the barrier the program ends with ${with_result}; 0 is expected.\n"
                      "${with_report}")
endif()

execute_process(COMMAND "${PROGRAM}" without RESULT_VARIABLE without_result
                ERROR_VARIABLE without_report)
if(NOT without_result EQUAL 66 OR NOT without_report MATCHES "data race")
  message(FATAL_ERROR "Without the barrier the program ends with ${without_result}; 66 and a "
                      "reported data race are expected.\n${without_report}")
endif()
