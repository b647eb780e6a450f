// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "segue/device.hpp"
#include "segue/kernel.hpp"
#include "support/required_devices.hpp"

/// Conformance: cases written once that every backend has to pass. A backend brings a way to open
/// its devices and the kernels below in its own form.
namespace segue::test {

/// What each backend's kernels do. Elements are uint32 unless said; a group has 64 threads, one
/// thread an element, and all kernels guard ragged edges.
///
///     test_add_one(x in+out)               x[i] += 1
///     test_add(x in, y in+out, a uint32)   y[i] += a * x[i]
///     test_saxpy(x in, y in+out, a float)  y[i] += a * x[i], in float
///     test_copy(x in, y out)               y[i] = x[i]
///     test_store(data bytes of any size, y out)  y[i] = word i of data
///     test_mark_threads(y out, {width, height} uint32)
///         y[(z * height + y) * width + x] = 1, 2 or 3 dimensions, group size 4x4x2
///     test_reverse(x in, y out, s shared, sized at launch)
///         y = x, the elements of each group in reverse, through s
///     test_unknown_access(x of unknown access)  x[i] += 1
struct ConformanceDevice {
  std::string name;  ///< Letters and digits: part of the test's name.
  std::string spec;  ///< What open_device() and SEGUE_REQUIRE_DEVICES call it.
  std::function<Result<Device>(const DeviceOptions&)> open;
  std::vector<KernelSource> (*kernels)();
  /// make_encoder() captures, and run() compiles and replays what was captured.
  bool replayed = false;

  friend std::ostream& operator<<(std::ostream& out, const ConformanceDevice& device) {
    return out << device.name;
  }
};

/// Every device that this build has kernels for, whether or not this machine has the device.
[[nodiscard]] const std::vector<ConformanceDevice>& conformance_devices();

/// The same, each twice: for recordings that are committed, and for such that are replayed.
[[nodiscard]] const std::vector<ConformanceDevice>& conformance_modes();

/// A device with the kernels of the conformance cases, two queues, and short ways to move values.
class ConformanceTest : public testing::TestWithParam<ConformanceDevice> {
 protected:
  void SetUp() override;

  using Words = std::vector<std::uint32_t>;

  [[nodiscard]] Kernel kernel(std::string_view name) const;
  [[nodiscard]] CommandEncoder make_encoder(unsigned queue = 0) const;
  /// A buffer of these values.
  [[nodiscard]] Buffer make_buffer(const Words& values, std::string label = "words") const;
  [[nodiscard]] Words read(const BufferView& view) const;
  /// A buffer's elements `[first, first + count)`.
  [[nodiscard]] static BufferView words(const Buffer& buffer, std::uint64_t first,
                                        std::uint64_t count) {
    return buffer.view(4 * first, 4 * count).value();
  }
  /// Commits, waits, and makes the encoder ready again; or replays what it has captured.
  void run(CommandEncoder& encoder) const;

  Device device_;
};

/// 0, 1, 2, ...
[[nodiscard]] std::vector<std::uint32_t> counting(std::size_t count, std::uint32_t first = 0);

}  // namespace segue::test
