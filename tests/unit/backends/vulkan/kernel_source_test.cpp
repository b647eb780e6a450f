// SPDX-License-Identifier: Apache-2.0
//
// Kernels of users, made on a device with validation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <map>
#include <thread>

#include "backends/vulkan/create_context.hpp"
#include "backends/vulkan/vulkan_kernel.hpp"
#include "support/required_devices.hpp"
#include "support/vulkan_device.hpp"
#include "unit/spirv/shader_text.hpp"

namespace segue::vulkan {
namespace {

using testing::HasSubstr;

/// Counts the objects of kernels that are alive, and makes the n-th creation fail.
struct Tracker {
  static inline Api driver;
  static inline std::atomic<int> live{0};
  static inline std::atomic<int> created{0};
  static inline std::atomic<int> failing{0};  ///< Counted from 1; 0: none.

  static inline std::map<std::uint32_t, std::uint32_t> constants;  ///< Of the last pipeline.

  static void note(const VkPipelineShaderStageCreateInfo& stage) {
    constants.clear();
    const VkSpecializationInfo& given = *stage.pSpecializationInfo;
    for (std::uint32_t i = 0; i < given.mapEntryCount; ++i) {
      const VkSpecializationMapEntry& entry = given.pMapEntries[i];
      ASSERT_EQ(entry.size, 4U);
      ASSERT_LE(entry.offset + entry.size, given.dataSize);
      std::memcpy(&constants[entry.constantID],
                  static_cast<const std::byte*>(given.pData) + entry.offset, entry.size);
    }
  }

  static bool fails_now() { return ++created == failing; }

  template <class Make>
  static VkResult make(Make&& make) {
    if (fails_now()) return VK_ERROR_OUT_OF_HOST_MEMORY;
    const VkResult result = make();
    if (result == VK_SUCCESS) ++live;
    return result;
  }

  static void install(Api& api) {
    if (api.CreateShaderModule == nullptr) return;  // not loaded yet
    driver = api;
    api.CreateShaderModule = [](VkDevice device, const VkShaderModuleCreateInfo* info,
                                const VkAllocationCallbacks* none, VkShaderModule* made) {
      return make([=] { return driver.CreateShaderModule(device, info, none, made); });
    };
    api.CreateDescriptorSetLayout = [](VkDevice device, const VkDescriptorSetLayoutCreateInfo* info,
                                       const VkAllocationCallbacks* none,
                                       VkDescriptorSetLayout* made) {
      return make([=] { return driver.CreateDescriptorSetLayout(device, info, none, made); });
    };
    api.CreatePipelineLayout = [](VkDevice device, const VkPipelineLayoutCreateInfo* info,
                                  const VkAllocationCallbacks* none, VkPipelineLayout* made) {
      return make([=] { return driver.CreatePipelineLayout(device, info, none, made); });
    };
    api.CreateComputePipelines = [](VkDevice device, VkPipelineCache cache, std::uint32_t count,
                                    const VkComputePipelineCreateInfo* info,
                                    const VkAllocationCallbacks* none, VkPipeline* made) {
      note(info->stage);
      return make(
          [=] { return driver.CreateComputePipelines(device, cache, count, info, none, made); });
    };
    api.DestroyShaderModule = [](VkDevice device, VkShaderModule object,
                                 const VkAllocationCallbacks* none) {
      --live;
      driver.DestroyShaderModule(device, object, none);
    };
    api.DestroyDescriptorSetLayout = [](VkDevice device, VkDescriptorSetLayout object,
                                        const VkAllocationCallbacks* none) {
      --live;
      driver.DestroyDescriptorSetLayout(device, object, none);
    };
    api.DestroyPipelineLayout = [](VkDevice device, VkPipelineLayout object,
                                   const VkAllocationCallbacks* none) {
      --live;
      driver.DestroyPipelineLayout(device, object, none);
    };
    api.DestroyPipeline = [](VkDevice device, VkPipeline object,
                             const VkAllocationCallbacks* none) {
      --live;
      driver.DestroyPipeline(device, object, none);
    };
  }
};

constexpr std::string_view kScale = R"(#version 460
layout(local_size_x = 64, local_size_x_id = 0, local_size_y_id = 1, local_size_z_id = 2) in;
layout(constant_id = 3) const float factor = 2;
layout(constant_id = 4) const uint segue_subgroup_size = 1;
layout(constant_id = 5) const uint s_count = 64;
layout(constant_id = 6) const bool flag = false;
layout(constant_id = 7) const uint items_per_group = 64;
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) writeonly buffer Y { float y[]; };
layout(binding = 2) uniform Params { uint count; };
shared float s[s_count];
shared float lanes[segue_subgroup_size];
void main() {
  const uint i = gl_GlobalInvocationID.x;
  s[gl_LocalInvocationID.x % s_count] = 1;
  lanes[gl_LocalInvocationID.x % segue_subgroup_size] = 1;
  if (i < count) y[i] = factor * x[i] + (flag ? 1 : 0);
}
)";

class KernelSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    Tracker::live = Tracker::failing = 0;
    Result<ContextPointer> opened =
        create_context(segue::test::validated_options(), &Tracker::install);
    if (!opened) {
      if (segue::test::is_required("vulkan")) FAIL() << opened.error().to_string();
      GTEST_SKIP() << "vulkan is missing: " << opened.error().to_string();
    }
    context_ = *std::move(opened);
  }
  void TearDown() override {
    context_.reset();
    EXPECT_EQ(Tracker::live, 0);
  }

  Result<base::Ref<CompiledKernel>> compile(const KernelSource& source,
                                            std::vector<SpecConstant> constants = {}) {
    SEGUE_TRY_ASSIGN(const base::Ref<ir::Kernel> kernel,
                     compile_kernel(context_, source, constants, indices_));
    return base::Ref<CompiledKernel>(static_cast<CompiledKernel*>(kernel.get()));
  }
  std::string error_of(const KernelSource& source, std::vector<SpecConstant> constants = {}) {
    const auto kernel = compile(source, std::move(constants));
    if (kernel) return "(no error)";
    EXPECT_EQ(kernel.error().code, ErrorCode::kCompileFailed);
    return kernel.error().message;
  }
  static KernelSource scale() { return glsl_kernel("scale", std::string(kScale)); }

  ContextPointer context_;
  std::shared_ptr<base::IndexAllocator> indices_ = std::make_shared<base::IndexAllocator>();
};

TEST_F(KernelSourceTest, GlslBecomesAKernel) {  // rows I1, I3
  const auto kernel = compile(scale());
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  EXPECT_EQ((*kernel)->name, "scale");
  const Signature& signature = (*kernel)->signature;
  ASSERT_EQ(signature.parameters.size(), 4U);
  EXPECT_EQ(signature.parameters[0].access, Access::kRead);
  EXPECT_EQ(signature.parameters[1].access, Access::kWrite);
  EXPECT_EQ(signature.parameters[2].kind, ParameterKind::kBytes);
  EXPECT_EQ(signature.parameters[3].name, "s");
  EXPECT_EQ(signature.group_size, (Extent3{64, 1, 1}));
  EXPECT_FALSE((*kernel)->wants_grid());
  ASSERT_EQ((*kernel)->bindings().size(), 3U);
  EXPECT_EQ((*kernel)->bindings()[0].type, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER);
  EXPECT_EQ((*kernel)->bindings()[2].type, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER);
  EXPECT_EQ((*kernel)->bindings()[2].min_range, 4U);
}

TEST_F(KernelSourceTest, SpirvBecomesAKernel) {  // row I3
  const spirv::test::Words words = spirv::test::glsl(
      "layout(binding = 0) buffer X { uint x[]; };"
      "void main() { x[0] = 1; }");
  const auto kernel = compile(spirv_kernel("store", words));
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  EXPECT_EQ((*kernel)->signature.parameters.at(0).access, Access::kWrite);
  EXPECT_THAT(error_of(spirv_kernel("store", words, "other")), HasSubstr("\"other\""));
}

TEST_F(KernelSourceTest, InvalidSpirvNeverReachesTheDriver) {  // row I4
  spirv::test::Words words = spirv::test::glsl(
      "layout(binding = 0) buffer X { uint x[]; };"
      "void main() { x[0] = 1; }");
  words.resize(words.size() - 2);
  EXPECT_THAT(error_of(spirv_kernel("cut", words)),
              testing::AllOf(HasSubstr("Kernel \"cut\" does not compile."),
                             HasSubstr("The SPIR-V validator says:")));
  EXPECT_THAT(error_of(spirv_kernel("nothing", {})), HasSubstr("Kernel \"nothing\""));
}

