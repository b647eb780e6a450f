// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "segue/error.hpp"

namespace segue::llama {

/// How the bytes of a map are about to be read; a hint for the operating system.
enum class MapAdvice : std::uint8_t { kNormal, kSequential, kRandom, kWillNeed };

/// Called while something long goes on: bytes done so far, bytes in all. The last call has done ==
/// total.
using Progress = std::function<void(std::size_t done_bytes, std::size_t total_bytes)>;

/// A whole file as read-only memory, unmapped when destroyed. The bytes stay where they are when
/// the object is moved. Const calls may run on several threads.
///
/// The file must not be truncated while it is mapped: reading a page that is gone ends the process
/// (SIGBUS).
class MappedFile {
 public:
  /// Maps a file. Nothing is read yet.
  ///
  /// @error kNotFound         No such file.
  /// @error kInvalidArgument  It is a directory, another kind that cannot be mapped, or has no
  /// bytes.
  /// @error kIo               The operating system refuses; the message gives its reason.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept
      : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  /// The file's bytes, aligned to a page. Empty only in an object that was moved from.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  /// The same with the rest of the last page, which reads as zeros: whole pages, as devices import
  /// them.
  [[nodiscard]] std::span<const std::byte> pages() const;
  [[nodiscard]] const std::string& path() const { return path_; }

  /// Passes a hint on. Failure to heed it is no error.
  void advise(MapAdvice advice) const;

  /// Brings every page into memory and reports on the way, so that a long load can show how far it
  /// is.
  ///
  /// @error kIo  A page cannot be read.
  [[nodiscard]] Result<> prefault(const Progress& progress = {}) const;

 private:
  MappedFile(std::string path, std::span<const std::byte> bytes)
      : path_(std::move(path)), bytes_(bytes) {}
  void unmap() noexcept;

  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace segue::llama
