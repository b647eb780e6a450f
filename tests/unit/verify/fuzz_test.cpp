// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <random>

#include "support/test_seed.hpp"
#include "unit/verify/verify_fixture.hpp"

namespace segue::verify {
namespace {

using ::testing::HasSubstr;

class FuzzSchedules : public VerifyTest {
 protected:
  FuzzReport fuzz(const Graph& graph, std::uint32_t orders = 10) {
    FuzzOptions options;
    options.orders = orders;
    return value(fuzz_schedules(device_, graph, options));
  }
  static bool found_by(const FuzzReport& report, Schedule schedule) {
    return std::ranges::find(report.findings, schedule, &FuzzFinding::schedule) !=
           report.findings.end();
  }

  Buffer x_ = floats(16, "x"), y_ = floats(16, "y"), z_ = floats(16, "z");
};

TEST_F(FuzzSchedules, CorrectGraphsAreClean) {  // row L3
  std::mt19937_64 random(test::test_seed());
  for (int round = 0; round < 5; ++round) {
    const std::vector<Buffer> buffers{x_, y_, z_, transient(16, "t"), transient(16, "u")};
    const Graph graph = capture([&](CommandEncoder& e) {
      for (std::size_t i = 3; i < 5; ++i) e.fill(buffers[i].view(), std::byte{0x3C});
      for (int i = 0; i < 25; ++i) {
        const std::size_t from = random() % 5, to = (from + 1 + random() % 4) % 5;
        e.dispatch(kernel(i % 2 == 0 ? "add_to" : "copy_all"),
                   {part(buffers[from], random() % 8, 8), part(buffers[to], random() % 8, 8)},
                   groups(1));
      }
    });
    const FuzzReport report = fuzz(graph);
    EXPECT_TRUE(report.clean()) << report.to_string();
    EXPECT_EQ(report.runs, 2U * 13U) << "with placed transients and without";
    EXPECT_GT(report.compared_bytes, 0U);
    EXPECT_LE(report.compared_bytes, 3U * 64U) << "transient buffers have no result";
  }
}

TEST_F(FuzzSchedules, AHiddenReadIsFoundAndNamed) {  // row L3
  const std::vector<BufferView> none;
  DispatchOptions options;
  options.reads = none;
  options.label = "hides what it reads";
  const Graph graph = capture([&](CommandEncoder& e) {
    e.dispatch(kernel("add_to"), {x_.view(), y_.view()}, groups(1));
    e.dispatch(kernel("copy_all"), {y_.view(), z_.view()}, groups(1), options);
  });
  const FuzzReport report = fuzz(graph);
  EXPECT_TRUE(found_by(report, Schedule::kRecorded)) << report.to_string();
  EXPECT_TRUE(found_by(report, Schedule::kCriticalPath));
  ASSERT_FALSE(report.clean());
  const FuzzFinding& finding = report.findings[0];
  EXPECT_EQ(finding.buffer_label, "z");
  EXPECT_EQ(finding.node, 1U);
  EXPECT_EQ(finding.label, "hides what it reads");
  EXPECT_LT(finding.first_byte, 4U);
  EXPECT_THAT(report.to_string(), HasSubstr("last written by dispatch 1"));
}

TEST_F(FuzzSchedules, AHiddenWriteIsFoundAndPutBack) {  // row L3
  const std::vector<float> y = content(y_), z = content(z_);
  const std::vector<BufferView> none;
  DispatchOptions options;
  options.writes = none;
  const Graph graph = capture([&](CommandEncoder& e) {
    e.dispatch(kernel("add_to"), {x_.view(), y_.view()}, groups(1), options);
    e.dispatch(kernel("copy_all"), {y_.view(), z_.view()}, groups(1));
  });
  EXPECT_FALSE(fuzz(graph).clean());
  EXPECT_EQ(content(y_), y);
  EXPECT_EQ(content(z_), z);
}

TEST_F(FuzzSchedules, AReadHiddenThroughATransientIsFound) {  // row L3
  const Buffer between = transient(16, "between");
  const std::vector<BufferView> none;
  DispatchOptions options;
  options.reads = none;
  const Graph graph = capture([&](CommandEncoder& e) {
    e.fill(between.view(), std::byte{0});
    e.dispatch(kernel("add_to"), {x_.view(), between.view()}, groups(1));
    e.dispatch(kernel("copy_all"), {between.view(), z_.view()}, groups(1), options);
  });
  EXPECT_FALSE(fuzz(graph).clean());
}

TEST_F(FuzzSchedules, TheBuffersAreAsBefore) {  // row L3
  const std::vector<float> y = content(y_);
  const Graph graph = capture("add_to", {x_.view(), y_.view()});
  EXPECT_TRUE(fuzz(graph).clean());
  EXPECT_EQ(content(y_), y);
}

TEST_F(FuzzSchedules, AFailingGraphLeavesTheBuffersAsBefore) {  // row L3
  const std::vector<float> y = content(y_);
  const Graph graph = capture([&](CommandEncoder& e) {
    e.dispatch(kernel("add_to"), {x_.view(), y_.view()}, groups(1));
    e.dispatch(kernel("expect"), {y_.view(), KernelArg::bytes(0.0F)}, groups(1));
  });
  const auto report = fuzz_schedules(device_, graph);
  ASSERT_FALSE(report.has_value());
  EXPECT_THAT(report.error().message, HasSubstr("an element is not as wanted"));
  EXPECT_EQ(content(y_), y);
}

TEST_F(FuzzSchedules, AKernelThatIsNotRepeatableIsToldApart) {  // row L3
  add(host::kernel("count", {"y"},
                   [calls = std::make_shared<float>(0)](const host::KernelContext&,
                                                        host::Out<float> y) { y[0] = ++*calls; }));
  const FuzzReport report = fuzz(capture("count", {y_.view()}), 1);
  ASSERT_FALSE(report.clean());
  EXPECT_TRUE(report.findings[0].serial);
  EXPECT_THAT(report.to_string(), HasSubstr("Serial execution, repeated, gives other results"));
}

TEST_F(FuzzSchedules, AnEmptyGraphIsClean) {
  const FuzzReport report = fuzz(capture([](CommandEncoder&) {}));
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.compared_bytes, 0U);
}

}  // namespace
}  // namespace segue::verify
