// SPDX-License-Identifier: Apache-2.0
//
// The inputs of attention in one dispatch: the bits of the kernels that it replaces, for any heads.
#include <gtest/gtest.h>

#include <type_traits>

#include "unit/backends/vulkan/kernels/products_fixture.hpp"

namespace segue::test {
namespace {

using Params = base::NormMatVec3RopeKvAppendParams;

constexpr float kEpsilon = 1e-2F;
constexpr std::uint32_t kCacheRows = 5;
constexpr float kOldQuery = 7.0F;

struct Shape {
  std::uint32_t heads, kv_heads, head_size, rotated, value_rows, columns;
};
constexpr Shape kShapes[] = {{6, 2, 32, 32, 64, 192},  {5, 3, 10, 4, 17, 96}, {3, 2, 6, 6, 1, 32},
                             {3, 1, 80, 32, 80, 64},   {2, 1, 2, 2, 3, 2080}, {1, 1, 34, 0, 33, 32},
                             {2, 1, 128, 128, 128, 64}};

/// What a dispatch writes; a cache is of floats or of the bits of halves.
template <class Cached>
struct Results {
  std::vector<std::uint32_t> q;
  std::vector<Cached> keys, values;
  friend bool operator==(const Results&, const Results&) = default;
};

class FusedVulkanAppends : public VulkanProducts {
 protected:
  /// Everything that a kernel reads and writes.
  struct Step {
    std::vector<BufferView> weights;
    BufferView x, norm_weight, q, keys, values;
    Params size{};
  };

  template <class Cached>
  Step step(const Form& form, const Shape& shape, std::uint32_t position) {
    Step made;
    made.size = {
        {shape.heads * shape.head_size, shape.kv_heads * shape.head_size, shape.value_rows},
        shape.columns,
        kEpsilon,
        shape.head_size,
        shape.rotated,
        position,
        random_() % 2 == 0 ? 1e4F : 5e5F};
    for (const std::uint32_t rows : made.size.rows)
      made.weights.push_back(stored(form, random_weights(form.type, rows, shape.columns, random_)));
    made.x = floats(normal(shape.columns));
    made.norm_weight = floats(normal(shape.columns));
    clear<Cached>(made);
    return made;
  }
  template <class Cached>
  void clear(Step& step) {
    step.q = floats(std::vector<float>(step.size.rows[0], kOldQuery));
    const auto cache = [this](std::uint32_t columns) {
      const std::vector<Cached> old(std::size_t{kCacheRows} * columns, Cached{7});
      return view(old.size() * sizeof(Cached), std::as_bytes(std::span(old)));
    };
    step.keys = cache(step.size.rows[1]);
    step.values = cache(step.size.rows[2]);
  }
  template <class Cached>
  Results<Cached> results(const Step& step) {
    return {download<std::uint32_t>(step.q), download<Cached>(step.keys),
            download<Cached>(step.values)};
  }

  template <class Cached>
  void run_fused(const Form& form, const Step& step) {
    const auto& [w, x, norm_weight, q, keys, values, size] = step;
    run("norm_mat_vec3_rope_kv_append_interleaved_" + type<Cached>() + "_" + form.name,
        {w[0], w[1], w[2], x, norm_weight, q, keys, values}, size,
        {size.rows[0], size.rows[1], size.rows[2]});
  }
  /// The kernels of single operations, one after the other.
  template <class Cached>
  void run_chain(const Form& form, const Step& step) {
    const Params& size = step.size;
    const BufferView x = view(std::uint64_t{4} * size.columns);
    run("rms_norm_weighted", {step.x, step.norm_weight, x},
        base::RmsNormParams{1, size.columns, kEpsilon}, {1});
    const BufferView key = view(std::uint64_t{4} * size.rows[1]);
    const BufferView value = view(std::uint64_t{4} * size.rows[2]);
    const BufferView results[] = {step.q, key, value};
    for (const std::size_t m : {0U, 1U, 2U}) {
      run("mat_vec_" + form.name, {step.weights[m], x, results[m]},
          base::MatMulParams{1, size.rows[m], size.columns}, {size.rows[m]});
    }
    for (const std::size_t m : {0U, 1U}) {
      const std::uint32_t heads = size.rows[m] / size.head_size;
      run("rope_interleaved", {results[m], results[m]},
          base::RopeParams{1, heads, size.head_size, size.rotated, size.position, size.base},
          {heads});
    }
    const std::string append = "kv_append_" + type<Cached>();
    run(append, {key, step.keys}, base::KvAppendParams{1, size.rows[1], size.position}, {1});
    run(append, {value, step.values}, base::KvAppendParams{1, size.rows[2], size.position}, {1});
  }

