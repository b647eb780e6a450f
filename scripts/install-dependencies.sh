#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that the build needs and that are missing; returns at once when all
# are there.
#
#   scripts/install-dependencies.sh            build, tests, benchmarks, sanitizers and linters
#   scripts/install-dependencies.sh --runtime  what building and running the segue tool needs
set -euo pipefail

packages=(
  cmake g++ ninja-build
  libcli11-dev libfmt-dev libhwy-dev libspdlog-dev nlohmann-json3-dev
  glslang-dev glslang-tools libvulkan-dev libvulkan-volk-dev spirv-headers spirv-tools
)
case "${1:-}" in
  --runtime) ;;
  "")
    packages+=(
      ccache clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev llvm-19
      libbenchmark-dev libblocksruntime-dev libgmock-dev libgtest-dev libobjc-12-dev
      librapidcheck-dev libspirv-cross-c-shared-dev mesa-vulkan-drivers vulkan-validationlayers
    )
    ;;
  *)
    echo "Usage: $0 [--runtime]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "This script installs Debian packages, but this system has no apt-get." >&2
  echo "Install the equivalents of these by hand: ${packages[*]}." >&2
  exit 1
fi

installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "${packages[@]}" \
  2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  grep -qx "installed $package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Packages are missing and sudo is not there." >&2
    echo "Run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "Installing ${missing[*]}." >&2
"${as_root[@]}" apt-get update -qq >/dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
