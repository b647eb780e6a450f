// SPDX-License-Identifier: Apache-2.0
//
// The translated kernels, compiled and run on the processor: whether MSL is made that means what
// the GLSL does. What the kernels compute is tested for itself, on other backends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "backends/metal/kernels/builtin_msl.hpp"
#include "base/op_params.hpp"
#include "metal_double/msl/module.hpp"
#include "support/op_oracles.hpp"
#include "support/test_seed.hpp"

namespace segue::metal {
namespace {

namespace msl = metal_double::msl;
namespace oracle = test::oracle;

std::vector<BuiltinMsl> all() {
  std::vector<BuiltinMsl> kernels(builtin_msl().begin(), builtin_msl().end());
  kernels.insert(kernels.end(), internal_msl().begin(), internal_msl().end());
  return kernels;
}

const BuiltinMsl& find(std::string_view name) {
  static const std::vector<BuiltinMsl> kKernels = all();
  return *std::ranges::find(kKernels, name, &BuiltinMsl::name);
}

/// Compiled once.
const msl::Module* compiled(const BuiltinMsl& kernel) {
  static std::map<std::string_view, std::shared_ptr<msl::Module>> modules;
  std::shared_ptr<msl::Module>& module = modules[kernel.name];
  if (!module) {
    auto result = msl::Module::compile(kernel.text, {});
    if (!result) ADD_FAILURE() << kernel.name << ": " << result.error();
    if (result) module = *std::move(result);
  }
  return module.get();
}

msl::BoundBuffer bound(auto& values) {
  const auto bytes = std::as_writable_bytes(std::span(values));
  return {bytes.data(), bytes.size()};
}

std::uint32_t divide_up(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::uint32_t>((a + b - 1) / b);
}

/// Runs a kernel as the backend does: arguments in order, the parameters last, then sizes of views.
template <class Params>
void run(std::string_view name, std::vector<msl::BoundBuffer> arguments, Params params,
         msl::Extent groups, std::vector<msl::ConstantValue> constants = {}) {
  const BuiltinMsl& kernel = find(name);
  const msl::Module* module = compiled(kernel);
  ASSERT_NE(module, nullptr);
  std::span bytes(&params, 1);
  arguments.push_back(bound(bytes));
  ASSERT_EQ(arguments.size(), kernel.parameters.size());
  msl::Launch launch;
  launch.function = kernel.entry_point;
  launch.constants = constants;
  std::ranges::copy(arguments, launch.buffers.begin());
  std::vector<std::uint32_t> sizes;
  if (kernel.view_sizes_index >= 0) {
    for (const auto& argument : arguments)
      sizes.push_back(static_cast<std::uint32_t>(argument.size));
    sizes.resize(kernel.view_sizes_count);
    launch.buffers.at(static_cast<std::size_t>(kernel.view_sizes_index)) = bound(sizes);
  }
  launch.group_size = {kernel.group_size.x, kernel.group_size.y, kernel.group_size.z};
  launch.threads = {groups.x * kernel.group_size.x, groups.y * kernel.group_size.y,
                    groups.z * kernel.group_size.z};
  const auto result = module->run(launch);
  ASSERT_TRUE(result.has_value()) << name << ": " << result.error();
}

std::uint32_t groups_for(std::string_view name, std::uint64_t items) {
  return divide_up(items, find(name).items_per_group);
}

class MslKernels : public testing::Test {
 protected:
  std::vector<float> normal(std::size_t count) {
    std::normal_distribution<float> distribution;
    std::vector<float> values(count);
    for (float& value : values) value = distribution(random_);
    return values;
  }
  std::vector<std::uint8_t> bytes(std::size_t count) {
    std::vector<std::uint8_t> values(count);
    for (std::uint8_t& value : values) value = static_cast<std::uint8_t>(random_());
    return values;
  }
  std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(random_() % end); }

  std::mt19937_64 random_{test::test_seed()};
};

void expect_close(const std::vector<float>& got, const std::vector<double>& want, double error) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], error) << "element " << i;
}

// ---- All of them ----

void expect_binding(const BuiltinMsl& kernel, const msl::Binding& binding) {
  const std::string where = std::string(kernel.name) + ", buffer " + std::to_string(binding.index);
  EXPECT_EQ(binding.kind, msl::BindingKind::kBuffer) << where;
  if (binding.index >= kernel.parameters.size()) {
    EXPECT_EQ(static_cast<int>(binding.index), kernel.view_sizes_index) << where;
    return;
  }
  const BuiltinMslParameter& parameter = kernel.parameters[binding.index];
  EXPECT_EQ(binding.access == msl::Access::kRead, parameter.access == Access::kRead) << where;
  const bool bytes = parameter.kind == ParameterKind::kBytes;
  EXPECT_TRUE(!bytes || binding.data_size == parameter.size_bytes)
      << where << " has " << binding.data_size << " bytes, but " << parameter.size_bytes
      << " in the table";
}

