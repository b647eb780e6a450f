// SPDX-License-Identifier: Apache-2.0
#include "segue/error.hpp"

#include <fmt/format.h>

namespace segue {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "InvalidArgument";
    case ErrorCode::kInvalidState: return "InvalidState";
    case ErrorCode::kUnsupported: return "Unsupported";
    case ErrorCode::kOutOfMemory: return "OutOfMemory";
    case ErrorCode::kDeviceLost: return "DeviceLost";
    case ErrorCode::kBusy: return "Busy";
    case ErrorCode::kTimeout: return "Timeout";
    case ErrorCode::kNotFound: return "NotFound";
    case ErrorCode::kCompileFailed: return "CompileFailed";
    case ErrorCode::kCorruptData: return "CorruptData";
    case ErrorCode::kIo: return "Io";
    case ErrorCode::kBackend: return "Backend";
  }
  return "Unknown";
}

std::string Error::to_string() const {
  std::string text = message;
  if (dispatch_index) text += fmt::format(" (command {}", *dispatch_index);
  if (!label_path.empty())
    text += fmt::format("{}{}", dispatch_index ? ", in " : " (in ", label_path);
  if (dispatch_index || !label_path.empty()) text += ")";
  if (native) text += fmt::format(" [{} {}: {}]", native->backend, native->code, native->text);
  return text;
}

}  // namespace segue
