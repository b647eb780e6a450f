// SPDX-License-Identifier: Apache-2.0
//
// Verification and figures of a real device: declarations, schedules, the time of barriers.
#include "segue/verify.hpp"

#include "conformance/harness.hpp"
#include "segue/graph.hpp"

namespace segue::test {
namespace {

class VerifyConformance : public ConformanceTest {
 protected:
  template <class Record>
  [[nodiscard]] Graph capture(Record&& record) const {
    CommandEncoder encoder = make_encoder();
    encoder.start_capture();
    record(encoder);
    return encoder.take_capture().value();
  }
  [[nodiscard]] verify::CheckOptions few_orders() const {
    verify::CheckOptions options;
    options.fuzz.orders = 10;
    return options;
  }
};

TEST_P(VerifyConformance, KernelsThatKeepTheirWordPass) {  // rows L2, L3
  const Buffer x = make_buffer(counting(300)), y = make_buffer(Words(300)),
               z = make_buffer(counting(300, 7));
  const Graph graph = capture([&](CommandEncoder& encoder) {
    encoder.dispatch(kernel("test_copy"), {x.view(), y.view()}, threads(300));
    encoder.dispatch(kernel("test_add"), {y.view(), z.view(), KernelArg::bytes(3U)}, threads(300));
    encoder.dispatch(kernel("test_add_one"), {words(x, 40, 100)}, threads(100));
    encoder.fill(words(y, 1, 9), std::byte{5});
  });
  const auto verdict = verify::check(device_, graph, few_orders());
  ASSERT_TRUE(verdict.has_value()) << verdict.error().to_string();
  EXPECT_TRUE(verdict->good()) << verdict->to_string();
  EXPECT_EQ(verdict->audit.audited, 4U);
  EXPECT_GT(verdict->fuzz.runs, 10U);
}

TEST_P(VerifyConformance, AWriteThatIsNotDeclaredIsFound) {  // row L2
  const Buffer x = make_buffer(counting(64)), y = make_buffer(Words(64));
  const std::vector<BufferView> half{words(y, 0, 32)};
  DispatchOptions options;
  options.writes = half;
  const Graph graph = capture([&](CommandEncoder& encoder) {
    encoder.dispatch(kernel("test_copy"), {x.view(), y.view()}, threads(64), options);
  });
  const auto report = verify::audit(device_, graph);
  ASSERT_TRUE(report.has_value()) << report.error().to_string();
  ASSERT_EQ(report->findings.size(), 1U) << report->to_string();
  EXPECT_EQ(report->findings[0].kind, verify::AuditFindingKind::kStrayWrite);
  EXPECT_EQ(report->findings[0].begin, 128);
  EXPECT_EQ(report->findings[0].end, 256);
}

TEST_P(VerifyConformance, BarriersAreTimedOnRequest) {  // row J3
  for (const bool timed : {false, true}) {
    DeviceOptions options;
    options.profile_barriers = timed;
    const Device device = GetParam().open(options).value();
    for (KernelSource& source : GetParam().kernels())
      ASSERT_TRUE(device.kernels().add(std::move(source)).has_value());
    BufferDesc desc;
    desc.size_bytes = 256;
    const Buffer x = device.create_buffer(desc).value();
    CommandEncoder encoder = device.create_encoder().value();
    for (int i = 0; i < 50; ++i)
      encoder.dispatch(device.kernels().get("test_add_one").value(), {x.view()}, threads(64));
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
    EXPECT_EQ(device.counters().barriers_issued, 49U);
    EXPECT_EQ(device.counters().barrier_ns != 0, timed);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, VerifyConformance, testing::ValuesIn(conformance_devices()),
                         [](const auto& device) { return device.param.name; });

}  // namespace
}  // namespace segue::test
