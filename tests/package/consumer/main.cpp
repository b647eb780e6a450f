// SPDX-License-Identifier: Apache-2.0
// What a user's first program does: open a device, record, commit, read the result.
#include <array>
#include <cstddef>
#include <cstdlib>
#include <iostream>

#include "segue/host.hpp"

namespace {

segue::Result<bool> fill_and_read() {
  SEGUE_TRY_ASSIGN(segue::Device device, segue::host::create_device());
  SEGUE_TRY_ASSIGN(segue::Buffer buffer, device.create_buffer({.size_bytes = 64}));
  SEGUE_TRY_ASSIGN(segue::CommandEncoder encoder, device.create_encoder());
  encoder.fill(buffer.view(), std::byte{7});
  SEGUE_TRY(encoder.commit_and_wait());

  std::array<std::byte, 64> bytes{};
  SEGUE_TRY(device.download(buffer.view(), bytes));
  std::cout << device.name() << "\n";
  return bytes.front() == std::byte{7} && bytes.back() == std::byte{7};
}

}  // namespace

int main() {
  const segue::Result<bool> filled = fill_and_read();
  if (!filled) std::cerr << filled.error().to_string() << "\n";
  return filled.value_or(false) ? EXIT_SUCCESS : EXIT_FAILURE;
}
