// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "segue/host.hpp"
#include "segue/kernel.hpp"

namespace segue::bench {

/// The kernel calls of one token of tales-q8_0 at position `position`, without a recording or queue
/// around them: as single operations, or fused.
class TokenSteps {
 public:
  TokenSteps(std::span<const KernelSource> kernels, bool fused, std::uint32_t position);

  /// Makes every call in order, or those of the kernel `name`.
  void run(std::string_view name = {}) const;
  [[nodiscard]] std::size_t count(std::string_view name = {}) const;
  /// Each kernel's name once, in order of its first call.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  struct alignas(16) InlineBytes {
    std::byte bytes[48];
  };
  struct Step {
    const KernelSource* kernel;
    std::vector<host::KernelArgument> arguments;
    std::uint32_t items;
  };
  using Arguments = std::initializer_list<host::KernelArgument>;

  host::KernelArgument floats(std::size_t count);
  host::KernelArgument weights(std::uint32_t rows, std::uint32_t columns);
  template <class Params>
  void add(std::string_view name, Arguments buffers, const Params& params, std::uint32_t items);
  void add_attention(bool fused, std::uint32_t position);
  void add_feed_forward(bool fused);
  void add_output(bool fused);

  std::span<const KernelSource> kernels_;
  std::deque<std::vector<std::byte>> memory_;
  std::deque<InlineBytes> params_;
  std::vector<Step> steps_;
  host::KernelArgument residual_, normed_, scaled_, query_, key_, value_, attended_, projected_;
  host::KernelArgument gate_, up_, gated_, norm_weight_;
};

}  // namespace segue::bench
