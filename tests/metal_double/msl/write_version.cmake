# SPDX-License-Identifier: Apache-2.0
# Writes a header with a hash of all files.

set(hashes "")
foreach(file IN LISTS FILES)
  file(SHA256 "${file}" hash)
  string(APPEND hashes "${hash}")
endforeach()
string(SHA256 hash "${hashes}")
file(WRITE "${OUTPUT}" "// Generated.
#pragma once
inline constexpr char kRunnerVersion[] = \"${hash}\";
")