TEST(MslTexts, CompileToWhatTheTableSays) {
  for (const BuiltinMsl& kernel : all()) {
    const msl::Module* module = compiled(kernel);
    if (module == nullptr) continue;
    ASSERT_EQ(module->functions().size(), 1) << kernel.name;
    const msl::FunctionInfo& function = module->functions()[0];
    EXPECT_EQ(function.name, kernel.entry_point);
    EXPECT_EQ(function.static_threadgroup_bytes, kernel.shared_bytes) << kernel.name;
    EXPECT_EQ(function.bindings.size(),
              kernel.parameters.size() + (kernel.view_sizes_index >= 0 ? 1 : 0))
        << kernel.name;
    for (const msl::Binding& binding : function.bindings) expect_binding(kernel, binding);
    ASSERT_EQ(function.constants.size(), kernel.function_constants.size()) << kernel.name;
    for (std::size_t i = 0; i < function.constants.size(); ++i) {
      EXPECT_EQ(function.constants[i].index, kernel.function_constants[i].id);
      EXPECT_FALSE(function.constants[i].required) << kernel.name;
    }
  }
}

// ---- Kernels of ops, one for each thing that a translation could get wrong ----

TEST_F(MslKernels, ViewsOfOneBufferAsScalarsAndQuads) {
  for (const std::uint32_t count : {1U, 15U, 1024U, 2051U}) {
    std::vector<float> a = normal(count), b = normal(count), y(count, 7.0F);
    run("add", {bound(a), bound(b), bound(y)}, base::ElementwiseParams{count, count},
        {groups_for("add", count)});
    for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(y[i], a[i] + b[i]) << i << " of " << count;
  }
}

TEST_F(MslKernels, ExponentialsAndDivisions) {
  std::vector<float> x = normal(3000), y(x.size());
  x[0] = -100.0F;
  x[1] = 100.0F;
  const auto count = static_cast<std::uint32_t>(x.size());
  run("silu", {bound(x), bound(y)}, base::ElementwiseParams{count, count},
      {groups_for("silu", count)});
  for (std::size_t i = 0; i < x.size(); ++i)
    ASSERT_NEAR(y[i], oracle::silu(x[i]), 1e-6 * std::fabs(x[i])) << x[i];
}

TEST_F(MslKernels, SumsOverAGroup) {
  constexpr std::uint32_t kRows = 3, kColumns = 1037;
  std::vector<float> x = normal(kRows * kColumns), weight = normal(kColumns), y(x.size());
  run("rms_norm_weighted", {bound(x), bound(weight), bound(y)},
      base::RmsNormParams{kRows, kColumns, 1e-5F}, {kRows});
  expect_close(y, oracle::rms_norm(x, weight, kRows, kColumns, 1e-5), 1e-5);
}

TEST_F(MslKernels, SimdMaximaWithInfinities) {
  constexpr std::uint32_t kRows = 2, kColumns = 700;
  std::vector<float> x = normal(kRows * kColumns), y(x.size());
  x[3] = -std::numeric_limits<float>::infinity();
  struct {
    std::uint32_t rows, columns;
  } const size{kRows, kColumns};
  run("softmax", {bound(x), bound(y)}, size, {kRows});
  expect_close(y, oracle::softmax(x, kRows, kColumns), 1e-6);
}

TEST_F(MslKernels, RotationsIn64BitArithmetic) {
  const base::RopeParams size{2, 3, 64, 64, 100'000, 10'000.0F};
  std::vector<float> x = normal(2 * 3 * 64), y(x.size());
  run("rope_neox", {bound(x), bound(y)}, size, {6});
  expect_close(y, oracle::rope(x, {2, 3, 64, 64, 100'000, 10'000.0, true}), 1e-5);
}

TEST_F(MslKernels, HalvesAndSizesOfViews) {
  constexpr std::uint32_t kColumns = 6, kRows = 3;
  std::vector<float> x = normal(3 * kColumns);
  std::vector<std::uint16_t> cache(kRows * kColumns, 0x1234);
  const std::vector<std::uint16_t> before = cache;
  // Row 3 is not there.
  run("kv_append_f16", {bound(x), bound(cache)}, base::KvAppendParams{3, kColumns, 1}, {3});
  for (std::uint32_t i = 0; i < cache.size(); ++i) {
    const std::uint16_t want = i < kColumns ? before[i] : oracle::half_bits(x[i - kColumns]);
    ASSERT_EQ(cache[i], want) << i;
  }
}

