// SPDX-License-Identifier: Apache-2.0
#include "ir/command_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "support/allocation_counter.hpp"

namespace segue::ir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CommandListTest : public ::testing::Test {
 protected:
  CommandListTest() {
    for (std::uint32_t i = 0; i < storages_.size(); ++i) {
      storages_[i] = base::Ref<Storage>(new Storage);
      storages_[i]->memory = MemoryId{100 + i};
      storages_[i]->index = i;
    }
    kernel_ = base::Ref<Kernel>(new Kernel);
  }

  Command start(CommandKind kind = CommandKind::kDispatch) const {
    Command command;
    command.kind = kind;
    command.first_argument = list_.argument_total();
    command.first_range = list_.range_total();
    command.first_shared = list_.shared_total();
    return command;
  }
  /// Appends a dispatch of the kernel that reads 16 bytes of each storage and takes 4 bytes.
  void append_dispatch(std::string_view label = {}) {
    Command command = start();
    for (const auto& storage : storages_) list_.add_view(*storage, 0, 16, Access::kRead);
    list_.add_bytes(kBytes);
    command.argument_count = storages_.size() + 1;
    command.kernel = kernel_.get();
    if (!label.empty()) command.label = list_.add_name(label);
    list_.append(command);
  }
  std::vector<AccessRange> ranges(const Command& command) const {
    std::vector<AccessRange> all;
    list_.for_each_range(command, [&all](const AccessRange& range) { all.push_back(range); });
    return all;
  }

  static constexpr std::array kBytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  std::array<base::Ref<Storage>, 2> storages_;
  base::Ref<Kernel> kernel_;
  CommandList list_;
};

TEST_F(CommandListTest, KeepsEachStorageAndKernelAliveOnce) {  // rows D2, H1
  append_dispatch();
  append_dispatch();
  EXPECT_EQ(storages_[0]->reference_count(), 2U);
  EXPECT_EQ(kernel_->reference_count(), 2U);
  EXPECT_EQ(list_.resources().size(), 2U);
  list_.clear();
  EXPECT_EQ(storages_[0]->reference_count(), 1U);
  EXPECT_EQ(kernel_->reference_count(), 1U);
  EXPECT_TRUE(list_.empty());
  append_dispatch();
  EXPECT_EQ(storages_[0]->reference_count(), 2U) << "What an earlier recording held counts anew.";
}

TEST_F(CommandListTest, KeepsNothingAliveUnretained) {  // row H2
  list_.clear(false);
  append_dispatch();
  EXPECT_EQ(storages_[0]->reference_count(), 1U);
  EXPECT_EQ(kernel_->reference_count(), 1U);
  EXPECT_EQ(list_.resources().size(), 2U);
  list_.clear(true);
  EXPECT_EQ(storages_[0]->reference_count(), 1U);
  append_dispatch();
  EXPECT_EQ(storages_[0]->reference_count(), 2U);
}

TEST_F(CommandListTest, ACopyOwnsWhatItNames) {  // rows D2, D4
  append_dispatch("first");
  CommandList copy(list_);
  EXPECT_EQ(storages_[0]->reference_count(), 3U);
  EXPECT_EQ(kernel_->reference_count(), 3U);
  list_.clear();
  ASSERT_EQ(copy.size(), 1U);
  const Command& command = copy.commands()[0];
  EXPECT_EQ(copy.label_path(command), "first");
  EXPECT_EQ(copy.arguments(command)[0].storage, storages_[0].get());
  EXPECT_EQ(copy.bytes(copy.arguments(command)[2])[3], std::byte{4});
  // The copy goes on recording and still holds each object once.
  copy.add_view(*storages_[0], 0, 8, Access::kWrite);
  EXPECT_EQ(copy.resources().size(), 2U);
  EXPECT_EQ(storages_[0]->reference_count(), 2U);
  append_dispatch();
  copy = list_;
  EXPECT_EQ(storages_[0]->reference_count(), 3U);
  copy = CommandList();
  EXPECT_EQ(storages_[0]->reference_count(), 2U);
}

TEST_F(CommandListTest, MovingTakesTheReferencesAlong) {  // row D4
  append_dispatch();
  CommandList taken(std::move(list_));
  EXPECT_EQ(storages_[0]->reference_count(), 2U);
  EXPECT_EQ(taken.size(), 1U);
  list_ = CommandList();
  EXPECT_EQ(storages_[0]->reference_count(), 2U);
  append_dispatch();
  EXPECT_EQ(storages_[0]->reference_count(), 3U);
  taken.clear();
  EXPECT_EQ(storages_[0]->reference_count(), 2U);
  append_dispatch();
  EXPECT_EQ(list_.resources().size(), 2U);
  taken = std::move(list_);
  taken.add_view(*storages_[0], 0, 8, Access::kWrite);
  EXPECT_EQ(taken.resources().size(), 2U) << "It knows what the list it came from knew.";
}

