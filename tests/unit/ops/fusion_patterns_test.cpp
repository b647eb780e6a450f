// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "graph/dependencies.hpp"
#include "ops/fusion_patterns.hpp"
#include "unit/ops/llama_program.hpp"

namespace segue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FusionOfOps : public LlamaTest {
 protected:
  FusionOfOps() : a(add_activations()) {}
  View weights(std::uint32_t floats = kWidth) {
    return view(add_buffer("weights", floats), floats);
  }
  View lasting(std::uint32_t floats = kWidth) { return view(add_buffer("result", floats), floats); }

  /// A buffer of the views that a fused dispatch has, and its inline bytes.
  static std::vector<std::uint32_t> words(const ir::CommandList& list, std::size_t command) {
    const ir::Argument& last = list.arguments(list.commands()[command]).back();
    std::vector<std::uint32_t> found(last.size / 4);
    std::memcpy(found.data(), list.bytes(last), last.size);
    return found;
  }
  std::vector<const ir::Storage*> storages(const ir::CommandList& list, std::size_t command) {
    std::vector<const ir::Storage*> found;
    for (const ir::Argument& argument : list.arguments(list.commands()[command])) {
      if (argument.is_view()) found.push_back(argument.storage);
    }
    return found;
  }
  const ir::Storage* of(View view) { return &program.storage(view.buffer); }
  static std::uint32_t group_count(const ir::CommandList& list, std::size_t command) {
    return list.commands()[command].group_count.x;
  }

  Activations a;
};

TEST_F(FusionOfOps, MakesFiveDispatchesOneAfterAnotherOutOfALayer) {  // row E7
  record_layer(a, 3);
  EXPECT_EQ(graph::Dependencies(program.list()).critical_path(), 14U);
  const auto result = fuse();
  EXPECT_EQ(result.report.dispatches_before, 19U);
  EXPECT_EQ(names(result.list),
            (std::vector<std::string>{
                "norm_mat_vec3_rope_kv_append_interleaved_f16_q8_0_tile16_int8", "attention_f16",
                "mat_vec_add_q8_0_tile16_int8", "norm_mat_vec_silu_mul_q8_0_tile16_int8",
                "mat_vec_add_q8_0_tile16_int8"}));
  EXPECT_EQ(graph::Dependencies(result.list).critical_path(), 5U);
}

TEST_F(FusionOfOps, FusesEveryLayerAlike) {  // row E7
  for (int layer = 0; layer < 80; ++layer) record_layer(a, 3);
  const auto result = fuse();
  EXPECT_EQ(result.report.dispatches_after, 80U * 5);
  EXPECT_EQ(graph::Dependencies(result.list).critical_path(), 80U * 5);
  EXPECT_TRUE(result.report.refusals.empty());
}

TEST_F(FusionOfOps, LeavesOutPatternsWhoseKernelsAreMissing) {  // row E7
  for (const char* missing : {"rms_norm_weighted", "rope_kv_append_interleaved_f16"})
    forget_kernel(missing);
  for (const char* product : {"mat_vec_silu_mul_", "mat_vec3_", "mat_vec_add_"})
    forget_kernel(std::string(product) + form);
  record_layer(a, 3);
  const auto result = fuse();
  EXPECT_THAT(names(result.list),
              ElementsAre("rms_norm", "mul", "mat_vec2_" + form, "mat_vec_" + form,
                          "rope_interleaved", "rope_interleaved", "kv_append_f16", "kv_append_f16",
                          "attention_f16", "mat_vec_" + form, "add_rms_norm", "mul",
                          "mat_vec2_" + form, "silu_mul", "mat_vec_" + form, "add"));
  const auto none =
      ops::fusion_patterns(ops::FusionKernels([](std::string_view) { return Kernel(); }));
  EXPECT_TRUE(none.empty());
}

