// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace segue {

/// What kind of failure an Error describes. Callers branch on this; people read the message.
enum class ErrorCode : std::uint8_t {
  kInvalidArgument,  ///< A value given by the caller does not fit; nothing has changed.
  kInvalidState,     ///< The call is not allowed now, such as a second commit of one recording.
  kUnsupported,      ///< The device or backend cannot do this.
  kOutOfMemory,      ///< Device or host memory does not suffice.
  kDeviceLost,       ///< The device is gone; every later call on it fails with this code.
  kBusy,             ///< Unfinished work uses the resource and the caller asked not to wait.
  kTimeout,          ///< The time given to a wait has passed.
  kNotFound,         ///< No file, kernel or device of that name exists.
  kCompileFailed,    ///< A kernel does not compile; the message carries the compiler's log.
  kCorruptData,      ///< Untrusted bytes, such as a model file, contradict their format.
  kIo,               ///< The operating system refuses to read or write.
  kBackend,          ///< The backend reports a failure of its own; see Error::native.
};

/// The name of a code without its prefix, such as "InvalidArgument".
[[nodiscard]] std::string_view to_string(ErrorCode code);

/// What the backend itself says about a failure, unaltered.
struct NativeError {
  std::string backend;    ///< "host", "vulkan", "cuda" or "metal".
  std::int64_t code = 0;  ///< VkResult, CUresult, NSError code or errno.
  std::string text;       ///< The backend's own words.
};

/// Why a call failed. The message is a full sentence that names the given and the allowed value.
struct Error {
  ErrorCode code = ErrorCode::kBackend;
  std::string message;
  std::string label_path;                       ///< Scopes and label of the command, joined by '/'.
  std::optional<std::uint32_t> dispatch_index;  ///< Position of the command in its recording.
  std::optional<NativeError> native;

  /// Message, place and native error in one line for people.
  [[nodiscard]] std::string to_string() const;
};

/// A value or an Error. Every fallible call returns one; ignoring it is a compiler warning.
template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

}  // namespace segue

#define SEGUE_DETAIL_JOIN2(a, b) a##b
#define SEGUE_DETAIL_JOIN(a, b) SEGUE_DETAIL_JOIN2(a, b)

/// Returns the error of `expr` from the enclosing function, or goes on.
#define SEGUE_TRY(expr)                                                \
  do {                                                                 \
    if (auto segue_try_result = (expr); !segue_try_result.has_value()) \
      return std::unexpected(std::move(segue_try_result).error());     \
  } while (false)

/// Declares `decl` with the value of `expr`, or returns its error from the enclosing function.
#define SEGUE_TRY_ASSIGN(decl, expr) \
  SEGUE_DETAIL_TRY_ASSIGN(SEGUE_DETAIL_JOIN(segue_try_, __LINE__), decl, expr)
#define SEGUE_DETAIL_TRY_ASSIGN(name, decl, expr)                         \
  auto name = (expr);                                                     \
  if (!name.has_value()) return std::unexpected(std::move(name).error()); \
  decl = *std::move(name)
