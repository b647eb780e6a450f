// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "segue/error.hpp"

namespace segue::llama::test {

/// The bytes of a GGUF file, put together by hand so that any of them can be wrong.
class RawGguf {
 public:
  RawGguf& text(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  template <class T>
  RawGguf& number(T value) {
    return text({reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  RawGguf& u32(std::uint32_t value) { return number(value); }
  RawGguf& u64(std::uint64_t value) { return number(value); }
  RawGguf& string(std::string_view value) { return u64(value.size()).text(value); }

  RawGguf& header(std::uint64_t tensors, std::uint64_t entries, std::uint32_t version = 3) {
    return text("GGUF").u32(version).u64(tensors).u64(entries);
  }
  /// A metadata entry of a plain type; `type` is GGUF's number.
  template <class T>
  RawGguf& entry(std::string_view key, std::uint32_t type, T value) {
    return string(key).u32(type).number(value);
  }
  RawGguf& string_entry(std::string_view key, std::string_view value) {
    return string(key).u32(8).string(value);
  }
  RawGguf& array_entry(std::string_view key, std::uint32_t element_type, std::uint64_t count) {
    return string(key).u32(9).u32(element_type).u64(count);
  }
  RawGguf& tensor(std::string_view name, std::vector<std::uint64_t> ne, std::uint32_t type,
                  std::uint64_t offset) {
    string(name).u32(static_cast<std::uint32_t>(ne.size()));
    for (const std::uint64_t extent : ne) u64(extent);
    return u32(type).u64(offset);
  }
  RawGguf& pad(std::size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  RawGguf& zeros(std::size_t count) { return text(std::string(count, '\0')); }

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return std::as_bytes(std::span(bytes_));
  }

 private:
  std::string bytes_;
};

/// A folder of its own for a test, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string path = testing::TempDir() + "segue_llama_XXXXXX";
    path_ = ::mkdtemp(path.data());
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string path() const { return path_; }
  [[nodiscard]] std::string file(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Whether a message begins like a sentence and ends like one.
inline bool is_sentence(std::string_view message) {
  if (message.size() < 10 || message.back() != '.') return false;
  return message.front() == '"' || std::isupper(static_cast<unsigned char>(message.front())) != 0;
}

/// Expects that `result` failed with `code` and a sentence that contains each of `parts`.
template <class T>
void expect_error(const Result<T>& result, ErrorCode code, std::vector<std::string> parts) {
  ASSERT_FALSE(result.has_value());
  const Error& error = result.error();
  EXPECT_EQ(to_string(code), to_string(error.code)) << error.message;
  EXPECT_TRUE(is_sentence(error.message)) << error.message;
  for (const std::string& part : parts) {
    EXPECT_NE(std::string::npos, error.message.find(part))
        << '"' << part << "\" is not in: " << error.message;
  }
}

}  // namespace segue::llama::test
