// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "support/run_host_kernel.hpp"
#include "support/test_seed.hpp"
#include "unit/backends/host/kernels/mat_vec_check.hpp"

namespace segue::test {
namespace {

enum class Behind { kNothing, kAdd, kSiluMul };

/// A fused kernel: what stands before its products, how many there are, and what stands behind.
struct Fusion {
  std::string prefix;
  bool norm;
  std::size_t matrices;
  Behind behind;

  [[nodiscard]] std::size_t outputs() const { return behind == Behind::kNothing ? matrices : 1; }
};

const std::vector<Fusion>& fusions() {
  static const std::vector<Fusion> all = {
      {"mat_vec_add", false, 1, Behind::kAdd},
      {"mat_vec_silu_mul", false, 2, Behind::kSiluMul},
      {"mat_vec2", false, 2, Behind::kNothing},
      {"mat_vec3", false, 3, Behind::kNothing},
      {"norm_mat_vec", true, 1, Behind::kNothing},
      {"norm_mat_vec_silu_mul", true, 2, Behind::kSiluMul},
      {"norm_mat_vec2", true, 2, Behind::kNothing},
      {"norm_mat_vec3", true, 3, Behind::kNothing},
  };
  return all;
}

std::string name_of(const Fusion& fusion, const Product& product) {
  return fusion.prefix + product.kernel.substr(std::string("mat_vec").size());
}

/// Everything that a fused kernel reads, of one form and shape.
struct Inputs {
  std::vector<Weights> weights;
  std::vector<std::vector<std::byte>> stored;
  std::vector<float> x;
  std::vector<float> norm_weight;
  std::vector<float> residual;
  base::FusedMatVecParams size{};

