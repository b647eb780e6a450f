// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace segue::llama {

/// How the numbers of a tensor are stored, by ggml's number for it. Others of ggml's types are
/// known by number, name and size only, see tensor_type_info().
enum class TensorType : std::uint32_t { kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ8_0 = 8, kBf16 = 30 };

/// What a file needs to know about a type. Numbers come in blocks along a row, each with its own
/// scales.
struct TensorTypeInfo {
  std::string_view name;         ///< As ggml writes it, such as "Q4_K".
  std::uint32_t block_elements;  ///< Numbers per block; 1 for plain types.
  std::uint32_t block_bytes;
};

/// Name and block size of a ggml type. Nothing for a number that ggml does not use.
[[nodiscard]] std::optional<TensorTypeInfo> tensor_type_info(TensorType type);

/// The name, such as "Q8_0"; "unknown" for a number that ggml does not use.
[[nodiscard]] std::string_view to_string(TensorType type);

/// The type of that name, in upper or lower case ("q8_0"). Only those that Segue reads: F32, F16,
/// BF16, Q8_0, Q4_0.
[[nodiscard]] std::optional<TensorType> parse_tensor_type(std::string_view name);

/// Whether Segue reads weights of this type.
[[nodiscard]] bool is_supported(TensorType type);

}  // namespace segue::llama
