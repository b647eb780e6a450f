#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats every C++ file in place, or with --check fails and names the files that are not formatted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=(-i)
[ "${1:-}" = --check ] && mode=(--dry-run -Werror)
find include src tools tests benchmarks examples -type f \
  \( -name '*.cpp' -o -name '*.hpp' -o -name '*.mm' \) -print0 |
  xargs -0 -P 2 -n 16 clang-format-19 "${mode[@]}"
