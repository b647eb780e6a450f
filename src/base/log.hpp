// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace segue::base {

/// How much a Logger says: messages of its level and of those after it.
enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kOff };

/// The names of the levels, as error messages list them.
inline constexpr std::string_view kLogLevelNames = "trace, debug, info, warn, error and off";

/// The level called `name`, or no value.
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view name);

/// Writes lines to standard error. A value of the object that logs, not of the process, so that two
/// devices may log differently. Copies share the sink. Thread-safe.
class Logger {
 public:
  explicit Logger(LogLevel level);

  template <class... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) const {
    log(LogLevel::kDebug, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) const {
    log(LogLevel::kInfo, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) const {
    log(LogLevel::kWarn, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) const {
    log(LogLevel::kError, format, std::forward<Args>(args)...);
  }

 private:
  struct Sink;

  template <class... Args>
  void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) const {
    if (level >= level_) write(level, fmt::format(format, std::forward<Args>(args)...));
  }
  void write(LogLevel level, std::string_view message) const;

  LogLevel level_;
  std::shared_ptr<Sink> sink_;
};

}  // namespace segue::base
