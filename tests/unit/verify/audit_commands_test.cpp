// SPDX-License-Identifier: Apache-2.0
//
// The audit of commands other than plain dispatches, and of dispatches with more than arguments.
#include <gmock/gmock.h>

#include "unit/verify/verify_fixture.hpp"

namespace segue::verify {
namespace {

using ::testing::HasSubstr;

using AuditCommands = VerifyTest;

TEST_F(AuditCommands, FillsCopiesAndUploadsAreAudited) {  // row L2
  const Buffer x = floats(64, "x"), y = floats(64, "y");
  const std::vector<float> ones(8, 1.0F);
  const Graph graph = capture([&](CommandEncoder& e) {
    e.fill(part(x, 3, 8), std::byte{0x40});
    e.dispatch(kernel("expect"), {part(x, 3, 8), KernelArg::bytes(3.00392150878906F)}, groups(1));
    e.upload(part(x, 3, 8), std::as_bytes(std::span(ones)));
    e.memory_barrier();
    e.copy(part(x, 3, 8), part(y, 1, 8));
    e.dispatch(kernel("expect"), {part(y, 1, 8), KernelArg::bytes(1.0F)}, groups(1));
  });
  const AuditReport report = value(audit(device_, graph));
  EXPECT_TRUE(report.clean()) << report.to_string();
  EXPECT_EQ(report.audited, 5U);
  EXPECT_TRUE(report.skipped.empty());
}

TEST_F(AuditCommands, AnIndirectDispatchGetsTheCountsItWouldHave) {  // row L2
  // Each group writes its own number; the sixth would leave the output.
  add(host::kernel("number_groups", {"y"}, [](const host::KernelContext& work, host::Out<float> y) {
    for (auto i = work.group_begin; i < work.group_end; ++i) y.data()[i] = 1.0F;
  }));
  const Buffer counts = floats(3, "counts");
  const Buffer y = floats(64, "y");
  const auto with_groups = [&](std::uint32_t groups) {
    const std::uint32_t values[3] = {groups, 1, 1};
    return capture([&](CommandEncoder& e) {
      e.upload(counts.view(), std::as_bytes(std::span(values)));
      e.dispatch_indirect(kernel("number_groups"), {{part(y, 0, 5)}}, counts.view(), {8, 1, 1});
    });
  };
  const AuditReport clean = value(audit(device_, with_groups(5)));
  EXPECT_TRUE(clean.clean()) << clean.to_string();
  EXPECT_EQ(clean.audited, 2U);
  const AuditReport found = value(audit(device_, with_groups(6)));
  ASSERT_EQ(found.findings.size(), 1U) << found.to_string();
  EXPECT_EQ(found.findings[0].node, 1U);
  EXPECT_EQ(found.findings[0].begin, 20);
  EXPECT_EQ(found.findings[0].end, 24);
}

TEST_F(AuditCommands, SharedMemoryGroupSizeAndGridAreTaken) {  // row L2
  add(host::kernel(
      "shape", {"y", "shared"},
      [](const host::KernelContext& work, host::Out<float> y, host::Shared<std::byte> shared) {
        const bool right = work.thread_count.x == 6 && work.group_size.x == 2 &&
                           work.group_count.x == 3 && shared.size() == 96;
        if (!right) throw std::runtime_error("another shape");
        for (auto i = work.group_begin; i < work.group_end; ++i) y[i] = 1.0F;
      }));
  const Buffer y = floats(3, "y");
  const SharedMemorySize sizes[] = {{1, 96}};
  DispatchOptions options;
  options.shared_memory = sizes;
  options.group_size = {2, 1, 1};
  const Graph graph = capture(
      [&](CommandEncoder& e) { e.dispatch(kernel("shape"), {y.view()}, threads(6), options); });
  const AuditReport report = value(audit(device_, graph));
  EXPECT_TRUE(report.clean()) << report.to_string();
  EXPECT_EQ(report.audited, 1U);
}

TEST_F(AuditCommands, AnEmptyViewIsNoWindow) {
  const Buffer x = floats(8, "x"), y = floats(8, "y");
  const Graph graph = capture("copy_all", {part(x, 3, 0), part(y, 0, 8)});
  const AuditReport report = value(audit(device_, graph));
  EXPECT_TRUE(report.clean()) << report.to_string();
  EXPECT_EQ(report.audited, 1U);
}

TEST_F(AuditCommands, WhatCannotBeMovedIsSkippedWithTheReason) {  // row L2
  const Buffer x = floats(8, "x"), y = floats(8, "y"), pointed_to = floats(8, "pointed to");
  const std::vector<BufferView> read{x.view()}, written{y.view()}, hidden{pointed_to.view()};
  DispatchOptions options;
  options.reads = hidden;
  const Graph graph = capture([&](CommandEncoder& e) {
    e.native(read, written, [](void*) {});
    e.dispatch(kernel("copy_all"), {x.view(), y.view()}, groups(1), options);
    e.dispatch(kernel("copy_all"), {x.view(), y.view()}, groups(1));
  });
  const AuditReport report = value(audit(device_, graph));
  EXPECT_TRUE(report.clean()) << report.to_string();
  EXPECT_EQ(report.audited, 1U);
  ASSERT_EQ(report.skipped.size(), 2U);
  EXPECT_THAT(report.skipped[0].reason, HasSubstr("native callback"));
  EXPECT_EQ(report.skipped[1].node, 1U);
  EXPECT_THAT(report.skipped[1].reason, HasSubstr("\"pointed to\""));
}

TEST_F(AuditCommands, AnEmptyGraphIsClean) {
  const AuditReport report = value(audit(device_, Graph()));
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.to_string(), "Audit: 0 dispatches audited, 0 skipped, 0 findings.\n");
}

}  // namespace
}  // namespace segue::verify
