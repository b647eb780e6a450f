// SPDX-License-Identifier: Apache-2.0
#include "runtime/device_core.hpp"

#include "base/fail.hpp"

namespace segue::runtime {

DeviceCore::DeviceCore(std::shared_ptr<hal::Device> device, ResolvedOptions options)
    : log(base::parse_log_level(options.log_level).value_or(base::LogLevel::kWarn)),
      hal_(std::move(device)),
      options_(std::move(options)),
      error_handler_(options_.error_handler) {
  if (!options_.automatic_barriers) {
    log.warn(
        "Automatic barriers are off for direct encoding: a dispatch that needs one without saying "
        "so is a race.");
  }
}

void DeviceCore::set_error_handler(ErrorHandler handler) {
  const std::scoped_lock lock(error_mutex_);
  error_handler_ = std::move(handler);
}

void DeviceCore::report(const Error& error) {
  ErrorHandler handler;
  {
    const std::scoped_lock lock(error_mutex_);
    handler = error_handler_;
  }
  if (handler) {
    handler(error);
  } else {
    log.error("{}", error.to_string());
  }
}

Result<> DeviceCore::check_alive() const {
  if (!lost_.load(std::memory_order_acquire) && !hal_->is_lost()) return {};
  return base::fail(ErrorCode::kDeviceLost, "Device \"{}\" is lost; only opening it again helps.",
                    hal_->name());
}

}  // namespace segue::runtime
