// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "segue/fusion.hpp"
#include "segue/graph.hpp"
#include "support/fake_hal.hpp"
#include "unit/runtime/encoder_fixture.hpp"

namespace segue::test {

/// A fake device whose kernels do something, so that a graph's result shows whether it is the same
/// graph.
class GraphJsonTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kBytes = 64;

  GraphJsonTest() : setup_(open_with_kernels()) {}

  /// One more device with the same kernels, as another process would have.
  static FakeSetup open_with_kernels(FakeOptions options = {}) {
    FakeSetup setup = open_fake(std::move(options));
    for (KernelSource& source : sources())
      EXPECT_TRUE(setup.device.kernels().add(std::move(source)).has_value());
    return setup;
  }

  static std::vector<KernelSource> sources() {
    Parameter mystery = buffer_parameter("mystery", Access::kReadWrite);
    mystery.access_known = false;
    Parameter shared;
    shared.name = "scratch";
    shared.kind = ParameterKind::kShared;
    shared.sizing = SharedSizing::kLaunch;
    const auto mix = [](std::span<const FakeArgument> args) {
      const std::uint64_t count = std::min(args[0].size_bytes, args[1].size_bytes);
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto a = std::to_integer<unsigned>(args[0].data[i]);
        const auto b = std::to_integer<unsigned>(args[1].data[i]);
        const auto c = args.size() > 2 ? std::to_integer<unsigned>(args[2].data[0]) : 1U;
        args[1].data[i] = static_cast<std::byte>(5 * a + 3 * b + c);
      }
    };
    std::vector<KernelSource> sources;
    sources.push_back(fake_kernel(
        "mix",
        {buffer_parameter("source", Access::kRead), buffer_parameter("target", Access::kReadWrite),
         bytes_parameter("settings", 8)},
        mix));
    sources.push_back(fake_kernel(
        "move",
        {buffer_parameter("source", Access::kRead), buffer_parameter("target", Access::kWrite)},
        [](std::span<const FakeArgument> args) {
          for (std::uint64_t i = 0; i < args[1].size_bytes; ++i)
            args[1].data[i] = args[0].data[i % args[0].size_bytes];
        }));
    sources.push_back(fake_kernel(
        "scale", {buffer_parameter("source", Access::kRead),
                  buffer_parameter("target", Access::kWrite), bytes_parameter("settings", 8)}));
    sources.push_back(fake_kernel("unknown", {mystery}));
    sources.push_back(
        fake_kernel("shared", {buffer_parameter("target", Access::kReadWrite), shared}));
    return sources;
  }

  [[nodiscard]] const Device& device() const { return setup_.device; }
  [[nodiscard]] Kernel kernel(std::string_view name) const {
    return device().kernels().get(name).value();
  }
  [[nodiscard]] Buffer make_buffer(std::string label, std::uint64_t size = kBytes,
                                   bool transient = false) const {
    BufferDesc desc;
    desc.size_bytes = size;
    desc.label = std::move(label);
    desc.transient = transient;
    return device().create_buffer(desc).value();
  }
  [[nodiscard]] static Graph capture(const Device& on,
                                     const std::function<void(CommandEncoder&)>& record,
                                     BarrierMode mode = BarrierMode::kAutomatic) {
    EncoderOptions options;
    options.barriers = mode;
    CommandEncoder encoder = on.create_encoder(options).value();
    encoder.start_capture();
    record(encoder);
    return encoder.take_capture().value();
  }

  /// A graph with one of everything that a file may hold.
  [[nodiscard]] Graph everything() {
    static constexpr SpecConstant kConstants[] = {{7, -1.5F}, {1, 5U}, {2, -9}, {3, true}};
    const Kernel special = device().kernels().get("mix", kConstants).value();
    const Buffer a = make_buffer("a"), b = make_buffer("b");
    const Buffer t = make_buffer("transient", kBytes, true);
    // Two imports of one array, the second beginning within the first.
    ImportOptions first, second;
    first.label = "first";
    second.label = "second";
    first.writable = second.writable = true;
    const Buffer c = import(0, first), d = import(32, second);
    ImportOptions constant;
    constant.label = "constant";
    const Buffer e =
        device().import_host_memory(std::as_bytes(std::span(constant_)), constant).value();
    return capture(device(), [&](CommandEncoder& encoder) {
      const std::array<std::uint32_t, 2> settings{1, 2};
      const BytesSlot parts[] = {{"first", 0, 4}, {"position", 4, 4, 100}};
      const BytesSlot whole{"all", 0, 8};
      DispatchOptions options;
      encoder.push_label("layer");
      options.op = OpKind::kMatVec;
      options.label = "first \xff product";
      options.grid_slot = "rows";
      encoder.dispatch(special, {a.view(), t.view(), KernelArg::bytes(settings, parts)}, threads(6),
                       options);
      encoder.push_label("inner");
      encoder.dispatch(kernel("move"), {t.view(), KernelArg::slot("target", b.view())}, groups(1));
      encoder.pop_label();
      encoder.memory_barrier();
      const BufferView reads[] = {a.view(8, 8).value()};
      const BufferView writes[] = {b.view(0, 4).value(), b.view(60, 4).value()};
      DispatchOptions ranges;
      ranges.reads = reads;
      ranges.writes = writes;
      encoder.dispatch(kernel("mix"), {a.view(), b.view(), KernelArg::bytes(settings)}, groups(2),
                       ranges);
      encoder.pop_label();
      encoder.push_label("layer");
      encoder.dispatch(kernel("move"), {e.view(), c.view()}, groups(1));
      encoder.dispatch(kernel("move"), {d.view(0, 32).value(), d.view(32, 32).value()}, groups(3));
      encoder.pop_label();
      DispatchOptions indirect;
      indirect.reads = reads;
      const KernelArg only[] = {b.view()};
      encoder.dispatch_indirect(kernel("unknown"), only, a.view(16, 12).value(), {4, 2, 1},
                                indirect);
      const SharedMemorySize size{1, 256};
      DispatchOptions launch;
      launch.shared_memory = {&size, 1};
      launch.group_size = {4, 2, 1};
      encoder.dispatch(kernel("shared"), {b.view()}, groups(1), launch);
      encoder.dispatch(kernel("move"), {a.view(), b.view()}, groups(0));
      encoder.fill(KernelArg::slot("filled", a.view(0, 16).value()), std::byte{0xAB});
      encoder.copy(b.view(0, 8).value(), b.view(8, 8).value());
      encoder.upload(a.view(0, 8).value(), KernelArg::bytes(settings, {&whole, 1}));
    });
  }

  /// kBytes of the array from `offset` on.
  [[nodiscard]] Buffer import(std::size_t offset, const ImportOptions& options) {
    return device()
        .import_host_memory(std::span<std::byte>(array_).subspan(offset, kBytes), options)
        .value();
  }

  std::array<std::byte, 3 * kBytes> array_{};
  std::array<std::byte, kBytes> constant_{};
  FakeSetup setup_;
};

}  // namespace segue::test
