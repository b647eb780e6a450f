// SPDX-License-Identifier: Apache-2.0
#include "llama/gguf.hpp"

#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/fail.hpp"

namespace segue::llama {
namespace {

using base::fail;

template <class T>
T load(std::span<const std::byte> bytes, std::size_t offset = 0) {
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof(T)).data(), sizeof(T));
  return value;
}

/// Calls `use` with the element at `index` as the integer type it is stored as; false when the type
/// is no integer.
template <class Use>
bool with_integer(GgufType type, std::span<const std::byte> bytes, std::size_t index, Use use) {
  const auto read = [&]<class T>(T) { use(load<T>(bytes, index * sizeof(T))); };
  switch (type) {
    case GgufType::kUint8: read(std::uint8_t{}); return true;
    case GgufType::kInt8: read(std::int8_t{}); return true;
    case GgufType::kUint16: read(std::uint16_t{}); return true;
    case GgufType::kInt16: read(std::int16_t{}); return true;
    case GgufType::kUint32: read(std::uint32_t{}); return true;
    case GgufType::kInt32: read(std::int32_t{}); return true;
    case GgufType::kUint64: read(std::uint64_t{}); return true;
    case GgufType::kInt64: read(std::int64_t{}); return true;
    default: return false;
  }
}

std::string describe(const GgufValue& value) {
  if (value.type != GgufType::kArray) return std::string(to_string(value.type));
  return fmt::format("array of {} {}", value.count, to_string(value.element_type));
}

/// The result of a getter, or the fallback when the key is missing.
template <class T>
Result<T> value_or(const GgufFile& file, std::string_view key, T fallback,
                   Result<T> (GgufFile::*getter)(std::string_view) const) {
  if (!file.has(key)) return fallback;
  return (file.*getter)(key);
}

}  // namespace

std::string_view to_string(GgufType type) {
  switch (type) {
    case GgufType::kUint8: return "uint8";
    case GgufType::kInt8: return "int8";
    case GgufType::kUint16: return "uint16";
    case GgufType::kInt16: return "int16";
    case GgufType::kUint32: return "uint32";
    case GgufType::kInt32: return "int32";
    case GgufType::kFloat32: return "float32";
    case GgufType::kBool: return "bool";
    case GgufType::kString: return "string";
    case GgufType::kArray: return "array";
    case GgufType::kUint64: return "uint64";
    case GgufType::kInt64: return "int64";
    case GgufType::kFloat64: return "float64";
  }
  return "unknown";
}

std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kLongest)) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out + (text.size() > kLongest ? "...\"" : "\"");
}

std::string GgufTensor::shape() const {
  std::string out = "[";
  for (std::uint32_t i = dimension_count; i-- > 0;) {
    out += fmt::format("{}{}", ne[i], i > 0 ? ", " : "]");
  }
  return out;
}

Result<> check_supported(const GgufTensor& tensor) {
  if (is_supported(tensor.type)) return {};
  return fail(ErrorCode::kUnsupported,
              "Tensor {} has type {}; Segue reads F32, F16, BF16, Q8_0 and Q4_0.",
              quote(tensor.name), to_string(tensor.type));
}

Result<GgufFile> GgufFile::open(const std::string& path) {
  SEGUE_TRY_ASSIGN(MappedFile map, MappedFile::open(path));
  SEGUE_TRY_ASSIGN(GgufFile file, parse(map.bytes(), path));
  file.map_ = std::move(map);
  return file;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto at = values_.find(key);
  return at == values_.end() ? nullptr : &at->second;
}

Result<const GgufValue*> GgufFile::require(std::string_view key) const {
  const GgufValue* const value = find(key);
  if (value == nullptr) {
    return fail(ErrorCode::kNotFound, "File \"{}\" has no metadata key {}.", path_, quote(key));
  }
  return value;
}

std::unexpected<Error> GgufFile::wrong_type(std::string_view key, const GgufValue& value,
                                            std::string_view wanted) const {
  return fail(ErrorCode::kCorruptData,
              "Metadata key {} of file \"{}\" is of type {} (at byte {}), but must be {}.",
              quote(key), path_, describe(value), value.offset_bytes, wanted);
}

