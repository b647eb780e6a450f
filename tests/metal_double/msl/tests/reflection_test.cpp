// SPDX-License-Identifier: Apache-2.0
// What a module says about its functions, and which texts it rejects.
#include <gmock/gmock.h>

#include "metal_double/msl/tests/test_kernel.hpp"

namespace metal_double::msl::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string log_of(std::string_view text) {
  auto module = Module::compile(std::string(kPrelude) + std::string(text), {});
  return module.has_value() ? "" : module.error();
}

TEST(MslReflection, NamesFunctionsAndBindings) {
  auto module = compile(R"(
    struct Block { uint count; float4 x[1]; };
    kernel void first(const device Block& block [[buffer(2)]], device float* y [[ buffer(0) ]],
                      constant uint3& grid [[buffer(5)]],
                          threadgroup half2* scratch [[threadgroup(1)]],
                      device void* raw [[buffer(7)]], constant float (&pair)[2] [[buffer(8)]],
                      ushort i [[thread_index_in_threadgroup]]) {}
    kernel void second(device const half* a, constant uint& b, device int* c) {}
    void helper() {})");
  ASSERT_NE(module, nullptr);
  ASSERT_EQ(module->functions().size(), 2u);
  const FunctionInfo& first = module->functions()[0];
  EXPECT_EQ(first.name, "first");
  const auto binding = [](const char* name, BindingKind kind, Access access, unsigned index,
                          std::uint64_t size, std::uint64_t alignment) {
    return testing::AllOf(
        testing::Field(&Binding::name, name), testing::Field(&Binding::kind, kind),
        testing::Field(&Binding::access, access), testing::Field(&Binding::index, index),
        testing::Field(&Binding::data_size, size), testing::Field(&Binding::alignment, alignment));
  };
  constexpr auto kBuffer = BindingKind::kBuffer;
  EXPECT_THAT(first.bindings, ElementsAre(binding("block", kBuffer, Access::kRead, 2, 32, 16),
                                          binding("y", kBuffer, Access::kReadWrite, 0, 4, 4),
                                          binding("grid", kBuffer, Access::kRead, 5, 16, 16),
                                          binding("scratch", BindingKind::kThreadgroup,
                                                  Access::kReadWrite, 1, 4, 4),
                                          binding("raw", kBuffer, Access::kReadWrite, 7, 1, 1),
                                          binding("pair", kBuffer, Access::kRead, 8, 8, 4)));
  EXPECT_THAT(module->functions()[1].bindings,
              ElementsAre(binding("a", kBuffer, Access::kRead, 0, 2, 2),
                          binding("b", kBuffer, Access::kRead, 1, 4, 4),
                          binding("c", kBuffer, Access::kReadWrite, 2, 4, 4)));
}

TEST(MslReflection, CountsThreadgroupMemoryAndThreads) {
  auto module = compile(R"(
    constant uint count = 5;
    kernel void none() {}
    [[kernel]] [[max_total_threads_per_threadgroup(64)]] void some() {
      threadgroup ushort a[count];
      threadgroup float4 b;
      { threadgroup uint c[2], d; c[0] = d; a[0] = 1; b = float4(0.0); }
    }
    kernel void other() [[max_total_threads_per_threadgroup(count * 2)]] { threadgroup char x;
        x = 1; })");
  ASSERT_NE(module, nullptr);
  ASSERT_EQ(module->functions().size(), 3u);
  EXPECT_EQ(module->functions()[0].static_threadgroup_bytes, 0u);
  EXPECT_EQ(module->functions()[0].max_total_threads, 0u);
  EXPECT_EQ(module->functions()[1].static_threadgroup_bytes, 16u + 16u + 8u + 4u);
  EXPECT_EQ(module->functions()[1].max_total_threads, 64u);
  EXPECT_EQ(module->functions()[2].static_threadgroup_bytes, 1u);
  EXPECT_EQ(module->functions()[2].max_total_threads, 10u);
}

