// SPDX-License-Identifier: Apache-2.0
//
// The residency set: staged changes, told to Metal once per commit, and never too early.
#include <cstdlib>
#include <string>
#include <vector>

#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr std::uint32_t kWords = 64;

class MetalResidency : public MetalTest {
 protected:
  [[nodiscard]] Submission commit(const Buffer& used = {}) const {
    CommandEncoder encoder = this->encoder();
    if (used) encoder.fill(used.view(), std::byte{1});
    return encoder.commit("work").value();
  }
  /// Nothing of residency may have been told.
  static void expect_none() {
    EXPECT_THAT(metal_double::log(), Each(Not(HasSubstr("esidency"))));
    EXPECT_THAT(metal_double::log(), Each(Not(HasSubstr("Allocation"))));
  }
};

TEST_F(MetalResidency, IsOneSetOfAllQueues) {  // row H5
  DeviceOptions options;
  options.queue_count = 3;
  use({}, {}, options);
  EXPECT_TRUE(device_.features().residency_sets);
  EXPECT_TRUE(device_.residency().enabled());
  EXPECT_EQ(log_count("newResidencySet"), 1U);
  EXPECT_THAT(
      log_with("addResidencySet"),
      ElementsAre("addResidencySet segue", "addResidencySet segue", "addResidencySet segue"));
}

TEST_F(MetalResidency, IsFlushedOncePerCommitThatChangesIt) {  // rows G2, H5
  const Buffer a = buffer(kWords, "a"), b = buffer(kWords, "b");
  metal_double::clear_log();
  device_.residency().add(a);
  device_.residency().add(b);
  device_.residency().add(a);
  EXPECT_THAT(metal_double::log(), IsEmpty());
  Submission first = commit(a);
  EXPECT_THAT(log_with("Allocation"),
              UnorderedElementsAre("addAllocation segue a", "addAllocation segue b"));
  EXPECT_EQ(log_count("commit segue"), 1U);
  EXPECT_EQ(log_count("requestResidency segue"), 1U);
  Submission second = commit(b);
  EXPECT_EQ(log_count("commit segue"), 1U);
  EXPECT_EQ(log_count("commit work"), 2U);
  EXPECT_EQ(device_.counters().residency_flushes, 1U);
}

TEST_F(MetalResidency, LosesBuffersOnceTheirWorkIsDone) {  // row H5
  const Buffer a = buffer(kWords, "a");
  device_.residency().add(a);
  metal_double::hold_execution(true);
  Submission first = commit(a);
  device_.residency().remove(a);
  Submission second = commit(a), third = commit();
  EXPECT_EQ(log_count("removeAllocation"), 0U);
  metal_double::hold_execution(false);
  for (Submission* each : {&first, &second, &third}) ASSERT_TRUE(each->wait().has_value());
  metal_double::clear_log();
  ASSERT_TRUE(commit().wait().has_value());
  const std::vector<std::string> log = metal_double::log();
  ASSERT_GE(log.size(), 2U);
  EXPECT_EQ(log[0], "removeAllocation segue a");
  EXPECT_EQ(log[1], "commit segue");
}

TEST_F(MetalResidency, KeepsABufferWhoseHandleIsGone) {  // rows H1, H5
  device_.residency().add(buffer(kWords, "dropped"));
  ASSERT_TRUE(commit().wait().has_value());
  EXPECT_EQ(device_.residency().stats().resident, 1U);
  // The device goes with it; the double refuses a buffer that is freed while a set contains it.
}

TEST_F(MetalResidency, DoesNotExistBeforeMacOs15) {  // row H5
  metal_double::Options old;
  old.os_major = 14;
  use(old);
  EXPECT_FALSE(device_.features().residency_sets);
  EXPECT_FALSE(device_.residency().enabled());
  const Buffer a = buffer(kWords);
  device_.residency().add(a);
  ASSERT_TRUE(commit(a).wait().has_value());
  device_.residency().remove(a);
  ASSERT_TRUE(commit(a).wait().has_value());
  ASSERT_TRUE(commit().wait().has_value());
  EXPECT_EQ(device_.residency().stats().flushes, 2U);  // it counts all the same
  expect_none();
}

TEST_F(MetalResidency, IsSwitchedOffByOption) {  // rows H5, J7
  DeviceOptions options;
  options.no_residency = true;
  use({}, {}, options);
  EXPECT_FALSE(device_.residency().enabled());
  metal_double::clear_log();
  const Buffer a = buffer(kWords);
  device_.residency().add(a);
  ASSERT_TRUE(commit(a).wait().has_value());
  expect_none();
}

TEST_F(MetalResidency, IsSwitchedOffByTheEnvironment) {  // rows H5, J7
  const char* const before = std::getenv("SEGUE_NO_RESIDENCY");
  const std::string saved = before == nullptr ? "" : before;
  setenv("SEGUE_NO_RESIDENCY", "1", 1);
  use({});
  EXPECT_FALSE(device_.residency().enabled());
  before == nullptr ? unsetenv("SEGUE_NO_RESIDENCY")
                    : setenv("SEGUE_NO_RESIDENCY", saved.c_str(), 1);
}

TEST_F(MetalResidency, CoversWhatReplaysUse) {  // rows F1, H5
  const Kernel add_one = kernel("add_one");
  Buffer a = buffer(kWords, "a");
  device_.residency().add(a);
  CommandEncoder encoder = this->encoder();
  encoder.start_capture();
  encoder.dispatch(add_one, {KernelArg::slot("x", a.view())}, threads(kWords));
  Executable executable = encoder.take_capture().value().compile(device_).value();
  metal_double::hold_execution(true);
  Submission replay = executable.submit().value();
  device_.residency().remove(a);
  Submission next = commit();
  metal_double::hold_execution(false);
  ASSERT_TRUE(replay.wait().has_value());
  ASSERT_TRUE(next.wait().has_value());
  // Not resident any more, but named by the pass.
  ASSERT_TRUE(executable.submit_and_wait().has_value());
  EXPECT_EQ(log_count("removeAllocation segue a"), 1U);
  EXPECT_THAT(words(a), Each(2U));
}

}  // namespace
}  // namespace segue::metal