TEST_F(KernelSourceTest, ErrorsHaveNameAndLog) {  // row I4
  EXPECT_THAT(error_of(glsl_kernel("broken", "#version 460\nvoid main() { missing = 1; }")),
              testing::AllOf(testing::StartsWith("Kernel \"broken\" does not compile. The GLSL "
                                                 "compiler says:\n"),
                             HasSubstr("'missing' : undeclared identifier")));
}

TEST_F(KernelSourceTest, DeclaredSignaturesAreComparedWithTheCode) {  // row I1
  constexpr const char* kText =
      "#version 460\nlayout(binding = 0) buffer X { uint x[]; }; void main() { x[0] = 1; }";
  Signature signature;
  signature.parameters.resize(1);
  signature.parameters[0].name = "data";
  signature.parameters[0].access = Access::kRead;
  EXPECT_EQ(error_of(glsl_kernel("store", signature, kText)),
            "Kernel \"store\" does not compile. Parameter \"data\" is declared as read, but the "
            "code's access to \"x\" is write.");
  const spirv::test::Words words = spirv::test::glsl(std::string_view(kText).substr(13));
  EXPECT_THAT(error_of(spirv_kernel("store", signature, words)), HasSubstr("declared as read"));
  signature.parameters[0].access_known = false;
  const auto kernel = compile(glsl_kernel("store", signature, kText));
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  EXPECT_FALSE((*kernel)->signature.parameters[0].access_known);
}

TEST_F(KernelSourceTest, SourcesOfOtherBackendsAreRefused) {  // row I4
  KernelSource source = scale();
  source.backend = "host";
  EXPECT_THAT(error_of(source), HasSubstr("backend \"host\""));
  source.backend = "vulkan";
  source.native = nullptr;
  EXPECT_THAT(error_of(source), HasSubstr("has no code"));
}

TEST_F(KernelSourceTest, ConstantsAreCheckedByIdAndType) {  // rows I4, I5
  EXPECT_EQ(error_of(scale(), {{99, 1U}}),
            "Kernel \"scale\" does not compile. The code has no specialisation constant 99.");
  EXPECT_THAT(error_of(scale(), {{3, 1U}}),
              HasSubstr("constant 3 (\"factor\") is a float, but an integer is given"));
  EXPECT_THAT(error_of(scale(), {{6, 1.0F}}),
              HasSubstr("constant 6 (\"flag\") is a Boolean, but a float is given"));
  EXPECT_THAT(error_of(glsl_kernel("wide",
                                   "#version 460\nlayout(constant_id = 0) const double d = 1;"
                                   "layout(binding = 0) buffer X { float x; };"
                                   "void main() { x = float(d); }"),
                       {{0, 1.0F}}),
              HasSubstr("Float64 (10)"));
  const auto kernel =
      compile(scale(), {{3, 0.5F}, {6, true}, {0, 32U}, {5, 16U}, {7, std::int32_t{256}}});
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  EXPECT_EQ((*kernel)->signature.group_size, (Extent3{32, 1, 1}));
  EXPECT_EQ((*kernel)->signature.items_per_group, 256U);
  EXPECT_EQ((*kernel)->signature.parameters[3].sizing, SharedSizing::kSpecialisation);
  EXPECT_EQ((*kernel)->signature.parameters[3].size_bytes, 64U);
}

TEST_F(KernelSourceTest, TheSubgroupSizeIsTheDevices) {  // row I5
  // One byte of shared memory fewer than lanes[] needs, once with the device's size, once with one.
  constexpr const char* kText =
      "#version 460\nlayout(constant_id = 0) const uint segue_subgroup_size = 1;"
      "layout(binding = 0) buffer X { uint x[]; }; shared uint s[segue_subgroup_size];"
      "void main() { s[0] = 1; x[0] = s[0]; }";
  context_->limits.max_shared_memory_bytes = 4 * context_->traits.subgroup_size - 1;
  EXPECT_THAT(error_of(glsl_kernel("lanes", kText)),
              HasSubstr(std::to_string(4 * context_->traits.subgroup_size) + " bytes of shared"));
  const auto given = compile(glsl_kernel("lanes", kText), {{0, 1U}});
  EXPECT_TRUE(given.has_value()) << given.error().message;
}