Result<std::uint64_t> GgufFile::unsigned_value(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const GgufValue* value, require(key));
  std::uint64_t result = 0;
  std::int64_t negative = 0;
  const bool is_integer = with_integer(value->type, value->bytes, 0, [&](auto stored) {
    if (std::in_range<std::uint64_t>(stored)) {
      result = static_cast<std::uint64_t>(stored);
    } else {
      negative = static_cast<std::int64_t>(stored);
    }
  });
  if (!is_integer) return wrong_type(key, *value, "an unsigned integer");
  if (negative < 0) {
    return fail(ErrorCode::kCorruptData,
                "Metadata key {} of file \"{}\" is {} (at byte {}), but must not be negative.",
                quote(key), path_, negative, value->offset_bytes);
  }
  return result;
}

Result<double> GgufFile::float_value(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const GgufValue* value, require(key));
  if (value->type == GgufType::kFloat32) return load<float>(value->bytes);
  if (value->type == GgufType::kFloat64) return load<double>(value->bytes);
  return wrong_type(key, *value, "a floating-point number");
}

Result<bool> GgufFile::bool_value(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const GgufValue* value, require(key));
  if (value->type != GgufType::kBool) return wrong_type(key, *value, "a bool");
  return load<std::uint8_t>(value->bytes) != 0;
}

Result<std::string_view> GgufFile::string_value(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const GgufValue* value, require(key));
  if (value->type != GgufType::kString) return wrong_type(key, *value, "a string");
  const auto text = value->bytes.subspan(sizeof(std::uint64_t));
  return std::string_view(reinterpret_cast<const char*>(text.data()), text.size());
}

Result<std::uint64_t> GgufFile::unsigned_or(std::string_view key, std::uint64_t fallback) const {
  return value_or(*this, key, fallback, &GgufFile::unsigned_value);
}

Result<double> GgufFile::float_or(std::string_view key, double fallback) const {
  return value_or(*this, key, fallback, &GgufFile::float_value);
}

Result<bool> GgufFile::bool_or(std::string_view key, bool fallback) const {
  return value_or(*this, key, fallback, &GgufFile::bool_value);
}

Result<std::string_view> GgufFile::string_or(std::string_view key,
                                             std::string_view fallback) const {
  return value_or(*this, key, fallback, &GgufFile::string_value);
}

Result<std::vector<std::string_view>> GgufFile::string_array(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const GgufValue* value, require(key));
  if (value->type != GgufType::kArray || value->element_type != GgufType::kString) {
    return wrong_type(key, *value, "an array of strings");
  }
  std::vector<std::string_view> strings;
  strings.reserve(value->count);  // Parsing has seen every one of them.
  for (std::size_t at = 0; at < value->bytes.size();) {
    const auto length = load<std::uint64_t>(value->bytes, at);
    const auto text = value->bytes.subspan(at + sizeof(length), length);
    strings.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
    at += sizeof(length) + length;
  }
  return strings;
}

Result<std::vector<float>> GgufFile::float_array(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const GgufValue* value, require(key));
  if (value->type != GgufType::kArray || value->element_type != GgufType::kFloat32) {
    return wrong_type(key, *value, "an array of float32");
  }
  std::vector<float> floats(value->count);
  if (!floats.empty()) std::memcpy(floats.data(), value->bytes.data(), value->bytes.size());
  return floats;
}

Result<std::vector<std::int64_t>> GgufFile::integer_array(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const GgufValue* value, require(key));
  const bool is_integer =
      value->type == GgufType::kArray && value->element_type != GgufType::kBool &&
      value->element_type != GgufType::kFloat32 && value->element_type != GgufType::kFloat64 &&
      value->element_type != GgufType::kString && value->element_type != GgufType::kArray;
  if (!is_integer) return wrong_type(key, *value, "an array of integers");
  std::vector<std::int64_t> integers(value->count);
  for (std::size_t i = 0; i < integers.size(); ++i) {
    bool fits = true;
    with_integer(value->element_type, value->bytes, i, [&](auto stored) {
      fits = std::in_range<std::int64_t>(stored);
      integers[i] = static_cast<std::int64_t>(stored);
    });
    if (!fits) {
      return fail(ErrorCode::kCorruptData,
                  "Element {} of metadata key {} of file \"{}\" is larger than {}.", i, quote(key),
                  path_, std::numeric_limits<std::int64_t>::max());
    }
  }
  return integers;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto at = tensor_index_.find(name);
  return at == tensor_index_.end() ? nullptr : &tensors_[at->second];
}

Result<const GgufTensor*> GgufFile::tensor(std::string_view name) const {
  const GgufTensor* const found = find_tensor(name);
  if (found == nullptr) {
    return fail(ErrorCode::kNotFound, "File \"{}\" has no tensor {}.", path_, quote(name));
  }
  return found;
}

}  // namespace segue::llama
