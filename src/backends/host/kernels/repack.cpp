// SPDX-License-Identifier: Apache-2.0
#include "backends/host/kernels/repack.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/host/kernels/mat_vec_panel.hpp"
#include "base/op_params.hpp"
#include "segue/host.hpp"

namespace segue::host {
namespace {

using mat_vec::kBlockColumns;
using mat_vec::kTileRows;

constexpr std::uint32_t kScaleBytes = 2;
constexpr std::uint32_t kGroupBytes = 4;

struct Q8 {
  static constexpr std::uint32_t kBytes = mat_vec::kQ8Bytes;
  static constexpr std::byte kFlip{0x80};  ///< Turns q into q + 128.
  static constexpr std::byte kZero{0x80};  ///< What stands for 0 afterwards.
};

struct Q4 {
  static constexpr std::uint32_t kBytes = mat_vec::kQ4Bytes;
  static constexpr std::byte kFlip{0};
  static constexpr std::byte kZero{0x88};
};

template <class Format>
void repack_block(const std::byte* source, std::size_t source_row_bytes, std::uint32_t rows,
                  std::byte* destination) {
  std::byte* const quants = destination + kTileRows * kScaleBytes;
  for (std::uint32_t r = 0; r < kTileRows; ++r) {
    std::byte block[Format::kBytes] = {};
    if (r < rows) {
      std::memcpy(block, source + r * source_row_bytes, Format::kBytes);
      for (std::uint32_t i = kScaleBytes; i < Format::kBytes; ++i) block[i] ^= Format::kFlip;
    } else {
      std::fill(block + kScaleBytes, block + Format::kBytes, Format::kZero);
    }
    std::memcpy(destination + std::size_t{r} * kScaleBytes, block, kScaleBytes);
    for (std::uint32_t group = 0; group < (Format::kBytes - kScaleBytes) / kGroupBytes; ++group) {
      std::memcpy(quants + (std::size_t{group} * kTileRows + r) * kGroupBytes,
                  block + kScaleBytes + std::size_t{group} * kGroupBytes, kGroupBytes);
    }
  }
}

template <class Format>
void repack(const KernelContext& work, In<std::byte> source, Out<std::byte> destination,
            const base::RepackParams& size) {
  const std::uint32_t blocks = size.columns / kBlockColumns;
  const std::size_t row_bytes = std::size_t{blocks} * Format::kBytes;
  for (std::uint64_t tile = work.group_begin; tile < work.group_end; ++tile) {
    if (tile * kTileRows >= size.rows) return;
    const auto row = static_cast<std::uint32_t>(tile * kTileRows);
    const std::byte* from = source.data() + row * row_bytes;
    std::byte* to = destination.data() + row * row_bytes;
    for (std::uint32_t b = 0; b < blocks; ++b) {
      repack_block<Format>(from, row_bytes, std::min(size.rows - row, kTileRows), to);
      from += Format::kBytes;
      to += std::size_t{Format::kBytes} * kTileRows;
    }
  }
}

}  // namespace

void append_repack_kernels(std::vector<KernelSource>& kernels) {
  KernelOptions options;
  options.fixed_group_size = true;
  options.items_per_group = kTileRows;
  kernels.push_back(
      kernel("repack_q8_0_tile16", {"source", "destination", "size"}, &repack<Q8>, options));
  kernels.push_back(
      kernel("repack_q4_0_tile16", {"source", "destination", "size"}, &repack<Q4>, options));
}

}  // namespace segue::host
