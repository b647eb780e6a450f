// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <functional>

#include "graph/dependencies.hpp"
#include "unit/ops/llama_program.hpp"

namespace segue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kPattern = "norm_mat_vec3_rope_kv_append";
constexpr std::uint32_t kRopeAt = offsetof(base::RopeParams, position);
constexpr std::uint32_t kRopeAppendAt = offsetof(base::RopeKvAppendParams, position);
constexpr std::uint32_t kAppendAt = offsetof(base::KvAppendParams, position);

/// The four dispatches that the pattern takes, as earlier patterns leave them.
class FusionOfAttentionInputs : public LlamaTest {
 protected:
  static constexpr std::uint32_t kHeads = kWidth / kHead, kKvHeads = kKvWidth / kHead;

  /// Anything that a test changes before it calls record().
  base::FusedMatVecParams products{{kWidth, kKvWidth, kKvWidth}, kWidth, 1e-5F};
  base::RopeParams query{1, kHeads, kHead, kHead, 5, 10000.0F};
  base::RopeKvAppendParams key{1, kKvHeads, kHead, kHead, 5, 10000.0F};
  base::KvAppendParams value{1, kKvWidth, 5};
  Options products_options, query_options, key_options, value_options;
  std::string query_kernel = "rope_interleaved", value_kernel = "kv_append_f16";
  std::uint32_t value_groups = 1;
  /// What stands behind the products.
  std::function<void()> between;

  Activations a = add_activations();
  std::array<View, 3> w{lasting(8), lasting(8), lasting(8)};
  View norm = lasting(kWidth), turned = a.query;
  View keys = lasting(kContext * kKvWidth / 2), values = lasting(kContext * kKvWidth / 2);

  View lasting(std::uint32_t floats) { return view(add_buffer("lasting", floats), floats); }
  const ir::Storage* of(View view) { return &program.storage(view.buffer); }

  void record_products() {
    record("norm_mat_vec3_" + form, OpKind::kMatVec,
           {w[0], w[1], w[2], a.residual, norm, a.query, a.key, a.value}, products,
           kWidth + 2 * kKvWidth, products_options);
    if (between) between();
  }
  void record_query() {
    record(query_kernel, OpKind::kRope, {a.query, turned}, query, query.heads, query_options);
  }
  void record_key() {
    record("rope_kv_append_interleaved_f16", OpKind::kKvAppend, {a.key, keys}, key, key.heads,
           key_options);
  }
  void record_value() {
    record(value_kernel, OpKind::kKvAppend, {a.value, values}, value, value_groups, value_options);
  }
  void record_all() {
    record_products();
    record_query();
    record_key();
    record_value();
  }
  std::string refusal_of_all() {
    record_all();
    return refusal(kPattern);
  }
};

TEST_F(FusionOfAttentionInputs, AreOneDispatch) {  // rows E7, E8
  const std::uint32_t position = program.add_slot("position", ir::SlotKind::kBytes, 5);
  query_options.slots = {{position, 2, kRopeAt}};
  key_options.slots = {{position, 2, kRopeAppendAt}};
  value_options.slots = {{position, 2, kAppendAt}};
  query.rotated = key.rotated = 12;
  record_all();
  const auto result = fuse();
  ASSERT_THAT(names(result.list),
              ElementsAre("norm_mat_vec3_rope_kv_append_interleaved_f16_" + form));
  const ir::Command& fused = result.list.commands()[0];
  EXPECT_EQ(fused.group_count.x, 4U + 2 + 2);
  const auto arguments = result.list.arguments(fused);
  const std::array views{w[0], w[1], w[2], a.residual, norm, a.query, keys, values};
  ASSERT_EQ(arguments.size(), views.size() + 1);
  for (std::size_t i = 0; i < views.size(); ++i) {
    EXPECT_EQ(arguments[i].storage, of(views[i])) << i;
    EXPECT_EQ(arguments[i].access, i < 5 ? Access::kRead : Access::kWrite) << i;
  }
  base::NormMatVec3RopeKvAppendParams size{};
  ASSERT_EQ(arguments.back().size, sizeof(size));
  std::memcpy(&size, result.list.bytes(arguments.back()), sizeof(size));
  EXPECT_THAT(size.rows, ElementsAre(kWidth, kKvWidth, kKvWidth));
  EXPECT_EQ(size.columns, kWidth);
  EXPECT_EQ(size.epsilon, 1e-5F);
  EXPECT_EQ(size.head_size, kHead);
  EXPECT_EQ(size.rotated, 12U);
  EXPECT_EQ(size.position, 5U);
  EXPECT_EQ(size.base, 10000.0F);
  EXPECT_EQ(
      FusionNode(result.list, 0).slot(8, offsetof(base::NormMatVec3RopeKvAppendParams, position)),
      "position");
}

