// SPDX-License-Identifier: Apache-2.0
#include "metal_double/core/resources.hpp"

#include <sys/mman.h>

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

namespace metal_double {
namespace {

constexpr std::uint64_t kMappedFrom = std::uint64_t{4} << 20;  // Larger memory is mapped, not set.
constexpr std::uint64_t kAlignment = 4096;

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// Buffers by the page of their address.
struct Addresses {
  std::mutex mutex;
  std::map<std::uint64_t, std::weak_ptr<BufferCore>> by_start;
};

Addresses& addresses() {
  static auto* const kAll = new Addresses;
  return *kAll;
}

}  // namespace

Named::Named(std::shared_ptr<DeviceCore> device, std::string kind)
    : device_(std::move(device)),
      kind_(std::move(kind)),
      id_(next_id()),
      number_(device_->next_number(kind_)) {}

std::string Named::name() const {
  const std::scoped_lock lock(mutex_);
  return label_.empty() ? fmt::format("{}#{}", kind_, number_) : label_;
}

std::string Named::title() const {
  std::string kind = kind_;
  kind[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(kind[0])));
  return fmt::format("{} \"{}\"", kind, name());
}

std::string Named::label() const {
  const std::scoped_lock lock(mutex_);
  return label_;
}

void Named::set_label(std::string label) {
  const std::scoped_lock lock(mutex_);
  label_ = std::move(label);
}

void Named::object_freed() {
  if (--objects_ > 0) return;
  freed_ = true;
  if (in_flight > 0) {
    violation("{} is freed while {} command buffers in flight use it.", title(), in_flight.load());
  }
}

BufferCore::~BufferCore() {
  stop_counting();
  if (imported || data == nullptr) return;
  if (size >= kMappedFrom) {
    munmap(data, size);
  } else {
    std::free(data);
  }
}

bool BufferCore::allocate(std::uint64_t bytes) {
  if (bytes >= kMappedFrom) {
    void* const mapped =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return false;
    data = static_cast<std::byte*>(mapped);
  } else {
    void* memory = nullptr;
    if (posix_memalign(&memory, kAlignment, bytes) != 0) return false;
    std::memset(memory, 0, bytes);
    data = static_cast<std::byte*>(memory);
  }
  size = bytes;
  counted_bytes = size;
  device().allocated_bytes += size;
  return true;
}

void BufferCore::stop_counting() { device().allocated_bytes -= counted_bytes.exchange(0); }

void BufferCore::import(std::byte* memory, std::uint64_t bytes) {
  data = memory;
  size = bytes;
  imported = true;
}

void note_address_taken(const std::shared_ptr<BufferCore>& buffer) {
  Addresses& all = addresses();
  const std::scoped_lock lock(all.mutex);
  std::erase_if(all.by_start, [](const auto& entry) { return entry.second.expired(); });
  all.by_start[reinterpret_cast<std::uint64_t>(buffer->data)] = buffer;
}

std::vector<std::shared_ptr<BufferCore>> buffers_addressed_by(const std::byte* bytes,
                                                              std::uint64_t size) {
  std::vector<std::shared_ptr<BufferCore>> found;
  Addresses& all = addresses();
  const std::scoped_lock lock(all.mutex);
  if (all.by_start.empty()) return found;
  for (std::uint64_t at = 0; at + sizeof(std::uint64_t) <= size; at += sizeof(std::uint64_t)) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes + at, sizeof value);
    auto after = all.by_start.upper_bound(value);
    if (after == all.by_start.begin()) continue;
    const auto entry = std::prev(after);
    std::shared_ptr<BufferCore> buffer = entry->second.lock();
    if (buffer && value - entry->first < buffer->size) found.push_back(std::move(buffer));
  }
  return found;
}

const msl::Binding* PipelineCore::find(msl::BindingKind kind, unsigned index) const {
  for (const msl::Binding& binding : info.bindings) {
    if (binding.kind == kind && binding.index == index) return &binding;
  }
  return nullptr;
}

std::uint64_t Slot::size() const {
  if (buffer) return buffer->size - offset;
  return bytes ? bytes->size() : 0;
}

msl::BoundBuffer Slot::memory() const {
  if (buffer) return {buffer->data + offset, buffer->size - offset};
  if (!bytes) return {};
  // Kernels take inline bytes as constant.
  return {const_cast<std::byte*>(bytes->data()), bytes->size()};
}

}  // namespace metal_double
