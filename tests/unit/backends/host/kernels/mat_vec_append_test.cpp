// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/op_params.hpp"
#include "support/op_oracles.hpp"
#include "support/run_host_kernel.hpp"
#include "support/test_seed.hpp"
#include "unit/backends/host/kernels/mat_vec_check.hpp"

namespace segue::test {
namespace {

using Params = base::NormMatVec3RopeKvAppendParams;

/// A cache is of floats, or of the bits of halves.
template <class Cached>
constexpr const char* kType = std::is_same_v<Cached, float> ? "f32" : "f16";
template <class Cached>
constexpr Cached kOld{7};
constexpr std::uint32_t kCacheRows = 5;

struct Shape {
  std::uint32_t heads, kv_heads, head_size, rotated, value_rows, columns;
};

/// Everything that a kernel reads, of one form and shape.
struct Inputs {
  std::vector<Weights> weights;
  std::vector<std::vector<std::byte>> stored;
  std::vector<float> x;
  std::vector<float> norm_weight;
  Params size{};

  Inputs(const Product& product, const Shape& shape, std::uint32_t position,
         std::mt19937_64& random)
      : x(random_activations(shape.columns, random)),
        norm_weight(random_activations(shape.columns, random)),
        size{{shape.heads * shape.head_size, shape.kv_heads * shape.head_size, shape.value_rows},
             shape.columns,
             1e-2F,
             shape.head_size,
             shape.rotated,
             position,
             random() % 2 == 0 ? 1e4F : 5e5F} {
    for (const std::uint32_t rows : size.rows) {
      weights.push_back(random_weights(product.type, rows, shape.columns, random));
      stored.push_back(test::stored(weights.back(), product));
    }
  }
  [[nodiscard]] std::uint64_t groups() const {
    std::uint64_t sum = 0;
    for (const std::uint32_t rows : size.rows) sum += (rows + 15) / 16;
    return sum;
  }
};

/// The results, each with a margin behind it.
template <class Cached>
struct Outputs {
  static constexpr std::size_t kMargin = 32;
  std::vector<float> q;
  std::vector<Cached> keys, values;

  explicit Outputs(const Params& size)
      : q(size.rows[0] + kMargin, 7.0F),
        keys(std::size_t{kCacheRows} * size.rows[1] + kMargin, kOld<Cached>),
        values(std::size_t{kCacheRows} * size.rows[2] + kMargin, kOld<Cached>) {}
};

/// All but the margin.
template <class T>
std::span<T> content(std::vector<T>& values) {
  return std::span(values).first(values.size() - Outputs<T>::kMargin);
}

template <class Cached>
void run_fused(const KernelSource& kernel, const Inputs& inputs, Outputs<Cached>& outputs,
               std::uint64_t begin, std::uint64_t end) {
  std::vector<host::KernelArgument> arguments;
  for (const auto& bytes : inputs.stored) arguments.push_back(buffer_argument(bytes));
  arguments.push_back(buffer_argument(inputs.x));
  arguments.push_back(buffer_argument(inputs.norm_weight));
  arguments.push_back(buffer_argument(content(outputs.q)));
  arguments.push_back(buffer_argument(content(outputs.keys)));
  arguments.push_back(buffer_argument(content(outputs.values)));
  arguments.push_back(bytes_argument(inputs.size));
  const Extent3 grid{static_cast<std::uint32_t>(inputs.groups()), 1, 1};
  run_host_groups(kernel, arguments, grid, begin, end);
}

/// Runs the kernel of one operation over as many groups as `items` take.
template <class P>
void run_one(std::span<const KernelSource> kernels, const std::string& name,
             std::vector<host::KernelArgument> views, const P& params, std::uint64_t items) {
  const KernelSource& kernel = find_kernel(kernels, name);
  views.push_back(bytes_argument(params));
  run_host_kernel(kernel, views, groups_for(kernel, items));
}

/// What the kernels of single operations make of it, one after the other.
template <class Cached>
Outputs<Cached> run_chain(std::span<const KernelSource> kernels, const Product& product,
                          const Inputs& inputs) {
  const Params& size = inputs.size;
  std::vector<float> x(size.columns);
  run_one(kernels, "rms_norm_weighted",
          {buffer_argument(inputs.x), buffer_argument(inputs.norm_weight), buffer_argument(x)},
          base::RmsNormParams{1, size.columns, size.epsilon}, 1);
  Outputs<Cached> made(size);
  std::vector<float> key(size.rows[1]), value(size.rows[2]);
  const std::span<float> results[] = {content(made.q), key, value};
  for (std::size_t m = 0; m < 3; ++m) {
    run_one(kernels, product.kernel,
            {buffer_argument(inputs.stored[m]), buffer_argument(x), buffer_argument(results[m])},
            base::MatMulParams{1, size.rows[m], size.columns}, size.rows[m]);
  }
  for (const std::size_t m : {0U, 1U}) {
    const std::uint32_t heads = size.rows[m] / size.head_size;
    run_one(kernels, "rope_interleaved", {buffer_argument(results[m]), buffer_argument(results[m])},
            base::RopeParams{1, heads, size.head_size, size.rotated, size.position, size.base},
            heads);
  }
  const std::string append = std::string("kv_append_") + kType<Cached>;
  run_one(kernels, append, {buffer_argument(key), buffer_argument(content(made.keys))},
          base::KvAppendParams{1, size.rows[1], size.position}, 1);
  run_one(kernels, append, {buffer_argument(value), buffer_argument(content(made.values))},
          base::KvAppendParams{1, size.rows[2], size.position}, 1);
  return made;
}

template <class T>
void expect_bits(const std::vector<T>& got, const std::vector<T>& want, const char* what) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(std::memcmp(&got[i], &want[i], sizeof(T)), 0)
        << what << ", element " << i << " of " << got.size() << ": " << got[i] << ", not "
        << want[i];
  }
}
template <class Cached>
void expect_bits(const Outputs<Cached>& got, const Outputs<Cached>& want) {
  expect_bits(got.q, want.q, "q");
  expect_bits(got.keys, want.keys, "keys");
  expect_bits(got.values, want.values, "values");
}

