// SPDX-License-Identifier: Apache-2.0
//
// Each operation of segue::ops, recorded, committed and compared with its oracle. Kernels have
// finer tests of their own; these show that shapes, arguments and grids arrive.
#include <optional>

#include "conformance/ops_fixture.hpp"
#include "support/op_oracles.hpp"
#include "support/weights.hpp"

namespace segue::test {
namespace {

constexpr DType kWeightTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0,
                                  DType::kQ4_0};

/// Relative to the larger of the terms that an element is made of.
constexpr double kRounding = 2e-6;

struct Shape {
  std::uint32_t rows, columns;
};
constexpr Shape kShapes[] = {{1, 192}, {1, 1}, {3, 17}, {9, 515}, {2, 2048}};

std::vector<double> doubles(std::span<const float> values) {
  return {values.begin(), values.end()};
}

TEST_P(OpsTest, EmbeddingGathersRowsOfEveryType) {
  for (const DType type : kWeightTypes) {
    for (const std::uint32_t columns : {32U, 192U}) {
      const Weights table = random_weights(type, 50, columns, random_);
      const std::vector<std::uint32_t> ids = {49, 0, 7, 7, 31};
      std::vector<double> want;
      for (const std::uint32_t id : ids) {
        for (std::uint32_t c = 0; c < columns; ++c) want.push_back(table.values[id * columns + c]);
      }
      const Tensor y = floats(5, columns);
      ops_->embedding(encoder_, tensor(type, 50, columns, table.bytes),
                      tensor(DType::kU32, 1, 5, std::as_bytes(std::span(ids))), y);
      expect(y, want, 6e-8, 0);
    }
  }
}

TEST_P(OpsTest, EmbeddingTokenReadsTheRowOfARecordedToken) {
  for (const DType type : kWeightTypes) {
    const Weights table = random_weights(type, 50, 96, random_);
    const Tensor rows = tensor(type, 50, 96, table.bytes);
    for (const std::uint32_t id : {0U, 31U, 49U}) {
      const Tensor y = floats(1, 96);
      ops_->embedding_token(encoder_, rows, id, y);
      expect(y, std::span(table.values).subspan(std::size_t{id} * 96, 96), 6e-8, 0);
    }
    const Tensor y = floats(1, 96);
    ops_->embedding_token(encoder_, rows, 50, y);
    run();
    for (const float value : download<float>(y)) EXPECT_TRUE(std::isnan(value));
  }
}

TEST_P(OpsTest, RmsNormDividesByTheRootMeanSquare) {
  for (const Shape shape : kShapes) {
    const std::vector<float> x = normal(shape.rows * shape.columns, 3.0F);
    const std::vector<float> weight = normal(shape.columns);
    const Tensor plain = floats(shape.rows, shape.columns);
    const Tensor weighted = floats(shape.rows, shape.columns);
    const Tensor input = floats(shape.rows, shape.columns, x);
    ops_->rms_norm(encoder_, input, plain, 1e-5F);
    ops_->rms_norm_weighted(encoder_, input, floats(1, shape.columns, weight), weighted, 1e-5F);
    expect(plain, oracle::rms_norm(x, {}, shape.rows, shape.columns, 1e-5F), kRounding, 0);
    expect(weighted, oracle::rms_norm(x, weight, shape.rows, shape.columns, 1e-5F), kRounding, 0);
  }
}

TEST_P(OpsTest, AddAndMulTakeAnEqualShapeOrOneRow) {
  for (const Shape shape : kShapes) {
    const std::uint32_t count = shape.rows * shape.columns;
    for (const std::uint32_t b_rows : {shape.rows, 1U}) {
      const std::vector<float> a = normal(count);
      const std::vector<float> b = normal(b_rows * shape.columns);
      const Tensor ta = floats(shape.rows, shape.columns, a);
      const Tensor tb = floats(b_rows, shape.columns, b);
      const Tensor sum = floats(shape.rows, shape.columns);
      const Tensor product = floats(shape.rows, shape.columns);
      ops_->add(encoder_, ta, tb, sum);
      ops_->mul(encoder_, ta, tb, product);
      std::vector<double> want_sum = doubles(a);
      std::vector<double> want_product = doubles(a);
      for (std::uint32_t i = 0; i < count; ++i) {
        want_sum[i] += b[i % b.size()];
        want_product[i] *= b[i % b.size()];
      }
      expect(sum, want_sum, 6e-8, 0);
      expect(product, want_product, 6e-8, 0);
    }
  }
}

TEST_P(OpsTest, AddMayWriteItsFirstOperand) {
  const std::vector<float> a = normal(3 * 40);
  const std::vector<float> b = normal(3 * 40);
  const Tensor sum = floats(3, 40, a);
  ops_->add(encoder_, sum, floats(3, 40, b), sum);
  std::vector<double> want = doubles(a);
  for (std::size_t i = 0; i < want.size(); ++i) want[i] += b[i];
  expect(sum, want, 6e-8, 0);
}

TEST_P(OpsTest, SiluAndSiluMulGate) {
  for (const Shape shape : kShapes) {
    const std::vector<float> gate = normal(shape.rows * shape.columns, 5.0F);
    const std::vector<float> up = normal(gate.size());
    const Tensor input = floats(shape.rows, shape.columns, gate);
    const Tensor plain = floats(shape.rows, shape.columns);
    const Tensor gated = floats(shape.rows, shape.columns);
    ops_->silu(encoder_, input, plain);
    ops_->silu_mul(encoder_, input, floats(shape.rows, shape.columns, up), gated);
    std::vector<double> want;
    for (const float value : gate) want.push_back(oracle::silu(value));
    expect(plain, want, kRounding, 0);
    for (std::size_t i = 0; i < want.size(); ++i) want[i] *= up[i];
    expect(gated, want, kRounding, 0);
  }
}

/// Products with `weights` in a layout, and how far they may be off.
struct Product {
  std::vector<double> y;
  std::vector<double> tolerance;
};

Product product_of(const Weights& w, std::span<const float> x, std::uint32_t tokens, bool int8) {
  Product product;
  for (std::uint32_t t = 0; t < tokens; ++t) {
    const auto row_of_x = x.subspan(std::size_t{t} * w.columns, w.columns);
    for (std::uint32_t r = 0; r < w.rows; ++r) {
      double sum = 0;
      double magnitude = 0;
      double quantisation = 0;
      for (std::uint32_t c = 0; c < w.columns; ++c) {
        const double weight = w.values[std::size_t{r} * w.columns + c];
        sum += weight * row_of_x[c];
        magnitude += std::fabs(weight * row_of_x[c]);
        // A block of 32 is rounded to multiples of its largest magnitude / 127.
        const std::uint32_t block = c / 32 * 32;
        float largest = 0;
        for (std::uint32_t i = block; i < std::min(block + 32, w.columns); ++i) {
          largest = std::max(largest, std::fabs(row_of_x[i]));
        }
        quantisation += std::fabs(weight) * largest / 127 * 0.501;
      }
      product.y.push_back(sum);
      product.tolerance.push_back(kRounding * magnitude + 1e-30 + (int8 ? quantisation : 0));
    }
  }
  return product;
}

class MatMulTest : public OpsTest {
 protected:
  /// All types in row-major order and in the preferred layout, for tokens alone and together.
  void check(bool quantise_activations) {
    ops::Options options;
    options.quantise_activations = quantise_activations;
    ops_.emplace(ops::Ops::create(device_, options).value());
    for (const DType type : kWeightTypes) {
      for (const Shape shape : {Shape{16, 32}, Shape{64, 192}, Shape{37, 96}, Shape{1, 64}}) {
        for (const std::uint32_t tokens : {1U, 5U, 33U})
          check(type, shape, tokens, quantise_activations);
      }
    }
  }