TEST_F(MslKernels, AttentionWithAndWithoutTiles) {
  constexpr std::uint32_t kTokens = 40, kHeads = 2, kSize = 16, kPosition = 2;
  constexpr std::uint32_t kRows = kTokens + kPosition;
  std::vector<float> q = normal(kTokens * kHeads * kSize);
  std::vector<std::uint16_t> keys(kRows * kSize), values(kRows * kSize);
  std::vector<double> wide_keys, wide_values;
  for (auto& key : keys)
    wide_keys.push_back(oracle::half_value(key = oracle::half_bits(normal(1)[0])));
  for (auto& value : values)
    wide_values.push_back(oracle::half_value(value = oracle::half_bits(normal(1)[0])));
  const auto want =
      oracle::attention(q, wide_keys, wide_values, {kTokens, kHeads, 1, kSize, kPosition, 0.25});
  const base::AttentionParams size{kTokens, kHeads, 1, kSize, kPosition, 0.25F};
  const BuiltinMsl& kernel = find("attention_f16");
  ASSERT_EQ(kernel.function_constants.size(), 1);
  msl::ConstantValue never{kernel.function_constants[0].id, msl::ConstantType::kUint, {}};
  for (const auto& constants : {std::vector<msl::ConstantValue>{}, {never}}) {
    std::vector<float> y(q.size());
    run("attention_f16", {bound(q), bound(keys), bound(values), bound(y)}, size, {kTokens * kHeads},
        constants);
    expect_close(y, want, 2e-5);
  }
}

TEST_F(MslKernels, QuantisedProducts) {
  constexpr std::uint32_t kRows = 37, kColumns = 96;
  std::vector<std::uint8_t> weights = bytes(kRows * kColumns / 32 * 34);
  for (std::size_t block = 0; block < weights.size(); block += 34) {
    const std::uint16_t scale = oracle::half_bits(0.01 * (1 + below(9)));
    std::memcpy(&weights[block], &scale, 2);
  }
  const auto wide =
      oracle::decode(oracle::Format::kQ8_0, std::as_bytes(std::span(weights)), kRows * kColumns);
  const auto product = [&](const std::vector<float>& x, std::size_t tokens) {
    std::vector<double> y(tokens * kRows);
    for (std::size_t i = 0; i < y.size(); ++i) {
      for (std::size_t c = 0; c < kColumns; ++c)
        y[i] += wide[i % kRows * kColumns + c] * x[i / kRows * kColumns + c];
    }
    return y;
  };
  std::vector<float> x = normal(5 * kColumns), y(5 * kRows);
  run("mat_vec_q8_0", {bound(weights), bound(x), bound(y)}, base::MatMulParams{5, kRows, kColumns},
      {groups_for("mat_vec_q8_0", kRows)});
  expect_close(y, product(x, 5), 1e-4);
  x = normal(70 * kColumns);
  y.assign(70 * kRows, 0.0F);
  run("mat_mul_q8_0", {bound(weights), bound(x), bound(y)}, base::MatMulParams{70, kRows, kColumns},
      {groups_for("mat_mul_q8_0", kRows), divide_up(70, find("mat_mul_q8_0").batch_per_group)});
  expect_close(y, product(x, 70), 1e-4);
}

TEST_F(MslKernels, RepackedWeightsGiveTheSameProducts) {
  constexpr std::uint32_t kRows = 12, kColumns = 64;
  std::vector<std::uint8_t> weights = bytes(kRows * kColumns / 32 * 18);
  for (std::size_t block = 0; block < weights.size(); block += 18) {
    const std::uint16_t scale = oracle::half_bits(0.02);
    std::memcpy(&weights[block], &scale, 2);
  }
  const auto wide =
      oracle::decode(oracle::Format::kQ4_0, std::as_bytes(std::span(weights)), kRows * kColumns);
  const std::uint32_t blocks = kRows * kColumns / 32;
  std::vector<std::uint8_t> planes(blocks * 16 + divide_up(blocks * 2, 16) * 16);
  run("repack_q4_0_planes", {bound(weights), bound(planes)}, base::RepackParams{kRows, kColumns},
      {groups_for("repack_q4_0_planes", kRows)});
  std::vector<float> x = normal(kColumns), norm(kColumns, 1.0F), y(kRows);
  run("norm_mat_vec_q4_0_planes", {bound(planes), bound(x), bound(norm), bound(y)},
      base::FusedMatVecParams{{kRows, 0, 0}, kColumns, 1e-5F},
      {groups_for("norm_mat_vec_q4_0_planes", kRows)});
  const std::vector<double> normal_x = oracle::rms_norm(x, {}, 1, kColumns, 1e-5);
  std::vector<double> want(kRows);
  for (std::uint32_t i = 0; i < kRows * kColumns; ++i)
    want[i / kColumns] += wide[i] * normal_x[i % kColumns];
  expect_close(y, want, 1e-4);
}

