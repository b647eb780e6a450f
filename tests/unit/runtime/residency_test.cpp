// SPDX-License-Identifier: Apache-2.0
#include "segue/residency.hpp"

#include <gtest/gtest.h>

#include "support/fake_hal.hpp"

namespace segue {
namespace {

using test::Completion;
using test::FakeSetup;
using test::open_fake;

class ResidencyTest : public testing::Test {
 protected:
  Buffer make_buffer(std::uint64_t size_bytes) {
    BufferDesc desc;
    desc.size_bytes = size_bytes;
    return setup_.device.create_buffer(desc).value();
  }
  /// Commits a recording that fills `buffer`, or an empty one.
  Submission commit(const Buffer& buffer = {}) {
    CommandEncoder encoder = setup_.device.create_encoder().value();
    if (buffer) encoder.fill(buffer.view(), std::byte{1});
    return encoder.commit().value();
  }
  test::FakeQueue& queue() { return setup_.hal->queue(); }

  FakeSetup setup_ = open_fake(Completion::kManual);
  ResidencySet set_ = setup_.device.residency();
};

TEST_F(ResidencyTest, AddsAreStagedUntilACommit) {  // row H5
  const Buffer a = make_buffer(100);
  const Buffer b = make_buffer(28);
  set_.add(a);
  set_.add(b);
  set_.add(a);  // counts once
  EXPECT_EQ(set_.stats().pending_adds, 2u);
  EXPECT_EQ(set_.stats().resident, 0u);
  const Submission work = commit();
  EXPECT_EQ(set_.stats().pending_adds, 0u);
  EXPECT_EQ(set_.stats().resident, 2u);
  EXPECT_EQ(set_.stats().resident_bytes, 128u);
  EXPECT_EQ(set_.stats().flushes, 1u);
  EXPECT_EQ(setup_.device.counters().residency_flushes, 1u);
}

TEST_F(ResidencyTest, ACommitWithoutChangesFlushesNothing) {  // row H5, G2
  const Buffer a = make_buffer(100);
  set_.add(a);
  const Submission first = commit();
  const Submission second = commit();
  set_.add(a);  // resident already
  const Submission third = commit();
  EXPECT_EQ(set_.stats().flushes, 1u);
}

TEST_F(ResidencyTest, RemovalsWaitForTheWorkThatUsesTheBuffer) {  // row H5
  const Buffer a = make_buffer(100);
  set_.add(a);
  const Submission first = commit(a);
  set_.remove(a);
  EXPECT_EQ(set_.stats().pending_removes, 1u);
  const Submission second = commit(a);
  const Submission third = commit();
  EXPECT_EQ(set_.stats().resident, 1u) << "work is in flight";
  EXPECT_EQ(set_.stats().pending_removes, 1u);
  queue().complete_all();
  const Submission fourth = commit();
  EXPECT_EQ(set_.stats().resident, 0u);
  EXPECT_EQ(set_.stats().pending_removes, 0u);
  EXPECT_EQ(set_.stats().flushes, 2u);
}

TEST_F(ResidencyTest, ARemovalCanBeTakenBack) {  // row H5
  const Buffer a = make_buffer(100);
  set_.add(a);
  const Submission first = commit(a);
  set_.remove(a);
  set_.add(a);  // before a commit
  EXPECT_EQ(set_.stats().pending_removes, 0u);
  set_.remove(a);
  const Submission second = commit(a);
  set_.add(a);  // on its way out
  const Submission third = commit(a);
  queue().complete_all();
  const Submission fourth = commit();
  const Submission fifth = commit();
  EXPECT_EQ(set_.stats().resident, 1u);
  EXPECT_EQ(set_.stats().pending_removes, 0u);
}

TEST_F(ResidencyTest, AnAddCanBeTakenBack) {  // row H5
  const Buffer a = make_buffer(100);
  set_.add(a);
  set_.remove(a);
  set_.remove(a);
  const Submission work = commit();
  EXPECT_EQ(set_.stats().resident, 0u);
  EXPECT_EQ(set_.stats().pending_removes, 0u);
}

TEST_F(ResidencyTest, EmptyHandlesAreIgnored) {  // row H5
  set_.add({});
  set_.remove({});
  EXPECT_EQ(set_.stats().pending_adds, 0u);
}

TEST_F(ResidencyTest, OutlivesTheDevice) {  // row K5
  set_.add(make_buffer(8));
  setup_.device = {};
  EXPECT_EQ(set_.stats().pending_adds, 1u);
  EXPECT_FALSE(set_.enabled());
}

TEST(Residency, IsEnabledWhereTheBackendHasItAndNobodySwitchesItOff) {  // row H5
  const auto enabled = [](bool backend_has_it, bool switched_off) {
    auto hal = std::make_shared<test::FakeDevice>();
    hal->test_features.residency_sets = backend_has_it;
    DeviceOptions options;
    options.no_residency = switched_off;
    return open_fake(hal, options).value().residency().enabled();
  };
  EXPECT_TRUE(enabled(true, false));
  EXPECT_FALSE(enabled(true, true));
  EXPECT_FALSE(enabled(false, false));
}

}  // namespace
}  // namespace segue
