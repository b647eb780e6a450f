// SPDX-License-Identifier: Apache-2.0
//
// What the conformance cases of operations do not reach: that fused products give the bits of the
// kernels that they replace, rows of any length, and tiles that matrices do not fill.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "unit/backends/vulkan/kernels/products_fixture.hpp"

namespace segue::test {
namespace {

constexpr float kEpsilon = 1e-2F;

struct Shape {
  std::uint32_t rows, columns;
};

/// The matrices of a test, and the activations that they meet.
struct Inputs {
  std::vector<BufferView> weights;
  std::vector<std::uint32_t> rows;
  std::uint32_t columns = 0;
  BufferView x, norm_weight;
};

/// Numbers as they are stored, which tells zeros and NaN apart.
std::vector<std::uint32_t> bits(std::span<const float> values) {
  std::vector<std::uint32_t> words;
  for (const float value : values) words.push_back(std::bit_cast<std::uint32_t>(value));
  return words;
}

class FusedVulkanProducts : public VulkanProducts {
 protected:
  /// Three matrices of about `shape`.
  Inputs inputs(const Form& form, Shape shape) {
    Inputs made;
    made.rows = {shape.rows, shape.rows / 2 + 1, shape.rows + 3};
    made.columns = shape.columns;
    for (const std::uint32_t rows : made.rows)
      made.weights.push_back(stored(form, random_weights(form.type, rows, shape.columns, random_)));
    made.x = floats(normal(shape.columns));
    made.norm_weight = floats(normal(shape.columns));
    return made;
  }
  /// The products of matrix m alone, of x or of what a norm makes of it.
  std::vector<float> alone(const Form& form, const Inputs& in, std::size_t m, bool norm) {
    BufferView x = in.x;
    if (norm) {
      x = view(std::uint64_t{4} * in.columns);
      run("rms_norm_weighted", {in.x, in.norm_weight, x},
          base::RmsNormParams{1, in.columns, kEpsilon}, {1});
    }
    return product(form, in.weights[m], x, 1, in.rows[m], in.columns);
  }

  void check_siblings(const Form& form, const Inputs& in, bool norm) {
    const std::string prefix = norm ? "norm_" : "";
    const auto& [w, rows, columns, x, norm_weight] = in;
    const float epsilon = norm ? kEpsilon : 0.0F;
    std::vector<BufferView> y;
    for (const std::uint32_t count : rows) y.push_back(view(std::uint64_t{4} * count));
    const base::FusedMatVecParams two{{rows[0], rows[1], 0}, columns, epsilon};
    const base::FusedMatVecParams three{{rows[0], rows[1], rows[2]}, columns, epsilon};
    if (norm) {
      run("norm_mat_vec2_" + form.name, {w[0], w[1], x, norm_weight, y[0], y[1]}, two,
          {rows[0], rows[1]});
    } else {
      run("mat_vec2_" + form.name, {w[0], w[1], x, y[0], y[1]}, two, {rows[0], rows[1]});
    }
    for (const std::size_t m : {0U, 1U})
      EXPECT_EQ(bits(download<float>(y[m])), bits(alone(form, in, m, norm)))
          << prefix << "mat_vec2, y" << m;
    for (BufferView& each : y) each = view(each.size_bytes());
    if (norm) {
      run("norm_mat_vec3_" + form.name, {w[0], w[1], w[2], x, norm_weight, y[0], y[1], y[2]}, three,
          {rows[0], rows[1], rows[2]});
    } else {
      run("mat_vec3_" + form.name, {w[0], w[1], w[2], x, y[0], y[1], y[2]}, three,
          {rows[0], rows[1], rows[2]});
    }
    for (const std::size_t m : {0U, 1U, 2U})
      EXPECT_EQ(bits(download<float>(y[m])), bits(alone(form, in, m, norm)))
          << prefix << "mat_vec3, y" << m;
  }

  void check_gated(const Form& form, const Inputs& in, bool norm) {
    Inputs pair = in;  // the first rows of the third matrix would do in any row-major form only
    pair.rows[1] = in.rows[0];
    pair.weights[1] = stored(form, random_weights(form.type, in.rows[0], in.columns, random_));
    const std::uint32_t rows = in.rows[0];
    const BufferView gate = floats(alone(form, pair, 0, norm));
    const BufferView up = floats(alone(form, pair, 1, norm));
    const BufferView want = view(std::uint64_t{4} * rows), y = view(want.size_bytes());
    run("silu_mul", {gate, up, want}, base::ElementwiseParams{rows, rows}, {rows});
    const base::FusedMatVecParams size{{rows, 0, 0}, in.columns, norm ? kEpsilon : 0.0F};
    if (norm) {
      run("norm_mat_vec_silu_mul_" + form.name,
          {pair.weights[0], pair.weights[1], in.x, in.norm_weight, y}, size, {rows});
    } else {
      run("mat_vec_silu_mul_" + form.name, {pair.weights[0], pair.weights[1], in.x, y}, size,
          {rows});
    }
    EXPECT_EQ(bits(download<float>(y)), bits(download<float>(want)))
        << (norm ? "norm_" : "") << "silu_mul";
  }

