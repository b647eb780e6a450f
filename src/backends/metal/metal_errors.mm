// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/metal_errors.hpp"

#include <fmt/format.h>

#include <utility>

#include "backends/metal/objc.hpp"

namespace segue::metal {
namespace {

bool is_of_command_buffer(NSError* error) {
  return error != nil && [[error domain] isEqualToString:MTLCommandBufferErrorDomain];
}

ErrorCode code_of(NSError* error) {
  if (!is_of_command_buffer(error)) return ErrorCode::kBackend;
  if (means_lost(error)) return ErrorCode::kDeviceLost;
  return [error code] == MTLCommandBufferErrorOutOfMemory ? ErrorCode::kOutOfMemory
                                                          : ErrorCode::kBackend;
}

/// The encoder that failed, else the first one that the failure affects; nil without any.
id<MTLCommandBufferEncoderInfo> failed_encoder(NSError* error) {
  NSArray* const infos = [[error userInfo] objectForKey:MTLCommandBufferEncoderInfoErrorKey];
  id<MTLCommandBufferEncoderInfo> affected = nil;
  for (id<MTLCommandBufferEncoderInfo> info in infos) {
    if ([info errorState] == MTLCommandEncoderErrorStateFaulted) return info;
    if (affected == nil && [info errorState] == MTLCommandEncoderErrorStateAffected)
      affected = info;
  }
  return affected;
}

/// The debug group that the encoder had reached, else its label.
std::string path_of(id<MTLCommandBufferEncoderInfo> info) {
  NSArray* const signposts = [info debugSignposts];
  const NSUInteger count = [signposts count];
  return to_string(count == 0 ? [info label] : [signposts objectAtIndex:count - 1]);
}

}  // namespace

NativeError native_error(NSError* error) {
  return {
      "metal", static_cast<std::int64_t>([error code]),
      fmt::format("{}: {}", to_string([error domain]), to_string([error localizedDescription]))};
}

Error make_error(ErrorCode code, std::string sentence, NSError* error) {
  Error result{code, std::move(sentence), {}, {}, {}};
  if (error != nil) result.native = native_error(error);
  return result;
}

bool means_lost(NSError* error) {
  if (!is_of_command_buffer(error)) return false;
  return [error code] == MTLCommandBufferErrorDeviceRemoved ||
         [error code] == MTLCommandBufferErrorAccessRevoked;
}

Error command_buffer_error(NSError* error, std::string_view name) {
  Error result =
      make_error(code_of(error),
                 fmt::format("The device does not finish command buffer \"{}\".", name), error);
  result.label_path = path_of(failed_encoder(error));
  return result;
}

}  // namespace segue::metal