TEST_F(CommandListTest, CopiesInlineBytesAndAlignsThem) {  // row A1
  std::array bytes = kBytes;
  Command command = start();
  list_.add_bytes(bytes);
  list_.add_bytes(bytes);
  command.argument_count = 2;
  list_.append(command);
  bytes[0] = std::byte{9};
  for (const Argument& argument : list_.arguments(list_.commands()[0])) {
    EXPECT_FALSE(argument.is_view());
    EXPECT_EQ(argument.size, 4U);
    EXPECT_EQ(argument.offset % 16, 0U);
    EXPECT_EQ(list_.bytes(argument)[0], std::byte{1});
  }
}

TEST_F(CommandListTest, SumsUpHowItUsesEachStorage) {  // row C12
  list_.add_view(*storages_[1], 100, 50, Access::kRead);
  list_.add_view(*storages_[1], 10, 20, Access::kRead);
  list_.add_view(*storages_[1], 500, 8, Access::kReadWrite);
  list_.add_explicit_range(*storages_[1], 700, 8, Access::kWrite);
  list_.add_view(*storages_[1], 2000, 0, Access::kReadWrite);
  list_.add_view(*storages_[0], 40, 0, Access::kWrite);
  ASSERT_EQ(list_.resources().size(), 2U);
  const ResourceUse& use = list_.resources()[0];
  EXPECT_EQ(use.storage, storages_[1].get());
  EXPECT_EQ(use.read_begin, 10U);
  EXPECT_EQ(use.read_end, 508U);
  EXPECT_EQ(use.write_begin, 500U);
  EXPECT_EQ(use.write_end, 708U);
  EXPECT_EQ(list_.resources()[1].write_begin, list_.resources()[1].write_end);
}

TEST_F(CommandListTest, ExplicitRangesReplaceWhatArgumentsAreUsedFor) {  // row C8
  list_.add_view(*storages_[1], 64, 64, Access::kReadWrite, true, false, true);
  list_.add_explicit_range(*storages_[1], 96, 8, Access::kWrite);
  list_.add_view(*storages_[0], 0, 16, Access::kReadWrite, true, true, true);
  ASSERT_EQ(list_.resources().size(), 2U) << "What is not counted is kept alive all the same.";
  const ResourceUse& use = list_.resources()[0];
  EXPECT_EQ(use.read_begin, 64U);
  EXPECT_EQ(use.read_end, 128U);
  EXPECT_EQ(use.write_begin, 96U);
  EXPECT_EQ(use.write_end, 104U);
  EXPECT_EQ(list_.resources()[1].read_end, 0U);
  EXPECT_EQ(list_.resources()[1].write_end, 0U);
  list_.drop_unowned();
}

TEST_F(CommandListTest, ARangeStandsInTheCoordinatesOfItsMemory) {  // row C3
  storages_[0]->memory_offset = 4096;
  Command command = start();
  list_.add_view(*storages_[0], 16, 8, Access::kWrite);
  list_.add_view(*storages_[0], 16, 0, Access::kWrite);
  list_.add_bytes(kBytes);
  command.argument_count = 3;
  list_.append(command);
  EXPECT_THAT(ranges(list_.commands()[0]),
              ElementsAre(AccessRange{MemoryId{100}, 4112, 4120, Access::kWrite}));
}

TEST_F(CommandListTest, ExplicitRangesReplaceTheirKindOfAccess) {  // row C1
  const AccessRange argument{MemoryId{100}, 0, 64, Access::kReadWrite};
  const AccessRange reads{MemoryId{101}, 0, 8, Access::kRead};
  const AccessRange writes{MemoryId{101}, 8, 16, Access::kWrite};
  const auto append = [&](bool explicit_reads, bool explicit_writes) {
    Command command = start();
    list_.add_view(*storages_[0], 0, 64, Access::kReadWrite);
    if (explicit_reads) list_.add_explicit_range(*storages_[1], 0, 8, Access::kRead);
    if (explicit_writes) list_.add_explicit_range(*storages_[1], 8, 8, Access::kWrite);
    command.argument_count = 1;
    command.explicit_reads = explicit_reads;
    command.explicit_writes = explicit_writes;
    command.read_count = explicit_reads ? 1 : 0;
    command.write_count = explicit_writes ? 1 : 0;
    list_.append(command);
    return ranges(list_.commands().back());
  };
  AccessRange only_reads = argument, only_writes = argument;
  only_reads.access = Access::kRead;
  only_writes.access = Access::kWrite;
  EXPECT_THAT(append(false, false), ElementsAre(argument));
  EXPECT_THAT(append(true, false), ElementsAre(only_writes, reads));
  EXPECT_THAT(append(false, true), ElementsAre(only_reads, writes));
  EXPECT_THAT(append(true, true), ElementsAre(reads, writes));
}

