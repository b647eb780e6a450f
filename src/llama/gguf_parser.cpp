// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "base/fail.hpp"
#include "llama/gguf.hpp"

// How a GGUF file is laid out: magic, version, counts; metadata as key, type, value; tensor infos
// as name, extents, type, offset; padding to the alignment; tensor data. Parsing walks it once,
// front to back. Nothing is allocated for a count before as many entries could fit into the bytes
// that remain.

namespace segue::llama {

static_assert(std::endian::native == std::endian::little,
              "GGUF is read in place, as little-endian.");

namespace {

using base::fail;

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kSmallestAlignment = 8;
constexpr std::uint64_t kLargestAlignment = 1 << 20;
constexpr std::uint64_t kLongestKey = 65535;             // The format's limit.
constexpr std::uint64_t kLongestTensorName = 64;         // The format's limit.
constexpr std::uint32_t kMostDimensions = 4;             // The format's limit.
constexpr std::uint32_t kDeepestArray = 4;               // Ours; the format has none.
constexpr std::uint64_t kSmallestEntry = 8 + 1 + 4 + 1;  // Metadata: key, type, one byte.
constexpr std::uint64_t kSmallestTensorInfo = 8 + 1 + 4 + 8 + 4 + 8;  // One extent.

/// Bytes of one value of a plain type; 0 for strings and arrays; nothing for an unknown type.
std::optional<std::uint64_t> plain_size(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool: return 1;
    case GgufType::kUint16:
    case GgufType::kInt16: return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32: return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64: return 8;
    case GgufType::kString:
    case GgufType::kArray: return 0;
  }
  return std::nullopt;
}

/// a * b, or nothing when it does not fit.
std::optional<std::uint64_t> product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

}  // namespace

/// Reads one file; used once.
class GgufParser {
 public:
  GgufParser(std::span<const std::byte> bytes, std::string name) : bytes_(bytes) {
    file_.path_ = std::move(name);
    file_.bytes_ = bytes;
  }

  Result<GgufFile> parse() {
    SEGUE_TRY(read_header());
    for (std::uint64_t i = 0; i < value_count_; ++i) SEGUE_TRY(read_entry(i));
    SEGUE_TRY(read_alignment());
    for (std::uint64_t i = 0; i < tensor_count_; ++i) SEGUE_TRY(read_tensor_info(i));
    SEGUE_TRY(place_tensors());
    SEGUE_TRY(check_overlaps());
    return std::move(file_);
  }

 private:
  [[nodiscard]] std::uint64_t remaining() const { return bytes_.size() - at_; }

  /// An error at byte `offset`; the text goes on after the colon and ends with a period.
  template <class... Args>
  [[nodiscard]] std::unexpected<Error> corrupt(std::uint64_t offset,
                                               fmt::format_string<Args...> format,
                                               Args&&... args) const {
    return fail(ErrorCode::kCorruptData, "File \"{}\" is corrupt at byte {}: {}", file_.path_,
                offset, fmt::format(format, std::forward<Args>(args)...));
  }

  /// Takes `count` bytes; `what` names them for the error.
  Result<std::span<const std::byte>> take(std::uint64_t count, std::string_view what) {
    if (count > remaining()) {
      return corrupt(at_, "{} needs {} bytes but only {} remain.", what, count, remaining());
    }
    const auto taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }

  template <class T>
  Result<T> read(std::string_view what) {
    SEGUE_TRY_ASSIGN(const auto taken, take(sizeof(T), what));
    T value;
    std::memcpy(&value, taken.data(), sizeof(T));
    return value;
  }

  /// Reads a string of 1 to `longest` bytes.
  Result<std::string_view> read_name(std::string_view what, std::uint64_t longest) {
    const std::uint64_t start = at_;
    SEGUE_TRY_ASSIGN(const auto length, read<std::uint64_t>(what));
    if (length == 0 || length > longest) {
      return corrupt(start, "{} is {} bytes long, but must have 1 to {}.", what, length, longest);
    }
    SEGUE_TRY_ASSIGN(const auto taken, take(length, what));
    return std::string_view(reinterpret_cast<const char*>(taken.data()), taken.size());
  }

