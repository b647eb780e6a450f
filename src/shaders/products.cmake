# SPDX-License-Identifier: Apache-2.0
# Matrix products, and what brings weights into the layout that they like best.

# segue_mat_vec_shaders(<form> [LAST <d>...])
#
# The kernels of mat_vec.comp for weights of one form. LAST: defines of the product behind the last
# norm, which is by far the largest. How many threads share a row must not differ.
function(segue_mat_vec_shaders form)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LAST")
  string(TOUPPER FORM_${form} weights)
  set(fused FUSED ${weights})
  segue_shader(mat_vec_${form} mat_vec.comp DEFINES MATRICES=1 ${weights})
  segue_shader(mat_vec_add_${form} mat_vec.comp DEFINES MATRICES=1 ADD ${fused})
  segue_shader(mat_vec_silu_mul_${form} mat_vec.comp DEFINES SILU_MUL ${fused})
  segue_shader(mat_vec2_${form} mat_vec.comp DEFINES MATRICES=2 ${fused})
  segue_shader(mat_vec3_${form} mat_vec.comp DEFINES MATRICES=3 ${fused})
  list(APPEND fused NORM)
  segue_shader(norm_mat_vec_${form} mat_vec.comp DEFINES MATRICES=1 ${fused} ${arg_LAST})
  segue_shader(norm_mat_vec_silu_mul_${form} mat_vec.comp DEFINES SILU_MUL ${fused})
  segue_shader(norm_mat_vec2_${form} mat_vec.comp DEFINES MATRICES=2 ${fused})
  segue_shader(norm_mat_vec3_${form} mat_vec.comp DEFINES MATRICES=3 ${fused})
  segue_shader(norm_mat_vec3_rope_kv_append_interleaved_f32_${form} mat_vec.comp
               DEFINES MATRICES=3 APPEND CACHE_F32 ${fused})
  segue_shader(norm_mat_vec3_rope_kv_append_interleaved_f16_${form} mat_vec.comp
               DEFINES MATRICES=3 APPEND CACHE_F16 ${fused})
endfunction()

foreach(form IN ITEMS f32 f16 bf16 q8_0 q4_0)
  segue_mat_vec_shaders(${form})
endforeach()
foreach(form IN ITEMS q8_0_planes q4_0_planes)
  segue_mat_vec_shaders(${form} LAST ROWS=8 LOCAL_SIZE=128)
endforeach()

foreach(form IN ITEMS f32 f16 bf16 q8_0 q4_0 q8_0_planes q4_0_planes)
  string(TOUPPER ${form} upper)
  segue_shader(mat_mul_${form} mat_mul.comp DEFINES FORM_${upper})
endforeach()

# Weights that rounding to F16 costs next to nothing.
foreach(form IN ITEMS f16 q8_0 q4_0 q8_0_planes q4_0_planes)
  string(TOUPPER ${form} upper)
  segue_shader(mat_mul_${form}_half@coopmat mat_mul_half.comp DEFINES FORM_${upper})
endforeach()

segue_shader(repack_q8_0_planes repack_planes.comp DEFINES FORM_Q8_0)
segue_shader(repack_q4_0_planes repack_planes.comp DEFINES FORM_Q4_0)