TEST_F(FusionOfOps, AllAreBitExact) {  // row E7
  const auto patterns = ops::fusion_patterns(
      ops::FusionKernels([this](std::string_view name) { return kernel(name); }));
  EXPECT_EQ(patterns.size(), 15U);
  for (const FusionPattern& pattern : patterns) EXPECT_EQ(pattern.tolerance, 0) << pattern.name;
}

class FusionOfNorm : public FusionOfOps {};

TEST_F(FusionOfNorm, TakesTheWeights) {  // row E7
  const View x = lasting(3 * kWidth), temp = view(add_buffer("temp", 3 * kWidth, true), 3 * kWidth);
  const View w = weights(), y = lasting(3 * kWidth);
  rms_norm(x, temp, 3);
  mul(temp, w, y, 3 * kWidth, kWidth);
  const auto result = fuse();
  ASSERT_THAT(names(result.list), ElementsAre("rms_norm_weighted"));
  EXPECT_THAT(storages(result.list, 0), ElementsAre(of(x), of(w), of(y)));
  EXPECT_EQ(group_count(result.list, 0), 3U);
  EXPECT_EQ(words(result.list, 0)[0], 3U);
  EXPECT_EQ(words(result.list, 0)[1], kWidth);
}

TEST_F(FusionOfNorm, NeedsOneRowOfWeightsForAllRows) {  // row E7
  const View x = lasting(2 * kWidth), temp = view(add_buffer("temp", 2 * kWidth, true), 2 * kWidth);
  rms_norm(x, temp, 2);
  mul(temp, weights(2 * kWidth), lasting(2 * kWidth), 2 * kWidth, 2 * kWidth);
  EXPECT_THAT(refusal("rms_norm_weighted"), HasSubstr("by one row of weights."));
}

TEST_F(FusionOfNorm, NeedsAllRows) {  // row E7
  rms_norm(a.residual, a.normed);
  mul(a.normed, weights(), lasting(), kWidth, kWidth, {.grid = groups(3)});
  EXPECT_THAT(refusal("rms_norm_weighted"), HasSubstr("by one row of weights."));
}

TEST_F(FusionOfNorm, MayNotOverwriteItsWeights) {  // row E7
  const View w = weights();
  rms_norm(a.residual, a.normed);
  mul(a.normed, w, w, kWidth, kWidth);
  EXPECT_EQ(refusal("rms_norm_weighted"), "The result overwrites the weights.");
}

TEST_F(FusionOfNorm, JoinsTheSumBeforeIt) {  // row E7
  const View sum = lasting(), y = lasting(), w = weights();
  add(a.residual, a.projected, sum, kWidth, kWidth);
  rms_norm(sum, y);
  add(sum, a.projected, a.residual, kWidth, kWidth);
  rms_norm_weighted(a.residual, w, lasting());
  const auto result = fuse();
  ASSERT_THAT(names(result.list), ElementsAre("add_rms_norm", "add_rms_norm_weighted"));
  EXPECT_THAT(storages(result.list, 0),
              ElementsAre(of(a.residual), of(a.projected), of(sum), of(y)));
  EXPECT_THAT(storages(result.list, 1),
              ElementsAre(of(sum), of(a.projected), of(w), of(a.residual), ::testing::_));
}

TEST_F(FusionOfNorm, JoinsASumInPlaceOnly) {  // row E7
  const View both = lasting(2 * kWidth), y = lasting();
  const View part = view(both.buffer, kWidth, 8);
  add(view(both.buffer, kWidth), a.projected, part, kWidth, kWidth);
  rms_norm(part, y);
  EXPECT_EQ(refusal("add_rms_norm"), "The sum overlaps an operand without being the same view.");
}

TEST_F(FusionOfNorm, JoinsNoSumOfARepeatedRow) {  // row E7
  const View x = lasting(2 * kWidth), sum = lasting(2 * kWidth);
  add(x, weights(), sum, 2 * kWidth, kWidth);
  rms_norm(sum, lasting(2 * kWidth), 2);
  EXPECT_THAT(refusal("add_rms_norm"), HasSubstr("without repetition."));
}

