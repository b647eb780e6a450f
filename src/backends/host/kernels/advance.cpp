// SPDX-License-Identifier: Apache-2.0
//
// What ends a token of a decoding loop that feeds itself: the token joins a ring that the host
// reads later, and the state moves on to the next position.
#include <cstdint>
#include <vector>

#include "backends/host/kernels/op_kernels.hpp"
#include "base/op_params.hpp"
#include "segue/host.hpp"

namespace segue::host {
namespace {

void advance(const KernelContext&, In<std::uint32_t> token, InOut<std::uint32_t> state,
             Out<std::uint32_t> ring, const base::AdvanceParams& size) {
  const std::uint32_t position = state[0];
  const std::uint32_t slot = size.ring_size != 0 ? position % size.ring_size : UINT32_MAX;
  if (slot < ring.size()) ring[slot] = token[0];
  state[0] = position + 1;
  state[1] = token[0];
}

}  // namespace

void append_advance_kernels(std::vector<KernelSource>& kernels) {
  KernelOptions options;
  options.fixed_group_size = true;
  kernels.push_back(kernel("advance", {"token", "state", "ring", "size"}, &advance, options));
}

}  // namespace segue::host