TEST_F(FusionOfAttentionInputs, MayTurnTheQueryElsewhere) {  // row E7
  turned = lasting(kWidth);
  record_all();
  const auto result = fuse();
  ASSERT_EQ(names(result.list).size(), 1U);
  EXPECT_EQ(result.list.arguments(result.list.commands()[0])[5].storage, of(turned));
}

TEST_F(FusionOfAttentionInputs, AreOfOneForm) {  // row E7
  form = "f32";
  record_all();
  EXPECT_THAT(names(fuse().list), ElementsAre("norm_mat_vec3_rope_kv_append_interleaved_f16_f32"));
}

TEST_F(FusionOfAttentionInputs, StayWhereNoKernelIsForThem) {  // row E7
  forget_kernel("norm_mat_vec3_rope_kv_append_interleaved_f16_" + form);
  record_all();
  const auto result = fuse();
  EXPECT_EQ(names(result.list).size(), 4U);
  ASSERT_EQ(result.report.refusals.size(), 1U);
  EXPECT_THAT(result.report.refusals[0].reason, HasSubstr("No kernel is"));
}

TEST_F(FusionOfAttentionInputs, StayInAnotherOrder) {  // row E7
  record_products();
  record_value();
  record_key();
  record_query();
  const auto result = fuse();
  EXPECT_EQ(names(result.list).size(), 4U);
  EXPECT_TRUE(result.report.refusals.empty());
}

TEST_F(FusionOfAttentionInputs, TurnNeighboursOnly) {  // row E7
  query_kernel = "rope_neox";
  record_all();
  EXPECT_EQ(names(fuse().list).size(), 4U);
}

TEST_F(FusionOfAttentionInputs, GoToCachesOfOneType) {  // row E7
  value_kernel = "kv_append_f32";
  EXPECT_EQ(refusal_of_all(),
            "No kernel is \"norm_mat_vec3_q8_0_tile16_int8\", \"rope_interleaved\", "
            "\"rope_kv_append_interleaved_f16\" and \"kv_append_f32\" in one.");
}

/// A result of the products, each in turn.
class FusionOfAttentionInputsThat : public FusionOfAttentionInputs,
                                    public ::testing::WithParamInterface<int> {
 protected:
  View& result() { return GetParam() == 0 ? a.query : GetParam() == 1 ? a.key : a.value; }
};
INSTANTIATE_TEST_SUITE_P(EachResult, FusionOfAttentionInputsThat, ::testing::Values(0, 1, 2));

TEST_P(FusionOfAttentionInputsThat, AreReadElsewhereStay) {  // row E7
  const View other = view(result().buffer, 8, 8);
  between = [this, other] {
    add(other, view(a.residual.buffer, 8), view(a.projected.buffer, 8), 8, 8);
  };
  EXPECT_THAT(refusal_of_all(), HasSubstr("so that cannot disappear."));
}

TEST_P(FusionOfAttentionInputsThat, LastStay) {  // row E7
  program.storage(result().buffer).transient = false;
  EXPECT_THAT(refusal_of_all(), HasSubstr("is not transient"));
}

TEST_P(FusionOfAttentionInputsThat, AreReadInPartStay) {  // row E7
  record_products();
  result().end -= 32;
  record_query();
  record_key();
  record_value();
  EXPECT_THAT(refusal(kPattern), HasSubstr("a link needs the same bytes."));
}

TEST_P(FusionOfAttentionInputsThat, AreOverwrittenStay) {  // row E7
  const View part = view(result().buffer, 8, 8);
  between = [this, part] { program.copy(view(norm.buffer, 8), part); };
  EXPECT_THAT(refusal_of_all(), HasSubstr("writes bytes between dispatches"));
}

TEST_F(FusionOfAttentionInputs, AreOfOnePosition) {  // row E7
  key.position = 4;
  EXPECT_EQ(refusal_of_all(), "Position 5 of the query is not always position 4 of the key.");
}

