// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segue/kernel.hpp"

namespace segue::host {

/// Appends "repack_q8_0_tile16" and "repack_q4_0_tile16": row-major blocks to tiles of 16 rows.
/// Arguments and inline bytes: base::RepackParams.
///
/// A tile holds, for each block of 32 columns in turn, the 16 rows' scales and then their weights,
/// four neighbouring bytes of a row at a time:
///
///     d[16 rows], { q[16 rows][4 bytes] } for each group of four bytes of the block
///
/// so that one 64-byte load gives each 32-bit lane four columns of its own row. Q8_0 bytes are
/// stored as q + 128, unsigned. Q4_0 bytes stay as they are: low nibbles are columns 0 to 15 of the
/// block, high nibbles 16 to 31. Rows missing in the last tile are zeros.
void append_repack_kernels(std::vector<KernelSource>& kernels);

}  // namespace segue::host
