// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "commands.hpp"
#include "segue/open.hpp"

namespace segue::tool {

Result<> devices() {
  for (const DeviceInfo& info : list_devices()) {
    if (info.usable)
      fmt::print("{:10} {}\n", info.spec, info.name);
    else
      fmt::print("{:10} not usable: {}\n", info.spec, info.reason);
  }
  return {};
}

}  // namespace segue::tool
