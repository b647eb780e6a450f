// SPDX-License-Identifier: Apache-2.0
#include "segue/access.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace segue {
namespace {

TEST(Access, ReadWriteIsBoth) {  // row C1
  EXPECT_TRUE(reads(Access::kRead) && !writes(Access::kRead));
  EXPECT_TRUE(!reads(Access::kWrite) && writes(Access::kWrite));
  EXPECT_TRUE(reads(Access::kReadWrite) && writes(Access::kReadWrite));
  EXPECT_EQ(to_string(Access::kReadWrite), "ReadWrite");
}

TEST(Access, OverlapIsHalfOpenAndSymmetric) {  // row C2
  EXPECT_TRUE(overlaps(0, 64, 63, 128));
  EXPECT_TRUE(overlaps(63, 128, 0, 64));
  EXPECT_FALSE(overlaps(0, 64, 64, 128));
  EXPECT_FALSE(overlaps(64, 128, 0, 64));
  EXPECT_FALSE(overlaps(0, 64, 32, 32));
  EXPECT_FALSE(overlaps(32, 32, 0, 64));
  EXPECT_TRUE(overlaps(0, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX));
}

TEST(OpKinds, OnlySdpaAndSoftmaxStayInPlace) {  // row B8
  std::set<std::string_view> fixed, names;
  for (int i = 0; i < kOpKindCount; ++i) {
    const auto kind = static_cast<OpKind>(i);
    names.insert(to_string(kind));
    if (!is_reorderable(kind)) fixed.insert(to_string(kind));
  }
  EXPECT_EQ(fixed, (std::set<std::string_view>{"Sdpa", "Softmax"}));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kOpKindCount)) << "Each kind has its own name.";
  EXPECT_FALSE(names.contains("Unknown"));
}

TEST(HazardKinds, HaveNames) {  // row C10
  EXPECT_EQ(to_string(HazardKind::kReadAfterWrite), "ReadAfterWrite");
  EXPECT_EQ(to_string(HazardKind::kWriteAfterRead), "WriteAfterRead");
  EXPECT_EQ(to_string(HazardKind::kWriteAfterWrite), "WriteAfterWrite");
}

}  // namespace
}  // namespace segue
