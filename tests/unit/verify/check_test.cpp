// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cmath>
#include <cstdint>

#include "unit/verify/verify_fixture.hpp"

namespace segue::verify {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class Check : public VerifyTest {
 protected:
  Verdict check(const DispatchOptions& options) {
    const Graph graph = capture([&](CommandEncoder& e) {
      e.dispatch(kernel("copy_all"), {x_.view(), between_.view()}, groups(1));
      e.dispatch(kernel("add_to"), {between_.view(), y_.view()}, groups(1), options);
    });
    CheckOptions check_options;
    check_options.fuzz.orders = 5;
    return value(verify::check(device_, graph, check_options));
  }

  Buffer x_ = floats(16, "x"), y_ = floats(16, "y"), between_ = transient(16, "between");
};

TEST_F(Check, AGoodGraphGetsAGoodVerdict) {  // row L4
  const Verdict verdict = check({});
  EXPECT_TRUE(verdict.good()) << verdict.to_string();
  ASSERT_EQ(verdict.plans.size(), 8U) << "of four schedules, as a graph and compiled";
  for (const CheckedPlan& plan : verdict.plans) {
    EXPECT_TRUE(plan.certificate.tight()) << plan.certificate.to_string();
    EXPECT_EQ(plan.certificate.dispatches, 2U);
    EXPECT_EQ(plan.certificate.barriers, 1U);
  }
  EXPECT_EQ(verdict.audit.audited, 2U);
  EXPECT_EQ(verdict.fuzz.runs, 16U);
  EXPECT_THAT(verdict.to_string(),
              EndsWith("Good: 8 plans are valid, every dispatch keeps to its declaration, and "
                       "every order gives the same bits.\n"));
}

TEST_F(Check, AWrongDeclarationIsFoundByAuditAndByFuzzing) {  // row L4
  const std::vector<BufferView> only_y{y_.view()};
  DispatchOptions options;
  options.reads = only_y;
  const Verdict verdict = check(options);
  EXPECT_FALSE(verdict.good());
  EXPECT_FALSE(verdict.audit.clean());
  EXPECT_FALSE(verdict.fuzz.clean());
  for (const CheckedPlan& plan : verdict.plans)
    EXPECT_TRUE(plan.certificate.valid()) << "plans follow declarations, right or wrong";
  EXPECT_THAT(verdict.to_string(), HasSubstr("\nBad: 0 of 8 plans invalid, 1 finding against "));
}

TEST_F(Check, EachKindOfFindingAloneSpoilsTheVerdict) {  // row L4
  Verdict verdict;
  verdict.plans.emplace_back();
  EXPECT_TRUE(verdict.good());
  Verdict invalid = verdict, audited = verdict, fuzzed = verdict;
  invalid.plans[0].certificate.missing.emplace_back("an order");
  audited.audit.findings.emplace_back();
  fuzzed.fuzz.findings.emplace_back();
  for (const Verdict* bad : {&invalid, &audited, &fuzzed}) {
    EXPECT_FALSE(bad->good());
    EXPECT_THAT(bad->to_string(), HasSubstr("\nBad: "));
  }
}

TEST_F(Check, BuffersWithoutMemoryGetFiniteNumbersAndOthersStay) {  // row L4
  BufferDesc desc;
  desc.size_bytes = 4096;
  desc.deferred = true;
  const Buffer deferred = value(device_.create_buffer(desc));
  const std::vector<float> x = content(x_);
  const Graph graph = capture("copy_all", {deferred.view(), x_.view()});
  ASSERT_TRUE(fill_unbacked(device_, graph));
  EXPECT_EQ(content(x_), x);
  const std::vector<float> numbers = content(deferred);
  for (const float number : numbers) {
    EXPECT_GE(std::abs(number), 0.0078125F);
    EXPECT_LT(std::abs(number), 2.0F);
  }
  EXPECT_NE(numbers[0], numbers[1]);
  for (const std::uint16_t half : value(deferred.view().map_read<std::uint16_t>())) {
    EXPECT_EQ(half & 0x7C00, 0x3C00) << "of magnitude 1 to 2 as F16";
  }
}

}  // namespace
}  // namespace segue::verify
