// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/pipeline_cache.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "backends/vulkan/create_context.hpp"
#include "support/required_devices.hpp"
#include "support/vulkan_device.hpp"

namespace segue::vulkan {
namespace {

namespace fs = std::filesystem;

VkPhysicalDeviceProperties properties() {
  VkPhysicalDeviceProperties device{};
  device.vendorID = 0x10DE;
  device.deviceID = 0x2335;
  device.driverVersion = 7;
  for (std::size_t i = 0; i < VK_UUID_SIZE; ++i)
    device.pipelineCacheUUID[i] = static_cast<std::uint8_t>(i);
  return device;
}

/// What the driver of such a device would write.
std::string driver_data(const VkPhysicalDeviceProperties& device, std::string_view rest = "code") {
  VkPipelineCacheHeaderVersionOne header{};
  header.headerSize = sizeof(header);
  header.headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE;
  header.vendorID = device.vendorID;
  header.deviceID = device.deviceID;
  std::memcpy(header.pipelineCacheUUID, device.pipelineCacheUUID, VK_UUID_SIZE);
  std::string data(sizeof(header), '\0');
  std::memcpy(data.data(), &header, sizeof(header));
  return data.append(rest);
}

TEST(PipelineCacheFile, HoldsTheDriversData) {  // row I2
  const std::string data = driver_data(properties());
  EXPECT_EQ(unwrap_pipeline_cache(wrap_pipeline_cache(data), properties()), data);
}

TEST(PipelineCacheFile, AnyDamageMakesItCountAsNone) {  // row I2
  const std::string content = wrap_pipeline_cache(driver_data(properties()));
  for (std::size_t i = 0; i < content.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = content;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_TRUE(unwrap_pipeline_cache(damaged, properties()).empty()) << i;
    }
    EXPECT_TRUE(
        unwrap_pipeline_cache(std::string_view(content).substr(0, i), properties()).empty());
  }
  EXPECT_TRUE(unwrap_pipeline_cache(content + "x", properties()).empty());
}

TEST(PipelineCacheFile, OfAnotherDeviceCountsAsNone) {  // row I2
  const auto foreign = [](auto change) {
    VkPhysicalDeviceProperties device = properties();
    change(device);
    return unwrap_pipeline_cache(wrap_pipeline_cache(driver_data(device)), properties()).empty();
  };
  EXPECT_FALSE(foreign([](VkPhysicalDeviceProperties&) {}));
  EXPECT_TRUE(foreign([](VkPhysicalDeviceProperties& device) { ++device.vendorID; }));
  EXPECT_TRUE(foreign([](VkPhysicalDeviceProperties& device) { ++device.deviceID; }));
  EXPECT_TRUE(foreign([](VkPhysicalDeviceProperties& device) { ++device.pipelineCacheUUID[15]; }));
  std::string version = driver_data(properties());
  version[4] = 2;
  EXPECT_TRUE(unwrap_pipeline_cache(wrap_pipeline_cache(version), properties()).empty());
  EXPECT_TRUE(unwrap_pipeline_cache(wrap_pipeline_cache("short"), properties()).empty());
}

TEST(PipelineCacheFile, HasANameForEachDriverAndDevice) {  // row I2
  const std::string name = pipeline_cache_file(properties(), "/cache");
  EXPECT_EQ(name, "/cache/vulkan-10de-2335-00000007-000102030405060708090a0b0c0d0e0f.cache");
  VkPhysicalDeviceProperties newer = properties();
  newer.driverVersion = 8;
  EXPECT_NE(pipeline_cache_file(newer, "/cache"), name);
}

class PipelineCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("segue_cache_test_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    open();
  }
  void TearDown() override {
    context_.reset();
    fs::remove_all(folder_);
  }

  void open(const ApiHook& hook = {}) {
    Result<ContextPointer> opened = create_context(segue::test::validated_options(), hook);
    if (!opened) {
      if (segue::test::is_required("vulkan")) FAIL() << opened.error().to_string();
      GTEST_SKIP() << "vulkan is missing: " << opened.error().to_string();
    }
    context_ = *std::move(opened);
  }
  [[nodiscard]] fs::path file() const {
    return pipeline_cache_file(context_->properties, folder_.string());
  }
  static std::string content_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(const fs::path& path, std::string_view content) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }
  [[nodiscard]] std::size_t files() const {
    if (!fs::exists(folder_)) return 0;
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
  ContextPointer context_;
};

