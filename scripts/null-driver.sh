#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command on a Vulkan driver that does nothing: what is left is what the caller itself costs.
#
#   scripts/null-driver.sh build/release/benchmarks/bench_vulkan
#
# The driver is the mock of the Vulkan tools as Debian's chromium-common carries it. The package is
# downloaded once and unpacked, not installed. It computes nothing: no result says anything there.
set -euo pipefail
[ $# -gt 0 ] || { echo "Usage: $0 COMMAND..." >&2; exit 2; }

cache=${XDG_CACHE_HOME:-$HOME/.cache}/segue/null-driver
library=$cache/usr/lib/chromium/libVkICD_mock_icd.so
if [ ! -f "$library" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && apt-get -qq download chromium-common)
  mkdir -p "$cache"
  dpkg-deb --fsys-tarfile "$work"/chromium-common_*.deb |
    tar -x -C "$cache" ./usr/lib/chromium/libVkICD_mock_icd.so
fi

cat >"$cache/icd.json" <<JSON
{"file_format_version": "1.0.1", "ICD": {"library_path": "$library", "api_version": "1.3.0"}}
JSON
VK_ICD_FILENAMES=$cache/icd.json VK_DRIVER_FILES=$cache/icd.json "$@"
