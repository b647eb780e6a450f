#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything and runs every test, the unit tests also under the address and undefined
# behaviour sanitizers. Arguments go to ctest: ./test.sh -R HazardTracker
# A test that finds no device of SEGUE_REQUIRE_DEVICES fails; one that finds no other device is
# skipped, by name. What the packages bring is required unless the variable says otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

scripts/install-dependencies.sh
export SEGUE_REQUIRE_DEVICES="${SEGUE_REQUIRE_DEVICES-host,vulkan,validation}"

jobs=$(nproc)
cmake --preset dev
cmake --build --preset dev --parallel "$jobs"
cmake --preset asan
cmake --build --preset asan --parallel "$jobs" --target unit_tests

ctest --preset asan --parallel "$jobs" --label-regex '^unit$' "$@"
# The whole suite comes last, so that its summary is what remains on the screen.
exec ctest --preset dev --parallel "$jobs" "$@"