  /// All of them, with weights of one form and shape.
  void check(const Form& form, Shape shape) {
    SCOPED_TRACE(form.name + " [" + std::to_string(shape.rows) + ", " +
                 std::to_string(shape.columns) + "]");
    const Inputs in = inputs(form, shape);
    check_single(form, in);
    for (const bool norm : {false, true}) {
      check_siblings(form, in, norm);
      check_gated(form, in, norm);
    }
  }

  void check_single(const Form& form, const Inputs& in) {
    const std::uint32_t rows = in.rows[0];
    const BufferView y = view(std::uint64_t{4} * rows);
    run("norm_mat_vec_" + form.name, {in.weights[0], in.x, in.norm_weight, y},
        base::FusedMatVecParams{{rows, 0, 0}, in.columns, kEpsilon}, {rows});
    EXPECT_EQ(bits(download<float>(y)), bits(alone(form, in, 0, true))) << "norm_mat_vec";

    const BufferView residual = floats(normal(rows)), sum = view(std::uint64_t{4} * rows);
    run("add", {residual, floats(alone(form, in, 0, false)), sum},
        base::ElementwiseParams{rows, rows}, {rows});
    const base::FusedMatVecParams size{{rows, 0, 0}, in.columns, 0.0F};
    run("mat_vec_add_" + form.name, {in.weights[0], in.x, residual, y}, size, {rows});
    EXPECT_EQ(bits(download<float>(y)), bits(download<float>(sum))) << "mat_vec_add";
    run("mat_vec_add_" + form.name, {in.weights[0], in.x, residual, residual}, size, {rows});
    EXPECT_EQ(bits(download<float>(residual)), bits(download<float>(sum)))
        << "mat_vec_add in place";
  }
};

TEST_F(FusedVulkanProducts, GiveTheBitsOfTheKernelsThatTheyReplace) {  // row E7
  for (const Form& form : forms()) {
    std::vector<Shape> shapes = {{37, 96}, {8, 192}, {3, 2080}};
    if (block_elements(form.type) == 1) shapes.push_back({19, 1031});
    for (const Shape shape : shapes) check(form, shape);
  }
}

TEST_F(FusedVulkanProducts, GiveTheSameBitsInTheGroupsOfGpus) {  // row E7
  constants_ = {{0, 256U}, {1, 128U}};                           // local_size and lanes_per_row
  for (const Form& form : forms()) check(form, {37, 2080});
}

TEST_F(VulkanProducts, OfSeveralTokensAreThoseOfEachAlone) {
  constexpr std::uint32_t kTokens = 7, kRows = 21, kColumns = 160;
  for (const Form& form : forms()) {
    const BufferView weights = stored(form, random_weights(form.type, kRows, kColumns, random_));
    const std::vector<float> x = normal(kTokens * kColumns);
    const auto together = product(form, weights, floats(x), kTokens, kRows, kColumns);
    std::vector<float> each;
    for (std::uint32_t t = 0; t < kTokens; ++t) {
      const auto token = std::span<const float>(x).subspan(std::size_t{t} * kColumns, kColumns);
      const auto alone = product(form, weights, floats(token), 1, kRows, kColumns);
      each.insert(each.end(), alone.begin(), alone.end());
    }
    EXPECT_EQ(bits(together), bits(each)) << form.name;
  }
}

/// What a product should be, and how far rounding may take it from that.
void expect_products(std::span<const float> got, const Weights& w, std::span<const float> x,
                     double relative) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const std::size_t token = i / w.rows, row = i % w.rows;
    double sum = 0, magnitude = 0;
    for (std::uint32_t c = 0; c < w.columns; ++c) {
      const double term = w.values[row * w.columns + c] * x[token * w.columns + c];
      sum += term;
      magnitude += std::fabs(term);
    }
    ASSERT_NEAR(got[i], sum, relative * magnitude + 1e-30) << "token " << token << ", row " << row;
  }
}

/// Relative to the magnitudes that are added.
constexpr double kRounding = 2e-6;

