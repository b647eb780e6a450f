// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/kernels/builtin_msl.hpp"

namespace segue::metal {
namespace {

#include "msl/texts.inc"

constexpr BuiltinMsl kBuiltin[]{
#include "msl/builtin.inc"
};

constexpr BuiltinMsl kInternal[]{
#include "msl/internal.inc"
};

}  // namespace

std::span<const BuiltinMsl> builtin_msl() { return kBuiltin; }

std::span<const BuiltinMsl> internal_msl() { return kInternal; }

}  // namespace segue::metal
