# SPDX-License-Identifier: Apache-2.0
# Kernels that the backend dispatches on its own account.

segue_shader(internal_clamp_counts internal_clamp_counts.comp)
segue_shader(internal_load_slot internal_load_slot.comp)
if(SEGUE_METAL OR SEGUE_METAL_DOUBLE)
  segue_shader(internal_copy internal_copy.comp ONLY metal)
  segue_shader(internal_fill internal_fill.comp ONLY metal)
endif()