TEST_F(KernelSourceTest, PipelinesGetTheirConstants) {  // rows B2, I5
  const auto kernel = compile(scale(), {{3, 0.5F}, {6, true}});
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  using Constants = std::map<std::uint32_t, std::uint32_t>;
  const std::uint32_t half = std::bit_cast<std::uint32_t>(0.5F);
  const std::uint32_t lanes = context_->traits.subgroup_size;
  EXPECT_EQ(Tracker::constants,
            (Constants{{0, 64}, {1, 1}, {2, 1}, {3, half}, {4, lanes}, {6, 1}}));
  const std::vector<std::uint32_t> shared{30};  // bytes: 8 elements, rounded up
  ASSERT_TRUE((*kernel)->pipeline({16, 2, 3}, shared, BindingMode::kPush).has_value());
  EXPECT_EQ(Tracker::constants,
            (Constants{{0, 16}, {1, 2}, {2, 3}, {3, half}, {4, lanes}, {5, 8}, {6, 1}}));
  const auto fixed = compile(scale(), {{4, 2U}, {5, 20U}});
  ASSERT_TRUE(fixed.has_value()) << fixed.error().message;
  ASSERT_TRUE((*fixed)->pipeline({32, 1, 1}, shared, BindingMode::kPush).has_value());
  EXPECT_EQ(Tracker::constants, (Constants{{0, 32}, {1, 1}, {2, 1}, {4, 2}, {5, 20}}));
}

TEST_F(KernelSourceTest, CapabilitiesThatTheDeviceLacksAreNamed) {  // row I4
  context_->traits.float16 = false;
  EXPECT_EQ(
      error_of(glsl_kernel("half",
                           "#version 460\n"
                           "#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require\n"
                           "layout(binding = 0) buffer X { float x; };"
                           "void main() { float16_t h = float16_t(x); x = float(h * h); }")),
      "Kernel \"half\" does not compile. It needs the SPIR-V capability Float16 (9), which "
      "device \"" +
          context_->name + "\" does not offer.");
}

TEST_F(KernelSourceTest, LimitsOfTheDeviceAreNamed) {  // row I4
  EXPECT_THAT(error_of(scale(), {{0, 4096U}}), HasSubstr("4096 x 1 x 1"));
  EXPECT_THAT(error_of(scale(), {{5, 1U << 20}}), HasSubstr("bytes of shared memory"));
}

TEST_F(KernelSourceTest, PipelinesAreMadeOnceForEachKey) {  // row I2
  const auto kernel = compile(scale());
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  const int before = Tracker::created;
  const std::vector<std::uint32_t> kilobyte{1024}, more{1028};
  const auto get = [&](Extent3 size, std::span<const std::uint32_t> shared, BindingMode mode) {
    const auto pipeline = (*kernel)->pipeline(size, shared, mode);
    EXPECT_TRUE(pipeline.has_value()) << pipeline.error().message;
    return *pipeline;
  };
  const Pipeline* const usual = get({64, 1, 1}, {}, BindingMode::kPush);
  EXPECT_EQ(Tracker::created, before);  // compiled with the kernel
  const Pipeline* const small = get({32, 2, 1}, {}, BindingMode::kPush);
  const Pipeline* const shared = get({64, 1, 1}, kilobyte, BindingMode::kPush);
  const Pipeline* const sets = get({64, 1, 1}, {}, BindingMode::kUpdateAfterBind);
  EXPECT_EQ(Tracker::created, before + 5);  // and two layouts of the second mode
  EXPECT_NE(usual->handle, small->handle);
  EXPECT_NE(usual->handle, shared->handle);
  EXPECT_EQ(usual->layout, small->layout);
  EXPECT_NE(usual->layout, sets->layout);
  EXPECT_NE(get({64, 1, 1}, more, BindingMode::kPush), shared);
  EXPECT_EQ(get({32, 2, 1}, {}, BindingMode::kPush), small);
  EXPECT_EQ(get({64, 1, 1}, {}, BindingMode::kPush), usual);
  EXPECT_EQ(get({64, 1, 1}, kilobyte, BindingMode::kPush), shared);
  EXPECT_EQ(get({64, 1, 1}, {}, BindingMode::kUpdateAfterBind), sets);
  EXPECT_EQ(Tracker::created, before + 6);
}

