// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "segue/device.hpp"
#include "segue/encoder.hpp"
#include "segue/graph.hpp"
#include "segue/host.hpp"
#include "segue/verify.hpp"

namespace segue::verify {

/// What a Result holds; a test that gets an error ends with it.
template <class T>
T value(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  return *std::move(result);
}

/// A host device, and kernels that keep to their declaration beside ones that do not.
class VerifyTest : public testing::Test {
 protected:
  VerifyTest() : device_(open()) {
    using host::In, host::InOut, host::KernelContext, host::Out;
    add(host::kernel("copy_all", {"x", "y"}, [](const KernelContext&, In<float> x, Out<float> y) {
      std::ranges::copy(x.first(std::min(x.size(), y.size())), y.begin());
    }));
    add(host::kernel("add_to", {"x", "y"}, [](const KernelContext&, In<float> x, InOut<float> y) {
      for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[i];
    }));
    // Says that it writes; in truth it adds to what is there.
    add(host::kernel("add_to_unsaid", {"x", "y"},
                     [](const KernelContext&, In<float> x, Out<float> y) {
                       for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[i];
                     }));
    add(host::kernel("sum_neighbours", {"x", "y"},
                     [](const KernelContext&, In<float> x, Out<float> y) {
                       for (std::size_t i = 0; i < y.size(); ++i)
                         y[i] = x[i] + (i + 1 < x.size() ? x[i + 1] : 0.0F);
                     }));
    // Reads one element behind its input, and that one first.
    add(host::kernel("sum_neighbours_past", {"x", "y"},
                     [](const KernelContext&, In<float> x, Out<float> y) {
                       for (std::size_t i = y.size(); i-- > 0;) y[i] = x[i] + x.data()[i + 1];
                     }));
    // Writes `count` bytes from `offset` on, wherever that is.
    add(host::kernel("set_bytes", {"y", "offset", "count"},
                     [](const KernelContext&, Out<std::uint8_t> y, const std::int32_t& offset,
                        const std::int32_t& count) {
                       std::memset(y.data() + offset, 0x5A, static_cast<std::size_t>(count));
                     }));
    add(host::kernel("set_even", {"y", "value"},
                     [](const KernelContext&, Out<float> y, const float& value) {
                       for (std::size_t i = 0; i < y.size(); i += 2) y[i] = value;
                     }));
    // Writes what it declares as read.
    add(host::kernel("double_input", {"x", "y"},
                     [](const KernelContext&, In<float> x, Out<float> y) {
                       y[0] = x[0];
                       const_cast<float&>(x[0]) = 2 * x[0];
                     }));
    add(host::kernel("expect", {"x", "wanted"},
                     [](const KernelContext&, In<float> x, const float& wanted) {
                       if (!std::ranges::all_of(x, [&](float v) { return v == wanted; }))
                         throw std::runtime_error("an element is not as wanted");
                     }));
  }

  static Device open() {
    host::HostOptions options;
    options.threads = 1;
    options.parallelism = host::Parallelism::kNever;
    options.reverse_groups = true;
    return value(host::create_device({}, options));
  }
  void add(KernelSource source) { ASSERT_TRUE(device_.kernels().add(std::move(source))); }
  Kernel kernel(std::string_view name) { return value(device_.kernels().get(name)); }

  /// A buffer that holds 1, 2, 3 and so on.
  Buffer floats(std::size_t count, const std::string& label) {
    BufferDesc desc;
    desc.size_bytes = count * sizeof(float);
    desc.label = label;
    const Buffer buffer = value(device_.create_buffer(desc));
    const auto mapped = value(buffer.view().map_write<float>());
    std::iota(mapped.begin(), mapped.end(), 1.0F);
    return buffer;
  }
  Buffer transient(std::size_t count, const std::string& label) {
    BufferDesc desc;
    desc.size_bytes = count * sizeof(float);
    desc.label = label;
    desc.transient = true;
    return value(device_.create_buffer(desc));
  }
  static BufferView part(const Buffer& buffer, std::size_t first, std::size_t count) {
    return value(buffer.view(first * sizeof(float), count * sizeof(float)));
  }
  std::vector<float> content(const Buffer& buffer) {
    const auto mapped = value(buffer.view().map_read<float>());
    return {mapped.begin(), mapped.end()};
  }
  Graph capture(const std::function<void(CommandEncoder&)>& record) {
    CommandEncoder encoder = value(device_.create_encoder());
    encoder.start_capture();
    record(encoder);
    return value(encoder.take_capture());
  }
  /// Captures one dispatch of one group.
  Graph capture(const std::string& name, std::initializer_list<KernelArg> args,
                const DispatchOptions& options = {}) {
    const Kernel chosen = kernel(name);
    return capture(
        [&](CommandEncoder& encoder) { encoder.dispatch(chosen, args, groups(1), options); });
  }

  Device device_;
};

}  // namespace segue::verify
