// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/pipeline_cache.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace segue::vulkan {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMostBytes = std::uintmax_t{256} << 20;  // of a file that is read
constexpr std::array<char, 8> kMagic{'S', 'E', 'G', 'U', 'E', 'P', 'C', '1'};

struct FileHeader {
  std::array<char, 8> magic{};
  std::uint64_t size_bytes = 0;
  std::uint64_t checksum = 0;
};

/// FNV-1a, 64 bits.
std::uint64_t checksum(std::string_view data) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char byte : data) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001B3;
  }
  return hash;
}

std::string read_file(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error || size > kMostBytes) return {};
  std::ifstream file(path, std::ios::binary);
  std::string content(static_cast<std::size_t>(size), '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (file.gcount() != static_cast<std::streamsize>(content.size())) return {};
  return content;
}

bool write_file(const fs::path& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  return file.good();
}

/// Another process, or another device of this one, may write the same file at the same time.
fs::path temporary_name(const fs::path& path) {
  static std::atomic<unsigned> counter{0};
  fs::path name = path;
  name += fmt::format(".{}.{}.tmp", getpid(), counter.fetch_add(1));
  return name;
}

void replace_file(const fs::path& path, std::string_view content) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  const fs::path temporary = temporary_name(path);
  if (write_file(temporary, content)) {
    fs::rename(temporary, path, error);
    if (!error) return;
  }
  fs::remove(temporary, error);
}

/// What the driver would write now; empty if it fails.
std::string cache_data(const Context& context) {
  const Api& api = context.api;
  for (int attempt = 0; attempt < 3; ++attempt) {  // the cache may grow between the two calls
    std::size_t size = 0;
    if (api.GetPipelineCacheData(context.device, context.pipeline_cache, &size, nullptr) !=
        VK_SUCCESS) {
      return {};
    }
    std::string data(size, '\0');
    const VkResult result =
        api.GetPipelineCacheData(context.device, context.pipeline_cache, &size, data.data());
    if (result == VK_SUCCESS) {
      data.resize(size);
      return data;
    }
    if (result != VK_INCOMPLETE) return {};
  }
  return {};
}

VkResult create_cache(Context& context, std::string_view data) {
  VkPipelineCacheCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  info.initialDataSize = data.size();
  info.pInitialData = data.empty() ? nullptr : data.data();
  VkPipelineCache cache = VK_NULL_HANDLE;
  const VkResult result = context.api.CreatePipelineCache(context.device, &info, nullptr, &cache);
  if (result == VK_SUCCESS) context.pipeline_cache = cache;
  return result;
}

}  // namespace

std::string pipeline_cache_file(const VkPhysicalDeviceProperties& properties,
                                const std::string& directory) {
  std::string name = fmt::format("vulkan-{:04x}-{:04x}-{:08x}-", properties.vendorID,
                                 properties.deviceID, properties.driverVersion);
  for (const std::uint8_t byte : properties.pipelineCacheUUID) name += fmt::format("{:02x}", byte);
  return (fs::path(directory) / (name + ".cache")).string();
}

std::string wrap_pipeline_cache(std::string_view data) {
  const FileHeader header{kMagic, data.size(), checksum(data)};
  std::string content(sizeof(header) + data.size(), '\0');
  std::memcpy(content.data(), &header, sizeof(header));
  data.copy(content.data() + sizeof(header), data.size());
  return content;
}

std::string_view unwrap_pipeline_cache(std::string_view content,
                                       const VkPhysicalDeviceProperties& properties) {
  FileHeader header;
  if (content.size() < sizeof(header)) return {};
  std::memcpy(&header, content.data(), sizeof(header));
  const std::string_view data = content.substr(sizeof(header));
  if (header.magic != kMagic || header.size_bytes != data.size() ||
      header.checksum != checksum(data)) {
    return {};
  }
  VkPipelineCacheHeaderVersionOne driver;
  if (data.size() < sizeof(driver)) return {};
  std::memcpy(&driver, data.data(), sizeof(driver));
  const bool fits =
      driver.headerSize >= sizeof(driver) && driver.headerSize <= data.size() &&
      driver.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
      driver.vendorID == properties.vendorID && driver.deviceID == properties.deviceID &&
      std::memcmp(driver.pipelineCacheUUID, properties.pipelineCacheUUID, VK_UUID_SIZE) == 0;
  return fits ? data : std::string_view();
}

Result<> open_pipeline_cache(Context& context, std::string_view directory) {
  const bool on_disk = !directory.empty() && directory != "none";
  if (on_disk)
    context.pipeline_cache_path = pipeline_cache_file(context.properties, std::string(directory));

  const std::string content = on_disk ? read_file(context.pipeline_cache_path) : std::string();
  const std::string_view data = unwrap_pipeline_cache(content, context.properties);
  if (!data.empty() && create_cache(context, data) == VK_SUCCESS) {
    context.pipeline_cache_checksum = checksum(data);
    return {};
  }
  return context.check("vkCreatePipelineCache", create_cache(context, {}));
}

void save_pipeline_cache(const Context& context) {
  if (context.pipeline_cache == VK_NULL_HANDLE || context.pipeline_cache_path.empty()) return;
  const std::string data = cache_data(context);
  if (data.empty() || checksum(data) == context.pipeline_cache_checksum) return;
  replace_file(context.pipeline_cache_path, wrap_pipeline_cache(data));
}

}  // namespace segue::vulkan
