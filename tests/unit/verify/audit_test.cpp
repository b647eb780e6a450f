// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "unit/verify/verify_fixture.hpp"

namespace segue::verify {
namespace {

using ::testing::HasSubstr;

class Audit : public VerifyTest {
 protected:
  AuditReport audit(const Graph& graph, const AuditOptions& options = {}) {
    return value(verify::audit(device_, graph, options));
  }
  void expect_clean(const Graph& graph) {
    const AuditReport report = audit(graph);
    EXPECT_TRUE(report.clean()) << report.to_string();
    EXPECT_EQ(report.audited, graph.dispatch_count());
    EXPECT_TRUE(report.skipped.empty());
  }
  /// The only finding there is.
  AuditFinding expect_finding(const Graph& graph, AuditFindingKind kind) {
    const AuditReport report = audit(graph);
    EXPECT_EQ(report.findings.size(), 1U) << report.to_string();
    if (report.findings.empty()) return {};
    EXPECT_EQ(report.findings[0].kind, kind) << report.to_string();
    return report.findings[0];
  }

  Buffer x_ = floats(64, "x");
  Buffer y_ = floats(64, "y");
};

TEST_F(Audit, AKernelThatKeepsToItsDeclarationIsClean) {  // row L2
  for (const char* name : {"copy_all", "add_to", "sum_neighbours"}) {
    SCOPED_TRACE(name);
    expect_clean(capture(name, {x_.view(), y_.view()}));
    expect_clean(capture(name, {part(x_, 5, 20), part(y_, 7, 20)}));
  }
  expect_clean(capture("set_bytes", {y_.view(), KernelArg::bytes(0), KernelArg::bytes(64 * 4)}));
}

TEST_F(Audit, AByteTooManyIsFoundAndNamed) {  // row L2
  const Graph graph = capture([&](CommandEncoder& e) {
    e.dispatch(kernel("copy_all"), {x_.view(), y_.view()}, groups(1));
    e.push_label("layer 1");
    DispatchOptions options;
    options.label = "setter";
    e.dispatch(kernel("set_bytes"), {part(y_, 2, 4), KernelArg::bytes(0), KernelArg::bytes(17)},
               groups(1), options);
    e.pop_label();
  });
  const AuditFinding finding = expect_finding(graph, AuditFindingKind::kStrayWrite);
  EXPECT_EQ(finding.node, 1U);
  EXPECT_EQ(finding.label, "layer 1/setter");
  EXPECT_EQ(finding.buffer_label, "y");
  EXPECT_EQ(finding.begin, 24);
  EXPECT_EQ(finding.end, 25);
  EXPECT_EQ(finding.bytes, 1U);
  EXPECT_EQ(finding.to_string(),
            "Dispatch 1 (\"layer 1/setter\") writes 1 byte beyond its declared writes: first at "
            "byte 24 of buffer \"y\", in [24, 25).");
}

TEST_F(Audit, WritesOutsideTheBufferAreFoundOnBothSides) {  // row L2
  const auto set = [&](std::int32_t offset, std::int32_t count) {
    return capture("set_bytes", {y_.view(), KernelArg::bytes(offset), KernelArg::bytes(count)});
  };
  const AuditFinding before = expect_finding(set(-3, 10), AuditFindingKind::kStrayWrite);
  EXPECT_EQ(before.begin, -3);
  EXPECT_EQ(before.end, 0);
  const AuditFinding behind = expect_finding(set(250, 4096), AuditFindingKind::kStrayWrite);
  EXPECT_EQ(behind.begin, 256);
  EXPECT_EQ(behind.bytes, 4090U);
}

TEST_F(Audit, AReadOfANeighbourIsFound) {  // row L2
  const AuditFinding inside =
      expect_finding(capture("sum_neighbours_past", {part(x_, 0, 8), part(y_, 0, 8)}),
                     AuditFindingKind::kUndeclaredInput);
  EXPECT_EQ(inside.buffer_label, "y");
  EXPECT_GE(inside.begin, 28);
  EXPECT_EQ(inside.end, 32);
  EXPECT_THAT(inside.to_string(), HasSubstr("what it writes depends on bytes outside"));
  // At the very end of a buffer, where only the guard is left to be read.
  const AuditFinding outside = expect_finding(
      capture("sum_neighbours_past", {x_.view(), y_.view()}), AuditFindingKind::kUndeclaredInput);
  EXPECT_GT(outside.end, 252);
}

TEST_F(Audit, AReadOfATouchingViewThatIsNotDeclaredAsReadIsFound) {  // row L2
  expect_clean(capture("sum_neighbours", {part(y_, 0, 8), part(y_, 8, 8)}));
  const AuditFinding finding =
      expect_finding(capture("sum_neighbours_past", {part(y_, 0, 8), part(y_, 8, 8)}),
                     AuditFindingKind::kUndeclaredInput);
  EXPECT_GT(finding.end, 60) << "the last element reads the first output before it is written";
}

TEST_F(Audit, AWriteThatIsReallyAReadAndWriteIsFound) {  // row L2
  const AuditFinding finding = expect_finding(capture("add_to_unsaid", {x_.view(), y_.view()}),
                                              AuditFindingKind::kUndeclaredInput);
  EXPECT_EQ(finding.buffer_label, "y");
  EXPECT_EQ(finding.end, 256);
}

TEST_F(Audit, AWriteToWhatIsDeclaredAsReadIsFound) {  // row L2
  const AuditFinding finding = expect_finding(capture("double_input", {x_.view(), y_.view()}),
                                              AuditFindingKind::kStrayWrite);
  EXPECT_EQ(finding.buffer_label, "x");
  EXPECT_GE(finding.begin, 0);
  EXPECT_LE(finding.end, 4);
}

TEST_F(Audit, ExplicitRangesNarrowerThanTheTruthAreFound) {  // row L2
  const std::vector<BufferView> half_x{part(x_, 0, 32)}, half_y{part(y_, 0, 32)};
  DispatchOptions narrow_reads, narrow_writes, both;
  narrow_reads.reads = both.reads = half_x;
  narrow_writes.writes = both.writes = half_y;
  const AuditFinding read =
      expect_finding(capture("copy_all", {x_.view(), y_.view()}, narrow_reads),
                     AuditFindingKind::kUndeclaredInput);
  EXPECT_EQ(read.begin, 128);
  EXPECT_GT(read.bytes, 120U) << "of 128, less those where noise happens to repeat";
  const AuditFinding write = expect_finding(
      capture("copy_all", {x_.view(), y_.view()}, narrow_writes), AuditFindingKind::kStrayWrite);
  EXPECT_EQ(write.begin, 128);
  EXPECT_EQ(write.bytes, 128U);
  expect_clean(capture("copy_all", {part(x_, 0, 32), part(y_, 0, 32)}, both));
}

TEST_F(Audit, ExplicitRangesMayReachBeyondTheArguments) {  // row L2
  const std::vector<BufferView> reads{part(x_, 0, 9)};
  DispatchOptions options;
  options.reads = reads;
  expect_clean(capture("sum_neighbours_past", {part(x_, 0, 8), part(y_, 0, 8)}, options));
  const std::vector<BufferView> behind{part(y_, 40, 2)}, before{part(y_, 1, 2)};
  options = {};
  options.writes = behind;
  expect_clean(capture("set_bytes", {part(y_, 4, 2), KernelArg::bytes(36 * 4), KernelArg::bytes(8)},
                       options));
  options.writes = before;
  expect_clean(capture("set_bytes",
                       {part(y_, 30, 2), KernelArg::bytes(-29 * 4), KernelArg::bytes(8)}, options));
}

TEST_F(Audit, OverlappingViewsStayOneMemory) {  // row L2
  // y[i] += x[i] with x one element ahead: elements behind the first see what was written.
  const Graph graph = capture([&](CommandEncoder& e) {
    e.dispatch(kernel("add_to"), {part(x_, 0, 3), part(x_, 1, 3)}, groups(1));
    e.dispatch(kernel("expect"), {part(x_, 3, 1), KernelArg::bytes(10.0F)}, groups(1));
  });
  expect_clean(graph);  // 1, 1 + 2, 1 + 2 + 3, 1 + 2 + 3 + 4
}

TEST_F(Audit, CommandsSeeWhatThoseBeforeThemWrote) {  // row L2
  const Buffer between = transient(16, "between");
  const Graph graph = capture([&](CommandEncoder& e) {
    e.fill(between.view(), std::byte{0});
    e.dispatch(kernel("set_even"), {between.view(), KernelArg::bytes(7.0F)}, groups(1));
    e.dispatch(kernel("expect"), {part(between, 4, 1), KernelArg::bytes(7.0F)}, groups(1));
    e.dispatch(kernel("expect"), {part(between, 5, 1), KernelArg::bytes(0.0F)}, groups(1));
    e.dispatch(kernel("set_even"), {part(x_, 0, 2), KernelArg::bytes(9.0F)}, groups(1));
    e.dispatch(kernel("expect"), {part(x_, 0, 1), KernelArg::bytes(9.0F)}, groups(1));
    e.dispatch(kernel("expect"), {part(x_, 1, 1), KernelArg::bytes(2.0F)}, groups(1));
  });
  expect_clean(graph);
}

TEST_F(Audit, TheBuffersStayAsTheyAre) {  // row L2
  const std::vector<float> x = content(x_), y = content(y_);
  audit(capture("add_to", {x_.view(), y_.view()}));
  audit(capture("double_input", {x_.view(), y_.view()}));
  EXPECT_EQ(content(x_), x);
  EXPECT_EQ(content(y_), y);
}

TEST_F(Audit, ADispatchThatFailsOnNoiseIsReportedAndTheRestIsAudited) {  // row L2
  const std::vector<BufferView> none;
  DispatchOptions unread;
  unread.reads = none;
  const Graph graph = capture([&](CommandEncoder& e) {
    e.dispatch(kernel("expect"), {part(x_, 0, 1), KernelArg::bytes(1.0F)}, groups(1), unread);
    e.dispatch(kernel("expect"), {part(x_, 0, 1), KernelArg::bytes(1.0F)}, groups(1));
  });
  const AuditFinding finding = expect_finding(graph, AuditFindingKind::kFailsOnScrambles);
  EXPECT_EQ(finding.node, 0U);
  EXPECT_THAT(finding.to_string(), HasSubstr("an element is not as wanted"));
}

TEST_F(Audit, ADispatchOfTooManyBytesIsSkippedWithTheReason) {
  AuditOptions options;
  options.max_dispatch_bytes = 10000;
  const Buffer large = floats(2000, "large");
  const Graph graph = capture([&](CommandEncoder& e) {
    e.dispatch(kernel("set_bytes"), {large.view(), KernelArg::bytes(0), KernelArg::bytes(9000)},
               groups(1));
    e.dispatch(kernel("set_bytes"), {y_.view(), KernelArg::bytes(0), KernelArg::bytes(4)},
               groups(1));
  });
  const AuditReport report = audit(graph, options);
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.audited, 1U);
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_EQ(report.skipped[0].node, 0U);
  EXPECT_THAT(report.skipped[0].reason, HasSubstr("AuditOptions::max_dispatch_bytes is 10000"));
  EXPECT_THAT(report.to_string(), HasSubstr("Dispatch 0 (\"set_bytes\") is skipped: "));
}

}  // namespace
}  // namespace segue::verify
