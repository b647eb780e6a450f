// SPDX-License-Identifier: Apache-2.0
#include "support/plain_llama.hpp"

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

namespace segue::test {
namespace {

double half_bits(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double mantissa = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Element i of a tensor's bytes, by the definition of its format.
double element(llama::TensorType type, const std::byte* bytes, std::size_t i) {
  using llama::TensorType;
  switch (type) {
    case TensorType::kF32: return load<float>(bytes + 4 * i);
    case TensorType::kF16: return half_bits(load<std::uint16_t>(bytes + 2 * i));
    case TensorType::kBf16: {
      const std::uint32_t bits = std::uint32_t{load<std::uint16_t>(bytes + 2 * i)} << 16;
      return load<float>(reinterpret_cast<const std::byte*>(&bits));
    }
    case TensorType::kQ8_0: {
      const std::byte* block = bytes + i / 32 * 34;
      return half_bits(load<std::uint16_t>(block)) * load<std::int8_t>(block + 2 + i % 32);
    }
    case TensorType::kQ4_0: {
      const std::byte* block = bytes + i / 32 * 18;
      const auto pair = std::to_integer<int>(block[2 + i % 16]);
      const int nibble = i % 32 < 16 ? pair & 15 : pair >> 4;
      return half_bits(load<std::uint16_t>(block)) * (nibble - 8);
    }
  }
  return NAN;
}

}  // namespace

PlainLlama::Vector PlainLlama::Matrix::times(const Vector& x) const {
  Vector y(rows);
  for (std::size_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < columns; ++c) sum += double{values[r * columns + c]} * x[c];
    y[r] = sum;
  }
  return y;
}

PlainLlama::Matrix PlainLlama::read(const llama::GgufFile& file, const std::string& name) {
  const llama::GgufTensor* tensor = file.find_tensor(name);
  if (tensor == nullptr) throw std::runtime_error("no tensor " + name);
  Matrix matrix;
  matrix.rows = tensor->rows();
  matrix.columns = tensor->columns();
  matrix.values.resize(matrix.rows * matrix.columns);
  for (std::size_t i = 0; i < matrix.values.size(); ++i) {
    matrix.values[i] = static_cast<float>(element(tensor->type, tensor->bytes.data(), i));
  }
  return matrix;
}

PlainLlama::PlainLlama(const llama::GgufFile& file, const llama::Hyperparameters& shape)
    : shape_(shape) {
  embedding_ = read(file, "token_embd.weight");
  output_norm_ = read(file, "output_norm.weight");
  output_ = shape.tied_output ? embedding_ : read(file, "output.weight");
  for (std::uint32_t i = 0; i < shape.layers; ++i) {
    const std::string prefix = "blk." + std::to_string(i) + ".";
    const auto get = [&](const char* name) { return read(file, prefix + name + ".weight"); };
    Layer& layer = layers_.emplace_back();
    layer.attention_norm = get("attn_norm");
    layer.query = get("attn_q");
    layer.key = get("attn_k");
    layer.value = get("attn_v");
    layer.output = get("attn_output");
    layer.feed_forward_norm = get("ffn_norm");
    layer.gate = get("ffn_gate");
    layer.up = get("ffn_up");
    layer.down = get("ffn_down");
  }
}

void PlainLlama::reset() {
  for (Layer& layer : layers_) {
    layer.keys.clear();
    layer.values.clear();
  }
}

PlainLlama::Vector PlainLlama::normalise(const Vector& x, const Matrix& weight) const {
  double squares = 0;
  for (const double v : x) squares += v * v;
  const double scale =
      1 / std::sqrt(squares / static_cast<double>(x.size()) + double{shape_.rms_epsilon});
  Vector y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] * scale * double{weight.values[i]};
  return y;
}

void PlainLlama::rotate(Vector& heads, std::size_t position) const {
  const std::size_t size = shape_.head_size;
  for (std::size_t head = 0; head < heads.size(); head += size) {
    for (std::size_t i = 0; i < size; i += 2) {
      const double angle =
          static_cast<double>(position) *
          std::pow(double{shape_.rope_base}, -static_cast<double>(i) / static_cast<double>(size));
      const double a = heads[head + i], b = heads[head + i + 1];
      heads[head + i] = a * std::cos(angle) - b * std::sin(angle);
      heads[head + i + 1] = a * std::sin(angle) + b * std::cos(angle);
    }
  }
}

PlainLlama::Vector PlainLlama::attend(const Layer& layer, const Vector& query) const {
  const std::size_t size = shape_.head_size;
  const std::size_t group = shape_.heads / shape_.kv_heads;
  Vector result(query.size(), 0.0);
  for (std::size_t head = 0; head < shape_.heads; ++head) {
    const std::size_t from = head / group * size;
    Vector weights;
    double total = 0;
    for (const Vector& key : layer.keys) {
      double dot = 0;
      for (std::size_t i = 0; i < size; ++i) dot += query[head * size + i] * key[from + i];
      weights.push_back(std::exp(dot / std::sqrt(static_cast<double>(size))));
      total += weights.back();
    }
    for (std::size_t position = 0; position < weights.size(); ++position) {
      for (std::size_t i = 0; i < size; ++i) {
        result[head * size + i] += weights[position] / total * layer.values[position][from + i];
      }
    }
  }
  return result;
}

const std::vector<double>& PlainLlama::step(std::uint32_t token) {
  const auto row = embedding_.values.begin() + static_cast<long>(token * embedding_.columns);
  Vector x(row, row + static_cast<long>(embedding_.columns));
  const auto add = [&x](const Vector& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  };
  for (Layer& layer : layers_) {
    const Vector input = normalise(x, layer.attention_norm);
    Vector query = layer.query.times(input);
    Vector key = layer.key.times(input);
    rotate(query, layer.keys.size());
    rotate(key, layer.keys.size());
    layer.keys.push_back(std::move(key));
    layer.values.push_back(layer.value.times(input));
    add(layer.output.times(attend(layer, query)));

    const Vector middle = normalise(x, layer.feed_forward_norm);
    Vector gate = layer.gate.times(middle);
    const Vector up = layer.up.times(middle);
    for (std::size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
    add(layer.down.times(gate));
  }
  logits_ = output_.times(normalise(x, output_norm_));
  return logits_;
}

}  // namespace segue::test
