// SPDX-License-Identifier: Apache-2.0
#include "ir/list_copier.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

namespace segue::ir {
namespace {

using ::testing::ElementsAre;

class ListCopierTest : public ::testing::Test {
 protected:
  ListCopierTest() {
    for (std::uint32_t i = 0; i < storages_.size(); ++i) {
      storages_[i] = base::Ref<Storage>(new Storage);
      storages_[i]->memory = MemoryId{100 + i};
      storages_[i]->index = i;
    }
    kernel_ = base::Ref<Kernel>(new Kernel);
    kernel_->name = "kernel";
  }
  [[nodiscard]] Command start(CommandKind kind = CommandKind::kDispatch) const {
    Command command;
    command.kind = kind;
    command.first_argument = from_.argument_total();
    command.first_range = from_.range_total();
    command.first_shared = from_.shared_total();
    if (kind == CommandKind::kDispatch) command.kernel = kernel_.get();
    return command;
  }
  /// A dispatch that writes bytes [16, 32) of a storage.
  void append_write(std::uint32_t storage) {
    Command command = start();
    from_.add_view(*storages_[storage], 16, 16, Access::kWrite);
    command.argument_count = 1;
    from_.append(command);
  }
  /// A dispatch with inline bytes 1 2 3 4 5 6 7 8, the last four of which are a slot.
  void append_bytes_slot(std::string_view name, std::uint32_t max = UINT32_MAX) {
    Command command = start();
    const std::array<std::uint8_t, 8> bytes{1, 2, 3, 4, 5, 6, 7, 8};
    from_.add_bytes(std::as_bytes(std::span(bytes)));
    Slot slot;
    slot.kind = SlotKind::kBytes;
    slot.size = 4;
    slot.bytes = from_.last_argument().offset + 4;
    slot.max = max;
    const int known = from_.find_slot(name);
    from_.add_slot_use(known >= 0 ? static_cast<std::uint32_t>(known) : from_.add_slot(name, slot),
                       0, 4);
    command.argument_count = 1;
    from_.append(command);
  }
  static std::uint8_t byte(const CommandList& list, std::uint64_t offset) {
    return std::to_integer<std::uint8_t>(list.inline_bytes()[offset]);
  }