/// Calls `check(build, kernel, product, cached)` for every kernel of every instruction set.
template <class Check>
void for_each_append(Check check) {
  const auto with = [&]<class Cached>(Cached cached) {
    for (const SimdKernels& build : builds()) {
      for (const Product& product : products()) {
        const std::string name = std::string("norm_mat_vec3_rope_kv_append_interleaved_") +
                                 kType<Cached> +
                                 product.kernel.substr(std::string("mat_vec").size());
        SCOPED_TRACE(build.name + " " + name);
        check(build, find_kernel(build.kernels, name), product, cached);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  };
  with(float{});
  with(std::uint16_t{});
}

/// Heads that fill tiles, that straddle them, and that vectors do not fill.
constexpr Shape kShapes[] = {
    {6, 2, 32, 32, 64, 192}, {3, 1, 64, 64, 64, 64}, {5, 3, 10, 4, 17, 96},   {3, 2, 6, 6, 1, 32},
    {9, 1, 80, 32, 80, 64},  {2, 1, 2, 2, 3, 32},    {1, 1, 300, 298, 5, 64}, {2, 2, 34, 0, 33, 32},
};

TEST(FusedAppendKernels, GiveTheBitsOfTheKernelsThatTheyReplaceForAnyCut) {  // row E7
  std::mt19937_64 random(test_seed());
  for_each_append([&]<class Cached>(const SimdKernels& build, const KernelSource& kernel,
                                    const Product& product, Cached) {
    std::vector<Shape> shapes(std::begin(kShapes), std::end(kShapes));
    for (int i = 0; i < 4; ++i) {
      Shape shape{};
      shape.kv_heads = 1 + static_cast<std::uint32_t>(random() % 3);
      shape.heads = shape.kv_heads * (1 + static_cast<std::uint32_t>(random() % 4));
      shape.head_size = 2 * (1 + static_cast<std::uint32_t>(random() % 70));
      shape.rotated = 2 * static_cast<std::uint32_t>(random() % (shape.head_size / 2 + 1));
      shape.value_rows = 1 + static_cast<std::uint32_t>(random() % 100);
      shape.columns = 32 * (1 + static_cast<std::uint32_t>(random() % 4));
      shapes.push_back(shape);
    }
    for (const Shape& shape : shapes) {
      SCOPED_TRACE(std::to_string(shape.heads) + " and " + std::to_string(shape.kv_heads) +
                   " heads of " + std::to_string(shape.head_size) + ", " +
                   std::to_string(shape.rotated) + " turn, " + std::to_string(shape.value_rows) +
                   " values");
      const Inputs inputs(product, shape, static_cast<std::uint32_t>(random() % kCacheRows),
                          random);
      const auto want = run_chain<Cached>(build.kernels, product, inputs);
      const std::uint64_t groups = inputs.groups();

      Outputs<Cached> whole(inputs.size);
      run_fused(kernel, inputs, whole, 0, groups);
      ASSERT_NO_FATAL_FAILURE(expect_bits(whole, want)) << "in one call";

      Outputs<Cached> single(inputs.size);
      for (std::uint64_t group = groups; group-- > 0;)
        run_fused(kernel, inputs, single, group, group + 1);
      ASSERT_NO_FATAL_FAILURE(expect_bits(single, want)) << "group by group";

      Outputs<Cached> cut(inputs.size);
      for (std::uint64_t begin = 0; begin < groups;) {
        const std::uint64_t end = begin + 1 + random() % (groups - begin);
        run_fused(kernel, inputs, cut, begin, end);
        begin = end;
      }
      ASSERT_NO_FATAL_FAILURE(expect_bits(cut, want)) << "cut anywhere";
    }
  });
}

TEST(FusedAppendKernels, WriteNoRowOutsideTheirCaches) {
  std::mt19937_64 random(test_seed());
  for_each_append([&]<class Cached>(const SimdKernels&, const KernelSource& kernel,
                                    const Product& product, Cached) {
    for (const std::uint32_t position :
         {kCacheRows - 1, kCacheRows, 1U << 20, 1U << 31, UINT32_MAX - 1, UINT32_MAX}) {
      const Inputs inputs(product, {2, 1, 16, 16, 48, 32}, position, random);
      Outputs<Cached> made(inputs.size);
      run_fused(kernel, inputs, made, 0, inputs.groups());
      for (std::size_t i = 0; i < inputs.size.rows[0]; ++i) EXPECT_NE(made.q[i], 7.0F);
      for (const auto* cache : {&made.keys, &made.values}) {
        const std::size_t columns = inputs.size.rows[cache == &made.keys ? 1 : 2];
        for (std::size_t i = 0; i < cache->size(); ++i) {
          const bool written = i / columns == position && i < kCacheRows * columns;
          ASSERT_EQ((*cache)[i] != kOld<Cached>, written) << "position " << position << ", " << i;
        }
      }
    }
  });
}

TEST(FusedAppendKernels, AgreeWithDoublePrecision) {  // row E7
  std::mt19937_64 random(test_seed());
  for (const SimdKernels& build : builds()) {
    const Product& product = products().front();
    const KernelSource& kernel =
        find_kernel(build.kernels, "norm_mat_vec3_rope_kv_append_interleaved_f32_f32");
    const Inputs inputs(product, {4, 2, 24, 20, 40, 192}, 3, random);
    const Params& size = inputs.size;
    Outputs<float> made(size);
    run_fused(kernel, inputs, made, 0, inputs.groups());
    const std::vector<double> x =
        oracle::rms_norm(inputs.x, inputs.norm_weight, 1, size.columns, double{size.epsilon});
    for (std::size_t m = 0; m < 3; ++m) {
      std::vector<float> products;
      double largest = 0;
      for (std::size_t r = 0; r < size.rows[m]; ++r) {
        double sum = 0;
        double magnitudes = 0;
        for (std::size_t c = 0; c < size.columns; ++c) {
          const double term = inputs.weights[m].values[r * size.columns + c] * x[c];
          sum += term;
          magnitudes += std::fabs(term);
        }
        products.push_back(static_cast<float>(sum));
        largest = std::max(largest, magnitudes);
      }
      const std::size_t heads = m == 2 ? 1 : size.rows[m] / size.head_size;
      std::vector<double> want(products.begin(), products.end());
      if (m != 2) {
        want = oracle::rope(products, {1, heads, size.head_size, size.rotated, size.position,
                                       double{size.base}, false});
      }
      const float* got = m == 0   ? made.q.data()
                         : m == 1 ? made.keys.data() + size.position * size.rows[1]
                                  : made.values.data() + size.position * size.rows[2];
      for (std::size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(got[i], want[i], 2e-5 * largest) << build.name << ", " << m << ", " << i;
    }
  }
}

TEST(FusedAppendKernels, DeclareWhatTheyReadAndWrite) {  // rows E8, I1
  for_each_append(
      []<class Cached>(const SimdKernels&, const KernelSource& kernel, const Product&, Cached) {
        const auto& parameters = kernel.signature.parameters;
        ASSERT_EQ(parameters.size(), 9U);
        constexpr std::array<std::uint32_t, 8> kAlignments{
            1, 1, 1, 4, 4, 4, sizeof(Cached), sizeof(Cached)};
        for (std::size_t i = 0; i < kAlignments.size(); ++i) {
          EXPECT_EQ(parameters[i].kind, ParameterKind::kBuffer);
          EXPECT_EQ(parameters[i].access, i < 5 ? Access::kRead : Access::kWrite) << i;
          EXPECT_EQ(parameters[i].alignment, kAlignments[i]) << i;
        }
        EXPECT_EQ(parameters.back().size_bytes, sizeof(Params));
        EXPECT_EQ(kernel.signature.items_per_group, 16U);
      });
}

}  // namespace
}  // namespace segue::test
