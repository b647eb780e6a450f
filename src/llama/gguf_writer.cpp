// SPDX-License-Identifier: Apache-2.0
#include "llama/gguf_writer.hpp"

#include <fmt/format.h>

#include <bit>
#include <utility>

#include "base/fail.hpp"
#include "llama/gguf.hpp"

namespace segue::llama {
namespace {

using base::fail;

constexpr std::uint32_t kVersion = 3;
constexpr std::size_t kLongestKey = 65535;
constexpr std::size_t kLongestTensorName = 64;

template <class T>
void put(std::vector<std::byte>& out, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_bytes(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_string(std::vector<std::byte>& out, std::string_view text) {
  put(out, static_cast<std::uint64_t>(text.size()));
  put_bytes(out, std::as_bytes(std::span(text)));
}

template <class T>
void put_array(std::vector<std::byte>& out, GgufType type, std::span<const T> values) {
  put(out, static_cast<std::uint32_t>(type));
  put(out, static_cast<std::uint64_t>(values.size()));
  put_bytes(out, std::as_bytes(values));
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

Result<GgufWriter> GgufWriter::create(std::string path, std::uint32_t alignment_bytes) {
  if (!std::has_single_bit(alignment_bytes) || alignment_bytes < 8 || alignment_bytes > 1U << 20) {
    return fail(ErrorCode::kInvalidArgument,
                "The alignment of a GGUF file is {}, but must be a power of two from 8 to {}.",
                alignment_bytes, 1U << 20);
  }
  SEGUE_TRY_ASSIGN(PartFile file, PartFile::create(std::move(path)));
  GgufWriter writer(std::move(file), alignment_bytes);
  writer.set_u32("general.alignment", alignment_bytes);
  return writer;
}

void GgufWriter::note(std::string problem) {
  if (problem_.empty()) problem_ = std::move(problem);
}

void GgufWriter::start_value(std::string_view key, std::uint32_t type) {
  if (key.empty() || key.size() > kLongestKey) {
    note(fmt::format("A metadata key has {} bytes, but must have 1 to {}.", key.size(),
                     kLongestKey));
  }
  if (!names_.insert(fmt::format("key {}", key)).second) {
    note(fmt::format("Metadata key {} is set twice.", quote(key)));
  }
  if (in_data_) note("Metadata is set after the data has begun.");
  ++value_count_;
  put_string(values_, key);
  put(values_, type);
}

void GgufWriter::set_u32(std::string_view key, std::uint32_t value) {
  start_value(key, static_cast<std::uint32_t>(GgufType::kUint32));
  put(values_, value);
}

void GgufWriter::set_f32(std::string_view key, float value) {
  start_value(key, static_cast<std::uint32_t>(GgufType::kFloat32));
  put(values_, value);
}

void GgufWriter::set_bool(std::string_view key, bool value) {
  start_value(key, static_cast<std::uint32_t>(GgufType::kBool));
  put(values_, static_cast<std::uint8_t>(value ? 1 : 0));
}

void GgufWriter::set_string(std::string_view key, std::string_view value) {
  start_value(key, static_cast<std::uint32_t>(GgufType::kString));
  put_string(values_, value);
}

void GgufWriter::set_strings(std::string_view key, std::span<const std::string> values) {
  start_value(key, static_cast<std::uint32_t>(GgufType::kArray));
  put(values_, static_cast<std::uint32_t>(GgufType::kString));
  put(values_, static_cast<std::uint64_t>(values.size()));
  for (const std::string& value : values) put_string(values_, value);
}

void GgufWriter::set_f32s(std::string_view key, std::span<const float> values) {
  start_value(key, static_cast<std::uint32_t>(GgufType::kArray));
  put_array(values_, GgufType::kFloat32, values);
}

void GgufWriter::set_i32s(std::string_view key, std::span<const std::int32_t> values) {
  start_value(key, static_cast<std::uint32_t>(GgufType::kArray));
  put_array(values_, GgufType::kInt32, values);
}

void GgufWriter::add_tensor(std::string_view name, TensorType type,
                            std::span<const std::uint64_t> ne) {
  if (in_data_) note("A tensor is declared after the data has begun.");
  if (name.empty() || name.size() > kLongestTensorName) {
    note(fmt::format("A tensor's name has {} bytes, but must have 1 to {}.", name.size(),
                     kLongestTensorName));
  }
  if (!names_.insert(fmt::format("tensor {}", name)).second) {
    note(fmt::format("Tensor {} is declared twice.", quote(name)));
  }
  const auto info = tensor_type_info(type);
  if (!info) {
    note(fmt::format("Tensor {} has type {}, which GGUF does not define.", quote(name),
                     static_cast<std::uint32_t>(type)));
    return;
  }
  if (ne.empty() || ne.size() > 4) {
    note(fmt::format("Tensor {} has {} dimensions, but must have 1 to 4.", quote(name), ne.size()));
    return;
  }
  if (ne[0] % info->block_elements != 0) {
    note(fmt::format("Tensor {} has rows of {} elements, but {} needs a multiple of {}.",
                     quote(name), ne[0], info->name, info->block_elements));
  }
  std::uint64_t size_bytes = ne[0] / info->block_elements;
  bool fits = !__builtin_mul_overflow(size_bytes, std::uint64_t{info->block_bytes}, &size_bytes);
  for (const std::uint64_t extent : ne.subspan(1)) {
    fits = fits && !__builtin_mul_overflow(size_bytes, extent, &size_bytes);
  }
  if (!fits || size_bytes == 0 || size_bytes > std::uint64_t{1} << 62) {
    note(fmt::format("Tensor {} is empty or too large.", quote(name)));
    return;
  }
  put_string(tensor_infos_, name);
  put(tensor_infos_, static_cast<std::uint32_t>(ne.size()));
  put_bytes(tensor_infos_, std::as_bytes(ne));
  put(tensor_infos_, static_cast<std::uint32_t>(type));
  put(tensor_infos_, data_size_bytes_);
  tensors_.push_back({std::string(name), size_bytes});
  data_size_bytes_ += round_up(size_bytes, alignment_bytes_);
}

Result<> GgufWriter::begin_data() {
  if (in_data_) return fail(ErrorCode::kInvalidState, "The data has already begun.");
  if (!problem_.empty())
    return std::unexpected(Error{ErrorCode::kInvalidArgument, problem_, {}, {}, {}});
  in_data_ = true;
  std::vector<std::byte> header;
  put_bytes(header, std::as_bytes(std::span(std::string_view("GGUF"))));
  put(header, kVersion);
  put(header, static_cast<std::uint64_t>(tensors_.size()));
  put(header, value_count_);
  SEGUE_TRY(file_.append(header));
  SEGUE_TRY(file_.append(values_));
  SEGUE_TRY(file_.append(tensor_infos_));
  return pad();
}

Result<> GgufWriter::write(std::span<const std::byte> data) {
  if (!in_data_)
    return fail(ErrorCode::kInvalidState,
                "The data has not begun: begin_data() comes before write().");
  if (!problem_.empty())
    return std::unexpected(Error{ErrorCode::kInvalidState, problem_, {}, {}, {}});
  if (data.empty()) return {};
  if (current_tensor_ == tensors_.size()) {
    return fail(ErrorCode::kInvalidState, "All {} tensors are complete; {} more bytes are given.",
                tensors_.size(), data.size());
  }
  const Tensor& tensor = tensors_[current_tensor_];
  if (data.size() > tensor.size_bytes - current_written_) {
    return fail(ErrorCode::kInvalidArgument, "Tensor {} lacks {} bytes, but {} are given.",
                quote(tensor.name), tensor.size_bytes - current_written_, data.size());
  }
  SEGUE_TRY(file_.append(data));
  current_written_ += data.size();
  if (current_written_ < tensor.size_bytes) return {};
  ++current_tensor_;
  current_written_ = 0;
  return pad();
}

Result<> GgufWriter::finish() {
  if (!in_data_) SEGUE_TRY(begin_data());
  if (current_tensor_ < tensors_.size()) {
    const Tensor& tensor = tensors_[current_tensor_];
    return fail(ErrorCode::kInvalidState, "Tensor {} lacks {} of its {} bytes.", quote(tensor.name),
                tensor.size_bytes - current_written_, tensor.size_bytes);
  }
  return file_.commit();
}

Result<> GgufWriter::pad() {
  const std::vector<std::byte> zeros(round_up(size_bytes(), alignment_bytes_) - size_bytes());
  return file_.append(zeros);
}

}  // namespace segue::llama
