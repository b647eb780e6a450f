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
