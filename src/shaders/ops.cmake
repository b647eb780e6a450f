# SPDX-License-Identifier: Apache-2.0
# The kernels of src/ops beside the matrix products.

segue_shader(rms_norm rms_norm.comp)
segue_shader(rms_norm_weighted rms_norm.comp DEFINES WEIGHTED)
segue_shader(add_rms_norm rms_norm.comp DEFINES ADD)
segue_shader(add_rms_norm_weighted rms_norm.comp DEFINES ADD WEIGHTED)

segue_shader(add elementwise.comp DEFINES ADD)
segue_shader(mul elementwise.comp DEFINES MUL)
segue_shader(silu elementwise.comp DEFINES SILU)
segue_shader(silu_mul elementwise.comp DEFINES SILU_MUL)

segue_shader(rope_interleaved rope.comp)
segue_shader(rope_neox rope.comp DEFINES NEOX)
segue_shader(rope_kv_append_interleaved_f32 rope.comp DEFINES APPEND CACHE_F32)
segue_shader(rope_kv_append_interleaved_f16 rope.comp DEFINES APPEND CACHE_F16)
segue_shader(rope_kv_append_neox_f32 rope.comp DEFINES APPEND NEOX CACHE_F32)
segue_shader(rope_kv_append_neox_f16 rope.comp DEFINES APPEND NEOX CACHE_F16)
segue_shader(kv_append_f32 kv_append.comp DEFINES CACHE_F32)
segue_shader(kv_append_f16 kv_append.comp DEFINES CACHE_F16)
segue_shader(attention_f32 attention/attention.comp DEFINES CACHE_F32)
segue_shader(attention_f16 attention/attention.comp DEFINES CACHE_F16)
segue_shader(softmax softmax.comp)

foreach(type IN ITEMS f32 f16 bf16 q8_0 q4_0)
  string(TOUPPER ${type} upper)
  segue_shader(embedding_${type} embedding.comp DEFINES TABLE_${upper})
  segue_shader(embedding_token_${type} embedding.comp DEFINES TABLE_${upper} ONE_TOKEN)
endforeach()

segue_shader(argmax argmax.comp)
segue_shader(sample sample/sample.comp)
segue_shader(advance advance.comp)
