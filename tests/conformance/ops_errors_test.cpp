// SPDX-License-Identifier: Apache-2.0
//
// What a wrong call of an operation says, and what a right one records.
#include <gmock/gmock.h>

#include <functional>

#include "conformance/ops_fixture.hpp"

namespace segue::test {
namespace {

class OpsErrorsTest : public OpsTest {
 protected:
  /// The sentence with which a recording fails.
  std::string refusal(const std::function<void()>& record) {
    record();
    const Result<> done = encoder_.commit_and_wait();
    EXPECT_TRUE(encoder_.begin());
    if (done) return "";
    EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
    return done.error().message;
  }
};

TEST_P(OpsErrorsTest, AWrongShapeIsNamedWithTheRightOne) {  // row K4
  EXPECT_EQ(refusal([&] { ops_->rms_norm(encoder_, floats(2, 192), floats(2, 191), 1e-5F); }),
            "rms_norm: y is [2, 191] F32, but it must be [2, 192] F32.");
  EXPECT_EQ(
      refusal([&] { ops_->mat_mul(encoder_, {floats(64, 192)}, floats(1, 191), floats(1, 64)); }),
      "mat_mul: x is [1, 191] F32, but it must be [1, 192] F32.");
  EXPECT_EQ(refusal([&] { ops_->add(encoder_, floats(4, 8), floats(2, 8), floats(4, 8)); }),
            "add: b is [2, 8] F32, but it must be [4, 8] F32.");
  EXPECT_EQ(refusal([&] { ops_->silu(encoder_, floats(1, 8), tensor(DType::kU32, 1, 8)); }),
            "silu: y is [1, 8] U32, but it must be [1, 8] F32.");
}

TEST_P(OpsErrorsTest, TheLoopOfATokenIsChecked) {  // row K4
  const Tensor one = tensor(DType::kU32, 1, 1);
  const Tensor state = tensor(DType::kU32, 1, 2);
  EXPECT_EQ(refusal([&] { ops_->advance(encoder_, one, one, tensor(DType::kU32, 1, 8)); }),
            "advance: state is [1, 1] U32, but it must be [1, 2] U32.");
  EXPECT_EQ(refusal([&] { ops_->advance(encoder_, state, state, tensor(DType::kU32, 1, 8)); }),
            "advance: token is [1, 2] U32, but it must be [1, 1] U32.");
  EXPECT_EQ(refusal([&] { ops_->advance(encoder_, one, state, floats(1, 8)); }),
            "advance: ring is [1, 8] F32, but it must be [1, 8] U32.");
  EXPECT_EQ(refusal([&] { ops_->advance(encoder_, one, state, tensor(DType::kU32, 1, 0)); }),
            "advance: the ring has 0 slots; it takes at least 1.");
  EXPECT_EQ(refusal([&] { ops_->embedding_token(encoder_, one, 0, floats(1, 1)); }),
            "embedding_token: table is [1, 1] U32, for which the device has no kernel; tables are "
            "F32, F16, BF16, Q8_0 or Q4_0.");
  EXPECT_EQ(refusal([&] { ops_->embedding_token(encoder_, floats(9, 64), 0, floats(2, 64)); }),
            "embedding_token: y is [2, 64] F32, but it must be [1, 64] F32.");
}

TEST_P(OpsErrorsTest, AViewOfAnotherSizeThanItsShapeIsRefused) {  // row A7
  Tensor x = floats(1, 100);
  x.columns = 192;
  EXPECT_EQ(refusal([&] { ops_->silu(encoder_, x, floats(1, 192)); }),
            "silu: x is [1, 192] F32 and takes 768 bytes, but its view has 400.");
  WeightMatrix weights{tensor(DType::kQ8_0, 16, 32)};
  weights.tensor.rows = 17;
  EXPECT_EQ(refusal([&] { ops_->mat_mul(encoder_, weights, floats(1, 32), floats(1, 17)); }),
            "mat_mul: weights is [17, 32] Q8_0 and takes 578 bytes, but its view has 544.");
}

TEST_P(OpsErrorsTest, CachesAndHeadsAreChecked) {  // row K4
  const Tensor cache = tensor(DType::kF16, 10, 64);
  EXPECT_EQ(refusal([&] { ops_->kv_append(encoder_, floats(3, 64), cache, 8); }),
            "kv_append: rows 8 to 11 are written, but the cache has 10.");
  ops::AttentionOptions options;
  options.head_size = 32;
  options.position = 10;
  const Tensor q = floats(1, 192);
  EXPECT_EQ(refusal([&] { ops_->attention(encoder_, q, cache, cache, floats(1, 192), options); }),
            "attention: 1 tokens from position 10 on need 11 rows, but the cache has 10.");
  options.head_size = 40;
  EXPECT_EQ(refusal([&] { ops_->attention(encoder_, q, cache, cache, floats(1, 192), options); }),
            "attention: q is [1, 192] F32 and keys is [10, 64] F16, but their columns must divide "
            "into heads of 40.");
  ops::RopeOptions rope;
  rope.head_size = 32;
  rope.rotated = 33;
  EXPECT_EQ(refusal([&] { ops_->rope(encoder_, q, q, rope); }),
            "rope: 33 elements of a head rotate, but it must be an even number of at most 32.");
}

TEST_P(OpsErrorsTest, EachOperationRecordsOneDispatchOfItsKind) {  // row B8
  const Tensor x = floats(2, 64);
  const Tensor y = floats(2, 64);
  const Tensor cache = tensor(DType::kF32, 4, 64);
  const Tensor ids = tensor(DType::kU32, 1, 2);
  ops::RopeOptions rope;
  rope.head_size = 32;
  ops::AttentionOptions attention;
  attention.head_size = 32;
  encoder_.start_capture();
  ops_->embedding(encoder_, floats(9, 64), ids, y);
  ops_->rms_norm(encoder_, x, y, 1e-5F);
  ops_->rms_norm_weighted(encoder_, x, floats(1, 64), y, 1e-5F);
  ops_->mul(encoder_, x, x, y);
  ops_->add(encoder_, x, x, y);
  ops_->mat_mul(encoder_, {floats(64, 64)}, x, y);
  ops_->mat_mul(encoder_, {floats(64, 64)}, floats(1, 64), floats(1, 64));
  ops_->rope(encoder_, x, y, rope);
  ops_->kv_append(encoder_, x, cache, 1);
  ops_->attention(encoder_, x, cache, cache, y, attention);
  ops_->silu(encoder_, x, y);
  ops_->silu_mul(encoder_, x, x, y);
  ops_->softmax(encoder_, x, y);
  ops_->argmax(encoder_, x, ids);
  ops_->sample(encoder_, x, ids, {});
  ops_->embedding_token(encoder_, floats(9, 64), 3, floats(1, 64));
  ops_->advance(encoder_, tensor(DType::kU32, 1, 1), ids, tensor(DType::kU32, 1, 8));
  const Result<Graph> graph = encoder_.take_capture();
  ASSERT_TRUE(graph) << graph.error().to_string();
  std::vector<OpKind> kinds;
  for (std::size_t i = 0; i < graph->node_count(); ++i) kinds.push_back(graph->node(i).op);
  EXPECT_THAT(kinds, ::testing::ElementsAre(OpKind::kGather, OpKind::kRmsNorm, OpKind::kRmsNorm,
                                            OpKind::kElemMul, OpKind::kElemAdd, OpKind::kMatMul,
                                            OpKind::kMatVec, OpKind::kRope, OpKind::kKvAppend,
                                            OpKind::kSdpa, OpKind::kSilu, OpKind::kSiluMul,
                                            OpKind::kSoftmax, OpKind::kArgmax, OpKind::kSample,
                                            OpKind::kGather, OpKind::kOther));
}

std::string name_of(const ::testing::TestParamInfo<ConformanceDevice>& device) {
  return device.param.name;
}
INSTANTIATE_TEST_SUITE_P(Devices, OpsErrorsTest, ::testing::ValuesIn(conformance_devices()),
                         name_of);

}  // namespace
}  // namespace segue::test
