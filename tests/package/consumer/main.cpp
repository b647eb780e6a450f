// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <iostream>

#include "segue/error.hpp"

int main() {
  const segue::Error error{segue::ErrorCode::kNotFound, "No such device exists.", {}, {}, {}};
  std::cout << error.to_string() << "\n";
  return segue::to_string(error.code) == "NotFound" ? EXIT_SUCCESS : EXIT_FAILURE;
}
