// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "backends/vulkan/context.hpp"

namespace segue::vulkan {

/// Makes the context's pipeline cache, with what an earlier run left on disk for the same driver
/// and device. A file that is damaged, cut off or of another driver counts as none; so does a disk
/// that cannot be read.
///
/// @param directory  Where the file is; empty or "none": nowhere.
/// @error  Those of vkCreatePipelineCache.
[[nodiscard]] Result<> open_pipeline_cache(Context& context, std::string_view directory);

/// Writes the cache to its file, if it holds something new. A reader sees the old file or the new
/// one, never a part. Nothing happens where the disk cannot be written.
void save_pipeline_cache(const Context& context);

/// The file in `directory` for a device; another driver version has another file.
[[nodiscard]] std::string pipeline_cache_file(const VkPhysicalDeviceProperties& properties,
                                              const std::string& directory);

/// What such a file holds for the driver's data: a header with length and checksum, and the data.
[[nodiscard]] std::string wrap_pipeline_cache(std::string_view data);
/// The driver's data in a file's content; empty if the content is not whole, or the data not made
/// by this driver on this device.
[[nodiscard]] std::string_view unwrap_pipeline_cache(std::string_view content,
                                                     const VkPhysicalDeviceProperties& properties);

}  // namespace segue::vulkan