TEST_F(VulkanProducts, TakeRowsOfAnyLength) {
  for (const Form& form : forms()) {
    if (block_elements(form.type) > 1) continue;
    for (const Shape shape : {Shape{5, 1}, Shape{19, 17}, Shape{3, 515}, Shape{4, 1028}}) {
      for (const std::uint32_t tokens : {1U, 3U}) {
        SCOPED_TRACE(form.name + " of " + std::to_string(shape.columns) + " columns");
        const Weights w = random_weights(form.type, shape.rows, shape.columns, random_);
        const std::vector<float> x = normal(std::size_t{tokens} * shape.columns);
        const auto y = product(form, stored(form, w), floats(x), tokens, shape.rows, shape.columns);
        expect_products(y, w, x, kRounding);
      }
    }
  }
}

class VulkanTiles : public VulkanProducts {
 protected:
  /// "mat_mul_*", and the same on matrix units where the device has them.
  void check(const Form& form, Shape shape, std::uint32_t tokens) {
    SCOPED_TRACE(form.name + " [" + std::to_string(shape.rows) + ", " +
                 std::to_string(shape.columns) + "], " + std::to_string(tokens) + " tokens");
    const Weights w = random_weights(form.type, shape.rows, shape.columns, random_);
    const BufferView weights = stored(form, w);
    const std::vector<float> x = normal(std::size_t{tokens} * shape.columns);
    const base::MatMulParams size{tokens, shape.rows, shape.columns};
    for (const bool half : {false, true}) {
      const std::string name = "mat_mul_" + form.name + (half ? "_half" : "");
      if (half && !device_.kernels().contains(name)) continue;
      const BufferView y = view(std::uint64_t{4} * tokens * shape.rows);
      run(name, {weights, floats(x), y}, size, {shape.rows}, tokens);
      // Quantised weights are no F16 numbers; their rounding is 2^-11.
      const bool rounded = half && block_elements(form.type) > 1;
      expect_products(download<float>(y), w, x, rounded ? 5e-4 : kRounding);
    }
  }
};

TEST_F(VulkanTiles, MultiplyManyTokensByEveryForm) {
  for (const Form& form : forms()) {
    for (const Shape shape : {Shape{16, 32}, Shape{64, 192}, Shape{129, 96}, Shape{1, 64}}) {
      for (const std::uint32_t tokens : {16U, 67U}) check(form, shape, tokens);
    }
    check(form, {130, 288}, 131);
    if (block_elements(form.type) > 1) continue;
    for (const Shape shape : {Shape{19, 17}, Shape{70, 515}, Shape{3, 1}, Shape{65, 40}})
      check(form, shape, 66);
  }
}

TEST_F(VulkanProducts, MayBeOfNaN) {
  const float nan = std::nanf("");
  for (const Form& form : forms()) {
    const BufferView weights = stored(form, random_weights(form.type, 5, 64, random_));
    std::vector<float> x = normal(2 * 64);
    x[3] = nan;
    const auto y = product(form, weights, floats(x), 2, 5, 64);
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i < 5) << form.name;
  }
}

/// Column c of a row as the planes' definition in docs/kernel-abi.md has it.
int quant_of(DType type, std::span<const std::byte> plane, std::size_t c) {
  if (type == DType::kQ8_0) return static_cast<std::int8_t>(plane[c]);
  const auto byte = static_cast<std::uint32_t>(plane[c / 16 * 8 + c % 8]);
  return static_cast<int>(c % 16 < 8 ? byte & 15U : byte >> 4) - 8;
}

TEST_F(VulkanProducts, PlanesHoldAllQuantsThenAllScales) {
  for (const Form& form : forms()) {
    if (form.layout != WeightLayout::kPlanes) continue;
    for (const Shape shape : {Shape{37, 96}, Shape{1, 32}, Shape{16, 2048}}) {
      const Weights w = random_weights(form.type, shape.rows, shape.columns, random_);
      const auto bytes = download<std::byte>(stored(form, w));
      const std::size_t count = w.values.size();
      const std::size_t scales = form.type == DType::kQ8_0 ? count : count / 2;
      ASSERT_EQ(bytes.size(), scales + (count / 16 + 15) / 16 * 16);
      for (std::size_t i = 0; i < count; ++i) {
        // A block of the model file with this scale, whose first column is this quant.
        std::vector<std::byte> block(block_bytes(form.type));
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(scales + i / 32 * 2), 2,
                    block.begin());
        const int quant = quant_of(form.type, bytes, i);
        block[2] = static_cast<std::byte>(form.type == DType::kQ8_0 ? quant : quant + 8);
        ASSERT_EQ(decode(form.type, block)[0], w.values[i]) << form.name << ", element " << i;
      }
      for (std::size_t i = scales + count / 16; i < bytes.size(); ++i)
        EXPECT_EQ(bytes[i], std::byte{0});
    }
  }
}

}  // namespace
}  // namespace segue::test