TEST_F(FusionOfNorm, JoinsNoSumWhoseWeightsItOverwrites) {  // row E7
  const View w = weights();
  add(a.residual, a.projected, a.residual, kWidth, kWidth);
  rms_norm_weighted(a.residual, w, w);
  EXPECT_EQ(refusal("add_rms_norm_weighted"), "The result overwrites the weights.");
}

class FusionOfProduct : public FusionOfOps {};

TEST_F(FusionOfProduct, AddsTheResidualInPlaceOrNotAndOnEitherSide) {  // row E7
  const View w = weights(), x = lasting(), y = lasting(40), residual = lasting(40);
  const View temp = view(a.projected.buffer, 40);
  product(w, x, temp, 40, kWidth);
  add(residual, temp, residual, 40, 40);
  product(w, residual, temp, 40, 40);
  add(temp, residual, y, 40, 40);
  const auto result = fuse();
  ASSERT_THAT(names(result.list), ElementsAre("mat_vec_add_" + form, "mat_vec_add_" + form));
  EXPECT_THAT(storages(result.list, 0), ElementsAre(of(w), of(x), of(residual), of(residual)));
  EXPECT_THAT(storages(result.list, 1), ElementsAre(of(w), of(residual), of(residual), of(y)));
  EXPECT_EQ(group_count(result.list, 0), 3U);
  EXPECT_THAT(words(result.list, 0), ElementsAre(40, 0, 0, kWidth, 0));
}

TEST_F(FusionOfProduct, AddsOnlyWhatItWroteWhole) {        // row E7
  product(weights(), lasting(), a.projected, 40, kWidth);  // its view is longer than its rows
  add(lasting(40), view(a.projected.buffer, 40), lasting(40), 40, 40);
  EXPECT_THAT(refusal("mat_vec_add"), HasSubstr("a link needs the same bytes."));
}

TEST_F(FusionOfProduct, AddsOnlyToAsManyRows) {  // row E7
  product(weights(), lasting(), a.projected, kWidth, kWidth);
  add(a.residual, a.projected, a.residual, kWidth, kWidth / 2);
  EXPECT_THAT(refusal("mat_vec_add"), HasSubstr("exactly the 64 rows of the product."));
}

TEST_F(FusionOfProduct, AddsInPlaceOrElsewhere) {  // row E7
  const View both = lasting(2 * kWidth);
  product(weights(), lasting(), a.projected, kWidth, kWidth);
  add(view(both.buffer, kWidth), a.projected, view(both.buffer, kWidth, 4), kWidth, kWidth);
  EXPECT_THAT(refusal("mat_vec_add"), HasSubstr("without being the same view."));
}

TEST_F(FusionOfProduct, DoesNotOverwriteItsInput) {  // row E7
  product(weights(), a.residual, a.projected, kWidth, kWidth);
  add(a.residual, a.projected, a.residual, kWidth, kWidth);
  EXPECT_THAT(refusal("mat_vec_add"), HasSubstr("no link of the pattern says so."));
}

TEST_F(FusionOfProduct, IsOfOneToken) {  // row E7
  product(weights(), lasting(), a.projected, kWidth, kWidth, {}, 2);
  add(a.residual, a.projected, a.residual, kWidth, kWidth);
  EXPECT_THAT(refusal("mat_vec_add"), HasSubstr("multiplies 2 tokens; a fused product takes 1."));
}

TEST_F(FusionOfProduct, CoversItsWholeMatrix) {  // row E7
  product(weights(), lasting(), a.projected, kWidth, kWidth, {.grid = groups(3)});
  add(a.residual, a.projected, a.residual, kWidth, kWidth);
  EXPECT_THAT(refusal("mat_vec_add"), HasSubstr("runs over a part of its 64 rows."));
}

TEST_F(FusionOfProduct, KeepsItsSlots) {  // row E7
  const std::uint32_t rows = program.add_slot("rows", ir::SlotKind::kBytes, kWidth);
  product(weights(), lasting(), a.projected, kWidth, kWidth,
          {.slots = {{rows, 3, offsetof(base::MatMulParams, rows)}}});
  add(a.residual, a.projected, a.residual, kWidth, kWidth);
  EXPECT_THAT(refusal("mat_vec_add"), HasSubstr("Slot \"rows\""));
}

