# SPDX-License-Identifier: Apache-2.0
# Kernels that the backend dispatches on its own account.

segue_vulkan_kernel(internal_clamp_counts internal_clamp_counts.comp)
segue_vulkan_kernel(internal_load_slot internal_load_slot.comp)