  Result<> read_header();
  Result<> read_entry(std::uint64_t index);
  Result<> skip_value(GgufType type, std::string_view what, std::uint32_t depth);
  Result<> skip_array(std::string_view what, std::uint32_t depth);
  Result<> check_bools(std::uint64_t count, std::string_view what);
  Result<> read_alignment();
  Result<> read_tensor_info(std::uint64_t index);
  Result<std::uint64_t> tensor_size(const GgufTensor& tensor, std::uint64_t info_offset) const;
  Result<> place_tensors();
  Result<> check_overlaps() const;

  std::span<const std::byte> bytes_;
  std::uint64_t at_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t value_count_ = 0;
  std::uint64_t alignment_ = kDefaultAlignment;
  std::vector<std::uint64_t> sizes_;         // Of each tensor's data.
  std::vector<std::uint64_t> info_offsets_;  // Where each tensor's info starts, for messages.
  GgufFile file_;
};

Result<> GgufParser::read_header() {
  SEGUE_TRY_ASSIGN(const auto magic, take(kMagic.size(), "the magic number of a GGUF file"));
  const std::string_view found(reinterpret_cast<const char*>(magic.data()), magic.size());
  if (found != kMagic) {
    return fail(ErrorCode::kCorruptData,
                "File \"{}\" is no GGUF file: it begins with {} where \"GGUF\" is expected.",
                file_.path_, quote(found));
  }
  SEGUE_TRY_ASSIGN(file_.version_, read<std::uint32_t>("the version"));
  if (file_.version_ != 0 && (file_.version_ & 0xFFFFU) == 0) {
    return fail(
        ErrorCode::kUnsupported,
        "File \"{}\" is a big-endian GGUF file (its version reads as {:#010x}); Segue reads "
        "little-endian ones.",
        file_.path_, file_.version_);
  }
  if (file_.version_ != 2 && file_.version_ != 3) {
    return fail(ErrorCode::kUnsupported,
                "File \"{}\" has GGUF version {}; Segue reads versions 2 and 3.", file_.path_,
                file_.version_);
  }
  SEGUE_TRY_ASSIGN(tensor_count_, read<std::uint64_t>("the tensor count"));
  SEGUE_TRY_ASSIGN(value_count_, read<std::uint64_t>("the metadata count"));
  if (tensor_count_ > remaining() / kSmallestTensorInfo) {
    return corrupt(8, "{} tensors cannot be described in the {} bytes that remain.", tensor_count_,
                   remaining());
  }
  if (value_count_ > remaining() / kSmallestEntry) {
    return corrupt(16, "{} metadata entries cannot fit into the {} bytes that remain.",
                   value_count_, remaining());
  }
  return {};
}

Result<> GgufParser::read_entry(std::uint64_t index) {
  const std::uint64_t start = at_;
  SEGUE_TRY_ASSIGN(const auto key,
                   read_name(fmt::format("the key of metadata entry {}", index), kLongestKey));
  const std::string what = fmt::format("metadata key {}", quote(key));
  if (file_.has(key)) return corrupt(start, "{} appears twice.", what);
  GgufValue value;
  SEGUE_TRY_ASSIGN(const auto type, read<std::uint32_t>(what));
  value.type = static_cast<GgufType>(type);
  value.element_type = value.type;
  if (value.type == GgufType::kArray) {
    // Look ahead: the value's bytes begin after these two.
    const std::uint64_t array_start = at_;
    SEGUE_TRY_ASSIGN(const auto element_type, read<std::uint32_t>(what));
    SEGUE_TRY_ASSIGN(value.count, read<std::uint64_t>(what));
    value.element_type = static_cast<GgufType>(element_type);
    value.offset_bytes = at_;
    at_ = array_start;
  } else {
    value.offset_bytes = at_;
  }
  SEGUE_TRY(skip_value(value.type, what, 0));
  value.bytes = bytes_.subspan(value.offset_bytes, at_ - value.offset_bytes);
  file_.keys_.push_back(key);
  file_.values_.emplace(key, value);
  return {};
}

