// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>

#include "base/fail.hpp"
#include "runtime/environment.hpp"
#include "segue/host.hpp"
#if defined(SEGUE_HAS_METAL)
#include "segue/metal.hpp"
#endif
#include "segue/open.hpp"
#if defined(SEGUE_HAS_VULKAN)
#include "segue/vulkan.hpp"
#endif

namespace segue {
namespace {

/// Which device of a backend is asked for.
struct Choice {
  unsigned index = 0;
  bool best_present = false;  ///< As "auto" asks: only if nothing after it serves better.
};
using OpenFunction = Result<Device> (*)(const Choice& choice, const DeviceOptions& options);
using ListFunction = Result<std::vector<DeviceInfo>> (*)();

/// A backend, and how this build opens its devices; without a function this build does not have it.
struct Backend {
  std::string_view name;
  OpenFunction open;
  ListFunction list;  ///< Null for a backend with one device, which is opened to learn its name.
};

Result<Device> open_host(const Choice& /*choice*/, const DeviceOptions& options) {
  return host::create_device(options);
}

#if defined(SEGUE_HAS_METAL)
Result<Device> open_metal(const Choice& choice, const DeviceOptions& options) {
  metal::MetalOptions metal_options;
  metal_options.index = choice.index;
  return metal::create_device(options, metal_options);
}
#else
constexpr OpenFunction open_metal = nullptr;
#endif

#if defined(SEGUE_HAS_VULKAN)
/// On the processor, kernels of the host backend are faster than Vulkan's.
Result<Device> open_vulkan(const Choice& choice, const DeviceOptions& options) {
  vulkan::VulkanOptions vulkan_options;
  vulkan_options.index = choice.index;
  vulkan_options.allow_software = !choice.best_present;
  return vulkan::create_device(options, vulkan_options);
}

/// Devices that are not usable have no number; they follow with the backend's name alone.
Result<std::vector<DeviceInfo>> list_vulkan() {
  SEGUE_TRY_ASSIGN(const std::vector<vulkan::DeviceSummary> summaries, vulkan::list_devices());
  std::vector<DeviceInfo> devices;
  for (const vulkan::DeviceSummary& each : summaries) {
    if (!each.usable) continue;
    devices.push_back({fmt::format("vulkan:{}", devices.size()), "vulkan", each.name, true, {}});
  }
  for (const vulkan::DeviceSummary& each : summaries) {
    if (each.usable) continue;
    devices.push_back(
        {"vulkan", "vulkan", {}, false, fmt::format("{}: {}", each.name, each.reason)});
  }
  return devices;
}
#else
constexpr OpenFunction open_vulkan = nullptr;
constexpr ListFunction list_vulkan = nullptr;
#endif

/// In the order in which "auto" tries them.
constexpr std::array<Backend, 4> kBackends{{
    {"cuda", nullptr, nullptr},
    {"metal", open_metal, nullptr},
    {"vulkan", open_vulkan, list_vulkan},
    {"host", &open_host, nullptr},
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

Result<Device> open(const Backend& backend, const Choice& choice, const DeviceOptions& options) {
  if (backend.open == nullptr) {
    return base::fail(ErrorCode::kUnsupported, "This build has no {} backend; it has: {}.",
                      backend.name, built_backends());
  }
  return backend.open(choice, options);
}

/// The first device that opens; host is the last to be tried, and its error is the one reported.
Result<Device> open_first(const DeviceOptions& options) {
  Result<Device> device = base::fail(ErrorCode::kNotFound, "This build has no backend.");
  for (const Backend& backend : kBackends) {
    if (backend.open == nullptr) continue;
    device = open(backend, {0, true}, options);
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
    if (backend.name == spec.substr(0, colon)) return open(backend, {index, false}, options);
  }
  return base::fail(ErrorCode::kUnsupported, "No backend opens device \"{}\".", spec);
}

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices;
  for (const Backend& backend : kBackends) {
    DeviceInfo info{std::string(backend.name), std::string(backend.name), {}, false, {}};
    if (backend.list != nullptr) {
      Result<std::vector<DeviceInfo>> listed = backend.list();
      if (listed && !listed->empty()) {
        std::ranges::move(*listed, std::back_inserter(devices));
        continue;
      }
      info.reason = listed ? "No driver reports a device." : listed.error().to_string();
    } else if (const Result<Device> device = open(backend, {}, {})) {
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
