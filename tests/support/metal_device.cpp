// SPDX-License-Identifier: Apache-2.0
#include "support/metal_device.hpp"

#include <gtest/gtest.h>

#include <string>

#if defined(SEGUE_METAL_DOUBLE)
#include "metal_double/double.hpp"
#include "support/test_seed.hpp"
#endif

namespace segue::test {

#if defined(SEGUE_METAL_DOUBLE)
namespace {

/// After each test: what the double has to say.
class RuleListener final : public testing::EmptyTestEventListener {
 public:
  void OnTestEnd(const testing::TestInfo& /*test*/) override {
    for (const std::string& violation : metal_double::take_violations()) ADD_FAILURE() << violation;
    const auto alive = metal_double::live_objects();
    // Some fixtures keep their device for the next test.
    if (alive.contains("MTLDevice")) return;
    for (const auto& [name, count] : alive) ADD_FAILURE() << count << " " << name << " are alive.";
  }
};

void listen() {
  static const bool listening = [] {
    testing::UnitTest::GetInstance()->listeners().Append(new RuleListener);
    metal_double::Options options;
    // Both orders of the tests' devices, without one thread's waiting for another's.
    options.order = metal_double::Order::kRandom;
    options.seed = test_seed();
    options.signals_in_queue_order = false;
    metal_double::set_options(options);
    return true;
  }();
  static_cast<void>(listening);
}

}  // namespace
#endif

Result<Device> open_metal(const DeviceOptions& options, const metal::MetalOptions& metal_options) {
#if defined(SEGUE_METAL_DOUBLE)
  listen();
#endif
  return metal::create_device(options, metal_options);
}

Result<Device> open_metal_reencoding(const DeviceOptions& options) {
  metal::MetalOptions metal_options;
  metal_options.indirect_command_buffers = false;
  return open_metal(options, metal_options);
}

}  // namespace segue::test