TEST_F(FusionOfProduct, JoinsTheGatedPairInEitherOrder) {  // row E7
  const View x = lasting(), gate = weights(), up = weights(), y = lasting(kFeedForward);
  product(gate, x, a.gate, kFeedForward, kWidth);
  product(up, x, a.up, kFeedForward, kWidth);
  silu_mul(a.gate, a.up, y, kFeedForward);
  product(up, x, a.up, kFeedForward, kWidth);
  product(gate, x, a.gate, kFeedForward, kWidth);
  silu_mul(a.gate, a.up, y, kFeedForward);
  const auto result = fuse();
  ASSERT_THAT(names(result.list),
              ElementsAre("mat_vec_silu_mul_" + form, "mat_vec_silu_mul_" + form));
  for (const std::size_t command : {0U, 1U}) {
    EXPECT_THAT(storages(result.list, command), ElementsAre(of(gate), of(up), of(x), of(y)));
    EXPECT_THAT(words(result.list, command), ElementsAre(kFeedForward, 0, 0, kWidth, 0));
    EXPECT_EQ(group_count(result.list, command), 6U);
  }
}

TEST_F(FusionOfProduct, JoinsAGatedPairOfOneShape) {  // row E7
  const View x = lasting(), part = view(a.gate.buffer, 32), other = view(a.up.buffer, 32);
  product(weights(), x, part, 32, kWidth);
  product(weights(), x, other, 31, kWidth);
  silu_mul(part, other, lasting(32), 32);
  EXPECT_THAT(refusal("mat_vec_silu_mul"), HasSubstr("the 32 and 31 rows of the products."));
}

TEST_F(FusionOfProduct, JoinsAGatedPairOfOneForm) {  // row E7
  const View x = lasting();
  product(weights(), x, a.gate, kFeedForward, kWidth);
  form = "f32";
  product(weights(), x, a.up, kFeedForward, kWidth);
  silu_mul(a.gate, a.up, lasting(kFeedForward), kFeedForward);
  EXPECT_EQ(refusal("mat_vec_silu_mul"),
            "The products run different kernels, \"mat_vec_q8_0_tile16_int8\" and "
            "\"mat_vec_f32\".");
}

TEST_F(FusionOfProduct, JoinsSiblings) {  // row E7
  const View x = lasting();
  const std::array w{weights(), weights(), weights(), weights(), weights()};
  const std::array y{lasting(), lasting(), lasting(), lasting(), lasting()};
  for (std::size_t i = 0; i < w.size(); ++i)
    product(w[i], x, y[i], 20 + 10 * static_cast<std::uint32_t>(i), kWidth);
  const auto result = fuse();
  ASSERT_THAT(names(result.list), ElementsAre("mat_vec3_" + form, "mat_vec2_" + form));
  EXPECT_THAT(storages(result.list, 0),
              ElementsAre(of(w[0]), of(w[1]), of(w[2]), of(x), of(y[0]), of(y[1]), of(y[2])));
  EXPECT_THAT(words(result.list, 0), ElementsAre(20, 30, 40, kWidth, 0));
  EXPECT_EQ(group_count(result.list, 0), 2U + 2 + 3);
  EXPECT_THAT(storages(result.list, 1), ElementsAre(of(w[3]), of(w[4]), of(x), of(y[3]), of(y[4])));
  EXPECT_THAT(words(result.list, 1), ElementsAre(50, 60, 0, kWidth, 0));
  EXPECT_EQ(group_count(result.list, 1), 4U + 4);
}

TEST_F(FusionOfProduct, JoinsSiblingsOfOneWidth) {  // row E7
  const View x = lasting();
  product(weights(), x, lasting(), 32, kWidth);
  product(weights(), x, lasting(), 32, 32);
  EXPECT_EQ(refusal("mat_vec2"), "The products have 64 and 32 columns.");
}

