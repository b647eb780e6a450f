// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "segue/device.hpp"
#include "segue/ops.hpp"
#include "segue/tensor.hpp"

namespace segue::test {

/// Widths of the operations in random graphs: small, one not a multiple of 16.
inline constexpr std::uint32_t kWidth = 32;
inline constexpr std::uint32_t kHidden = 48;
inline constexpr std::uint32_t kHeadSize = 16;
inline constexpr std::uint32_t kContext = 12;

/// A device, and everything that random graphs work on. Graphs come and go; the world stays, so
/// that a hundred thousand of them take minutes.
class World {
 public:
  /// Fails the test if it cannot be made.
  explicit World(std::uint64_t seed);

  [[nodiscard]] const Device& device() const { return device_; }
  [[nodiscard]] const ops::Ops& ops() const { return *ops_; }

  /// Buffers whose content the host sees: some overlap others, by imports of one piece of memory.
  std::vector<Buffer> lasting;
  /// Raw transient memory for "mix".
  std::vector<Buffer> transient;
  /// [1, kWidth] F32 each, and [1, kHidden].
  std::vector<Tensor> narrow, wide;            ///< Transient.
  std::vector<Tensor> kept_narrow, kept_wide;  ///< Lasting.
  std::vector<WeightMatrix> square;            ///< [kWidth, kWidth], a few of each type.
  std::vector<WeightMatrix> up;                ///< [kHidden, kWidth]
  std::vector<WeightMatrix> down;              ///< [kWidth, kHidden]
  Tensor norm_weight;                          ///< [1, kWidth]
  Tensor cache, value_cache;                   ///< [kContext, kWidth] F16
  Kernel mix;                                  ///< out = hash(out, in, bytes)

  /// Everything that lasts and may be written, as bytes; and back.
  [[nodiscard]] std::vector<std::byte> content() const;
  void restore(const std::vector<std::byte>& content) const;

 private:
  void add_buffers();
  void add_tensors();
  void add_weights(std::mt19937_64& random);
  void add_matrix(std::vector<WeightMatrix>& matrices, DType type, std::uint32_t rows,
                  std::uint32_t columns, std::mt19937_64& random);
  void add_mix();
  [[nodiscard]] Buffer create(std::uint64_t size_bytes, bool is_transient) const;
  [[nodiscard]] Tensor create_tensor(DType type, std::uint32_t rows, std::uint32_t columns,
                                     bool is_transient) const;

  std::vector<std::byte> shared_memory_;  // what overlapping imports are of
  Device device_;
  std::optional<ops::Ops> ops_;
  std::vector<BufferView> written_;  // what content() copies
};

}  // namespace segue::test
