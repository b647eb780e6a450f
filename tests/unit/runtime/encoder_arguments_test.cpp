// SPDX-License-Identifier: Apache-2.0
//
// What a dispatch accepts as arguments, and what it binds and tracks for them.
#include <array>
#include <cstdint>
#include <vector>

#include "unit/runtime/encoder_fixture.hpp"

namespace segue {
namespace {

using test::buffer_parameter;
using test::bytes_parameter;
using test::expect_failure;
using test::try_recording;

struct Params {
  std::uint32_t rows;
  float scale;
};

class EncoderArgumentsTest : public test::EncoderTest {
 protected:
  GraphNode capture(const Kernel& kernel, std::initializer_list<KernelArg> args) {
    CommandEncoder encoder = make_encoder();
    encoder.start_capture();
    encoder.dispatch(kernel, args, groups(1));
    return encoder.take_capture().value().node(0);
  }
  Result<> dispatch(const Kernel& kernel, std::initializer_list<KernelArg> args) {
    return try_recording(make_encoder(), [&](CommandEncoder& encoder) {
      encoder.dispatch(kernel, args, groups(1));
    });
  }

  const Buffer buffer_ = make_buffer(64, "weights");
};

TEST_F(EncoderArgumentsTest, AreViewsOrInlineBytes) {  // row A1
  const Kernel kernel = add_kernel(
      "mixed", {buffer_parameter("x", Access::kRead), bytes_parameter("params", sizeof(Params))});
  const Params params{7, 0.5f};
  const GraphNode node = capture(kernel, {buffer_.view(), KernelArg::bytes(params)});
  ASSERT_EQ(node.arguments.size(), 2u);
  EXPECT_EQ(node.arguments[0].view, buffer_.view());
  EXPECT_TRUE(node.arguments[0].bytes.empty());
  EXPECT_FALSE(node.arguments[1].view);
  const auto bytes = std::as_bytes(std::span(&params, 1));
  EXPECT_THAT(node.arguments[1].bytes, testing::ElementsAreArray(bytes));
}

TEST_F(EncoderArgumentsTest, CopyInlineBytesAtTheCall) {  // row A1
  std::vector<std::uint32_t> seen;
  const Kernel kernel = add_kernel("read_params", {bytes_parameter("value", 4)},
                                   [&seen](std::span<const test::FakeArgument> arguments) {
                                     seen.push_back(arguments[0].as<std::uint32_t>()[0]);
                                   });
  CommandEncoder encoder = make_encoder();
  std::uint32_t value = 1;
  encoder.dispatch(kernel, {KernelArg::bytes(value)}, groups(1));
  value = 2;
  encoder.dispatch(kernel, {KernelArg::bytes(value)}, groups(1));
  value = 3;
  const Submission work = encoder.commit().value();
  queue().complete_all();
  EXPECT_THAT(seen, testing::ElementsAre(1u, 2u));
}

TEST_F(EncoderArgumentsTest, TakeInlineBytesUpToTheLimit) {  // row A1, B4
  const Kernel kernel = add_kernel("any_bytes", {bytes_parameter("data")});
  const std::vector<std::byte> bytes(4097);
  const auto first = [&bytes](std::size_t count) {
    return KernelArg::bytes(std::span<const std::byte>(bytes).first(count));
  };
  EXPECT_GE(device().limits().max_inline_bytes, 4096u);
  EXPECT_TRUE(dispatch(kernel, {first(4096)}).has_value());
  expect_failure(dispatch(kernel, {first(4097)}), ErrorCode::kInvalidArgument,
                 {"4097", "4096", "any_bytes", "data"});
}

TEST_F(EncoderArgumentsTest, AlignInlineBytesForVectorLoads) {  // row A1, I5
  std::vector<std::uintptr_t> addresses;
  const Kernel kernel =
      add_kernel("address", {bytes_parameter("a"), bytes_parameter("b")},
                 [&addresses](std::span<const test::FakeArgument> arguments) {
                   for (const test::FakeArgument& argument : arguments)
                     addresses.push_back(reinterpret_cast<std::uintptr_t>(argument.data));
                 });
  CommandEncoder encoder = make_encoder();
  for (int i = 0; i < 3; ++i) {
    encoder.dispatch(kernel, {KernelArg::bytes(std::uint8_t{1}), KernelArg::bytes(Params{})},
                     groups(1));
  }
  const Submission work = encoder.commit().value();
  queue().complete_all();
  ASSERT_EQ(addresses.size(), 6u);
  for (const std::uintptr_t address : addresses) EXPECT_EQ(address % 16, 0u);
}

TEST_F(EncoderArgumentsTest, BindAndTrackAViewAtItsOffset) {  // row A2, A3
  const GraphNode node = capture(reader(), {buffer_.view(16, 32).value()});
  EXPECT_EQ(node.arguments[0].view.offset_bytes(), 16u);
  EXPECT_EQ(node.arguments[0].view.size_bytes(), 32u);
  ASSERT_EQ(node.reads.size(), 1u);
  EXPECT_EQ(node.reads[0].begin, 16u);
  EXPECT_EQ(node.reads[0].end, 48u);
  EXPECT_TRUE(node.writes.empty());
}

TEST_F(EncoderArgumentsTest, CountAnExplicitOffsetFromTheStorage) {  // row A3
  const BufferView view = buffer_.view(16, 32).value();
  const Kernel kernel = reader();
  const GraphNode open = capture(kernel, {KernelArg::at(view, 8)});
  EXPECT_EQ(open.arguments[0].view.offset_bytes(), 8u);
  EXPECT_EQ(open.arguments[0].view.size_bytes(), 56u) << "It reaches to the storage's end.";
  EXPECT_EQ(open.reads.at(0).begin, 8u);
  EXPECT_EQ(open.reads.at(0).end, 64u);
  const GraphNode sized = capture(kernel, {KernelArg::at(view, 8, 4)});
  EXPECT_EQ(sized.arguments[0].view.offset_bytes(), 8u);
  EXPECT_EQ(sized.arguments[0].view.size_bytes(), 4u);
  EXPECT_EQ(sized.reads.at(0).end, 12u);
}

TEST_F(EncoderArgumentsTest, KeepAnExplicitOffsetInsideTheStorage) {  // row A3, A4
  const Kernel kernel = reader();
  const BufferView view = buffer_.view();
  EXPECT_TRUE(dispatch(kernel, {KernelArg::at(view, 64)}).has_value());
  expect_failure(dispatch(kernel, {KernelArg::at(view, 65)}), ErrorCode::kInvalidArgument,
                 {"65", "64", "\"weights\""});
  expect_failure(dispatch(kernel, {KernelArg::at(view, 60, 5)}), ErrorCode::kInvalidArgument,
                 {"60", "65", "64 bytes", "source"});
  expect_failure(dispatch(kernel, {KernelArg::at(view, 8, UINT64_MAX)}),
                 ErrorCode::kInvalidArgument, {"\"weights\""});
  expect_failure(dispatch(kernel, {KernelArg::at(view, UINT64_MAX)}), ErrorCode::kInvalidArgument,
                 {"\"weights\""});
}

TEST_F(EncoderArgumentsTest, AreAsManyAsTheSignatureHas) {  // row A6
  const Kernel kernel = mover();
  expect_failure(dispatch(kernel, {buffer_.view()}), ErrorCode::kInvalidArgument,
                 {"mover", "2", "1"});
  expect_failure(dispatch(kernel, {buffer_.view(), buffer_.view(), buffer_.view()}),
                 ErrorCode::kInvalidArgument, {"mover", "2", "3"});
}

TEST_F(EncoderArgumentsTest, AreOfTheSignaturesKind) {  // row A6
  const Kernel kernel =
      add_kernel("mixed", {buffer_parameter("x", Access::kRead), bytes_parameter("params", 4)});
  const BufferView view = buffer_.view();
  const std::uint32_t value = 1;
  const KernelArg bytes = KernelArg::bytes(value);
  expect_failure(dispatch(kernel, {bytes, bytes}), ErrorCode::kInvalidArgument,
                 {"0", "x", "inline bytes", "buffer view"});
  expect_failure(dispatch(kernel, {view, view}), ErrorCode::kInvalidArgument,
                 {"1", "params", "buffer view", "inline bytes"});
  expect_failure(dispatch(kernel, {view, KernelArg()}), ErrorCode::kInvalidArgument,
                 {"1", "params", "missing"});
  expect_failure(dispatch(kernel, {KernelArg(), bytes}), ErrorCode::kInvalidArgument,
                 {"0", "x", "missing"});
}

TEST_F(EncoderArgumentsTest, HaveInlineBytesOfTheSignaturesSize) {  // row A6
  const Kernel fixed = add_kernel("fixed", {bytes_parameter("params", 8)});
  const Kernel any = add_kernel("any", {bytes_parameter("params")});
  expect_failure(dispatch(fixed, {KernelArg::bytes(1u)}), ErrorCode::kInvalidArgument,
                 {"params", "4", "exactly 8"});
  expect_failure(dispatch(any, {KernelArg::bytes(std::span<const std::byte>())}),
                 ErrorCode::kInvalidArgument, {"params", "0 inline bytes"});
  EXPECT_TRUE(dispatch(fixed, {KernelArg::bytes(std::uint64_t{1})}).has_value());
}

TEST_F(EncoderArgumentsTest, AreNoEmptyViews) {  // row A6
  expect_failure(dispatch(reader(), {BufferView()}), ErrorCode::kInvalidArgument,
                 {"argument 0", "source", "empty"});
}

TEST_F(EncoderArgumentsTest, AreAlignedAsTheKernelNeeds) {  // row A4
  Parameter parameter = buffer_parameter("floats", Access::kRead);
  parameter.alignment = 4;
  const Kernel kernel = add_kernel("aligned", {parameter});
  EXPECT_TRUE(dispatch(kernel, {buffer_.view(4, 8).value()}).has_value());
  expect_failure(dispatch(kernel, {buffer_.view(6, 8).value()}), ErrorCode::kInvalidArgument,
                 {"floats", "6", "4"});
}

TEST_F(EncoderArgumentsTest, AreAlignedAsTheDeviceNeeds) {  // row A4, B4
  hal().test_limits.view_offset_alignment = 32;
  const Kernel kernel = reader();
  EXPECT_TRUE(dispatch(kernel, {buffer_.view(32, 8).value()}).has_value());
  expect_failure(dispatch(kernel, {buffer_.view(16, 8).value()}), ErrorCode::kInvalidArgument,
                 {"16", "32", "Limits::view_offset_alignment"});
}

TEST_F(EncoderArgumentsTest, AreNoLargerThanTheDeviceBinds) {  // row B4
  hal().test_limits.max_view_bytes = 48;
  const Kernel kernel = reader();
  EXPECT_TRUE(dispatch(kernel, {buffer_.view(0, 48).value()}).has_value());
  expect_failure(dispatch(kernel, {buffer_.view()}), ErrorCode::kInvalidArgument,
                 {"64", "48", "Limits::max_view_bytes"});
}

TEST_F(EncoderArgumentsTest, AreNoMoreThanTheDeviceBinds) {  // row B4
  const Kernel kernel = mover();
  hal().test_limits.max_arguments = 1;
  expect_failure(dispatch(kernel, {buffer_.view(0, 4).value(), buffer_.view(8, 4).value()}),
                 ErrorCode::kInvalidArgument, {"2", "1", "mover"});
}

TEST_F(EncoderArgumentsTest, BelongToTheEncodersDevice) {  // row A6
  const test::FakeSetup other = test::open_fake();
  BufferDesc desc;
  desc.size_bytes = 16;
  desc.label = "foreign";
  const Buffer foreign = other.device.create_buffer(desc).value();
  expect_failure(dispatch(reader(), {foreign.view()}), ErrorCode::kInvalidArgument,
                 {"\"foreign\"", "another device"});
  ASSERT_TRUE(other.device.kernels()
                  .add(test::fake_kernel("alien", {buffer_parameter("x", Access::kRead)}))
                  .has_value());
  const Kernel alien = other.device.kernels().get("alien").value();
  expect_failure(dispatch(alien, {buffer_.view()}), ErrorCode::kInvalidArgument,
                 {"\"alien\"", "another device"});
}

TEST_F(EncoderArgumentsTest, AreWritableWhereTheKernelWrites) {  // row H6
  std::array<std::byte, 64> memory{};
  ImportOptions options;
  options.label = "model file";
  const Buffer imported =
      device().import_host_memory(std::span<const std::byte>(memory), options).value();
  EXPECT_TRUE(dispatch(reader(), {imported.view()}).has_value());
  expect_failure(dispatch(writer(), {imported.view()}), ErrorCode::kInvalidArgument,
                 {"\"model file\"", "read-only"});
}

TEST_F(EncoderArgumentsTest, NeedAKernel) {  // row A6
  expect_failure(dispatch(Kernel(), {buffer_.view()}), ErrorCode::kInvalidArgument, {"no kernel"});
}

}  // namespace
}  // namespace segue
