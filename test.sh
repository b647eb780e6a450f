#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything and runs every test, the unit tests also under the address and undefined
# behaviour sanitizers. Arguments go to ctest: ./test.sh -R HazardTracker
# SEGUE_REQUIRE_DEVICES="host vulkan" makes a test that finds no such device fail, not skip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

scripts/install-dependencies.sh

jobs=$(nproc)
for preset in dev asan; do
  cmake --preset "$preset"
  cmake --build --preset "$preset" --parallel "$jobs"
done

ctest --preset asan --parallel "$jobs" --label-regex '^unit$' "$@"
# The whole suite comes last, so that its summary is what remains on the screen.
exec ctest --preset dev --parallel "$jobs" "$@"
