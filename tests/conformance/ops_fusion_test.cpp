// SPDX-License-Identifier: Apache-2.0
//
// Fused operations on every device: the bytes that the operations leave that were recorded, in
// replays to which host or device give the position.
#include <array>
#include <string>

#include "conformance/ops_fixture.hpp"
#include "segue/executable.hpp"
#include "segue/fusion_patterns.hpp"
#include "segue/graph.hpp"
#include "support/weights.hpp"

namespace segue::test {
namespace {

constexpr std::uint32_t kWidth = 96, kHeads = 6, kKvHeads = 2, kHeadSize = 20, kContext = 7;
constexpr const char* kPosition = "position";

class OpsFusionTest : public OpsTest {
 protected:
  /// The first half of a decoder layer, from the residual to what attention makes of it.
  struct Layer {
    WeightMatrix query, key, value;
    Tensor x, norm_weight, keys, values, attended;
    std::array<Tensor, 4> between;  // normalised, queries, keys, values; transient
  };

  Tensor transient(std::uint32_t columns) const {
    BufferDesc desc;
    desc.size_bytes = row_bytes(DType::kF32, columns);
    desc.transient = true;
    return Tensor::create(device_.create_buffer(desc).value().view(), DType::kF32, 1, columns)
        .value();
  }
  /// Weights in the layout that the device likes best.
  WeightMatrix matrix(DType type, std::uint32_t rows) {
    const Weights weights = random_weights(type, rows, kWidth, random_);
    const WeightMatrix plain{tensor(type, rows, kWidth, weights.bytes), WeightLayout::kRowMajor};
    const WeightLayout layout = ops_->preferred_layout(type);
    if (layout == WeightLayout::kRowMajor) return plain;
    const WeightMatrix best{{view(weight_bytes(type, layout, rows, kWidth)), type, rows, kWidth},
                            layout};
    ops_->repack(encoder_, plain, best);
    run();
    return best;
  }
  Layer layer(DType weights, DType cache) {
    Layer made{matrix(weights, kHeads * kHeadSize),
               matrix(weights, kKvHeads * kHeadSize),
               matrix(weights, kKvHeads * kHeadSize),
               floats(1, kWidth, normal(kWidth)),
               floats(1, kWidth, normal(kWidth)),
               {},
               {},
               floats(1, kHeads * kHeadSize),
               {transient(kWidth), transient(kHeads * kHeadSize), transient(kKvHeads * kHeadSize),
                transient(kKvHeads * kHeadSize)}};
    clear(made, cache);
    return made;
  }
  void clear(Layer& layer, DType cache) {
    const std::vector<std::byte> zeros(row_bytes(cache, kKvHeads * kHeadSize) * kContext);
    layer.keys = tensor(cache, kContext, kKvHeads * kHeadSize, zeros);
    layer.values = tensor(cache, kContext, kKvHeads * kHeadSize, zeros);
  }

  Graph capture(const Layer& layer, ops::RopePairs pairs) {
    CommandEncoder encoder = device_.create_encoder().value();
    encoder.start_capture();
    const auto& [scaled, query, key, value] = layer.between;
    const ops::Scalar position{0, kPosition};
    ops::RopeOptions rope;
    rope.head_size = kHeadSize;
    rope.rotated = kHeadSize - 4;
    rope.position = position;
    rope.pairs = pairs;
    ops_->rms_norm_weighted(encoder, layer.x, layer.norm_weight, scaled, 1e-3F);
    ops_->mat_mul(encoder, layer.query, scaled, query);
    ops_->mat_mul(encoder, layer.key, scaled, key);
    ops_->mat_mul(encoder, layer.value, scaled, value);
    ops_->rope(encoder, query, query, rope);
    ops_->rope(encoder, key, key, rope);
    ops_->kv_append(encoder, key, layer.keys, position);
    ops_->kv_append(encoder, value, layer.values, position);
    ops::AttentionOptions attention;
    attention.head_size = kHeadSize;
    attention.position = position;
    ops_->attention(encoder, query, layer.keys, layer.values, layer.attended, attention);
    return encoder.take_capture().value();
  }

  /// What is in the caches and comes out of attention after some positions, which the host sets or
  /// the device loads.
  std::vector<std::byte> replay(const Graph& graph, const Layer& layer, bool load) {
    Executable executable = graph.compile(device_).value();
    const SlotId slot = executable.slot(kPosition).value();
    const BufferView position = view(4);
    if (load) {
      EXPECT_TRUE(executable.load(slot, position));
    }
    std::vector<std::byte> bytes;
    const auto append = [&](const Tensor& tensor) {
      const auto content = download<std::byte>(tensor);
      bytes.insert(bytes.end(), content.begin(), content.end());
    };
    for (const std::uint32_t row : {0U, 1U, 2U, kContext - 1}) {
      if (load) {
        EXPECT_TRUE(device_.upload(position, std::as_bytes(std::span(&row, 1))));
      } else {
        EXPECT_TRUE(executable.set(slot, row));
      }
      const Result<> done = executable.submit_and_wait();
      EXPECT_TRUE(done) << done.error().to_string();
      append(layer.attended);
    }
    append(layer.keys);
    append(layer.values);
    return bytes;
  }

  void check(DType weights, DType cache, ops::RopePairs pairs) {
    SCOPED_TRACE(std::string(to_string(weights)) + ", cache of " + std::string(to_string(cache)));
    Layer made = layer(weights, cache);
    const std::vector<std::byte> want = replay(capture(made, pairs), made, false);
    for (const bool load : {false, true}) {
      clear(made, cache);
      const FusedGraph fused = capture(made, pairs).fuse(ops::fusion_patterns(device_)).value();
      const bool interleaved = pairs == ops::RopePairs::kInterleaved;
      EXPECT_EQ(fused.graph.dispatch_count(), interleaved ? 2U : 5U);
      EXPECT_EQ(fused.graph.critical_path(), interleaved ? 2U : 3U);
      EXPECT_TRUE(fused.graph.certify(Schedule::kCriticalPath).tight());
      EXPECT_TRUE(replay(fused.graph, made, load) == want) << (load ? "loaded" : "set");
    }
  }
};

TEST_P(OpsFusionTest, AttentionAndItsInputsAreTwoDispatchesOfTheSameBits) {  // rows E7, E8, F2
  for (const DType weights : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0}) {
    for (const DType cache : {DType::kF32, DType::kF16})
      check(weights, cache, ops::RopePairs::kInterleaved);
  }
}

TEST_P(OpsFusionTest, HeadsWhosePairsAreFarApartKeepTheirRotations) {  // row E7
  check(DType::kF32, DType::kF16, ops::RopePairs::kNeox);
}

INSTANTIATE_TEST_SUITE_P(Devices, OpsFusionTest, ::testing::ValuesIn(conformance_devices()),
                         [](const auto& device) { return device.param.name; });

}  // namespace
}  // namespace segue::test