Result<> GgufParser::skip_value(GgufType type, std::string_view what, std::uint32_t depth) {
  const std::uint64_t start = at_;
  const auto size = plain_size(type);
  if (!size) {
    return corrupt(start, "{} has type {}, but types are 0 to 12.", what,
                   static_cast<std::uint32_t>(type));
  }
  if (type == GgufType::kArray) return skip_array(what, depth);
  if (type == GgufType::kString) {
    SEGUE_TRY_ASSIGN(const auto length, read<std::uint64_t>(what));
    SEGUE_TRY(take(length, what));
    return {};
  }
  if (type == GgufType::kBool) return check_bools(1, what);
  SEGUE_TRY(take(*size, what));
  return {};
}

Result<> GgufParser::skip_array(std::string_view what, std::uint32_t depth) {
  const std::uint64_t start = at_;
  if (depth == kDeepestArray) {
    return corrupt(start, "{} nests arrays more than {} deep.", what, kDeepestArray);
  }
  SEGUE_TRY_ASSIGN(const auto type_number, read<std::uint32_t>(what));
  SEGUE_TRY_ASSIGN(const auto count, read<std::uint64_t>(what));
  const auto type = static_cast<GgufType>(type_number);
  const auto size = plain_size(type);
  if (!size) {
    return corrupt(start, "{} is an array of type {}, but types are 0 to 12.", what, type_number);
  }
  // A string takes at least its length, an array its type and count.
  const std::uint64_t smallest = *size != 0 ? *size : type == GgufType::kString ? 8 : 12;
  if (count > remaining() / smallest) {
    return corrupt(start, "{} has {} elements, which cannot fit into the {} bytes that remain.",
                   what, count, remaining());
  }
  if (type == GgufType::kBool) return check_bools(count, what);
  if (*size != 0) {
    SEGUE_TRY(take(count * *size, what));
    return {};
  }
  for (std::uint64_t i = 0; i < count; ++i) SEGUE_TRY(skip_value(type, what, depth + 1));
  return {};
}

Result<> GgufParser::check_bools(std::uint64_t count, std::string_view what) {
  const std::uint64_t start = at_;
  SEGUE_TRY_ASSIGN(const auto values, take(count, what));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::to_integer<unsigned>(values[i]) > 1) {
      return corrupt(start + i, "{} holds {} as a bool, but must hold 0 or 1.", what,
                     std::to_integer<unsigned>(values[i]));
    }
  }
  return {};
}

Result<> GgufParser::read_alignment() {
  constexpr std::string_view kKey = "general.alignment";
  SEGUE_TRY_ASSIGN(alignment_, file_.unsigned_or(kKey, kDefaultAlignment));
  if (!std::has_single_bit(alignment_) || alignment_ < kSmallestAlignment ||
      alignment_ > kLargestAlignment) {
    return corrupt(file_.find(kKey)->offset_bytes,
                   "the alignment is {}, but must be a power of two from {} to {}.", alignment_,
                   kSmallestAlignment, kLargestAlignment);
  }
  return {};
}

Result<> GgufParser::read_tensor_info(std::uint64_t index) {
  const std::uint64_t start = at_;
  GgufTensor tensor;
  SEGUE_TRY_ASSIGN(tensor.name,
                   read_name(fmt::format("the name of tensor {}", index), kLongestTensorName));
  const std::string what = fmt::format("tensor {}", quote(tensor.name));
  SEGUE_TRY_ASSIGN(tensor.dimension_count, read<std::uint32_t>(what));
  if (tensor.dimension_count == 0 || tensor.dimension_count > kMostDimensions) {
    return corrupt(start, "{} has {} dimensions, but must have 1 to {}.", what,
                   tensor.dimension_count, kMostDimensions);
  }
  for (std::uint32_t i = 0; i < tensor.dimension_count; ++i) {
    SEGUE_TRY_ASSIGN(tensor.ne[i], read<std::uint64_t>(what));
  }
  SEGUE_TRY_ASSIGN(const auto type, read<std::uint32_t>(what));
  tensor.type = static_cast<TensorType>(type);
  SEGUE_TRY_ASSIGN(tensor.offset_bytes, read<std::uint64_t>(what));
  SEGUE_TRY_ASSIGN(const auto size, tensor_size(tensor, start));
  if (!file_.tensor_index_.emplace(tensor.name, file_.tensors_.size()).second) {
    return corrupt(start, "{} appears twice.", what);
  }
  file_.tensors_.push_back(tensor);
  sizes_.push_back(size);
  info_offsets_.push_back(start);
  return {};
}

