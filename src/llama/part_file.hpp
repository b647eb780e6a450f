// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "segue/error.hpp"

namespace segue::llama {

/// A file that appears whole or not at all: the bytes go to "<path>.part", and commit() renames
/// that to `path`. Destroyed before, it removes the part file. Writes are buffered.
class PartFile {
 public:
  /// @error kIo  The part file cannot be created.
  static Result<PartFile> create(std::string path);

  PartFile(PartFile&& other) noexcept
      : path_(std::move(other.path_)),
        file_(std::exchange(other.file_, -1)),
        size_bytes_(other.size_bytes_),
        buffer_(std::move(other.buffer_)) {}
  PartFile& operator=(PartFile&& other) = delete;
  ~PartFile();

  /// @error kIo  The disk is full or fails. Only destruction is allowed after that.
  [[nodiscard]] Result<> append(std::span<const std::byte> data);

  /// @error kInvalidState  commit() was called before.
  /// @error kIo            The disk is full or fails, or `path` cannot be replaced; the part file
  /// is removed.
  [[nodiscard]] Result<> commit();

  /// Bytes appended so far.
  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }

 private:
  PartFile(std::string path, int file);
  [[nodiscard]] std::string part_path() const { return path_ + ".part"; }
  [[nodiscard]] Result<> flush();
  [[nodiscard]] Result<> write_out(std::span<const std::byte> data);

  std::string path_;
  int file_ = -1;
  std::uint64_t size_bytes_ = 0;
  std::vector<std::byte> buffer_;  // Bytes not yet handed to the system.
};

}  // namespace segue::llama