  std::array<base::Ref<Storage>, 3> storages_;
  base::Ref<Kernel> kernel_;
  CommandList from_, to_;
};

TEST_F(ListCopierTest, CopiesEverythingOfACommand) {  // row E2
  Command other = start();                            // so that positions differ
  from_.add_view(*storages_[0], 16, 16, Access::kWrite);
  from_.add_explicit_range(*storages_[0], 0, 4, Access::kRead);
  from_.add_shared_size(32);
  other.argument_count = 1;
  other.read_count = 1;
  other.shared_count = 1;
  from_.append(other);
  Command command = start();
  command.argument_count = 2;
  command.read_count = command.write_count = 1;
  command.shared_count = 1;
  command.explicit_reads = command.explicit_writes = true;
  command.op = OpKind::kRope;
  command.grid_kind = GridKind::kThreads;
  command.thread_count = {5, 6, 7};
  command.group_size = {2, 3, 4};
  command.group_count = {3, 2, 2};
  const std::array<std::uint8_t, 3> bytes{7, 8, 9};
  from_.add_view(*storages_[0], 4, 12, Access::kReadWrite, false);
  from_.add_bytes(std::as_bytes(std::span(bytes)));
  from_.add_explicit_range(*storages_[1], 8, 8, Access::kRead);
  from_.add_explicit_range(*storages_[2], 0, 4, Access::kWrite);
  from_.add_shared_size(96);
  command.scope = from_.add_name("inner", from_.add_name("outer"));
  command.label = from_.add_name("label");
  from_.append(command);

  ListCopier(from_, to_).append(1);
  ASSERT_EQ(to_.size(), 1U);
  const Command& copy = to_.commands()[0];
  EXPECT_EQ(copy.kernel, kernel_.get());
  EXPECT_EQ(copy.op, OpKind::kRope);
  EXPECT_EQ(copy.grid_kind, GridKind::kThreads);
  EXPECT_EQ(copy.thread_count, (Extent3{5, 6, 7}));
  EXPECT_EQ(copy.group_size, (Extent3{2, 3, 4}));
  EXPECT_EQ(copy.group_count, (Extent3{3, 2, 2}));
  EXPECT_EQ(to_.label_path(copy), "outer/inner/label");
  const auto arguments = to_.arguments(copy);
  ASSERT_EQ(arguments.size(), 2U);
  EXPECT_EQ(arguments[0].storage, storages_[0].get());
  EXPECT_EQ(arguments[0].offset, 4U);
  EXPECT_EQ(arguments[0].size, 12U);
  EXPECT_EQ(arguments[0].access, Access::kReadWrite);
  EXPECT_FALSE(arguments[0].access_known);
  ASSERT_EQ(arguments[1].size, 3U);
  EXPECT_EQ(std::memcmp(to_.bytes(arguments[1]), bytes.data(), 3), 0);
  std::vector<AccessRange> ranges;
  to_.for_each_range(copy, [&](const AccessRange& range) { ranges.push_back(range); });
  EXPECT_THAT(ranges, ElementsAre(AccessRange{MemoryId{101}, 8, 16, Access::kRead},
                                  AccessRange{MemoryId{102}, 0, 4, Access::kWrite}));
  EXPECT_THAT(to_.shared_sizes(copy), ElementsAre(96));
}

TEST_F(ListCopierTest, CopyOutlivesTheListItWasMadeFrom) {  // row D4
  append_write(0);
  ListCopier(from_, to_).append(0);
  from_.clear();
  storages_[0] = {};
  kernel_ = {};
  EXPECT_EQ(to_.arguments(to_.commands()[0])[0].storage->memory, MemoryId{100});
  EXPECT_EQ(to_.commands()[0].kernel->name, "kernel");
}

TEST_F(ListCopierTest, CopiesNativeCallbacks) {  // row G9
  int calls = 0;
  Command command = start(CommandKind::kNative);
  from_.add_native_callback([](const NativeContext&) {});
  command.native_callback = from_.add_native_callback([&calls](const NativeContext&) { ++calls; });
  from_.append(command);
  ListCopier(from_, to_).append(0);
  to_.native_callback(to_.commands()[0])({});
  EXPECT_EQ(calls, 1);
}

TEST_F(ListCopierTest, SharedScopesAreCopiedOnce) {  // row E2
  const NameId scope = from_.add_name("scope");
  for (int i = 0; i < 3; ++i) {
    append_write(0);
    from_.mutable_commands().back().scope = scope;
  }
  ListCopier copier(from_, to_);
  for (std::uint32_t i = 0; i < 3; ++i) copier.append(i);
  EXPECT_EQ(to_.name_count(), 1U);
  for (const Command& command : to_.commands()) EXPECT_EQ(to_.label_path(command), "scope/kernel");
}

TEST_F(ListCopierTest, SlotsKeepDefaultAndUses) {  // row F2
  append_write(0);
  append_bytes_slot("position", 9);
  append_bytes_slot("position", 9);
  Command command = start();
  from_.add_view(*storages_[1], 8, 16, Access::kWrite);
  Slot view;
  view.kind = SlotKind::kView;
  view.size = 16;
  view.view = from_.last_argument();
  view.alignment = 4;
  view.access = Access::kWrite;
  from_.add_slot_use(from_.add_slot("target", view), 0, 0);
  Slot grid;
  grid.kind = SlotKind::kGrid;
  grid.grid = {4, 1, 1};
  from_.add_slot_use(from_.add_slot("rows", grid), 0, 0);
  command.argument_count = 1;
  from_.append(command);

  ListCopier copier(from_, to_);
  for (const std::uint32_t i : {3U, 1U, 2U}) copier.append(i);
  ASSERT_EQ(to_.slots().size(), 3U);
  const auto slot = [this](std::string_view name) {
    return static_cast<std::uint32_t>(to_.find_slot(name));
  };
  const Slot& position = to_.slots()[slot("position")];
  EXPECT_EQ(position.max, 9U);
  EXPECT_EQ(byte(to_, position.bytes), 5);
  EXPECT_EQ(byte(to_, position.bytes + 3), 8);
  EXPECT_EQ(to_.slots()[slot("target")].view.storage, storages_[1].get());
  EXPECT_EQ(to_.slots()[slot("target")].view.offset, 8U);
  EXPECT_EQ(to_.slots()[slot("target")].alignment, 4U);
  EXPECT_EQ(to_.slots()[slot("rows")].grid, (Extent3{4, 1, 1}));
  std::vector<std::array<std::uint32_t, 4>> uses;
  for (const SlotUse& use : to_.slot_uses())
    uses.push_back({use.slot, use.command, use.argument, use.offset});
  EXPECT_THAT(uses, ElementsAre(std::array{slot("target"), 0U, 0U, 0U},
                                std::array{slot("rows"), 0U, 0U, 0U},
                                std::array{slot("position"), 1U, 0U, 4U},
                                std::array{slot("position"), 2U, 0U, 4U}));
}

TEST_F(ListCopierTest, SlotsOfOneNameBecomeOneWithTheStricterTerms) {  // row F2
  append_bytes_slot("position", 9);
  CommandList other;
  ListCopier(from_, other).append(0);
  from_.clear();
  append_bytes_slot("position", 5);
  ListCopier(from_, other).append(0);
  ASSERT_EQ(other.slots().size(), 1U);
  EXPECT_EQ(other.slots()[0].max, 5U);
  EXPECT_EQ(other.slot_uses().size(), 2U);
}

TEST_F(ListCopierTest, RelocatesArgumentsRangesAndDefaults) {  // row E9
  Command command = start();
  from_.add_view(*storages_[0], 8, 16, Access::kRead);
  Slot view;
  view.kind = SlotKind::kView;
  view.size = 16;
  view.view = from_.last_argument();
  from_.add_slot_use(from_.add_slot("source", view), 0, 0);
  from_.add_explicit_range(*storages_[0], 4, 4, Access::kWrite);
  command.explicit_writes = true;
  command.argument_count = 1;
  command.write_count = 1;
  from_.append(command);
  ListCopier(from_, to_, [this](Storage& storage) -> Relocation {
    return &storage == storages_[0].get() ? Relocation{storages_[2].get(), 100}
                                          : Relocation{&storage, 0};
  }).append(0);
  EXPECT_EQ(to_.arguments(to_.commands()[0])[0].storage, storages_[2].get());
  EXPECT_EQ(to_.arguments(to_.commands()[0])[0].offset, 108U);
  EXPECT_EQ(to_.explicit_ranges(to_.commands()[0])[0].storage, storages_[2].get());
  EXPECT_EQ(to_.explicit_ranges(to_.commands()[0])[0].offset, 104U);
  EXPECT_EQ(to_.slots()[0].view.storage, storages_[2].get());
  EXPECT_EQ(to_.slots()[0].view.offset, 108U);
  ASSERT_EQ(to_.resources().size(), 1U);
}

}  // namespace
}  // namespace segue::ir