TEST(MslReflection, ListsTheConstantsThatAFunctionReaches) {
  auto module = compile(R"(
    constant uint a_given [[function_constant(0)]];
    constant uint a = is_function_constant_defined(a_given) ? a_given : 4u;
    constant bool b [[function_constant(1)]];
    constant float c [[function_constant(2)]];
    constant half d [[function_constant(3)]];
    uint helper() { return a; }
    kernel void f(device uint* out [[buffer(0)]]) { out[0] = helper(); if (b) out[1] = uint(c); }
    kernel void g(device half* out [[buffer(0)]]) { out[0] = d; })");
  ASSERT_NE(module, nullptr);
  const auto constant = [](const char* name, unsigned index, ConstantType type, bool required) {
    return testing::AllOf(testing::Field(&FunctionConstant::name, name),
                          testing::Field(&FunctionConstant::index, index),
                          testing::Field(&FunctionConstant::type, type),
                          testing::Field(&FunctionConstant::required, required));
  };
  EXPECT_THAT(module->functions()[0].constants,
              ElementsAre(constant("a_given", 0, ConstantType::kUint, false),
                          constant("b", 1, ConstantType::kBool, true),
                          constant("c", 2, ConstantType::kFloat, true)));
  EXPECT_THAT(module->functions()[1].constants,
              ElementsAre(constant("d", 3, ConstantType::kHalf, true)));
}

TEST(MslCompiler, NamesTheLineOfAnError) {
  const std::string log =
      log_of("\n\nkernel void f(device float* x [[buffer(0)]]) {\n  x[0] = y;\n}\n");
  EXPECT_THAT(log, HasSubstr("program_source:7:10: error: use of undeclared identifier 'y'"));
  EXPECT_THAT(log, Not(HasSubstr("metal_cache")));
}

TEST(MslCompiler, NamesTheLineBehindRewrittenParts) {
  const std::string log = log_of(R"(
constant uint a [[function_constant(0)]];
constant uint b = a
    * 2u;
template <typename T> struct V {
  thread T& operator[](uint i) thread { return x; }
  device T& operator[](uint i) device {
    return x;
  }
  T x;
};
kernel void f(device float* x
              [[buffer(0)]]) {
  threadgroup float
      y[4];
  wrong();
})");
  EXPECT_THAT(log, HasSubstr("program_source:19:3: error: use of undeclared identifier 'wrong'"));
}

TEST(MslCompiler, RejectsWhatMetalRejects) {
  EXPECT_THAT(log_of("#include <vector>\n"),
              HasSubstr("program_source:4:10: fatal error: 'vector'"));
  EXPECT_THAT(log_of("#error \"not here\"\n"),
              HasSubstr("program_source:4:2: error: \"not here\""));
  EXPECT_THAT(log_of("kernel void f(constant float& x [[buffer(0)]]) { x = 1.0; }"),
              HasSubstr("const"));
  EXPECT_THAT(
      log_of("kernel void f(device float* x [[buffer(1)]], device float* y [[buffer(1)]]) {}"),
      HasSubstr("arguments \"x\" and \"y\" of \"f\" both have the index 1"));
  EXPECT_THAT(log_of("kernel void f(device float* x [[buffer(31)]]) {}"),
              HasSubstr("argument \"x\" of \"f\" has the index 31, but the last is 30"));
  EXPECT_THAT(log_of("constant uint a [[function_constant(3)]];\n"
                     "constant uint b [[function_constant(3)]];\n"),
              HasSubstr("function constants \"a\" and \"b\" both have the index 3"));
  EXPECT_THAT(log_of("constant float4 a [[function_constant(0)]];"),
              HasSubstr("has the type float4"));
  EXPECT_THAT(log_of("constant uint a [[function_constant(0)]];\n"
                     "kernel void f() { threadgroup float x[a]; x[0] = 1; }"),
              HasSubstr("error"));
  EXPECT_THAT(log_of("kernel void f(uint i [[thread_position_in_grid]]) { float x[i]; x[0] = 1; }"),
              HasSubstr("variable length arrays"));
  EXPECT_THAT(log_of("kernel void f(uint i [[thread_position]]) {}"),
              HasSubstr("Argument \"i\" of kernel function \"f\" has the attribute"));
  EXPECT_THAT(log_of("kernel void f() { threadgroup float a[2], *b; b = a; }"),
              HasSubstr("in one statement (\"threadgroup float a[2], *b\")"));
  EXPECT_THAT(log_of("kernel void f(uint i) {}"), HasSubstr("no attribute that says what it is"));
}

TEST(MslCompiler, TakesMacros) {
  auto module =
      Module::compile("kernel void f(device float* x [[buffer(WHERE)]]) {}", {{"WHERE", "3"}});
  ASSERT_TRUE(module.has_value()) << module.error();
  EXPECT_EQ((*module)->functions()[0].bindings[0].index, 3u);
}

}  // namespace
}  // namespace metal_double::msl::test
