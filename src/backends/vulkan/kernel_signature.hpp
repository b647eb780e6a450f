// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "segue/error.hpp"
#include "segue/kernel.hpp"
#include "segue/limits.hpp"
#include "spirv/reflection.hpp"

namespace segue::vulkan {

/// The author's signature, completed from the code. What the author declares must cover what the
/// code does: as many parameters of the same kinds, and no access beyond the declared one.
///
/// @error kCompileFailed  They disagree; the message names both sides.
[[nodiscard]] Result<Signature> reconcile(const Signature& declared, Signature reflected,
                                          const spirv::ShaderReflection& reflection);

/// @error kCompileFailed  A kernel of this signature does not fit the device.
[[nodiscard]] Result<> check_limits(const Signature& signature,
                                    const spirv::ShaderReflection& reflection,
                                    const Limits& limits);

}  // namespace segue::vulkan