TEST_F(CommandListTest, AnEmptyListOfExplicitRangesSaysNothingIsTouched) {  // row C1
  Command command = start();
  list_.add_view(*storages_[0], 0, 64, Access::kReadWrite);
  command.argument_count = 1;
  command.explicit_reads = command.explicit_writes = true;
  list_.append(command);
  EXPECT_THAT(ranges(list_.commands()[0]), IsEmpty());
}

TEST_F(CommandListTest, RangesCanBeGivenToACommandLater) {  // row D3
  append_dispatch();
  Command second = start();
  second.explicit_reads = true;
  second.read_count = 1;
  list_.add_explicit_range(*storages_[1], 0, 64, Access::kRead);
  list_.append(second);
  list_.add_explicit_range(*storages_[0], 0, 8, Access::kRead);
  list_.add_explicit_range(*storages_[0], 8, 8, Access::kWrite);
  list_.set_explicit_ranges(0, 1, 1);
  Command& first = list_.mutable_commands()[0];
  first.explicit_reads = first.explicit_writes = true;
  list_.drop_unowned();
  EXPECT_THAT(ranges(first), ElementsAre(AccessRange{MemoryId{100}, 0, 8, Access::kRead},
                                         AccessRange{MemoryId{100}, 8, 16, Access::kWrite}));
  EXPECT_THAT(ranges(list_.commands()[1]),
              ElementsAre(AccessRange{MemoryId{101}, 0, 64, Access::kRead}));
}

TEST_F(CommandListTest, WhatARefusedDispatchLeftBehindIsDropped) {  // row K2
  append_dispatch();
  list_.add_view(*storages_[0], 0, 64, Access::kReadWrite);
  list_.add_explicit_range(*storages_[0], 0, 64, Access::kWrite);
  list_.add_shared_size(256);
  list_.drop_unowned();
  EXPECT_EQ(list_.argument_total(), 3U);
  EXPECT_EQ(list_.range_total(), 0U);
  EXPECT_EQ(list_.shared_total(), 0U);
  append_dispatch();
  EXPECT_EQ(list_.arguments(list_.commands()[1])[0].size, 16U);
}

TEST_F(CommandListTest, ALabelPathNamesScopesFromTheOutside) {  // row G8
  const NameId model = list_.add_name("model");
  const NameId layer = list_.add_name("layer 3", model);
  Command command = start(CommandKind::kBarrier);
  EXPECT_EQ(list_.label_path(command), "");
  command.scope = layer;
  EXPECT_EQ(list_.label_path(command), "model/layer 3");
  command.label = list_.add_name("attention");
  EXPECT_EQ(list_.label_path(command), "model/layer 3/attention");
  command.scope = NameId::kNone;
  EXPECT_EQ(list_.label_path(command), "attention");
  EXPECT_EQ(list_.name(layer), "layer 3");
  EXPECT_EQ(list_.parent(layer), model);
  EXPECT_EQ(list_.parent(model), NameId::kNone);
}

TEST_F(CommandListTest, SharedSizesAndCallbacksBelongToTheirCommand) {  // rows B2, G9
  append_dispatch();
  Command command = start(CommandKind::kNative);
  int called = 0;
  command.native_callback =
      list_.add_native_callback([&called](const NativeContext&) { ++called; });
  list_.add_shared_size(64);
  list_.add_shared_size(128);
  command.shared_count = 2;
  list_.append(command);
  const Command& native = list_.commands()[1];
  EXPECT_THAT(list_.shared_sizes(list_.commands()[0]), IsEmpty());
  EXPECT_THAT(list_.shared_sizes(native), ElementsAre(64, 128));
  list_.native_callback(native)({});
  EXPECT_EQ(called, 1);
}

TEST_F(CommandListTest, RecordingAgainAllocatesNothing) {  // rows G11, K5
  SEGUE_SKIP_UNLESS_ALLOCATIONS_COUNT();
  const auto record = [this] {
    list_.clear();
    for (int i = 0; i < 100; ++i) append_dispatch("label");
  };
  record();
  const std::uint64_t before = test::allocation_count();
  record();
  EXPECT_EQ(test::allocation_count(), before);
}

TEST(CommandKinds, HaveNames) {  // row D2
  EXPECT_EQ(to_string(CommandKind::kDispatchIndirect), "DispatchIndirect");
  EXPECT_EQ(to_string(CommandKind::kBarrier), "Barrier");
}

}  // namespace
}  // namespace segue::ir
