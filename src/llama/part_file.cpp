// SPDX-License-Identifier: Apache-2.0
#include "llama/part_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/fail.hpp"

namespace segue::llama {
namespace {

using base::fail;

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

std::string reason(int error) { return std::generic_category().message(error); }

}  // namespace

Result<PartFile> PartFile::create(std::string path) {
  const std::string part_path = path + ".part";
  const int file = ::open(part_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) {
    return fail(ErrorCode::kIo, "File \"{}\" cannot be created: {}.", part_path, reason(errno));
  }
  return PartFile(std::move(path), file);
}

PartFile::PartFile(std::string path, int file) : path_(std::move(path)), file_(file) {
  buffer_.reserve(kBufferBytes);
}

PartFile::~PartFile() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(part_path().c_str());
}

Result<> PartFile::append(std::span<const std::byte> data) {
  if (buffer_.size() + data.size() > kBufferBytes) SEGUE_TRY(flush());
  if (data.size() >= kBufferBytes) {
    SEGUE_TRY(write_out(data));
  } else {
    buffer_.insert(buffer_.end(), data.begin(), data.end());
  }
  size_bytes_ += data.size();
  return {};
}

Result<> PartFile::commit() {
  if (file_ < 0) return fail(ErrorCode::kInvalidState, "File \"{}\" is already complete.", path_);
  SEGUE_TRY(flush());
  // Some file systems report a full disk only when the file is closed.
  if (::close(std::exchange(file_, -1)) != 0) {
    const int error = errno;
    ::unlink(part_path().c_str());
    return fail(ErrorCode::kIo, "File \"{}\" cannot be written: {}.", part_path(), reason(error));
  }
  if (std::rename(part_path().c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(part_path().c_str());
    return fail(ErrorCode::kIo, "File \"{}\" cannot be renamed to \"{}\": {}.", part_path(), path_,
                reason(error));
  }
  return {};
}

Result<> PartFile::flush() {
  SEGUE_TRY(write_out(buffer_));
  buffer_.clear();
  return {};
}

Result<> PartFile::write_out(std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t written = ::write(file_, data.data(), data.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail(ErrorCode::kIo, "File \"{}\" cannot be written: {}.", part_path(), reason(errno));
    }
    data = data.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace segue::llama