TEST_F(FusionOfProduct, TakesTheNormThatItAloneReads) {  // row E7
  const View w = weights(), norm = weights(), y = lasting();
  rms_norm_weighted(a.residual, norm, a.scaled);
  product(w, a.scaled, y, kWidth, kWidth);
  const auto result = fuse();
  ASSERT_THAT(names(result.list), ElementsAre("norm_mat_vec_" + form));
  EXPECT_THAT(storages(result.list, 0), ElementsAre(of(w), of(a.residual), of(norm), of(y)));
  const float epsilon = 1e-5F;
  std::uint32_t bits = 0;
  std::memcpy(&bits, &epsilon, 4);
  EXPECT_THAT(words(result.list, 0), ElementsAre(kWidth, 0, 0, kWidth, bits));
  EXPECT_EQ(group_count(result.list, 0), 4U);
}

TEST_F(FusionOfProduct, TakesTheNormOfTwoSiblings) {  // row E7
  const View w = weights(), v = weights(), norm = weights(), y = lasting(), z = lasting();
  rms_norm_weighted(a.residual, norm, a.scaled);
  product(w, a.scaled, y, 20, kWidth);
  product(v, a.scaled, z, 30, kWidth);
  const auto result = fuse();
  ASSERT_THAT(names(result.list), ElementsAre("norm_mat_vec2_" + form));
  EXPECT_THAT(storages(result.list, 0),
              ElementsAre(of(w), of(v), of(a.residual), of(norm), of(y), of(z)));
  EXPECT_EQ(words(result.list, 0)[1], 30U);
}

TEST_F(FusionOfProduct, TakesNoNormForAPartOfTwoSiblings) {  // row E7
  rms_norm_weighted(a.residual, weights(), a.scaled);
  record("mat_vec2_" + form, OpKind::kMatVec,
         {weights(), weights(), a.scaled, lasting(), lasting()},
         base::FusedMatVecParams{{20, 30, 0}, kWidth, 0}, 50, {.grid = groups(3)});
  EXPECT_THAT(refusal("norm_mat_vec2"), HasSubstr("runs over a part of its rows."));
}

TEST_F(FusionOfProduct, TakesNoNormThatOthersRead) {  // row E7
  rms_norm_weighted(a.residual, weights(), a.scaled);
  product(weights(), a.scaled, lasting(), kWidth, kWidth);
  rms_norm(a.scaled, lasting());
  EXPECT_THAT(refusal("norm_mat_vec"), HasSubstr("so that cannot disappear."));
}

TEST_F(FusionOfProduct, TakesNoNormOfOtherRows) {  // row E7
  const View x = lasting(2 * kWidth);
  const View scaled = view(add_buffer("scaled", 2 * kWidth, true), 2 * kWidth);
  rms_norm_weighted(x, weights(), scaled, 2);
  product(weights(), scaled, lasting(), kWidth, 2 * kWidth);
  EXPECT_THAT(refusal("norm_mat_vec"), HasSubstr("exactly the row of 128 that is multiplied."));
}

TEST_F(FusionOfProduct, TakesNoNormOfSeveralRows) {  // row E7
  program.kernel(kernel("rms_norm_weighted")).signature.items_per_group = 4;
  const View x = lasting(2 * kWidth);
  const View scaled = view(add_buffer("scaled", 2 * kWidth, true), 2 * kWidth);
  rms_norm_weighted(x, weights(), scaled, 2);
  product(weights(), scaled, lasting(), kWidth, kWidth);
  EXPECT_THAT(refusal("norm_mat_vec"), HasSubstr("exactly the row of 64 that is multiplied."));
}

class FusionOfRope : public FusionOfOps {
 protected:
  View cache = view(add_buffer("cache", kContext* kKvWidth / 2), kContext* kKvWidth / 2);
  static constexpr std::uint32_t kRopeAt = offsetof(base::RopeParams, position);
  static constexpr std::uint32_t kAppendAt = offsetof(base::KvAppendParams, position);
};

