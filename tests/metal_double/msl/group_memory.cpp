// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/group_memory.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <string>

#include "metal_double/msl/sanitizers.hpp"

namespace metal_double::msl {
namespace {

constexpr std::size_t kAlignment = 128;

/// Between parts, so that the address sanitizer sees who leaves them.
#ifdef SEGUE_MSL_ASAN
constexpr std::size_t kGap = 64;
#else
constexpr std::size_t kGap = 0;
#endif

std::size_t round_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

std::span<segue_msl::GroupVariable> variables_of(const segue_msl::ModuleTable& table) {
  return {table.variables_begin, table.variables_end};
}

}  // namespace

void GroupMemory::place_variables(const segue_msl::ModuleTable& table) {
  std::map<std::string_view, std::size_t> ends;
  for (segue_msl::GroupVariable& variable : variables_of(table)) {
    std::size_t& end = ends[variable.function];
    variable.offset = round_up(end, variable.alignment);
    end = variable.offset + variable.size + kGap;
  }
}

std::uint64_t GroupMemory::variable_bytes(const segue_msl::ModuleTable& table,
                                          std::string_view function) {
  std::uint64_t bytes = 0;
  for (const segue_msl::GroupVariable& variable : variables_of(table)) {
    if (function != variable.function) continue;
    bytes = round_up(bytes, variable.alignment) + variable.size;
  }
  return bytes;
}

void GroupMemory::lay_out(const segue_msl::ModuleTable& table, std::string_view function,
                          std::span<const std::uint32_t> argument_bytes) {
  for (const segue_msl::GroupVariable& variable : variables_of(table)) {
    if (function != variable.function) continue;
    parts_.push_back({.offset = variable.offset, .size = variable.size});
    size_ = variable.offset + variable.size + kGap;
  }
  for (const std::uint32_t bytes : argument_bytes) {
    if (bytes == 0) continue;
    size_ = round_up(size_, kAlignment);
    parts_.push_back({.offset = size_, .size = bytes});
    size_ += bytes + kGap;
  }
}

GroupMemory::GroupMemory(const segue_msl::ModuleTable& table, std::string_view function,
                         std::span<const std::uint32_t> argument_bytes, ThreadOrder order)
    : garbage_(order == ThreadOrder::kForward ? 0xff : 0x7b) {
  lay_out(table, function, argument_bytes);
  if (size_ == 0) return;
  memory_ = static_cast<unsigned char*>(::operator new(size_, std::align_val_t{kAlignment}));
#ifdef SEGUE_MSL_ASAN
  ASAN_POISON_MEMORY_REGION(memory_, size_);
  for (const Part& part : parts_) ASAN_UNPOISON_MEMORY_REGION(memory_ + part.offset, part.size);
#endif
  auto part = parts_.end() - std::ranges::count_if(argument_bytes, [](auto b) { return b != 0; });
  for (std::size_t i = 0; i < argument_bytes.size(); ++i) {
    if (argument_bytes[i] != 0) arguments_[i] = memory_ + (part++)->offset;
  }
}

GroupMemory::~GroupMemory() {
#ifdef SEGUE_MSL_ASAN
  if (memory_ != nullptr) ASAN_UNPOISON_MEMORY_REGION(memory_, size_);
#endif
  ::operator delete(memory_, std::align_val_t{kAlignment});
}

void GroupMemory::scramble() {
  for (const Part& part : parts_) std::memset(memory_ + part.offset, garbage_, part.size);
}

}  // namespace metal_double::msl
