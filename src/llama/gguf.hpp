// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "llama/mapped_file.hpp"
#include "llama/tensor_type.hpp"
#include "segue/error.hpp"

// A reader of GGUF, the file format of ggml models, versions 2 and 3, little-endian. Format:
// docs/gguf.md of the ggml project. Every byte is untrusted: counts, lengths, offsets and types are
// checked before anything is allocated or read, and each refusal names what is wrong and the byte
// where it stands.

namespace segue::llama {

/// The type of a metadata value, by its number in the file.
enum class GgufType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

/// The name for people, such as "uint32"; "unknown" for another number.
[[nodiscard]] std::string_view to_string(GgufType type);

/// One metadata value, still in the file's bytes.
struct GgufValue {
  GgufType type = GgufType::kUint8;
  GgufType element_type = GgufType::kUint8;  ///< Of an array; equals `type` otherwise.
  std::uint64_t count = 1;                   ///< Elements of an array; 1 otherwise.
  std::uint64_t offset_bytes = 0;            ///< Where `bytes` starts in the file.
  std::span<const std::byte> bytes;  ///< Strings with their length, arrays without type and count.
};

/// One tensor of a file. `bytes` point into the file: valid as long as the GgufFile, also when that
/// is moved.
struct GgufTensor {
  std::string_view name;
  TensorType type = TensorType::kF32;
  std::uint32_t dimension_count = 0;               ///< 1 to 4.
  std::array<std::uint64_t, 4> ne = {1, 1, 1, 1};  ///< Extents, the one contiguous in memory first.
  std::uint64_t offset_bytes = 0;                  ///< From the start of the file.
  std::span<const std::byte> bytes;

  [[nodiscard]] std::uint64_t columns() const { return ne[0]; }
  [[nodiscard]] std::uint64_t rows() const { return ne[1] * ne[2] * ne[3]; }
  /// The extents in row-major order for people: "[2048, 192]" is 2048 rows of 192 columns.
  [[nodiscard]] std::string shape() const;
};

/// A parsed GGUF file. Immutable; const calls may run on several threads.
class GgufFile {
 public:
  /// Maps and parses a file. The weights are not read.
  ///
  /// @error kCorruptData  The bytes contradict the format; the message says what and at which byte.
  /// @error kUnsupported  Another version or a big-endian file.
  /// @error               Those of MappedFile::open.
  static Result<GgufFile> open(const std::string& path);

  /// Parses bytes that the caller keeps alive and in place. `name` stands for the path in messages.
  static Result<GgufFile> parse(std::span<const std::byte> bytes, std::string name);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint32_t version() const { return version_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  /// The map, for hints and loading ahead; null after parse().
  [[nodiscard]] const MappedFile* map() const { return map_ ? &*map_ : nullptr; }

  /// @name Metadata
  /// The typed getters return kNotFound for a missing key and kCorruptData for a value of another
  /// type or out of range; the `_or` forms return `fallback` for a missing key. Integers of every
  /// width and sign are taken where they fit.
  /// @{
  [[nodiscard]] const std::vector<std::string_view>& keys() const { return keys_; }
  [[nodiscard]] const GgufValue* find(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  [[nodiscard]] Result<std::uint64_t> unsigned_value(std::string_view key) const;
  [[nodiscard]] Result<std::uint64_t> unsigned_or(std::string_view key,
                                                  std::uint64_t fallback) const;
  [[nodiscard]] Result<double> float_value(std::string_view key) const;
  [[nodiscard]] Result<double> float_or(std::string_view key, double fallback) const;
  [[nodiscard]] Result<bool> bool_value(std::string_view key) const;
  [[nodiscard]] Result<bool> bool_or(std::string_view key, bool fallback) const;
  [[nodiscard]] Result<std::string_view> string_value(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> string_or(std::string_view key,
                                                   std::string_view fallback) const;
  /// The views point into the file.
  [[nodiscard]] Result<std::vector<std::string_view>> string_array(std::string_view key) const;
  [[nodiscard]] Result<std::vector<float>> float_array(std::string_view key) const;
  [[nodiscard]] Result<std::vector<std::int64_t>> integer_array(std::string_view key) const;
  /// @}

  /// In the order of the file.
  [[nodiscard]] std::span<const GgufTensor> tensors() const { return tensors_; }
  [[nodiscard]] const GgufTensor* find_tensor(std::string_view name) const;
  /// @error kNotFound  No tensor has this name.
  [[nodiscard]] Result<const GgufTensor*> tensor(std::string_view name) const;

 private:
  friend class GgufParser;
  GgufFile() = default;

  [[nodiscard]] Result<const GgufValue*> require(std::string_view key) const;
  [[nodiscard]] std::unexpected<Error> wrong_type(std::string_view key, const GgufValue& value,
                                                  std::string_view wanted) const;

  std::string path_;
  std::optional<MappedFile> map_;
  std::span<const std::byte> bytes_;
  std::uint32_t version_ = 0;
  std::vector<std::string_view> keys_;
  std::unordered_map<std::string_view, GgufValue> values_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> tensor_index_;
};

/// Says whether kernels exist for the type of a tensor.
///
/// @error kUnsupported  The type is none of F32, F16, BF16, Q8_0 and Q4_0.
[[nodiscard]] Result<> check_supported(const GgufTensor& tensor);

/// `text` in double quotes for a message: untrusted bytes outside printable ASCII escaped, long
/// text cut.
[[nodiscard]] std::string quote(std::string_view text);

}  // namespace segue::llama