TEST_F(FusionOfAttentionInputs, AreOfOnePositionInBothCaches) {  // row E7
  value.position = 6;
  EXPECT_EQ(refusal_of_all(), "Position 5 of the query is not always position 6 of the value.");
}

TEST_F(FusionOfAttentionInputs, AreOfOnePositionInEveryReplay) {  // row E7
  const std::uint32_t position = program.add_slot("position", ir::SlotKind::kBytes, 5);
  query_options.slots = {{position, 2, kRopeAt}};
  key_options.slots = {{position, 2, kRopeAppendAt}};
  EXPECT_EQ(refusal_of_all(), "Position 5 of the query is not always position 5 of the value.");
}

TEST_F(FusionOfAttentionInputs, KeepTheirSlots) {  // row E7
  const std::uint32_t heads = program.add_slot("heads", ir::SlotKind::kBytes, kKvHeads);
  key_options.slots = {{heads, 2, offsetof(base::RopeKvAppendParams, heads)}};
  EXPECT_THAT(refusal_of_all(), HasSubstr("Slot \"heads\""));
}

TEST_F(FusionOfAttentionInputs, TurnAtOneSpeed) {  // row E7
  key.base = 500000.0F;
  EXPECT_EQ(refusal_of_all(), "The query is rotated in other ways than the key.");
}

TEST_F(FusionOfAttentionInputs, TurnHeadsOfOneSize) {  // row E7
  key.heads = 1;
  key.head_size = 2 * kHead;
  EXPECT_EQ(refusal_of_all(), "The query is rotated in other ways than the key.");
}

TEST_F(FusionOfAttentionInputs, TurnAsMuchOfEachHead) {  // row E7
  query.rotated = 8;
  EXPECT_EQ(refusal_of_all(), "The query is rotated in other ways than the key.");
}

TEST_F(FusionOfAttentionInputs, TurnEvenRows) {  // row E7
  products.rows[0] = 63;
  query = {1, 9, 7, 6, 5, 10000.0F};
  products.rows[1] = 28;
  key = {1, 4, 7, 6, 5, 10000.0F};
  EXPECT_EQ(refusal_of_all(),
            "A head has 7 values, of which 6 are rotated; both must be even numbers.");
}

TEST_F(FusionOfAttentionInputs, TurnAllQueries) {  // row E7
  query.heads = 3;
  EXPECT_EQ(refusal_of_all(),
            "What is rotated and appended are not the 64, 32 and 32 rows of the products.");
}

TEST_F(FusionOfAttentionInputs, AppendAllKeys) {  // row E7
  key.heads = 1;
  EXPECT_THAT(refusal_of_all(), HasSubstr("are not the 64, 32 and 32 rows"));
}

TEST_F(FusionOfAttentionInputs, AppendAllValues) {  // row E7
  value.columns = 16;
  EXPECT_THAT(refusal_of_all(), HasSubstr("are not the 64, 32 and 32 rows"));
}

TEST_F(FusionOfAttentionInputs, AreOfOneToken) {  // row E7
  value.tokens = value_groups = 2;
  EXPECT_THAT(refusal_of_all(), HasSubstr("are not the 64, 32 and 32 rows"));
}

TEST_F(FusionOfAttentionInputs, AreWhole) {  // row E7
  constexpr const char* kPart = "A part of the rows is multiplied, rotated or appended.";
  for (Options* options : {&products_options, &query_options, &key_options, &value_options}) {
    program.clear();
    a = add_activations();
    turned = a.query;
    w = {lasting(8), lasting(8), lasting(8)};
    norm = lasting(kWidth);
    keys = lasting(kContext * kKvWidth / 2);
    values = lasting(kContext * kKvWidth / 2);
    options->grid = groups(7);
    EXPECT_EQ(refusal_of_all(), kPart);
    options->grid = {};
  }
}

TEST_F(FusionOfAttentionInputs, DoNotOverwriteWhatTheyRead) {  // row E7
  turned = a.residual;
  EXPECT_THAT(refusal_of_all(), HasSubstr("no link of the pattern says so."));
}

TEST_F(FusionOfAttentionInputs, GoToTwoPlaces) {  // row E7
  values = keys;
  EXPECT_THAT(refusal_of_all(), HasSubstr("no link of the pattern says so."));
}

}  // namespace
}  // namespace segue::test
