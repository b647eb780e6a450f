// SPDX-License-Identifier: Apache-2.0
#include "runtime/environment.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "runtime/device_core.hpp"

namespace segue::runtime {

namespace {

/// The value of an environment variable; none if it is not set or empty.
std::optional<std::string_view> read_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string_view(value);
}

/// The option given in code, else what the variable says, else `fallback`.
Result<bool> resolve_flag(const std::optional<bool>& given, const char* variable, bool fallback) {
  if (given) return *given;
  const auto value = read_variable(variable);
  if (!value) return fallback;
  if (*value == "0") return false;
  if (*value == "1") return true;
  return base::fail(ErrorCode::kInvalidArgument,
                    "Environment variable {} is \"{}\"; the values allowed are 0 and 1.", variable,
                    *value);
}

Result<std::string> resolve_log_level(const std::optional<std::string>& given) {
  if (given) {
    if (base::parse_log_level(*given)) return *given;
    return base::fail(ErrorCode::kInvalidArgument,
                      "DeviceOptions::log_level is \"{}\"; the levels allowed are {}.", *given,
                      base::kLogLevelNames);
  }
  const auto value = read_variable("SEGUE_LOG");
  if (!value) return std::string("warn");
  if (base::parse_log_level(*value)) return std::string(*value);
  return base::fail(ErrorCode::kInvalidArgument,
                    "Environment variable SEGUE_LOG is \"{}\"; the levels allowed are {}.", *value,
                    base::kLogLevelNames);
}

}  // namespace

Result<ResolvedOptions> resolve_options(const DeviceOptions& options) {
  ResolvedOptions resolved;
  SEGUE_TRY_ASSIGN(resolved.automatic_barriers,
                   resolve_flag(options.automatic_barriers, "SEGUE_AUTO_BARRIER", true));
  SEGUE_TRY_ASSIGN(resolved.profile, resolve_flag(options.profile, "SEGUE_PROFILE", false));
  SEGUE_TRY_ASSIGN(resolved.profile_barriers,
                   resolve_flag(options.profile_barriers, "SEGUE_PROFILE_BARRIERS", false));
  SEGUE_TRY_ASSIGN(resolved.unretained,
                   resolve_flag(options.unretained, "SEGUE_UNRETAINED_REFS", false));
  SEGUE_TRY_ASSIGN(resolved.no_residency,
                   resolve_flag(options.no_residency, "SEGUE_NO_RESIDENCY", false));
  SEGUE_TRY_ASSIGN(resolved.log_level, resolve_log_level(options.log_level));
  if (options.queue_count == 0) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "DeviceOptions::queue_count is 0; a device has at least 1 queue.");
  }
  resolved.queue_count = options.queue_count;
  resolved.error_handler = options.error_handler;
  return resolved;
}

bool is_device_spec(std::string_view spec) {
  if (spec == "auto" || spec == "host" || spec == "metal") return true;
  constexpr std::array<std::string_view, 2> kNumbered = {"vulkan", "cuda"};
  return std::ranges::any_of(kNumbered, [spec](std::string_view backend) {
    if (!spec.starts_with(backend)) return false;
    const std::string_view rest = spec.substr(backend.size());
    if (rest.empty()) return true;
    const std::string_view number = rest.substr(1);
    return rest.front() == ':' && !number.empty() && number.size() <= 3 &&
           number.find_first_not_of("0123456789") == std::string_view::npos;
  });
}

Result<std::string> device_spec_from_environment() {
  const auto value = read_variable("SEGUE_DEVICE");
  if (!value) return std::string("auto");
  if (is_device_spec(*value)) return std::string(*value);
  return base::fail(ErrorCode::kInvalidArgument,
                    "Environment variable SEGUE_DEVICE is \"{}\"; the devices allowed are host, "
                    "vulkan[:n], cuda[:n], "
                    "metal and auto.",
                    *value);
}

std::string user_cache_directory() {
  const auto is_absolute = [](std::string_view path) { return path.starts_with('/'); };
  if (const auto cache = read_variable("XDG_CACHE_HOME"); cache && is_absolute(*cache))
    return std::string(*cache) + "/segue";
  if (const auto home = read_variable("HOME"); home && is_absolute(*home))
    return std::string(*home) + "/.cache/segue";
  return {};
}

}  // namespace segue::runtime