  template <class Cached>
  void check(const Form& form, const Shape& shape, std::uint32_t position) {
    SCOPED_TRACE(form.name + ", cache of " + type<Cached>() + ", " + std::to_string(shape.heads) +
                 " and " + std::to_string(shape.kv_heads) + " heads of " +
                 std::to_string(shape.head_size) + ", " + std::to_string(shape.rotated) +
                 " turn, " + std::to_string(shape.value_rows) + " values, position " +
                 std::to_string(position));
    Step made = step<Cached>(form, shape, position);
    run_chain<Cached>(form, made);
    const Results<Cached> want = results<Cached>(made);
    clear<Cached>(made);
    run_fused<Cached>(form, made);
    const Results<Cached> got = results<Cached>(made);
    EXPECT_EQ(got.q, want.q);
    EXPECT_EQ(got.keys, want.keys);
    EXPECT_EQ(got.values, want.values);
  }
  void check_both(const Form& form, const Shape& shape, std::uint32_t position) {
    check<float>(form, shape, position);
    check<std::uint16_t>(form, shape, position);
  }
  std::uint32_t any_position() { return static_cast<std::uint32_t>(random_() % kCacheRows); }
  Shape any_shape() {
    const auto below = [this](std::uint32_t end) {
      return static_cast<std::uint32_t>(random_() % end);
    };
    const std::uint32_t kv_heads = 1 + below(3), size = 2 * (1 + below(50));
    return {kv_heads * (1 + below(4)), kv_heads,       size,
            2 * below(size / 2 + 1),   1 + below(100), 32 + 32 * below(4)};
  }
  template <class Cached>
  static std::string type() {
    return std::is_same_v<Cached, float> ? "f32" : "f16";
  }
};

TEST_F(FusedVulkanAppends, GiveTheBitsOfTheKernelsThatTheyReplace) {  // rows E7, E8
  for (const Form& form : forms()) {
    for (const Shape& shape : kShapes) check_both(form, shape, any_position());
    for (int i = 0; i < 3; ++i) check_both(form, any_shape(), any_position());
  }
}

TEST_F(FusedVulkanAppends, GiveTheSameBitsInTheGroupsOfGpus) {  // row E7
  constants_ = {{0, 256U}, {1, 128U}};                          // local_size and lanes_per_row
  for (const Form& form : forms()) check<std::uint16_t>(form, any_shape(), any_position());
}

TEST_F(FusedVulkanAppends, FinishSeveralPairsInFewThreads) {  // row E7
  constants_ = {{0, 16U}, {1, 8U}};
  for (const Shape& shape : kShapes) check<float>(forms().back(), shape, any_position());
}

TEST_F(FusedVulkanAppends, WriteNoRowOutsideTheirCaches) {
  const Form form = forms().front();
  // 2^31 rows of an even number of elements end where 32 bits do.
  for (const std::uint32_t position :
       {kCacheRows - 1, kCacheRows, 1U << 20, 1U << 31, UINT32_MAX - 1, UINT32_MAX}) {
    check_both(form, kShapes[0], position);
    Step made = step<float>(form, kShapes[0], position);
    run_fused<float>(form, made);
    for (const float value : download<float>(made.q)) ASSERT_NE(value, kOldQuery);
    for (const BufferView& cache : {made.keys, made.values}) {
      const std::vector<float> content = download<float>(cache);
      const std::size_t columns = content.size() / kCacheRows;
      for (std::size_t i = 0; i < content.size(); ++i)
        ASSERT_EQ(content[i] != 7.0F, i / columns == position) << "position " << position;
    }
  }
}

}  // namespace
}  // namespace segue::test
