// SPDX-License-Identifier: Apache-2.0
//
// From texts and libraries of users to kernels: entry points, constants, what goes wrong.
#include <string>
#include <vector>

#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using testing::HasSubstr;

constexpr const char* kOne = R"(#include <metal_stdlib>
kernel void only(device uint* y [[buffer(0)]]) { y[0] = 7; }
)";

class MetalKernelSource : public MetalTest {
 protected:
  [[nodiscard]] Result<Kernel> get(KernelSource source,
                                   std::vector<SpecConstant> constants = {}) const {
    const std::string name = source.name;
    SEGUE_TRY(device_.kernels().add(std::move(source)));
    return device_.kernels().get(name, constants);
  }
  [[nodiscard]] Error refusal(KernelSource source, std::vector<SpecConstant> constants = {}) const {
    const Result<Kernel> got = get(std::move(source), std::move(constants));
    EXPECT_FALSE(got.has_value());
    if (got) return {};
    EXPECT_EQ(got.error().code, ErrorCode::kCompileFailed);
    return got.error();
  }
  /// What a kernel of one argument leaves in its first word.
  [[nodiscard]] std::uint32_t result_of(const Kernel& kernel) const {
    const Buffer y = buffer(4);
    CommandEncoder encoder = this->encoder();
    encoder.dispatch(kernel, {y.view()}, groups(1), {.group_size = {1, 1, 1}});
    EXPECT_TRUE(encoder.commit_and_wait().has_value());
    return words(y)[0];
  }
  /// A .metallib of the double: what begins it, and text.
  [[nodiscard]] static std::vector<std::byte> metallib(const std::string& text) {
    const std::string all = "MTLB" + text;
    const auto bytes = std::as_bytes(std::span(all));
    return {bytes.begin(), bytes.end()};
  }
};

TEST_F(MetalKernelSource, OfOneFunctionNeedsNoEntryPoint) {  // row I3
  EXPECT_EQ(result_of(get(msl_kernel("seven", kOne)).value()), 7U);
}

TEST_F(MetalKernelSource, OfALibraryRuns) {  // row I3
  EXPECT_EQ(result_of(get(metallib_kernel("seven", metallib(kOne), "only")).value()), 7U);
  Signature signature;
  signature.parameters = {view_parameter("result", Access::kWrite)};
  const Kernel declared = get(metallib_kernel("eight", signature, metallib(kOne), "only")).value();
  EXPECT_EQ(declared.signature().parameters[0].name, "result");
  EXPECT_EQ(result_of(declared), 7U);
}

TEST_F(MetalKernelSource, ThatDoesNotCompileSaysWhyAndWhich) {  // rows I3, I4
  const Error error = refusal(msl_kernel("broken", "kernel void broken() { nonsense(); }\n"));
  EXPECT_THAT(
      error.message,
      testing::StartsWith("Kernel \"broken\" does not compile: Its text does not compile: "));
  EXPECT_THAT(error.message, HasSubstr("nonsense"));
  ASSERT_TRUE(error.native.has_value());
  EXPECT_EQ(error.native->backend, "metal");
  EXPECT_THAT(error.native->text, HasSubstr("MTLLibraryErrorDomain"));
}

TEST_F(MetalKernelSource, OfALibraryThatIsNoneSaysSo) {  // rows I3, I4
  const std::vector<std::byte> nothing(16, std::byte{0});
  const Error error = refusal(metallib_kernel("damaged", nothing, "only"));
  EXPECT_THAT(error.message, HasSubstr("Kernel \"damaged\" does not compile: Its library cannot be "
                                       "loaded: Invalid library file"));
}

TEST_F(MetalKernelSource, OfSeveralFunctionsNeedsAnEntryPoint) {  // rows I4, K4
  EXPECT_THAT(refusal(msl_kernel("many", test_kernel_text())).message,
              HasSubstr("functions; with more or fewer than one, an entry point must be named."));
  EXPECT_THAT(refusal(msl_kernel("none", "#include <metal_stdlib>\n")).message,
              HasSubstr("Its text has 0 functions"));
}

TEST_F(MetalKernelSource, NamesAnEntryPointThatThereIsNot) {  // rows I4, K4
  EXPECT_EQ(refusal(msl_kernel("wrong", kOne, "other")).message,
            "Kernel \"wrong\" does not compile: Its text has no kernel function \"other\".");
}

TEST_F(MetalKernelSource, ThatContradictsItsDeclarationNamesTheKernel) {  // rows I1, I4
  Signature signature;
  signature.parameters = {view_parameter("y", Access::kRead)};
  const Error error = refusal(msl_kernel("contrary", signature, kOne));
  EXPECT_EQ(error.message,
            "Kernel \"contrary\" does not compile: Parameter \"y\" is declared as read, but the "
            "code's access to \"y\" is read and write.");
}

TEST_F(MetalKernelSource, OfAnotherBackendIsRefused) {  // row K4
  KernelSource source = msl_kernel("foreign", kOne);
  source.backend = "vulkan";
  const Result<> added = device_.kernels().add(source);
  ASSERT_FALSE(added.has_value());
  const auto compiled = hal_->compile(source, {});
  ASSERT_FALSE(compiled.has_value());
  EXPECT_EQ(compiled.error().message,
            "Kernel \"foreign\" does not compile: It is for backend \"vulkan\"; \"metal\" is "
            "allowed.");
}