  void check(DType type, Shape shape, std::uint32_t tokens, bool quantise_activations) {
    SCOPED_TRACE(::testing::Message() << to_string(type) << " [" << shape.rows << ", "
                                      << shape.columns << "], " << tokens << " tokens");
    const Weights weights = random_weights(type, shape.rows, shape.columns, random_);
    const std::vector<float> x = normal(std::size_t{tokens} * shape.columns);
    const WeightMatrix row_major{tensor(type, shape.rows, shape.columns, weights.bytes)};
    const Tensor input = floats(tokens, shape.columns, x);
    const Tensor y = floats(tokens, shape.rows);
    const bool int8 = quantise_activations && block_elements(type) > 1;
    const Product want = product_of(weights, x, tokens, int8);
    ops_->mat_mul(encoder_, row_major, input, y);
    expect(y, want.y, want.tolerance);

    const WeightLayout layout = ops_->preferred_layout(type);
    if (layout == WeightLayout::kRowMajor) return;
    WeightMatrix packed{row_major.tensor, layout};
    packed.tensor.view = view(weight_bytes(type, layout, shape.rows, shape.columns));
    const Tensor again = floats(tokens, shape.rows);
    ops_->repack(encoder_, row_major, packed);
    ops_->mat_mul(encoder_, packed, input, again);
    expect(again, want.y, want.tolerance);
  }
};

TEST_P(MatMulTest, FloatModeMultipliesEveryTypeAndLayout) { check(false); }

TEST_P(MatMulTest, QuantisedActivationsStayWithinHalfAStep) { check(true); }

TEST_P(OpsTest, RopeTurnsPairsByPosition) {
  for (const bool neox : {false, true}) {
    for (const std::uint32_t tokens : {1U, 6U}) {
      for (const std::uint32_t rotated : {0U, 16U}) {
        const std::vector<float> x = normal(tokens * 3 * 32);
        ops::RopeOptions options;
        options.head_size = 32;
        options.rotated = rotated;
        options.base = 5e5F;
        options.position = 77;
        options.pairs = neox ? ops::RopePairs::kNeox : ops::RopePairs::kInterleaved;
        const Tensor y = floats(tokens, 96);
        ops_->rope(encoder_, floats(tokens, 96, x), y, options);
        expect(y, oracle::rope(x, {tokens, 3, 32, rotated == 0 ? 32 : rotated, 77, 5e5, neox}), 0,
               kRounding);
      }
    }
  }
}

TEST_P(OpsTest, AttentionReadsWhatKvAppendWrote) {
  for (const DType cache_type : {DType::kF32, DType::kF16}) {
    for (const std::uint32_t tokens : {1U, 7U}) {
      constexpr std::uint32_t kPosition = 300;
      constexpr std::uint32_t kContext = 310;
      const std::uint32_t rows = kPosition + tokens;
      std::vector<float> caches[2];
      std::vector<double> stored[2];
      Tensor tensors[2];
      for (int i = 0; i < 2; ++i) {
        caches[i] = normal(std::size_t{rows} * 2 * 32);
        for (const float value : caches[i]) {
          stored[i].push_back(
              cache_type == DType::kF16 ? oracle::half_value(oracle::half_bits(value)) : value);
        }
        tensors[i] = tensor(cache_type, kContext, 64);
        const std::span<const float> all = caches[i];
        ops_->kv_append(encoder_, floats(kPosition, 64, all.first(kPosition * 64)), tensors[i], 0);
        ops_->kv_append(encoder_, floats(tokens, 64, all.subspan(kPosition * 64)), tensors[i],
                        kPosition);
      }
      const std::vector<float> q = normal(std::size_t{tokens} * 6 * 32);
      ops::AttentionOptions options;
      options.head_size = 32;
      options.position = kPosition;
      const Tensor y = floats(tokens, 192);
      ops_->attention(encoder_, floats(tokens, 192, q), tensors[0], tensors[1], y, options);
      expect(y,
             oracle::attention(q, stored[0], stored[1],
                               {tokens, 6, 2, 32, kPosition, 1 / std::sqrt(32.0)}),
             0, 3e-6);
    }
  }
}

TEST_P(OpsTest, SoftmaxMakesProbabilitiesAlsoInPlace) {
  for (const Shape shape : kShapes) {
    const std::vector<float> x = normal(shape.rows * shape.columns, 3.0F);
    const Tensor both = floats(shape.rows, shape.columns, x);
    ops_->softmax(encoder_, both, both);
    expect(both, oracle::softmax(x, shape.rows, shape.columns), 5e-6, 1e-37);
  }
}

TEST_P(OpsTest, ArgmaxPicksTheBestTokenOfEachRow) {
  for (const Shape shape : kShapes) {
    const std::vector<float> x = normal(shape.rows * shape.columns);
    const Tensor tokens = tensor(DType::kU32, 1, shape.rows);
    ops_->argmax(encoder_, floats(shape.rows, shape.columns, x), tokens);
    run();
    const auto got = download<std::uint32_t>(tokens);
    for (std::uint32_t r = 0; r < shape.rows; ++r) {
      EXPECT_EQ(got[r], oracle::argmax(std::span(x).subspan(r * shape.columns, shape.columns)));
    }
  }
}

TEST_P(OpsTest, SampleDrawsWhatSortingWouldDraw) {
  // Where the cut by probability is within rounding, no draw could be compared.
  std::vector<float> x;
  double margin = 0;
  while (margin < 1e-4) {
    margin = 1;
    x = normal(500, 2.0F);
    static_cast<void>(oracle::sample_probabilities(x, {30, 0.875, 0.75, 0, 0}, &margin));
  }
  const Tensor token = tensor(DType::kU32, 1, 1);
  int compared = 0;
  for (std::uint32_t step = 0; step < 40; ++step) {
    ops::SampleOptions options;
    options.temperature = 0.75F;
    options.top_k = 30;
    options.top_p = 0.875F;
    options.seed = 0x123456789ABCDEF0;
    options.step = step;
    const oracle::Drawn want = oracle::sample(x, {30, 0.875, 0.75, options.seed, step});
    ops_->sample(encoder_, floats(1, 500, x), token, options);
    run();
    if (want.margin < 1e-5) continue;
    ++compared;
    EXPECT_EQ(download<std::uint32_t>(token)[0], want.token) << step;
  }
  EXPECT_GT(compared, 30);
}

TEST_P(OpsTest, AdvanceMovesTheStateOnAndFillsTheRing) {
  const std::vector<std::uint32_t> start = {6, 1};
  const Tensor state = tensor(DType::kU32, 1, 2, std::as_bytes(std::span(start)));
  const Tensor ring = tensor(DType::kU32, 1, 4);
  for (const std::uint32_t id : {10U, 11U, 12U}) {
    const Tensor token = tensor(DType::kU32, 1, 1, std::as_bytes(std::span(&id, 1)));
    ops_->advance(encoder_, token, state, ring);
  }
  run();
  EXPECT_EQ(download<std::uint32_t>(state), (std::vector<std::uint32_t>{9, 12}));
  EXPECT_EQ(download<std::uint32_t>(ring), (std::vector<std::uint32_t>{12, 0, 10, 11}));
}

std::string name_of(const ::testing::TestParamInfo<ConformanceDevice>& device) {
  return device.param.name;
}
INSTANTIATE_TEST_SUITE_P(Devices, OpsTest, ::testing::ValuesIn(conformance_modes()), name_of);
INSTANTIATE_TEST_SUITE_P(Devices, MatMulTest, ::testing::ValuesIn(conformance_modes()), name_of);

}  // namespace
}  // namespace segue::test
