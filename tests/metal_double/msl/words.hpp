// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "metal_double/msl/tokens.hpp"

namespace metal_double::msl {

/// Writes what C++ has no word for in words that it has: address spaces vanish, literals are float
/// or half and never double, vectors are made by functions, attributes vanish.
void translate_words(Tokens& tokens);

}  // namespace metal_double::msl