Result<std::uint64_t> GgufParser::tensor_size(const GgufTensor& tensor,
                                              std::uint64_t info_offset) const {
  const std::string name = quote(tensor.name);
  const auto info = tensor_type_info(tensor.type);
  if (!info) {
    return corrupt(info_offset, "tensor {} has type {}, which GGUF does not define.", name,
                   static_cast<std::uint32_t>(tensor.type));
  }
  if (tensor.columns() % info->block_elements != 0) {
    return corrupt(info_offset, "tensor {} has rows of {} elements, but {} needs a multiple of {}.",
                   name, tensor.columns(), info->name, info->block_elements);
  }
  std::optional<std::uint64_t> elements = 1;
  for (const std::uint64_t extent : tensor.ne) {
    if (extent == 0) {
      return corrupt(info_offset, "tensor {} has shape {}, but no extent may be 0.", name,
                     tensor.shape());
    }
    if (elements) elements = product(*elements, extent);
  }
  const auto size = elements ? product(*elements / info->block_elements, info->block_bytes)
                             : std::optional<std::uint64_t>();
  if (!size || *size > bytes_.size()) {
    return corrupt(info_offset,
                   "tensor {} of shape {} and type {} is larger than the file ({} bytes).", name,
                   tensor.shape(), info->name, bytes_.size());
  }
  return *size;
}

Result<> GgufParser::place_tensors() {
  // at_ is at most the file's size and the alignment at most 1 MiB: no overflow.
  const std::uint64_t data_start = (at_ + alignment_ - 1) / alignment_ * alignment_;
  for (std::size_t i = 0; i < file_.tensors_.size(); ++i) {
    GgufTensor& tensor = file_.tensors_[i];
    const std::uint64_t offset = tensor.offset_bytes;
    if (offset % alignment_ != 0) {
      return corrupt(info_offsets_[i],
                     "tensor {} has offset {}, but it must be a multiple of the alignment {}.",
                     quote(tensor.name), offset, alignment_);
    }
    const std::uint64_t available =
        bytes_.size() - std::min<std::uint64_t>(data_start, bytes_.size());
    if (offset > available || sizes_[i] > available - offset) {
      return corrupt(
          info_offsets_[i],
          "tensor {} takes {} bytes at offset {} of the data, which begins at byte {} and "
          "has only {} bytes; the file is cut short or damaged.",
          quote(tensor.name), sizes_[i], offset, data_start, available);
    }
    tensor.offset_bytes = data_start + offset;
    tensor.bytes = bytes_.subspan(tensor.offset_bytes, sizes_[i]);
  }
  return {};
}

Result<> GgufParser::check_overlaps() const {
  const auto& tensors = file_.tensors_;
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return tensors[i].offset_bytes; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const GgufTensor& before = tensors[order[i - 1]];
    const GgufTensor& after = tensors[order[i]];
    if (before.offset_bytes + before.bytes.size() > after.offset_bytes) {
      return corrupt(info_offsets_[order[i]],
                     "tensor {} begins at byte {}, inside tensor {}, which ends at byte {}.",
                     quote(after.name), after.offset_bytes, quote(before.name),
                     before.offset_bytes + before.bytes.size());
    }
  }
  return {};
}

Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes, std::string name) {
  return GgufParser(bytes, std::move(name)).parse();
}

}  // namespace segue::llama
