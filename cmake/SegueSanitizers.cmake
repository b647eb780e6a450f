# SPDX-License-Identifier: Apache-2.0
# SEGUE_SANITIZE applies to the whole tree, for a sanitizer that sees half of a program reports
# nonsense.

if(SEGUE_SANITIZE)
  add_compile_options(-fsanitize=${SEGUE_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SEGUE_SANITIZE})
  if(SEGUE_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

# segue_keep_libraries_loaded(<program>): leaks of libraries that are loaded at run time are not
# taken for those of the program. Does something in builds with the address sanitizer only.
function(segue_keep_libraries_loaded target)
  if(SEGUE_SANITIZE MATCHES "address")
    target_sources(${target}
                   PRIVATE "${PROJECT_SOURCE_DIR}/tests/support/keep_libraries_loaded.cpp")
    target_link_options(${target} PRIVATE -Wl,--export-dynamic-symbol=dlclose)
  endif()
endfunction()
