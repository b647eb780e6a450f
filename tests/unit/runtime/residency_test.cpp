// SPDX-License-Identifier: Apache-2.0
#include "segue/residency.hpp"

#include <gtest/gtest.h>

#include "runtime/buffer_state.hpp"
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

/// A device whose backend keeps memory resident.
class ResidencyOfBackend : public testing::Test {
 protected:
  static std::shared_ptr<test::FakeDevice> make_hal() {
    test::FakeOptions options;
    options.completion = Completion::kManual;
    auto hal = std::make_shared<test::FakeDevice>(options);
    hal->test_features.residency_sets = true;
    return hal;
  }
  Submission commit(const Buffer& buffer = {}) {
    CommandEncoder encoder = device_.create_encoder().value();
    if (buffer) encoder.fill(buffer.view(), std::byte{1});
    return encoder.commit().value();
  }

  std::shared_ptr<test::FakeDevice> hal_ = make_hal();
  Device device_ = open_fake(hal_, {}).value();
  ResidencySet set_ = device_.residency();
};

TEST_F(ResidencyOfBackend, IsTheBackendsFromFlushToFlush) {  // row H5
  BufferDesc desc;
  desc.size_bytes = 16;
  Buffer buffer = device_.create_buffer(desc).value();
  void* const native = buffer.state()->native;
  set_.add(buffer);
  EXPECT_TRUE(hal_->resident().empty());
  const Submission first = commit(buffer);
  EXPECT_TRUE(hal_->resident().contains(native));
  set_.remove(buffer);
  buffer = {};  // The set holds the last handle now.
  const Submission second = commit();
  EXPECT_TRUE(hal_->resident().contains(native)) << "work that uses it is in flight";
  hal_->queue().complete_all();
  const Submission third = commit();
  EXPECT_TRUE(hal_->resident().empty());
  EXPECT_EQ(set_.stats().resident, 0u);
  hal_->queue().complete_all();
}

TEST_F(ResidencyOfBackend, ReachesDeferredBuffersOnceTheyHaveMemory) {  // row H5
  BufferDesc desc;
  desc.size_bytes = 16;
  desc.deferred = true;
  const Buffer buffer = device_.create_buffer(desc).value();
  set_.add(buffer);
  const Submission first = commit();
  EXPECT_EQ(set_.stats().resident, 1u);
  EXPECT_TRUE(hal_->resident().empty());
  const Submission second = commit(buffer);
  EXPECT_TRUE(hal_->resident().contains(buffer.state()->native));
  EXPECT_EQ(set_.stats().flushes, 1u);
  hal_->queue().complete_all();
}

TEST_F(ResidencyOfBackend, LastsAsLongAsAnyPartOfTheMemoryIsToStay) {  // row H5
  BufferDesc desc;
  desc.size_bytes = 32;
  desc.deferred = true;
  const Buffer whole = device_.create_buffer(desc).value();
  desc.size_bytes = 16;
  const Buffer low = runtime::create_part(whole, 0, desc);
  const Buffer high = runtime::create_part(whole, 16, desc);
  set_.add(low);
  set_.add(high);
  const Submission first = commit(low);
  const Submission second = commit(high);
  EXPECT_TRUE(hal_->resident().contains(whole.state()->native));
  hal_->queue().complete_all();
  set_.remove(low);
  const Submission third = commit();
  hal_->queue().complete_all();
  const Submission fourth = commit();
  EXPECT_EQ(set_.stats().resident, 1u);
  EXPECT_TRUE(hal_->resident().contains(whole.state()->native));
  set_.remove(high);
  const Submission fifth = commit();
  hal_->queue().complete_all();
  const Submission sixth = commit();
  EXPECT_TRUE(hal_->resident().empty());
  hal_->queue().complete_all();
}

TEST(Residency, EndsWithItsDevice) {  // row H5, K5
  auto hal = std::make_shared<test::FakeDevice>();
  hal->test_features.residency_sets = true;
  Device device = open_fake(hal, {}).value();
  BufferDesc desc;
  desc.size_bytes = 16;
  device.residency().add(device.create_buffer(desc).value());
  static_cast<void>(device.create_encoder().value().commit().value());
  EXPECT_EQ(hal->resident().size(), 1U);
  device = {};
  EXPECT_TRUE(hal->resident().empty()) << "the buffer is gone";
}

TEST(Residency, SwitchedOffReachesNoBackend) {  // row H5
  auto hal = std::make_shared<test::FakeDevice>();
  hal->test_features.residency_sets = true;
  DeviceOptions options;
  options.no_residency = true;
  Device device = open_fake(hal, options).value();
  BufferDesc desc;
  desc.size_bytes = 16;
  device.residency().add(device.create_buffer(desc).value());
  const Submission work = device.create_encoder().value().commit().value();
  EXPECT_EQ(device.residency().stats().resident, 1u);
  EXPECT_TRUE(hal->resident().empty());
}

}  // namespace
}  // namespace segue