TEST_F(MslKernels, DrawnTokens) {
  constexpr std::uint32_t kVocabulary = 3001;
  std::vector<float> logits = normal(kVocabulary);
  struct {
    std::uint32_t rows, vocabulary, top_k;
    float top_p, temperature;
    std::uint32_t seed_low, seed_high, step;
  } size{1, kVocabulary, 40, 0.9F, 0.8F, 11, 0, 0};
  for (size.step = 0; size.step < 8; ++size.step) {
    std::vector<std::uint32_t> token(1, kVocabulary);
    run("sample", {bound(logits), bound(token)}, size, {1});
    const oracle::Drawn want = oracle::sample(logits, {40, 0.9F, 0.8F, 11, size.step});
    EXPECT_TRUE(token[0] == want.token || want.margin < 1e-5)
        << "step " << size.step << " gives " << token[0] << " instead of " << want.token;
  }
}

// ---- Kernels of the backend ----

TEST_F(MslKernels, FillsSetExactlyTheirBytes) {
  struct Params {
    std::uint32_t begin, end, value;
  };
  for (int i = 0; i < 60; ++i) {
    std::vector<std::uint8_t> memory = bytes(16 * (1 + below(40)));
    std::vector<std::uint8_t> want = memory;
    const auto size = static_cast<std::uint32_t>(memory.size());
    const std::uint32_t begin = below(16);
    const std::uint32_t end = begin + below(size - begin + 1);
    const std::uint32_t value = below(256);
    std::fill(want.begin() + begin, want.begin() + end, static_cast<std::uint8_t>(value));
    run("internal_fill", {bound(memory)}, Params{begin, end, value},
        {divide_up(divide_up(end, 16), 256)});
    ASSERT_EQ(memory, want) << begin << " to " << end << " of " << size;
  }
}

TEST_F(MslKernels, CopiesMoveExactlyTheirBytes) {
  struct Params {
    std::uint32_t from, to, size;
  };
  for (int i = 0; i < 200; ++i) {
    std::vector<std::uint8_t> source = bytes(16 + below(600)), memory = bytes(16 + below(600));
    std::vector<std::uint8_t> want = memory;
    // Half of them may be copied by words.
    const std::uint32_t to = below(16);
    const std::uint32_t from = i % 2 == 0 ? below(16) : (to + 4 * below(4)) % 16;
    const auto most =
        static_cast<std::uint32_t>(std::min(source.size() - from, memory.size() - to));
    const std::uint32_t size = below(most + 1);
    std::copy_n(source.begin() + from, size, want.begin() + to);
    run("internal_copy", {bound(source), bound(memory)}, Params{from, to, size},
        {divide_up(divide_up(to + size, 16), 256)});
    ASSERT_EQ(memory, want) << size << " bytes from " << from << " to " << to;
  }
}

TEST_F(MslKernels, CountsOfIndirectDispatchesAreClamped) {
  struct Params {
    std::uint32_t bound[3], first_word, group_size[3], thread_word;
  };
  std::vector<std::uint32_t> counts{9, 2, 100, 3}, clamped(8, 77);
  run("internal_clamp_counts", {bound(counts), bound(clamped)},
      Params{{5, 50, 2}, 1, {64, 2, 1}, 4}, {1});
  EXPECT_THAT(clamped, testing::ElementsAre(2, 50, 2, 77, 128, 100, 2, 77));
}

TEST_F(MslKernels, LoadedSlotsReachEveryUse) {
  struct Params {
    std::uint32_t first_word, words, targets, maximum;
  };
  std::vector<std::uint32_t> source{1, 20, 3}, block(6, 9), targets{0, 4};
  run("internal_load_slot", {bound(source), bound(block), bound(targets)}, Params{1, 2, 2, 15},
      {1});
  EXPECT_THAT(block, testing::ElementsAre(15, 3, 9, 9, 15, 3));
}

}  // namespace
}  // namespace segue::metal