TEST_F(PipelineCacheTest, IsWrittenAndReadAgain) {  // row I2
  ASSERT_TRUE(open_pipeline_cache(*context_, folder_.string()).has_value());
  EXPECT_NE(context_->pipeline_cache, VK_NULL_HANDLE);
  EXPECT_EQ(context_->pipeline_cache_checksum, 0U);
  save_pipeline_cache(*context_);
  ASSERT_TRUE(fs::exists(file()));
  EXPECT_EQ(files(), 1U);
  const std::string content = content_of(file());
  EXPECT_FALSE(unwrap_pipeline_cache(content, context_->properties).empty());

  context_.reset();
  open();
  ASSERT_TRUE(open_pipeline_cache(*context_, folder_.string()).has_value());
  EXPECT_NE(context_->pipeline_cache_checksum, 0U);  // the file was taken
  fs::remove(file());
  save_pipeline_cache(*context_);
  EXPECT_FALSE(fs::exists(file()));  // nothing new, so nothing is written
}

TEST_F(PipelineCacheTest, ADamagedFileIsReplaced) {  // row I2
  for (const std::string_view damage :
       {"", "rubbish", "SEGUEPC1 and then rubbish of some length"}) {
    context_.reset();
    open();
    write(file(), damage);
    ASSERT_TRUE(open_pipeline_cache(*context_, folder_.string()).has_value());
    EXPECT_NE(context_->pipeline_cache, VK_NULL_HANDLE);
    EXPECT_EQ(context_->pipeline_cache_checksum, 0U);
    save_pipeline_cache(*context_);
    EXPECT_FALSE(unwrap_pipeline_cache(content_of(file()), context_->properties).empty());
    EXPECT_EQ(files(), 1U);
  }
}

TEST_F(PipelineCacheTest, ADriverThatRefusesTheDataStartsAnew) {  // row I2
  write(file(), wrap_pipeline_cache(driver_data(context_->properties)));
  static PFN_vkCreatePipelineCache driver = nullptr;
  driver = context_->api.CreatePipelineCache;
  context_->api.CreatePipelineCache = [](VkDevice device, const VkPipelineCacheCreateInfo* info,
                                         const VkAllocationCallbacks* none, VkPipelineCache* made) {
    if (info->initialDataSize != 0) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return driver(device, info, none, made);
  };
  ASSERT_TRUE(open_pipeline_cache(*context_, folder_.string()).has_value());
  EXPECT_NE(context_->pipeline_cache, VK_NULL_HANDLE);
  EXPECT_EQ(context_->pipeline_cache_checksum, 0U);
}

TEST_F(PipelineCacheTest, AFailingDiskFailsNoDevice) {  // rows I2, K3
  // A file stands where the folder should be; it can be neither read from nor made.
  write(folder_, "in the way");
  ASSERT_TRUE(open_pipeline_cache(*context_, (folder_ / "below").string()).has_value());
  EXPECT_NE(context_->pipeline_cache, VK_NULL_HANDLE);
  save_pipeline_cache(*context_);
  EXPECT_EQ(content_of(folder_), "in the way");
}

TEST_F(PipelineCacheTest, AFolderInPlaceOfTheFileStays) {  // row I2
  fs::create_directories(file() / "inside");
  ASSERT_TRUE(open_pipeline_cache(*context_, folder_.string()).has_value());
  save_pipeline_cache(*context_);
  EXPECT_TRUE(fs::exists(file() / "inside"));
  EXPECT_EQ(files(), 1U);  // no temporary file stays behind
}

TEST_F(PipelineCacheTest, NoneMeansNoFile) {  // row I2
  for (const char* directory : {"none", ""}) {
    context_.reset();
    open();
    ASSERT_TRUE(open_pipeline_cache(*context_, directory).has_value());
    EXPECT_NE(context_->pipeline_cache, VK_NULL_HANDLE);
    EXPECT_TRUE(context_->pipeline_cache_path.empty());
    save_pipeline_cache(*context_);
    EXPECT_FALSE(fs::exists("none"));
  }
}

TEST_F(PipelineCacheTest, FailedCallsOfTheDriver) {  // row K3
  context_->api.CreatePipelineCache = [](VkDevice, const VkPipelineCacheCreateInfo*,
                                         const VkAllocationCallbacks*,
                                         VkPipelineCache*) { return VK_ERROR_OUT_OF_HOST_MEMORY; };
  const Result<> failed = open_pipeline_cache(*context_, folder_.string());
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(context_->pipeline_cache, VK_NULL_HANDLE);
  save_pipeline_cache(*context_);  // nothing to save

  context_.reset();
  open();
  ASSERT_TRUE(open_pipeline_cache(*context_, folder_.string()).has_value());
  context_->api.GetPipelineCacheData = [](VkDevice, VkPipelineCache, std::size_t*, void*) {
    return VK_ERROR_OUT_OF_HOST_MEMORY;
  };
  save_pipeline_cache(*context_);
  EXPECT_EQ(files(), 0U);
}

}  // namespace
}  // namespace segue::vulkan
