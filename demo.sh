#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the segue tool if need be and lets the small model that ships with it tell a story on the
# best device of this machine. Arguments go to `segue generate`: ./demo.sh -p "The fox" --seed 7
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

scripts/install-dependencies.sh --runtime

build() {
  [ -f build/demo/build.ninja ] || cmake --preset demo
  cmake --build --preset demo
}

tool=build/demo/bin/segue
if [ ! -x "$tool" ]; then
  echo "Building segue; this happens once." >&2
  build >&2
elif ! log=$(build 2>&1); then
  echo "$log" >&2
  exit 1
fi

echo "tales-q8_0.gguf, 2.8 million parameters, tells a story:" >&2
exec "$tool" generate -m models/tales-q8_0.gguf --device auto --echo "$@"
