// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>

namespace segue::base {

namespace {

constexpr std::array<std::pair<std::string_view, LogLevel>, 6> kLevels = {{
    {"trace", LogLevel::kTrace},
    {"debug", LogLevel::kDebug},
    {"info", LogLevel::kInfo},
    {"warn", LogLevel::kWarn},
    {"error", LogLevel::kError},
    {"off", LogLevel::kOff},
}};

spdlog::level::level_enum native_level(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return spdlog::level::trace;
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarn: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
    case LogLevel::kOff: return spdlog::level::off;
  }
  return spdlog::level::off;
}

}  // namespace

struct Logger::Sink {
  // Not registered with spdlog: its registry belongs to the program that uses this library.
  spdlog::logger logger{"segue", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
};

std::optional<LogLevel> parse_log_level(std::string_view name) {
  for (const auto& [known, level] : kLevels) {
    if (known == name) return level;
  }
  return std::nullopt;
}

Logger::Logger(LogLevel level) : level_(level), sink_(std::make_shared<Sink>()) {
  sink_->logger.set_level(native_level(level));
  sink_->logger.set_pattern("[%n %l] %v");
}

void Logger::write(LogLevel level, std::string_view message) const {
  sink_->logger.log(native_level(level), message);
}

}  // namespace segue::base