TEST_F(MetalKernelSource, TakesThirtyArgumentsAsOneTooMany) {  // rows A6, B4
  const auto text = [](int count) {
    std::string all = "#include <metal_stdlib>\nkernel void many(";
    for (int i = 0; i < count; ++i) {
      all += (i == 0 ? "" : ", ") + ("device uint* a" + std::to_string(i)) + " [[buffer(" +
             std::to_string(i) + ")]]";
    }
    return all + ") { a0[0] = a" + std::to_string(count - 1) + "[1]; }\n";
  };
  EXPECT_EQ(device_.limits().max_arguments, 29U);
  EXPECT_EQ(refusal(msl_kernel("thirty", text(30))).message,
            "Kernel \"thirty\" does not compile: It takes 30 arguments; at most 29 are allowed.");
  const Kernel most = get(msl_kernel("most", text(29))).value();
  const Buffer y = buffer_of(counting(2, 5));
  std::vector<KernelArg> args;
  const BufferView view = y.view();
  for (int i = 0; i < 29; ++i) args.emplace_back(view);
  CommandEncoder encoder = this->encoder();
  encoder.dispatch(most, args, groups(1), {.group_size = {1, 1, 1}});
  ASSERT_TRUE(encoder.commit_and_wait().has_value());
  EXPECT_EQ(words(y)[0], 6U);
}

// Function constants.

KernelSource specialised() { return msl_kernel("specialised", test_kernel_text(), "specialised"); }

std::vector<SpecConstant> all_constants() {
  return {{0, std::uint32_t{4}}, {1, std::int32_t{-3}}, {2, true}, {3, 0.5F}};
}

TEST_F(MetalKernelSource, TakesConstantsOfEachType) {  // row I2
  EXPECT_EQ(result_of(get(specialised(), all_constants()).value()), 6037U);
}

TEST_F(MetalKernelSource, IsCompiledOncePerSetOfConstants) {  // row I2
  const Kernel first = get(specialised(), all_constants()).value();
  std::vector<SpecConstant> others = all_constants();
  others[0].value = std::uint32_t{5};
  const Kernel second = device_.kernels().get("specialised", others).value();
  const Kernel again = device_.kernels().get("specialised", all_constants()).value();
  EXPECT_EQ(first.impl(), again.impl());
  EXPECT_EQ(device_.kernels().compiled_count(), 2U);
  EXPECT_EQ(result_of(second), 6047U);
  EXPECT_EQ(result_of(first), 6037U);
}

TEST_F(MetalKernelSource, LeavesConstantsThatAreNotGivenAtTheirDefaults) {  // row I2
  KernelSource source = msl_kernel("with_default", test_kernel_text(), "with_default");
  EXPECT_EQ(result_of(get(source).value()), 5U);
  const std::vector<SpecConstant> given{{7, std::uint32_t{9}}};
  EXPECT_EQ(result_of(device_.kernels().get("with_default", given).value()), 9U);
}

TEST_F(MetalKernelSource, SaysWhichConstantIsMissing) {  // row I4
  std::vector<SpecConstant> constants = all_constants();
  constants.pop_back();
  const Error error = refusal(specialised(), constants);
  EXPECT_THAT(error.message,
              HasSubstr("Kernel \"specialised\" does not compile: It cannot be specialised: "));
  EXPECT_THAT(error.message, HasSubstr("kScale"));
}

TEST_F(MetalKernelSource, SaysThatAConstantHasAnotherType) {  // rows I4, K4
  std::vector<SpecConstant> constants = all_constants();
  constants[3].value = std::uint32_t{1};
  EXPECT_EQ(refusal(specialised(), constants).message,
            "Kernel \"specialised\" does not compile: Specialisation constant 3 (\"kScale\") is a "
            "float, but an integer is given.");
}

TEST_F(MetalKernelSource, TakesIntegersOfEitherSign) {  // row I2
  std::vector<SpecConstant> constants = all_constants();
  constants[0].value = std::int32_t{4};
  constants[1].value = std::uint32_t{7};
  EXPECT_EQ(result_of(get(specialised(), constants).value()), 6047U);
}

TEST_F(MetalKernelSource, SaysThatThereIsNoSuchConstant) {  // rows I4, K4
  EXPECT_EQ(refusal(msl_kernel("only", kOne), {{3, std::uint32_t{1}}}).message,
            "Kernel \"only\" does not compile: The code has no specialisation constant 3.");
}

TEST_F(MetalKernelSource, OfOursHasConstantsThatArePartOfItsText) {  // rows I2, K4
  // Those that size arrays or groups, which are fixed when the text is translated.
  bool found = false;
  for (const KernelSource& source : hal_->builtin_kernels()) {
    for (std::uint32_t id = 0; id < 16; ++id) {
      const std::vector<SpecConstant> constant{{id, std::uint32_t{1}}};
      const auto compiled = hal_->compile(source, constant);
      if (compiled || !compiled.error().message.contains("part of its text")) continue;
      found = true;
      EXPECT_EQ(compiled.error().code, ErrorCode::kCompileFailed);
      EXPECT_EQ(compiled.error().message,
                "Kernel \"" + source.name + "\" does not compile: Specialisation constant " +
                    std::to_string(id) + " is part of its text, so it cannot be given.");
    }
  }
  EXPECT_TRUE(found) << "No kernel of ours has a frozen constant.";
}

TEST_F(MetalKernelSource, CanBeReplaced) {  // row I2
  const Kernel before = get(msl_kernel("swapped", kOne)).value();
  std::string text = kOne;
  text.replace(text.find("= 7"), 3, "= 8");
  ASSERT_TRUE(device_.kernels().replace(msl_kernel("swapped", text)).has_value());
  EXPECT_EQ(result_of(device_.kernels().get("swapped").value()), 8U);
  EXPECT_EQ(result_of(before), 7U);
}

}  // namespace
}  // namespace segue::metal
