// SPDX-License-Identifier: Apache-2.0
// Links every backend that the package brings, and says which devices they find.
#include <cstdlib>
#include <iostream>

#include "segue/open.hpp"

int main() {
  bool any = false;
  for (const segue::DeviceInfo& device : segue::list_devices()) {
    std::cout << device.spec << ": " << (device.usable ? device.name : device.reason) << "\n";
    any = any || device.usable;
  }
  return any ? EXIT_SUCCESS : EXIT_FAILURE;
}
