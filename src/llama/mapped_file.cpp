// SPDX-License-Identifier: Apache-2.0
#include "llama/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>

#include "base/fail.hpp"

namespace segue::llama {
namespace {

using base::fail;

constexpr std::size_t kPrefaultChunkBytes = std::size_t{16} << 20;

std::string reason(int error) { return std::generic_category().message(error); }

/// Closes a descriptor at the end of the scope; a map outlives the descriptor it was made from.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

int open_retrying(const char* path) {
  int fd = -1;
  do {
    // O_NONBLOCK: a named pipe must not make the program wait for a writer.
    fd = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

/// Reads one byte of each page of `chunk`.
void touch(std::span<const std::byte> chunk, std::size_t page_bytes) {
  for (std::size_t at = 0; at < chunk.size(); at += page_bytes) {
    static_cast<void>(*static_cast<const volatile std::byte*>(&chunk[at]));
  }
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  const Descriptor file(open_retrying(path.c_str()));
  if (file.get() < 0) {
    const int error = errno;
    if (error == ENOENT) return fail(ErrorCode::kNotFound, "File \"{}\" does not exist.", path);
    return fail(ErrorCode::kIo, "File \"{}\" cannot be opened: {}.", path, reason(error));
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) {
    return fail(ErrorCode::kIo, "The size of file \"{}\" cannot be read: {}.", path, reason(errno));
  }
  if (S_ISDIR(status.st_mode)) {
    return fail(ErrorCode::kInvalidArgument, "\"{}\" is a directory, not a file.", path);
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::kInvalidArgument,
                "\"{}\" is not a regular file, so it cannot be mapped.", path);
  }
  if (status.st_size == 0) {
    return fail(ErrorCode::kInvalidArgument, "File \"{}\" is empty.", path);
  }
  if (static_cast<std::uint64_t>(status.st_size) > std::numeric_limits<std::size_t>::max()) {
    return fail(ErrorCode::kUnsupported,
                "File \"{}\" has {} bytes, more than this machine can map.", path, status.st_size);
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) {
    return fail(ErrorCode::kIo, "File \"{}\" of {} bytes cannot be mapped: {}.", path, size,
                reason(errno));
  }
  return MappedFile(path, {static_cast<const std::byte*>(address), size});
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap();
    path_ = std::move(other.path_);
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

MappedFile::~MappedFile() { unmap(); }

std::span<const std::byte> MappedFile::pages() const {
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return {bytes_.data(), (bytes_.size() + page_bytes - 1) / page_bytes * page_bytes};
}

void MappedFile::unmap() noexcept {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::advise(MapAdvice advice) const {
  int native = MADV_NORMAL;
  switch (advice) {
    case MapAdvice::kNormal: native = MADV_NORMAL; break;
    case MapAdvice::kSequential: native = MADV_SEQUENTIAL; break;
    case MapAdvice::kRandom: native = MADV_RANDOM; break;
    case MapAdvice::kWillNeed: native = MADV_WILLNEED; break;
  }
  ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), native);
}

Result<> MappedFile::prefault(const Progress& progress) const {
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (std::size_t done = 0; done < bytes_.size();) {
    const auto chunk = bytes_.subspan(done, std::min(kPrefaultChunkBytes, bytes_.size() - done));
    bool populated = false;
#ifdef MADV_POPULATE_READ
    // One call for all pages, and a page that cannot be read is an error here instead of a signal.
    populated =
        ::madvise(const_cast<std::byte*>(chunk.data()), chunk.size(), MADV_POPULATE_READ) == 0;
    if (!populated && (errno == EFAULT || errno == EHWPOISON)) {
      return fail(ErrorCode::kIo, "File \"{}\" cannot be read between bytes {} and {}.", path_,
                  done, done + chunk.size());
    }
#endif
    if (!populated) touch(chunk, page_bytes);
    done += chunk.size();
    if (progress) progress(done, bytes_.size());
  }
  return {};
}

}  // namespace segue::llama
