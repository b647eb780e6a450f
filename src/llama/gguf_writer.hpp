// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "llama/part_file.hpp"
#include "llama/tensor_type.hpp"
#include "segue/error.hpp"

namespace segue::llama {

/// Writes a GGUF file, version 3, little-endian, in bounded memory: first metadata and tensor
/// declarations, then the data of the tensors in the order of their declaration, then finish().
///
/// The bytes go to "<path>.part", which finish() renames to `path`; until then nothing stands at
/// `path`, or the old file. An object destroyed earlier removes its part file. Single-threaded.
/// After an error only destruction is allowed.
class GgufWriter {
 public:
  /// @param alignment_bytes  Of each tensor's data: a power of two from 8 to 1 MiB.
  /// @error kInvalidArgument  Another alignment.
  /// @error kIo               The part file cannot be created.
  static Result<GgufWriter> create(std::string path, std::uint32_t alignment_bytes = 32);

  /// @name Metadata, before the first call of write()
  /// A key has 1 to 65535 bytes and is set once; what breaks a rule is returned by begin_data().
  /// "general.alignment" is written by the writer itself.
  /// @{
  void set_u32(std::string_view key, std::uint32_t value);
  void set_f32(std::string_view key, float value);
  void set_bool(std::string_view key, bool value);
  void set_string(std::string_view key, std::string_view value);
  void set_strings(std::string_view key, std::span<const std::string> values);
  void set_f32s(std::string_view key, std::span<const float> values);
  void set_i32s(std::string_view key, std::span<const std::int32_t> values);
  /// @}

  /// Declares a tensor. `ne` holds 1 to 4 extents, the one contiguous in memory first.
  void add_tensor(std::string_view name, TensorType type, std::span<const std::uint64_t> ne);

  /// Ends the declarations and writes the header.
  ///
  /// @error kInvalidArgument  A declaration breaks the format.
  /// @error kIo               The disk is full or fails.
  [[nodiscard]] Result<> begin_data();

  /// Appends data of the declared tensors, in order, without padding: that is inserted at each
  /// tensor's end. A call may end anywhere but must not go past the end of the tensor it began in.
  ///
  /// @error kInvalidArgument  More bytes than the current tensor takes.
  /// @error kInvalidState     begin_data() was not called, or every tensor is complete.
  /// @error kIo               The disk is full or fails.
  [[nodiscard]] Result<> write(std::span<const std::byte> data);

  /// Completes the file and moves it to its path.
  ///
  /// @error kInvalidState  Data of a tensor is missing.
  /// @error kIo            The disk is full or fails.
  [[nodiscard]] Result<> finish();

  /// Bytes of the file so far; after finish() its size.
  [[nodiscard]] std::uint64_t size_bytes() const { return file_.size_bytes(); }

 private:
  struct Tensor {
    std::string name;
    std::uint64_t size_bytes;
  };

  GgufWriter(PartFile file, std::uint32_t alignment_bytes)
      : file_(std::move(file)), alignment_bytes_(alignment_bytes) {}

  void start_value(std::string_view key, std::uint32_t type);
  void note(std::string problem);
  [[nodiscard]] Result<> pad();

  PartFile file_;
  std::uint32_t alignment_bytes_;

  std::string problem_;  // The first broken declaration.
  std::unordered_set<std::string> names_;
  std::uint64_t value_count_ = 0;
  std::vector<std::byte> values_;        // Metadata as it stands in the file.
  std::vector<std::byte> tensor_infos_;  // Tensor infos as they stand in the file.
  std::vector<Tensor> tensors_;
  std::uint64_t data_size_bytes_ = 0;

  bool in_data_ = false;
  std::size_t current_tensor_ = 0;
  std::uint64_t current_written_ = 0;
};

}  // namespace segue::llama
