// SPDX-License-Identifier: Apache-2.0
#include "llama/kv_cache.hpp"

#include <utility>

namespace segue::llama {

Result<KvCache> KvCache::create(const Device& device, const Hyperparameters& shape,
                                std::uint32_t context, DType type, bool deferred) {
  const std::uint64_t tensor_bytes = row_bytes(type, shape.kv_width()) * context;
  BufferDesc desc;
  desc.size_bytes = 2 * shape.layers * tensor_bytes;
  desc.host_access = HostAccess::kNone;
  desc.deferred = deferred;
  desc.label = "kv cache";
  SEGUE_TRY_ASSIGN(const Buffer buffer, device.create_buffer(desc));

  KvCache cache;
  cache.context = context;
  std::uint64_t offset = 0;
  const auto next_tensor = [&]() -> Result<Tensor> {
    SEGUE_TRY_ASSIGN(BufferView view, buffer.view(offset, tensor_bytes));
    offset += tensor_bytes;
    return Tensor::create(std::move(view), type, context, shape.kv_width());
  };
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    KvLayer kv;
    SEGUE_TRY_ASSIGN(kv.keys, next_tensor());
    SEGUE_TRY_ASSIGN(kv.values, next_tensor());
    cache.layers.push_back(std::move(kv));
  }
  return cache;
}

}  // namespace segue::llama