TEST_F(FusionOfRope, AppendsToTheCache) {  // row E7
  const View x = lasting(kKvWidth);
  const std::uint32_t position = program.add_slot("position", ir::SlotKind::kBytes, 5);
  rope(x, a.key, 2, 5, {.slots = {{position, 2, kRopeAt}}});
  kv_append(a.key, cache, 5, {.slots = {{position, 2, kAppendAt}}});
  const auto result = fuse();
  ASSERT_THAT(names(result.list), ElementsAre("rope_kv_append_interleaved_f16"));
  EXPECT_THAT(storages(result.list, 0), ElementsAre(of(x), of(cache)));
  EXPECT_EQ(group_count(result.list, 0), 2U);
  EXPECT_EQ(words(result.list, 0)[4], 5U);
  EXPECT_EQ(FusionNode(result.list, 0).slot(2, offsetof(base::RopeKvAppendParams, position)),
            "position");
}

TEST_F(FusionOfRope, AppendsWhatWasRotatedInPlace) {  // row E7
  product(weights(), lasting(), a.key, kKvWidth, kWidth);
  rope(a.key, a.key, 2, 5);
  kv_append(a.key, cache, 5);
  EXPECT_THAT(names(fuse().list), ElementsAre("mat_vec_" + form, "rope_kv_append_interleaved_f16"));
}

TEST_F(FusionOfRope, NeedsTheSamePosition) {  // row E7
  rope(a.key, a.key, 2, 5);
  kv_append(a.key, cache, 4);
  EXPECT_EQ(refusal("rope_kv_append"),
            "Position 5 of the rotation is not always position 4 in the cache.");
}

TEST_F(FusionOfRope, NeedsTheSamePositionInEveryReplay) {  // row E7
  const std::uint32_t position = program.add_slot("position", ir::SlotKind::kBytes, 5);
  rope(a.key, a.key, 2, 5, {.slots = {{position, 2, kRopeAt}}});
  kv_append(a.key, cache, 5);
  EXPECT_THAT(refusal("rope_kv_append"), HasSubstr("is not always position 5"));
}

TEST_F(FusionOfRope, AppendsAllHeads) {  // row E7
  rope(a.key, a.key, 1, 5);
  kv_append(a.key, cache, 5);
  EXPECT_EQ(refusal("rope_kv_append"),
            "The rows that are appended are not those that are rotated.");
  program.barrier();
  rope(a.key, a.key, 2, 5, {.grid = groups(3)});
  kv_append(a.key, cache, 5);
  EXPECT_THAT(refusal("rope_kv_append"), HasSubstr("A part of the rows is rotated or appended."));
}

TEST_F(FusionOfRope, AppendsAllTokens) {  // row E7
  record("rope_interleaved", OpKind::kRope, {a.key, a.key},
         base::RopeParams{2, 2, kHead, kHead, 5, 10000.0F}, 4);
  kv_append(a.key, cache, 5);
  EXPECT_EQ(refusal("rope_kv_append"),
            "The rows that are appended are not those that are rotated.");
}

TEST_F(FusionOfRope, NeedsAKernelForBoth) {  // row E7
  rope(a.key, a.key, 2, 5);
  record("kv_append_f32", OpKind::kKvAppend, {a.key, cache}, base::KvAppendParams{1, kKvWidth, 5},
         1);
  program.barrier();
  record("rope_neox", OpKind::kRope, {a.value, a.value},
         base::RopeParams{1, 2, kHead, kHead, 5, 10000.0F}, 2);
  kv_append(a.value, cache, 5);
  const auto result = fuse();
  EXPECT_THAT(names(result.list),
              ElementsAre("rope_kv_append_interleaved_f32", "|", "rope_neox", "kv_append_f16"));
  ASSERT_EQ(result.report.refusals.size(), 1U);
  EXPECT_EQ(result.report.refusals[0].reason,
            "No kernel is \"rope_neox\" and \"kv_append_f16\" in one.");
}

}  // namespace
}  // namespace segue::test
