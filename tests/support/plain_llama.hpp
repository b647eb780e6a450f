// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "llama/gguf.hpp"
#include "llama/hyperparameters.hpp"

namespace segue::test {

/// A Llama forward pass in plain loops over dequantised weights, one token at a time, accumulating
/// in double: the oracle for whole models. Shares the file reader with the library, and no
/// arithmetic.
class PlainLlama {
 public:
  PlainLlama(const llama::GgufFile& file, const llama::Hyperparameters& shape);

  /// Appends a token to the sequence; the logits of what follows it, `[vocabulary]`.
  const std::vector<double>& step(std::uint32_t token);
  void reset();

 private:
  using Vector = std::vector<double>;
  struct Matrix {
    std::vector<float> values;  // Every format's weights are floats exactly.
    std::size_t rows = 0, columns = 0;
    [[nodiscard]] Vector times(const Vector& x) const;
  };
  struct Layer {
    Matrix attention_norm, query, key, value, output, feed_forward_norm, gate, up, down;
    std::vector<Vector> keys, values;  // one per position
  };

  static Matrix read(const llama::GgufFile& file, const std::string& name);
  [[nodiscard]] Vector normalise(const Vector& x, const Matrix& weight) const;
  void rotate(Vector& heads, std::size_t position) const;
  [[nodiscard]] Vector attend(const Layer& layer, const Vector& query) const;

  llama::Hyperparameters shape_;
  Matrix embedding_, output_norm_, output_;
  std::vector<Layer> layers_;
  Vector logits_;
};

}  // namespace segue::test
