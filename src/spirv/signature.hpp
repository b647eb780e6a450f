// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "segue/kernel.hpp"
#include "spirv/reflection.hpp"

namespace segue::spirv {

/// The signature that the code itself states: parameters in binding order, then the shared ones.
///
/// @param specialisation  What the user gave: a shared array whose length is among it is no longer
///                        sized by dispatches.
[[nodiscard]] Signature signature_of(const ShaderReflection& reflection,
                                     const Specialisation& specialisation);

}  // namespace segue::spirv