TEST_F(KernelSourceTest, PipelinesThatDoNotFitAreErrors) {  // row I4
  const auto kernel = compile(scale());
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  const std::vector<std::uint32_t> huge{context_->limits.max_shared_memory_bytes};
  const auto shared = (*kernel)->pipeline({64, 1, 1}, huge, BindingMode::kPush);
  ASSERT_FALSE(shared.has_value());
  EXPECT_THAT(shared.error().message,
              testing::AllOf(HasSubstr("Kernel \"scale\""), HasSubstr("bytes of shared memory")));
  const auto fixed = compile(glsl_kernel("fixed", "#version 460\nvoid main() { }"));
  ASSERT_TRUE(fixed.has_value()) << fixed.error().message;
  const auto grown = (*fixed)->pipeline({2, 1, 1}, {}, BindingMode::kPush);
  ASSERT_FALSE(grown.has_value());
  EXPECT_THAT(grown.error().message, HasSubstr("2 x 1 x 1 is asked for"));
}

TEST_F(KernelSourceTest, SeveralThreadsGetTheSamePipelines) {  // row I2
  const auto kernel = compile(scale());
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  const int before = Tracker::created;
  constexpr std::uint32_t kSizes = 4;
  std::array<std::array<std::atomic<const Pipeline*>, kSizes>, 4> seen{};
  {
    std::vector<std::jthread> threads;
    for (auto& mine : seen) {
      threads.emplace_back([&] {
        for (int round = 0; round < 50; ++round) {
          for (std::uint32_t size = 0; size < kSizes; ++size) {
            const auto pipeline = (*kernel)->pipeline({8U << size, 1, 1}, {}, BindingMode::kPush);
            ASSERT_TRUE(pipeline.has_value());
            mine[size] = *pipeline;
          }
        }
      });
    }
  }
  for (std::uint32_t size = 0; size < kSizes; ++size) {
    for (const auto& mine : seen) EXPECT_EQ(mine[size].load(), seen[0][size].load());
  }
  EXPECT_EQ(Tracker::created, before + 3);  // the fourth is the usual one
}

TEST_F(KernelSourceTest, FailedCallsLeaveNothingBehind) {  // rows I4, K3
  for (int nth = 1; nth <= 4; ++nth) {
    Tracker::created = 0;
    Tracker::failing = nth;
    const auto kernel = compile(scale());
    Tracker::failing = 0;
    ASSERT_FALSE(kernel.has_value()) << nth;
    EXPECT_EQ(kernel.error().code, ErrorCode::kOutOfMemory);
    EXPECT_THAT(kernel.error().message, HasSubstr("Kernel \"scale\""));
    EXPECT_EQ(Tracker::live, 0) << nth;
  }
  EXPECT_EQ(indices_->take(), 0U);  // all indices were given back
}

TEST_F(KernelSourceTest, AFailedPipelineCanBeAskedForAgain) {  // rows I2, I4
  const auto kernel = compile(scale());
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  // The set layout fails, then the pipeline layout, then the pipeline; what was made before a
  // failure is used by the next attempt.
  int live = 4;
  for (const int nth : {1, 2, 2}) {
    Tracker::created = 0;
    Tracker::failing = nth;
    EXPECT_FALSE((*kernel)->pipeline({64, 1, 1}, {}, BindingMode::kUpdateAfterBind).has_value());
    Tracker::failing = 0;
    EXPECT_EQ(Tracker::live, live++);
  }
  EXPECT_TRUE((*kernel)->pipeline({64, 1, 1}, {}, BindingMode::kUpdateAfterBind).has_value());
  EXPECT_EQ(Tracker::live, live);
}

TEST_F(KernelSourceTest, BuiltInKernelsCompile) {  // rows I1, I3
  for (const KernelSource& source : builtin_kernels(context_->traits)) {
    const auto kernel = compile(source);
    ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
    // Theirs are made when they first run.
    const auto pipeline =
        (*kernel)->pipeline((*kernel)->signature.group_size, {}, BindingMode::kPush);
    EXPECT_TRUE(pipeline.has_value()) << pipeline.error().message;
  }
}

}  // namespace
}  // namespace segue::vulkan
