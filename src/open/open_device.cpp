// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>

#include "base/fail.hpp"
#include "runtime/environment.hpp"
#include "segue/host.hpp"
#include "segue/open.hpp"

namespace segue {
namespace {

using OpenFunction = Result<Device> (*)(unsigned index, const DeviceOptions& options);

/// A backend, and how this build opens its devices; without a function this build does not have it.
struct Backend {
  std::string_view name;
  OpenFunction open;
};

Result<Device> open_host(unsigned /*index*/, const DeviceOptions& options) {
  return host::create_device(options);
}

/// In the order in which "auto" tries them.
constexpr std::array<Backend, 4> kBackends{{
    {"cuda", nullptr},
    {"metal", nullptr},
    {"vulkan", nullptr},
    {"host", &open_host},
}};

std::string built_backends() {
  std::string names;
  for (const Backend& backend : kBackends) {
    if (backend.open == nullptr) continue;
    if (!names.empty()) names += ", ";
    names += backend.name;
  }
  return names;
}

Result<Device> open(const Backend& backend, unsigned index, const DeviceOptions& options) {
  if (backend.open == nullptr) {
    return base::fail(ErrorCode::kUnsupported, "This build has no {} backend; it has: {}.",
                      backend.name, built_backends());
  }
  return backend.open(index, options);
}

/// The first device that opens; host is the last to be tried, and its error is the one reported.
Result<Device> open_first(const DeviceOptions& options) {
  Result<Device> device = base::fail(ErrorCode::kNotFound, "This build has no backend.");
  for (const Backend& backend : kBackends) {
    if (backend.open == nullptr) continue;
    device = open(backend, 0, options);
    if (device) break;
  }
  return device;
}

}  // namespace

Result<Device> open_device(std::string_view spec, const DeviceOptions& options) {
  std::string from_environment;
  if (spec.empty()) {
    SEGUE_TRY_ASSIGN(from_environment, runtime::device_spec_from_environment());
    spec = from_environment;
  }
  if (!runtime::is_device_spec(spec)) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "Device \"{}\" is unknown; host, vulkan[:n], cuda[:n], metal and auto are allowed.", spec);
  }
  if (spec == "auto") return open_first(options);
  const std::size_t colon = spec.find(':');
  unsigned index = 0;
  if (colon != std::string_view::npos) {
    for (const char digit : spec.substr(colon + 1))
      index = index * 10 + static_cast<unsigned>(digit - '0');
  }
  for (const Backend& backend : kBackends) {
    if (backend.name == spec.substr(0, colon)) return open(backend, index, options);
  }
  return base::fail(ErrorCode::kUnsupported, "No backend opens device \"{}\".", spec);
}

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices;
  for (const Backend& backend : kBackends) {
    DeviceInfo info{std::string(backend.name), std::string(backend.name), {}, false, {}};
    if (const Result<Device> device = open(backend, 0, {})) {
      info.usable = true;
      info.name = device->name();
    } else {
      info.reason = device.error().to_string();
    }
    devices.push_back(std::move(info));
  }
  return devices;
}

}  // namespace segue
