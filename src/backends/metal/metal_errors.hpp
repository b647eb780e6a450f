// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/Metal.h>

#include <string>
#include <string_view>

#include "segue/error.hpp"

namespace segue::metal {

/// What the frameworks say, unaltered: the code, and domain and text.
[[nodiscard]] NativeError native_error(NSError* error);

/// `sentence` with what the frameworks say behind it. A null error adds nothing.
[[nodiscard]] Error make_error(ErrorCode code, std::string sentence, NSError* error);

/// Why a command buffer failed: with the label of the encoder that failed as its path, where the
/// driver tells.
[[nodiscard]] Error command_buffer_error(NSError* error, std::string_view name);

/// Whether the error means that the device does no more work for this process.
[[nodiscard]] bool means_lost(NSError* error);

}  // namespace segue::metal
