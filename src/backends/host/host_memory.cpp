// SPDX-License-Identifier: Apache-2.0
#include "backends/host/host_memory.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "backends/host/system_info.hpp"
#include "base/fail.hpp"

namespace segue::host {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// The address sanitizer guards the ends of heap blocks, but not those of mappings.
#if defined(__SANITIZE_ADDRESS__)
#define SEGUE_HEAP_ONLY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEGUE_HEAP_ONLY 1
#endif
#endif
#if defined(SEGUE_HEAP_ONLY)
constexpr std::uint64_t kMappedFrom = std::numeric_limits<std::uint64_t>::max();
#else
constexpr std::uint64_t kMappedFrom = kHugePage;
#endif

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// Counts bytes for as long as it lives.
class Counted {
 public:
  Counted(AllocatedBytes total, std::uint64_t bytes) : total_(std::move(total)), bytes_(bytes) {
    total_->fetch_add(bytes_, std::memory_order_relaxed);
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { total_->fetch_sub(bytes_, std::memory_order_relaxed); }

 private:
  AllocatedBytes total_;
  std::uint64_t bytes_;
};

class HostMemory : public hal::Memory {
 public:
  explicit HostMemory(void* data) {
    host = static_cast<std::byte*>(data);
    host_cached = true;
    native = data;
    handle = {"host.pointer", data, 0};
  }
};

class HeapMemory final : public HostMemory {
 public:
  HeapMemory(void* data, AllocatedBytes total, std::uint64_t bytes)
      : HostMemory(data), counted_(std::move(total), bytes) {}
  HeapMemory(const HeapMemory&) = delete;
  HeapMemory& operator=(const HeapMemory&) = delete;
  ~HeapMemory() override { std::free(native); }

 private:
  Counted counted_;
};

class MappedMemory final : public HostMemory {
 public:
  MappedMemory(void* mapping, std::size_t mapping_bytes, void* data, AllocatedBytes total,
               std::uint64_t bytes)
      : HostMemory(data),
        mapping_(mapping),
        mapping_bytes_(mapping_bytes),
        counted_(std::move(total), bytes) {}
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;
  ~MappedMemory() override { munmap(mapping_, mapping_bytes_); }

 private:
  void* mapping_;
  std::size_t mapping_bytes_;
  Counted counted_;
};

std::unexpected<Error> out_of_memory(const hal::MemoryRequest& request, int code) {
  const std::optional<std::uint64_t> available = available_memory_bytes();
  const std::string rest =
      available ? fmt::format("; {} bytes are available", *available) : std::string();
  auto error =
      base::fail(ErrorCode::kOutOfMemory, "The system does not give {} bytes for buffer \"{}\"{}.",
                 request.size_bytes, request.label, rest);
  error.error().native = NativeError{"host", code, std::strerror(code)};
  return error;
}

Result<std::unique_ptr<hal::Memory>> map_memory(const hal::MemoryRequest& request,
                                                AllocatedBytes total) {
  // One huge page more than asked for, so that the data can begin at a huge page's start. Untouched
  // pages cost nothing.
  const std::size_t size = round_up(request.size_bytes, kHugePage) + kHugePage;
  void* const mapping =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return out_of_memory(request, errno);
  const std::size_t skip =
      (kHugePage - reinterpret_cast<std::uintptr_t>(mapping) % kHugePage) % kHugePage;
  std::byte* const data = static_cast<std::byte*>(mapping) + skip;
#if defined(MADV_HUGEPAGE)
  madvise(data, size - kHugePage,
          MADV_HUGEPAGE);  // A hint; without huge pages everything works as well.
#endif
  return std::make_unique<MappedMemory>(mapping, size, data, std::move(total), request.size_bytes);
}

}  // namespace

Result<std::unique_ptr<hal::Memory>> allocate_memory(const hal::MemoryRequest& request,
                                                     AllocatedBytes allocated_bytes) {
  if (request.size_bytes > std::numeric_limits<std::size_t>::max() / 2)
    return out_of_memory(request, ENOMEM);
  if (request.size_bytes >= kMappedFrom) return map_memory(request, std::move(allocated_bytes));
  const std::size_t size = round_up(request.size_bytes, kCacheLine);
  void* const data = std::aligned_alloc(kCacheLine, size);
  if (data == nullptr) return out_of_memory(request, ENOMEM);
  if (request.zero) std::memset(data, 0, size);
  return std::make_unique<HeapMemory>(data, std::move(allocated_bytes), request.size_bytes);
}

std::unique_ptr<hal::Memory> wrap_memory(std::byte* data) {
  return std::make_unique<HostMemory>(data);
}

}  // namespace segue::host
