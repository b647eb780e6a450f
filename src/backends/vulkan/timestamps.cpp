// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/timestamps.hpp"

#include <array>
#include <bit>

namespace segue::vulkan {

Result<DeviceClock> DeviceClock::create(const Context& context) {
  DeviceClock clock;
  const DeviceTraits& traits = context.traits;
  clock.seconds_per_tick_ = traits.timestamp_period * 1e-9;
  if (traits.timestamp_bits < 64) clock.mask_ = (std::uint64_t{1} << traits.timestamp_bits) - 1;
  if (!traits.calibrated_timestamps || traits.timestamp_bits == 0) return clock;
  std::array<VkCalibratedTimestampInfoEXT, 2> infos{
      VkCalibratedTimestampInfoEXT{VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, nullptr,
                                   VK_TIME_DOMAIN_DEVICE_EXT},
      VkCalibratedTimestampInfoEXT{VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, nullptr,
                                   VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT}};
  std::array<std::uint64_t, 2> values{};
  std::uint64_t deviation = 0;
  const VkResult asked = context.api.GetCalibratedTimestampsEXT(
      context.device, infos.size(), infos.data(), values.data(), &deviation);
  if (asked == VK_ERROR_DEVICE_LOST) return context.fail("vkGetCalibratedTimestampsEXT", asked);
  if (asked != VK_SUCCESS) return clock;
  clock.origin_ticks_ = values[0];
  clock.origin_seconds_ = static_cast<double>(values[1]) * 1e-9;
  clock.calibrated_ = true;
  return clock;
}

Queries::~Queries() {
  if (pool_ != VK_NULL_HANDLE) context_->api.DestroyQueryPool(context_->device, pool_, nullptr);
}

Result<> Queries::prepare(const ContextPointer& context, std::uint32_t count) {
  if (count > capacity_) {
    VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = std::bit_ceil(count);
    VkQueryPool pool = VK_NULL_HANDLE;
    SEGUE_VK_TRY(*context, CreateQueryPool, context->device, &info, nullptr, &pool);
    if (pool_ != VK_NULL_HANDLE) context->api.DestroyQueryPool(context->device, pool_, nullptr);
    context_ = context;
    pool_ = pool;
    capacity_ = info.queryCount;
  }
  context->api.ResetQueryPool(context->device, pool_, 0, count);
  return {};
}

Result<> Queries::read(std::uint32_t count, std::vector<std::uint64_t>& ticks) const {
  ticks.resize(count);
  return context_->check("vkGetQueryPoolResults",
                         context_->api.GetQueryPoolResults(
                             context_->device, pool_, 0, count, count * sizeof(std::uint64_t),
                             ticks.data(), sizeof(std::uint64_t), VK_QUERY_RESULT_64_BIT));
}

}  // namespace segue::vulkan
