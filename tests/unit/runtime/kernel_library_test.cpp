// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_library.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <latch>
#include <limits>
#include <thread>
#include <vector>

#include "ir/storage.hpp"
#include "support/fake_hal.hpp"

namespace segue {
namespace {

using test::buffer_parameter;
using test::bytes_parameter;
using test::fake_kernel;
using test::FakeOptions;
using test::FakeSetup;
using test::open_fake;

TEST(KernelLibrary, GivesTheSignatureThatTheSourceDeclares) {  // row I1
  const FakeSetup setup = open_fake();
  KernelSource source =
      fake_kernel("axpy", {buffer_parameter("x", Access::kRead),
                           buffer_parameter("y", Access::kReadWrite), bytes_parameter("a", 4)});
  source.signature.guards_ragged_edges = true;
  ASSERT_TRUE(setup.device.kernels().add(source).has_value());
  const Kernel kernel = setup.device.kernels().get("axpy").value();
  EXPECT_EQ(kernel.name(), "axpy");
  ASSERT_EQ(kernel.signature().parameters.size(), 3u);
  EXPECT_EQ(kernel.signature().parameters[1].name, "y");
  EXPECT_EQ(kernel.signature().parameters[1].access, Access::kReadWrite);
  EXPECT_EQ(kernel.signature().parameters[2].kind, ParameterKind::kBytes);
  EXPECT_EQ(kernel.signature().argument_count(), 3u);
  EXPECT_TRUE(kernel.signature().guards_ragged_edges);
  EXPECT_EQ(Kernel().name(), "");
  EXPECT_TRUE(Kernel().signature().parameters.empty());
}

TEST(KernelLibrary, SharedParametersTakeNoArgument) {  // row I1
  Signature signature;
  signature.parameters = {buffer_parameter("x", Access::kRead), bytes_parameter("n"), Parameter{}};
  signature.parameters.back().kind = ParameterKind::kShared;
  EXPECT_EQ(signature.argument_count(), 2u);
}

TEST(KernelLibrary, CompilesAtFirstUseAndOnce) {  // row I2
  const FakeSetup setup = open_fake();
  KernelLibrary& library = setup.device.kernels();
  ASSERT_TRUE(library.add(fake_kernel("gemv")).has_value());
  EXPECT_EQ(setup.hal->compilations(), 0);
  EXPECT_EQ(library.compiled_count(), 0u);
  const Kernel first = library.get("gemv").value();
  const Kernel second = library.get("gemv").value();
  EXPECT_EQ(setup.hal->compilations(), 1);
  EXPECT_EQ(library.compiled_count(), 1u);
  EXPECT_EQ(first.impl(), second.impl());
}

TEST(KernelLibrary, CachesByConstantsInAnyOrder) {  // row I2
  const FakeSetup setup = open_fake();
  KernelLibrary& library = setup.device.kernels();
  ASSERT_TRUE(library.add(fake_kernel("gemv")).has_value());
  const std::array<SpecConstant, 2> ab = {{{0, 7u}, {3, 1.5F}}};
  const std::array<SpecConstant, 2> ba = {{{3, 1.5F}, {0, 7u}}};
  const std::array<SpecConstant, 2> other = {{{0, 7u}, {3, 2.5F}}};
  EXPECT_EQ(library.get("gemv", ab).value().impl(), library.get("gemv", ba).value().impl());
  EXPECT_NE(library.get("gemv", ab).value().impl(), library.get("gemv", other).value().impl());
  EXPECT_NE(library.get("gemv", ab).value().impl(), library.get("gemv").value().impl());
  EXPECT_EQ(library.compiled_count(), 3u);
}

TEST(KernelLibrary, TellsConstantsApartByTypeAndBits) {  // row I2
  const FakeSetup setup = open_fake();
  KernelLibrary& library = setup.device.kernels();
  ASSERT_TRUE(library.add(fake_kernel("gemv")).has_value());
  const std::vector<SpecConstant> different = {{0, 1u},    {0, 1},    {0, 1.0F},  {0, true},
                                               {0, false}, {0, 0.0F}, {0, -0.0F}, {1, 1u}};
  for (const SpecConstant& constant : different)
    ASSERT_TRUE(library.get("gemv", {&constant, 1}).has_value());
  EXPECT_EQ(library.compiled_count(), different.size());

  const SpecConstant nan{
      0, std::numeric_limits<float>::quiet_NaN()};  // not equal to itself, and yet the same code
  EXPECT_EQ(library.get("gemv", {&nan, 1}).value().impl(),
            library.get("gemv", {&nan, 1}).value().impl());
}

TEST(KernelLibrary, RefusesAConstantGivenTwice) {  // row I2, K4
  const FakeSetup setup = open_fake();
  ASSERT_TRUE(setup.device.kernels().add(fake_kernel("gemv")).has_value());
  const std::array<SpecConstant, 2> twice = {{{4, 1u}, {4, 2u}}};
  const auto kernel = setup.device.kernels().get("gemv", twice);
  ASSERT_FALSE(kernel.has_value());
  EXPECT_EQ(kernel.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(kernel.error().message,
            "Specialisation constant 4 of kernel \"gemv\" is given more than once; each is given "
            "at most once.");
}

TEST(KernelLibrary, NamesWhatItDoesNotHave) {  // row K4
  const FakeSetup setup = open_fake();
  KernelLibrary& library = setup.device.kernels();
  EXPECT_FALSE(library.contains("gemv"));
  const auto missing = library.get("gemv");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message,
            "The library of device \"Fake device\" has no kernel \"gemv\".");
  EXPECT_EQ(library.replace(fake_kernel("gemv")).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(library.add(fake_kernel("gemv")).has_value());
  ASSERT_TRUE(library.add(fake_kernel("axpy")).has_value());
  EXPECT_TRUE(library.contains("gemv"));
  EXPECT_THAT(library.names(), testing::UnorderedElementsAre("gemv", "axpy"));
}

TEST(KernelLibrary, HoldsTheBackendsOwnKernelsFromTheStart) {  // row I2
  FakeOptions options;
  options.builtin_kernels.push_back(fake_kernel("builtin"));
  const FakeSetup setup = open_fake(options);
  EXPECT_TRUE(setup.device.kernels().get("builtin").has_value());
}

TEST(KernelLibrary, CompileErrorCarriesLogAndName) {  // row I4
  FakeOptions options;
  bool fail = true;
  options.fail_call = [&fail](std::string_view call) { return fail && call == "compile"; };
  const FakeSetup setup = open_fake(options);
  KernelLibrary& library = setup.device.kernels();
  ASSERT_TRUE(library.add(fake_kernel("gemv")).has_value());
  const auto kernel = library.get("gemv");
  ASSERT_FALSE(kernel.has_value());
  EXPECT_EQ(kernel.error().code, ErrorCode::kCompileFailed);
  EXPECT_EQ(kernel.error().message,
            "Kernel \"gemv\" does not compile: The fake device refuses to compile.");
  EXPECT_EQ(kernel.error().native->text, "injected");
  EXPECT_EQ(library.compiled_count(), 0u);
  fail = false;
  EXPECT_TRUE(library.get("gemv").has_value());  // row K3: a failure is not cached
}

TEST(KernelLibrary, ReplaceCompilesEverySpecialisationAgain) {  // row I2
  const FakeSetup setup = open_fake();
  KernelLibrary& library = setup.device.kernels();
  ASSERT_TRUE(library.add(fake_kernel("gemv")).has_value());
  const SpecConstant four{0, 4u};
  const Kernel plain = library.get("gemv").value();
  const Kernel special = library.get("gemv", {&four, 1}).value();
  ASSERT_TRUE(
      library.replace(fake_kernel("gemv", {buffer_parameter("x", Access::kRead)})).has_value());
  EXPECT_EQ(setup.hal->compilations(), 4);
  EXPECT_EQ(library.compiled_count(), 2u);
  EXPECT_NE(library.get("gemv").value().impl(), plain.impl());
  EXPECT_EQ(library.get("gemv", {&four, 1}).value().signature().parameters.size(), 1u);
  EXPECT_EQ(setup.hal->compilations(), 4);
  EXPECT_TRUE(special.signature().parameters.empty());  // Handed out before: still the old code.
}

TEST(KernelLibrary, FailedReplaceChangesNothing) {  // row I2, K3
  FakeOptions options;
  int compilation = 0;
  options.fail_call = [&](std::string_view call) {
    return call == "compile" && ++compilation == 4;
  };
  const FakeSetup setup = open_fake(options);
  KernelLibrary& library = setup.device.kernels();
  ASSERT_TRUE(library.add(fake_kernel("gemv")).has_value());
  const SpecConstant four{0, 4u};
  const Kernel plain = library.get("gemv").value();
  const Kernel special = library.get("gemv", {&four, 1}).value();
  // Its first specialisation compiles, the second does not.
  const auto replaced =
      library.replace(fake_kernel("gemv", {buffer_parameter("x", Access::kRead)}));
  ASSERT_FALSE(replaced.has_value());
  EXPECT_EQ(replaced.error().code, ErrorCode::kCompileFailed);
  EXPECT_THAT(replaced.error().message, testing::HasSubstr("\"gemv\""));
  EXPECT_EQ(library.get("gemv").value().impl(), plain.impl());
  EXPECT_EQ(library.get("gemv", {&four, 1}).value().impl(), special.impl());
  EXPECT_EQ(setup.hal->live_kernels(), 2);
  EXPECT_TRUE(library.get("gemv", {}).value().signature().parameters.empty());
}

TEST(KernelLibrary, ManyThreadsCompileAKernelOnce) {  // row I2
  FakeOptions options;
  std::atomic<bool> go{false};
  options.on_compile = [&](const KernelSource&, std::span<const SpecConstant>) { go.wait(false); };
  const FakeSetup setup = open_fake(options);
  KernelLibrary& library = setup.device.kernels();
  ASSERT_TRUE(library.add(fake_kernel("gemv")).has_value());
  std::vector<std::future<ir::Kernel*>> kernels;
  for (int t = 0; t < 8; ++t) {
    kernels.push_back(
        std::async(std::launch::async, [&library] { return library.get("gemv").value().impl(); }));
  }
  go = true;
  go.notify_all();
  ir::Kernel* const first = kernels.front().get();
  for (std::size_t t = 1; t < kernels.size(); ++t) EXPECT_EQ(kernels[t].get(), first);
  EXPECT_EQ(setup.hal->compilations(), 1);
}

TEST(KernelLibrary, CompilesSeveralKernelsSideBySide) {  // row I2
  FakeOptions options;
  std::latch both{2};  // Passed only if two compilations run at the same time.
  options.on_compile = [&](const KernelSource&, std::span<const SpecConstant>) {
    both.arrive_and_wait();
  };
  const FakeSetup setup = open_fake(options);
  KernelLibrary& library = setup.device.kernels();
  ASSERT_TRUE(library.add(fake_kernel("a")).has_value());
  ASSERT_TRUE(library.add(fake_kernel("b")).has_value());
  auto a = std::async(std::launch::async, [&library] { return library.get("a").has_value(); });
  EXPECT_TRUE(library.get("b").has_value());
  EXPECT_TRUE(a.get());
}

TEST(KernelLibrary, ASpecialisationAskedForDuringReplaceIsReplacedToo) {  // row I2
  FakeOptions options;
  KernelLibrary* library = nullptr;
  bool ask = false;
  const SpecConstant late{9, 9u};
  options.on_compile = [&](const KernelSource&, std::span<const SpecConstant>) {
    if (!std::exchange(ask, false)) return;
    ASSERT_TRUE(library->get("gemv", {&late, 1}).has_value());  // still of the old source
  };
  const FakeSetup setup = open_fake(options);
  library = &setup.device.kernels();
  ASSERT_TRUE(library->add(fake_kernel("gemv")).has_value());
  ASSERT_TRUE(library->get("gemv").has_value());
  ask = true;
  ASSERT_TRUE(
      library->replace(fake_kernel("gemv", {buffer_parameter("x", Access::kRead)})).has_value());
  EXPECT_EQ(library->get("gemv", {&late, 1}).value().signature().parameters.size(), 1u);
  EXPECT_EQ(library->compiled_count(), 2u);
}

TEST(KernelLibrary, KernelsOutliveLibraryAndDevice) {  // row K5
  FakeSetup setup = open_fake();
  ASSERT_TRUE(setup.device.kernels().add(fake_kernel("gemv")).has_value());
  Kernel kernel = setup.device.kernels().get("gemv").value();
  setup.device = {};
  EXPECT_EQ(kernel.name(), "gemv");
  EXPECT_EQ(setup.hal->live_kernels(), 1);
  kernel = {};
  EXPECT_EQ(setup.hal->live_kernels(), 0);
}

TEST(KernelLibrary, NumbersItsKernels) {
  const FakeSetup setup = open_fake();
  KernelLibrary& library = setup.device.kernels();
  ASSERT_TRUE(library.add(fake_kernel("a", {bytes_parameter("n")})).has_value());
  ASSERT_TRUE(library.add(fake_kernel("b")).has_value());
  const Kernel a = library.get("a").value();
  const Kernel b = library.get("b").value();
  EXPECT_NE(a.impl()->index, b.impl()->index);
  EXPECT_EQ(a.impl()->argument_count, 1u);
  EXPECT_EQ(a.impl()->compiled_by, setup.hal.get());
}

/// What add() says to a source that `change` spoils.
template <class Change>
std::string refusal(Change change) {
  const FakeSetup setup = open_fake();
  KernelSource source =
      fake_kernel("k", {buffer_parameter("x", Access::kRead), bytes_parameter("n", 4)});
  EXPECT_TRUE(setup.device.kernels().add(source).has_value());
  source.name = "k2";
  change(source);
  const auto added = setup.device.kernels().add(source);
  EXPECT_EQ(setup.device.kernels().names().size(), 1u);
  if (added) return {};
  EXPECT_EQ(added.error().code, ErrorCode::kInvalidArgument);
  return added.error().message;
}

TEST(KernelLibrary, ChecksWhatIsAdded) {  // row I1, K4
  EXPECT_THAT(refusal([](KernelSource& source) { source.name = ""; }),
              testing::HasSubstr("has no name"));
  EXPECT_THAT(refusal([](KernelSource& source) { source.name = "k"; }),
              testing::HasSubstr("has a kernel \"k\" already"));
  EXPECT_EQ(refusal([](KernelSource& source) { source.backend = "metal"; }),
            "Kernel \"k2\" is written for backend \"metal\" but the device is of \"fake\".");
  EXPECT_EQ(
      refusal([](KernelSource& source) {
        source.signature.parameters[0].kind = ParameterKind::kShared;
      }),
      "Parameter \"n\" of kernel \"k2\" stands after a shared one; shared parameters come last.");
  EXPECT_EQ(refusal([](KernelSource& source) { source.signature.parameters[0].alignment = 12; }),
            "Parameter \"x\" of kernel \"k2\" has alignment 12; an alignment is a power of two.");
  EXPECT_THAT(refusal([](KernelSource& source) { source.signature.parameters[0].alignment = 0; }),
              testing::HasSubstr("alignment 0"));
  EXPECT_EQ(refusal([](KernelSource& source) { source.signature.parameters[1].size_bytes = 5000; }),
            "Parameter \"n\" of kernel \"k2\" has size 5000 but Limits::max_inline_bytes is 4096.");
  EXPECT_THAT(refusal([](KernelSource& source) { source.signature.group_size = {0, 1, 1}; }),
              testing::HasSubstr("0 x 1 x 1"));
  EXPECT_THAT(refusal([](KernelSource& source) { source.signature.group_size = {64, 32, 1}; }),
              testing::HasSubstr("Limits::max_group_threads"));
  EXPECT_THAT(refusal([](KernelSource& source) {
                source.signature.parameters.assign(33, buffer_parameter("x", Access::kRead));
              }),
              testing::HasSubstr("takes 33 arguments but Limits::max_arguments is 32"));
}

}  // namespace
}  // namespace segue
