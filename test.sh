#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything and runs every test. Arguments go to ctest: ./test.sh -R HazardTracker
# With --sanitize first, it runs the unit tests under the address and undefined behaviour sanitizers
# before that, which takes as long again.
# A test that finds no device of SEGUE_REQUIRE_DEVICES fails; one that finds no other device is
# skipped, by name. What the packages bring is required unless the variable says otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

scripts/install-dependencies.sh
export SEGUE_REQUIRE_DEVICES="${SEGUE_REQUIRE_DEVICES-host,vulkan,validation}"

jobs=$(nproc)
if [ "${1:-}" = --sanitize ]; then
  shift
  cmake --preset asan
  cmake --build --preset asan --parallel "$jobs" --target unit_tests
  ctest --preset asan --parallel "$jobs" --label-regex '^unit$' "$@"
fi

cmake --preset dev
cmake --build --preset dev --parallel "$jobs"
exec ctest --preset dev --parallel "$jobs" "$@"