  Inputs(const Fusion& fusion, const Product& product, std::array<std::uint32_t, 3> rows,
         std::uint32_t columns, std::mt19937_64& random) {
    for (std::size_t m = 0; m < fusion.matrices; ++m) {
      const std::uint32_t count = fusion.behind == Behind::kSiluMul ? rows[0] : rows[m];
      weights.push_back(random_weights(product.type, count, columns, random));
      stored.push_back(test::stored(weights.back(), product));
      if (m < fusion.outputs()) size.rows[m] = count;
    }
    x = random_activations(columns, random);
    norm_weight = random_activations(columns, random);
    residual = random_activations(rows[0], random);
    size.columns = columns;
    size.epsilon = fusion.norm ? 1e-2F : 0.0F;
  }
  [[nodiscard]] std::uint64_t groups() const {
    std::uint64_t sum = 0;
    for (const std::uint32_t rows : size.rows) sum += (rows + 15) / 16;
    return sum;
  }
};

using Outputs = std::vector<std::vector<float>>;

constexpr float kUntouched = -1.5F;

/// Outputs that nothing was written to, each with a margin behind it.
Outputs untouched(const Fusion& fusion, const Inputs& inputs) {
  Outputs outputs;
  for (std::size_t m = 0; m < fusion.outputs(); ++m)
    outputs.emplace_back(inputs.size.rows[m] + 32, kUntouched);
  return outputs;
}

/// Runs groups [begin, end). `residual` may be an output.
void run_fused(const KernelSource& kernel, const Fusion& fusion, const Inputs& inputs,
               std::span<const float> residual, Outputs& outputs, std::uint64_t begin,
               std::uint64_t end) {
  std::vector<host::KernelArgument> arguments;
  for (const auto& bytes : inputs.stored) arguments.push_back(buffer_argument(bytes));
  arguments.push_back(buffer_argument(inputs.x));
  if (fusion.norm) arguments.push_back(buffer_argument(inputs.norm_weight));
  if (fusion.behind == Behind::kAdd) arguments.push_back(buffer_argument(residual));
  for (std::size_t m = 0; m < outputs.size(); ++m)
    arguments.push_back(buffer_argument(std::span(outputs[m]).first(inputs.size.rows[m])));
  arguments.push_back(bytes_argument(inputs.size));
  const Extent3 grid{static_cast<std::uint32_t>(inputs.groups()), 1, 1};
  run_host_groups(kernel, arguments, grid, begin, end);
}

/// What a kernel of one operation makes of `inputs` and `size`, in `items` outputs.
template <class Params>
std::vector<float> unfused(std::span<const KernelSource> kernels, std::string_view name,
                           std::vector<host::KernelArgument> inputs, const Params& size,
                           std::size_t items, std::uint64_t grid_items) {
  const KernelSource& kernel = find_kernel(kernels, name);
  std::vector<float> y(items, NAN);
  inputs.push_back(buffer_argument(std::span(y)));
  inputs.push_back(bytes_argument(size));
  run_host_kernel(kernel, inputs, groups_for(kernel, grid_items));
  return y;
}

/// What the kernels of single operations make of it, one after the other.
Outputs run_chain(std::span<const KernelSource> kernels, const Fusion& fusion,
                  const Product& product, const Inputs& inputs) {
  const std::uint32_t columns = inputs.size.columns;
  std::vector<float> x = inputs.x;
  if (fusion.norm) {
    x = unfused(kernels, "rms_norm", {buffer_argument(inputs.x)},
                base::RmsNormParams{1, columns, inputs.size.epsilon}, columns, 1);
    x = unfused(kernels, "mul", {buffer_argument(x), buffer_argument(inputs.norm_weight)},
                base::ElementwiseParams{columns, columns}, columns, columns);
  }
  Outputs products;
  for (std::size_t m = 0; m < fusion.matrices; ++m) {
    const std::uint32_t rows = inputs.weights[m].rows;
    products.push_back(unfused(kernels, product.kernel,
                               {buffer_argument(inputs.stored[m]), buffer_argument(x)},
                               base::MatMulParams{1, rows, columns}, rows, rows));
  }
  if (fusion.behind == Behind::kNothing) return products;
  const std::uint32_t rows = inputs.size.rows[0];
  const base::ElementwiseParams all{rows, rows};
  if (fusion.behind == Behind::kAdd)
    return {unfused(kernels, "add",
                    {buffer_argument(inputs.residual), buffer_argument(products[0])}, all, rows,
                    rows)};
  return {unfused(kernels, "silu_mul", {buffer_argument(products[0]), buffer_argument(products[1])},
                  all, rows, rows)};
}

/// Checks every bit, and that the margins are as they were.
void expect_bits(const Outputs& got, const Outputs& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t m = 0; m < got.size(); ++m) {
    const std::size_t rows = want[m].size();
    for (std::size_t r = 0; r < got[m].size(); ++r) {
      const float wanted = r < rows ? want[m][r] : kUntouched;
      ASSERT_EQ(std::memcmp(&got[m][r], &wanted, sizeof(wanted)), 0)
          << "output " << m << ", row " << r << " of " << rows << ": " << got[m][r] << ", not "
          << wanted;
    }
  }
}

/// Calls `check(build, kernel, fusion, product)` for every fused kernel of every instruction set.
template <class Check>
void for_each_fused(Check check) {
  for (const SimdKernels& build : builds()) {
    for (const Product& product : products()) {
      for (const Fusion& fusion : fusions()) {
        SCOPED_TRACE(build.name + " " + name_of(fusion, product));
        check(build, find_kernel(build.kernels, name_of(fusion, product)), fusion, product);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

struct Shape {
  std::array<std::uint32_t, 3> rows;
  std::uint32_t columns;
};

std::vector<Shape> shapes(DType type) {
  if (block_elements(type) == 1) {
    return {{{1, 1, 1}, 1},      {{17, 5, 40}, 31},   {{47, 16, 1}, 33},
            {{300, 20, 3}, 100}, {{6, 2, 18}, 600},   {{18, 3, 1}, 4099},
            {{3, 1, 2}, 8200},   {{2, 17, 1}, 16400}, {{1, 2, 3}, 33000}};
  }
  return {{{1, 1, 1}, 32},    {{17, 5, 40}, 96},   {{47, 16, 1}, 192},
          {{300, 20, 3}, 64}, {{6, 2, 18}, 1120},  {{18, 3, 1}, 4128},
          {{3, 1, 2}, 8224},  {{2, 17, 1}, 16416}, {{1, 2, 3}, 32800}};
}

TEST(FusedMatVecKernels, GiveTheBitsOfTheKernelsThatTheyReplaceForAnyCut) {  // row E7
  std::mt19937_64 random(test_seed());
  for_each_fused([&](const SimdKernels& build, const KernelSource& kernel, const Fusion& fusion,
                     const Product& product) {
    for (const Shape& shape : shapes(product.type)) {
      SCOPED_TRACE(shape.columns);
      const Inputs inputs(fusion, product, shape.rows, shape.columns, random);
      const Outputs want = run_chain(build.kernels, fusion, product, inputs);
      const std::uint64_t groups = inputs.groups();

      Outputs whole = untouched(fusion, inputs);
      run_fused(kernel, fusion, inputs, inputs.residual, whole, 0, groups);
      ASSERT_NO_FATAL_FAILURE(expect_bits(whole, want)) << "in one call";

      Outputs single = untouched(fusion, inputs);
      for (std::uint64_t group = groups; group-- > 0;)
        run_fused(kernel, fusion, inputs, inputs.residual, single, group, group + 1);
      ASSERT_NO_FATAL_FAILURE(expect_bits(single, want)) << "group by group";

      Outputs cut = untouched(fusion, inputs);
      for (std::uint64_t begin = 0; begin < groups;) {
        const std::uint64_t end = begin + 1 + random() % (groups - begin);
        run_fused(kernel, fusion, inputs, inputs.residual, cut, begin, end);
        begin = end;
      }
      ASSERT_NO_FATAL_FAILURE(expect_bits(cut, want)) << "cut anywhere";
    }
  });
}

TEST(FusedMatVecKernels, MayAddInPlace) {  // row E7
  std::mt19937_64 random(test_seed());
  const Fusion& fusion = fusions().front();
  for (const SimdKernels& build : builds()) {
    for (const Product& product : products()) {
      SCOPED_TRACE(build.name + " " + name_of(fusion, product));
      for (const Shape& shape : {Shape{{300, 0, 0}, 64}, Shape{{7, 0, 0}, 4128}}) {
        const Inputs inputs(fusion, product, shape.rows, shape.columns, random);
        Outputs y = untouched(fusion, inputs);
        std::ranges::copy(inputs.residual, y[0].begin());
        const std::span<const float> residual = std::span(y[0]).first(shape.rows[0]);
        run_fused(find_kernel(build.kernels, name_of(fusion, product)), fusion, inputs, residual, y,
                  0, inputs.groups());
        expect_bits(y, run_chain(build.kernels, fusion, product, inputs));
      }
    }
  }
}

TEST(FusedMatVecKernels, WriteOnlyTheRowsOfTheirGroups) {  // row E8
  std::mt19937_64 random(test_seed());
  for_each_fused([&](const SimdKernels&, const KernelSource& kernel, const Fusion& fusion,
                     const Product& product) {
    const Inputs inputs(fusion, product, {40, 17, 16}, 64, random);
    for (std::uint64_t group = 0; group < inputs.groups(); ++group) {
      Outputs outputs = untouched(fusion, inputs);
      run_fused(kernel, fusion, inputs, inputs.residual, outputs, group, group + 1);
      std::uint64_t first = 0;  // group of this output
      for (std::size_t m = 0; m < outputs.size(); ++m) {
        const std::size_t rows = inputs.size.rows[m];
        for (std::size_t r = 0; r < outputs[m].size(); ++r) {
          ASSERT_EQ(outputs[m][r] != kUntouched, r < rows && first + r / 16 == group)
              << "output " << m << ", row " << r << ", group " << group;
        }
        first += (rows + 15) / 16;
      }
    }
  });
}

/// A number and how far from it another may be.
struct Near {
  double value;
  double allowed;
};

/// A product in double precision. As for single products, each of columns + 16 operations may round
/// by 2^-24 of the sum of magnitudes, and quantised activations are off by half a step; the norm
/// adds eight roundings.
Near exact_product(const Weights& weights, const Product& product, std::span<const double> x,
                   std::size_t row) {
  const std::size_t columns = weights.columns;
  double sum = 0;
  double magnitudes = 0;
  double quantisation = 0;
  for (std::size_t c = 0; c < columns; ++c) {
    const double weight = weights.values[row * columns + c];
    sum += weight * x[c];
    magnitudes += std::fabs(weight * x[c]);
    if (!product.int8) continue;
    double largest = 0;
    for (const double value : x.subspan(c / 32 * 32, 32))
      largest = std::max(largest, std::fabs(value));
    quantisation += std::fabs(weight) * largest / 254;
  }
  const double rounding = (static_cast<double>(columns) + 24) * (0x1p-24 * magnitudes + 0x1p-149);
  return {sum, rounding + 1.0001 * quantisation};
}

TEST(FusedMatVecKernels, AgreeWithDoublePrecision) {  // row E7
  std::mt19937_64 random(test_seed());
  for_each_fused([&](const SimdKernels&, const KernelSource& kernel, const Fusion& fusion,
                     const Product& product) {
    const Inputs inputs(fusion, product, {37, 18, 5}, 192, random);
    Outputs got = untouched(fusion, inputs);
    run_fused(kernel, fusion, inputs, inputs.residual, got, 0, inputs.groups());
    const std::vector<double> x =
        fusion.norm
            ? oracle::rms_norm(inputs.x, inputs.norm_weight, 1, 192, double{inputs.size.epsilon})
            : std::vector<double>(inputs.x.begin(), inputs.x.end());
    for (std::size_t m = 0; m < got.size(); ++m) {
      for (std::size_t r = 0; r < inputs.size.rows[m]; ++r) {
        Near want = exact_product(inputs.weights[m], product, x, r);
        if (fusion.behind == Behind::kAdd) {
          want.value += double{inputs.residual[r]};
          want.allowed += 0x1p-24 * std::fabs(want.value);
        } else if (fusion.behind == Behind::kSiluMul) {
          const Near up = exact_product(inputs.weights[1], product, x, r);
          const double gate = oracle::silu(want.value);  // Its slope is at most 1.1.
          want.allowed = 1.1 * want.allowed * (std::fabs(up.value) + up.allowed) +
                         std::fabs(gate) * up.allowed + 4e-7 * std::fabs(gate * up.value);
          want.value = gate * up.value;
        }
        ASSERT_NEAR(got[m][r], want.value, want.allowed) << "output " << m << ", row " << r;
      }
    }
  });
}

TEST(FusedMatVecKernels, GiveWhatTheChainGivesWithoutColumns) {
  std::mt19937_64 random(test_seed());
  for_each_fused([&](const SimdKernels& build, const KernelSource& kernel, const Fusion& fusion,
                     const Product& product) {
    const Inputs inputs(fusion, product, {18, 3, 1}, 0, random);
    Outputs got = untouched(fusion, inputs);
    run_fused(kernel, fusion, inputs, inputs.residual, got, 0, inputs.groups());
    expect_bits(got, run_chain(build.kernels, fusion, product, inputs));
  });
}

TEST(FusedMatVecKernels, DeclareWhatTheyReadAndWrite) {  // rows E8, I1
  for_each_fused(
      [&](const SimdKernels&, const KernelSource& kernel, const Fusion& fusion, const Product&) {
        const auto& parameters = kernel.signature.parameters;
        const std::size_t reads =
            fusion.matrices + 1 + (fusion.norm ? 1 : 0) + (fusion.behind == Behind::kAdd ? 1 : 0);
        ASSERT_EQ(parameters.size(), reads + fusion.outputs() + 1);
        for (std::size_t i = 0; i + 1 < parameters.size(); ++i) {
          EXPECT_EQ(parameters[i].kind, ParameterKind::kBuffer);
          EXPECT_EQ(parameters[i].access, i < reads ? Access::kRead : Access::kWrite) << i;
          EXPECT_EQ(parameters[i].alignment, i < fusion.matrices ? 1U : 4U) << i;
        }
        EXPECT_EQ(parameters.back().kind, ParameterKind::kBytes);
        EXPECT_EQ(parameters.back().size_bytes, sizeof(base::FusedMatVecParams));
        EXPECT_EQ(kernel.signature.items_per_group, 16U);
      });
}

}  // namespace
}  // namespace segue::test
