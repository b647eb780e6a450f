# SPDX-License-Identifier: Apache-2.0
# The kernels of src/ops beside the matrix products.

segue_vulkan_kernel(rms_norm rms_norm.comp)
segue_vulkan_kernel(rms_norm_weighted rms_norm.comp DEFINES WEIGHTED)
segue_vulkan_kernel(add_rms_norm rms_norm.comp DEFINES ADD)
segue_vulkan_kernel(add_rms_norm_weighted rms_norm.comp DEFINES ADD WEIGHTED)

segue_vulkan_kernel(add elementwise.comp DEFINES ADD)
segue_vulkan_kernel(mul elementwise.comp DEFINES MUL)
segue_vulkan_kernel(silu elementwise.comp DEFINES SILU)
segue_vulkan_kernel(silu_mul elementwise.comp DEFINES SILU_MUL)

segue_vulkan_kernel(rope_interleaved rope.comp)
segue_vulkan_kernel(rope_neox rope.comp DEFINES NEOX)
segue_vulkan_kernel(rope_kv_append_interleaved_f32 rope.comp DEFINES APPEND CACHE_F32)
segue_vulkan_kernel(rope_kv_append_interleaved_f16 rope.comp DEFINES APPEND CACHE_F16)
segue_vulkan_kernel(rope_kv_append_neox_f32 rope.comp DEFINES APPEND NEOX CACHE_F32)
segue_vulkan_kernel(rope_kv_append_neox_f16 rope.comp DEFINES APPEND NEOX CACHE_F16)
segue_vulkan_kernel(kv_append_f32 kv_append.comp DEFINES CACHE_F32)
segue_vulkan_kernel(kv_append_f16 kv_append.comp DEFINES CACHE_F16)
segue_vulkan_kernel(attention_f32 attention/attention.comp DEFINES CACHE_F32)
segue_vulkan_kernel(attention_f16 attention/attention.comp DEFINES CACHE_F16)
segue_vulkan_kernel(softmax softmax.comp)

foreach(type IN ITEMS f32 f16 bf16 q8_0 q4_0)
  string(TOUPPER ${type} upper)
  segue_vulkan_kernel(embedding_${type} embedding.comp DEFINES TABLE_${upper})
  segue_vulkan_kernel(embedding_token_${type} embedding.comp DEFINES TABLE_${upper} ONE_TOKEN)
endforeach()

segue_vulkan_kernel(argmax argmax.comp)
segue_vulkan_kernel(sample sample/sample.comp)
segue_vulkan_kernel(advance advance.comp)
