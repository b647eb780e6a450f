// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/vulkan/shader_reflection.hpp"
#include "segue/error.hpp"
#include "segue/kernel.hpp"
#include "segue/limits.hpp"

namespace segue::vulkan {

/// The signature that the code itself states: parameters in binding order, then the shared ones.
///
/// @param specialisation  What the user gave: a shared array whose length is among it is no longer
///                        sized by dispatches.
[[nodiscard]] Signature signature_of(const ShaderReflection& reflection,
                                     const Specialisation& specialisation);

/// The author's signature, completed from the code. What the author declares must cover what the
/// code does: as many parameters of the same kinds, and no access beyond the declared one.
///
/// @error kCompileFailed  They disagree; the message names both sides.
[[nodiscard]] Result<Signature> reconcile(const Signature& declared, Signature reflected,
                                          const ShaderReflection& reflection);

/// @error kCompileFailed  A kernel of this signature does not fit the device.
[[nodiscard]] Result<> check_limits(const Signature& signature, const ShaderReflection& reflection,
                                    const Limits& limits);

}  // namespace segue::vulkan
