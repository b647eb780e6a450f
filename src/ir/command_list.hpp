// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/storage.hpp"
#include "segue/access.hpp"
#include "segue/grid.hpp"
#include "segue/kernel.hpp"

namespace segue::ir {

/// Every kind of command. A switch without one of them does not compile (-Wswitch).
#define SEGUE_IR_COMMANDS(X)                                                                    \
  X(Dispatch)         /* arguments as the signature says */                                     \
  X(DispatchIndirect) /* as Dispatch, and one last argument: three uint32 group counts, read */ \
  X(Fill)             /* destination; every byte becomes Command::fill_byte */                  \
  X(Copy)             /* source, destination; same size */                                      \
  X(Upload)           /* destination, bytes */                                                  \
  X(Native)           /* views touched; CommandList::native_callback */                         \
  X(Barrier)          /* placed by hand: nothing moves across it */

enum class CommandKind : std::uint8_t {
#define SEGUE_IR_ENUMERATOR(name) k##name,
  SEGUE_IR_COMMANDS(SEGUE_IR_ENUMERATOR)
#undef SEGUE_IR_ENUMERATOR
};
[[nodiscard]] std::string_view to_string(CommandKind kind);

/// One argument, or one explicit range, of a command: bytes of a storage, or bytes kept in the
/// list.
struct Argument {
  Storage* storage = nullptr;  ///< Null for inline bytes.
  std::uint64_t offset = 0;    ///< In the storage, or in the list's inline bytes.
  std::uint64_t size = 0;
  Access access = Access::kRead;
  bool access_known = true;

  [[nodiscard]] bool is_view() const { return storage != nullptr; }
  [[nodiscard]] AccessRange range() const { return storage->range(offset, size, access); }
};

/// What a native callback gets when its command is lowered; the backend's header says what `object`
/// is.
struct NativeContext {
  void* object = nullptr;
};
using NativeCallback = std::function<void(const NativeContext&)>;

/// Index of a scope or label in the list's name table. 0 is none.
enum class NameId : std::uint32_t { kNone = 0 };

/// What a replay may change without recording again.
enum class SlotKind : std::uint8_t { kView, kBytes, kGrid };

/// A named slot of a recording, with the value that planning uses. Every use agrees with it.
struct Slot {
  SlotKind kind = SlotKind::kBytes;
  NameId name = NameId::kNone;
  std::uint64_t size = 0;          ///< Bytes of the view, or of the value.
  Argument view;                   ///< kView: the default.
  std::uint64_t bytes = 0;         ///< kBytes: where the default is in the list's inline bytes.
  std::uint32_t max = UINT32_MAX;  ///< kBytes of 4 bytes: the largest value that every use takes.
  Extent3 grid{0, 0, 0};           ///< kGrid: the default thread or group count, and the bound.
  std::uint32_t alignment = 1;     ///< kView: the strictest of the uses.
  Access access = Access::kRead;   ///< kView: all uses together.

  /// Takes over what another use of the slot demands.
  void merge_terms(const Slot& use) {
    max = std::min(max, use.max);
    alignment = std::max(alignment, use.alignment);
    if (access != use.access) access = Access::kReadWrite;
  }
};

/// Where a slot's value goes.
struct SlotUse {
  std::uint32_t slot = 0;
  std::uint32_t command = 0;
  std::uint32_t argument = 0;  ///< Of the command. kGrid: without meaning.
  std::uint32_t offset = 0;    ///< kBytes: in the argument.
};

/// One recorded command, plain data. Variable parts live in the list's arrays.
struct Command {
  CommandKind kind = CommandKind::kDispatch;
  OpKind op = OpKind::kOther;
  GridKind grid_kind = GridKind::kGroups;
  std::uint8_t fill_byte = 0;
  bool explicit_reads = false;   ///< `reads` replaces what the signature says.
  bool explicit_writes = false;  ///< `writes` replaces what the signature says.
  bool unannotated = false;      ///< Some access is unknown and nobody gave ranges.
  std::uint8_t argument_count = 0;
  std::uint32_t first_argument = 0;
  std::uint32_t first_range =
      0;  ///< Explicit reads, then explicit writes, in CommandList::ranges().
  std::uint16_t read_count = 0;
  std::uint16_t write_count = 0;
  std::uint32_t first_shared =
      0;  ///< Bytes of each shared parameter, in CommandList::shared_sizes().
  std::uint32_t shared_count = 0;
  std::uint32_t native_callback = 0;
  Kernel* kernel = nullptr;
  Extent3 thread_count{0, 0, 0};  ///< Exact threads, whichever way the grid was given.
  Extent3 group_size;
  Extent3 group_count{0, 0, 0};  ///< Indirect: the bound.
  NameId label = NameId::kNone;
  NameId scope = NameId::kNone;

  [[nodiscard]] bool is_dispatch() const {
    return kind == CommandKind::kDispatch || kind == CommandKind::kDispatchIndirect;
  }
  [[nodiscard]] Grid grid() const {
    return {grid_kind, grid_kind == GridKind::kThreads ? thread_count : group_count};
  }
};

/// Sets thread and group count from an extent of the command's grid kind and its group size, within
/// what was checked when it was recorded.
void set_extent(Command& command, Extent3 extent);

/// How one recording uses one storage: the hull of its reads and of its writes, in storage offsets.
/// Empty if begin == end. What the boundary to other submissions and to the host needs.
struct ResourceUse {
  Storage* storage = nullptr;
  std::uint64_t read_begin = 0, read_end = 0;
  std::uint64_t write_begin = 0, write_end = 0;

  void add(std::uint64_t begin, std::uint64_t end, Access access);
};

/// A flat list of commands that knows no backend. Reused after clear() without allocating again.
///
/// Keeps each storage and kernel it names alive once (unless told otherwise), and sums up how it
/// uses them. Not thread-safe.
class CommandList {
 public:
  explicit CommandList(bool retain = true) : retain_(retain) {}
  CommandList(const CommandList& other);
  CommandList& operator=(const CommandList& other);
  CommandList(CommandList&& other) noexcept { *this = std::move(other); }
  CommandList& operator=(CommandList&&) noexcept;
  ~CommandList() { clear(); }

  /// Empties the list, drops what it kept alive and keeps its memory. `retain` holds for the next
  /// recording.
  void clear(bool retain);
  void clear() { clear(retain_); }

  /// @name Building. Arguments are added first, then the command that owns the last
  /// `argument_count` of them.
  /// @{
  void add_view(Storage& storage, std::uint64_t offset, std::uint64_t size, Access access,
                bool access_known = true) {
    arguments_.push_back({&storage, offset, size, access, access_known});
    touch(storage, offset, offset + size, access);
  }
  /// The same for a command whose explicit ranges replace the reads or the writes of its arguments.
  void add_view(Storage& storage, std::uint64_t offset, std::uint64_t size, Access access,
                bool access_known, bool explicit_reads, bool explicit_writes) {
    arguments_.push_back({&storage, offset, size, access, access_known});
    touch(storage, 0, 0, access);
    if (reads(access) && !explicit_reads) touch(storage, offset, offset + size, Access::kRead);
    if (writes(access) && !explicit_writes) touch(storage, offset, offset + size, Access::kWrite);
  }
  /// Copies the bytes to a multiple of kBytesAlignment.
  void add_bytes(std::span<const std::byte> bytes);
  void add_shared_size(std::uint32_t bytes) { shared_sizes_.push_back(bytes); }
  void add_explicit_range(Storage& storage, std::uint64_t offset, std::uint64_t size,
                          Access access) {
    ranges_.push_back({&storage, offset, size, access, true});
    touch(storage, offset, offset + size, access);
  }
  /// Appends a command whose first_argument, first_range and first_shared are already set.
  void append(const Command& command);
  std::uint32_t add_native_callback(NativeCallback callback);
  /// The slot of that name, or -1.
  [[nodiscard]] int find_slot(std::string_view name) const;
  std::uint32_t add_slot(std::string_view name, const Slot& slot);
  /// Keeps bytes that no argument names, such as a slot's default, at a multiple of
  /// kBytesAlignment; returns where.
  std::uint64_t keep_bytes(std::span<const std::byte> bytes);
  /// Says that argument `argument` of the command being built takes the slot's value.
  void add_slot_use(std::uint32_t slot, std::uint32_t argument, std::uint32_t offset) {
    slot_uses_.push_back({slot, static_cast<std::uint32_t>(commands_.size()), argument, offset});
  }
  NameId add_name(std::string_view name, NameId parent = NameId::kNone);
  /// Removes arguments, ranges and sizes that no command owns: what a refused dispatch left behind.
  void drop_unowned();
  /// Gives command `index` the explicit ranges added since the last command, `read_count` reads
  /// first. They replace those it has.
  void set_explicit_ranges(std::uint32_t index, std::uint16_t read_count,
                           std::uint16_t write_count);
  /// @}

  /// @name Reading.
  /// @{
  [[nodiscard]] std::span<const Command> commands() const { return commands_; }
  [[nodiscard]] std::span<Command> mutable_commands() { return commands_; }
  [[nodiscard]] std::size_t size() const { return commands_.size(); }
  [[nodiscard]] bool empty() const { return commands_.empty(); }
  [[nodiscard]] std::span<const Argument> arguments(const Command& command) const {
    return {arguments_.data() + command.first_argument, command.argument_count};
  }
  [[nodiscard]] std::span<const Argument> explicit_ranges(const Command& command) const {
    return {ranges_.data() + command.first_range,
            std::size_t{command.read_count} + command.write_count};
  }
  [[nodiscard]] std::span<const std::uint32_t> shared_sizes(const Command& command) const {
    return {shared_sizes_.data() + command.first_shared, command.shared_count};
  }
  [[nodiscard]] const std::byte* bytes(const Argument& argument) const {
    return bytes_.data() + argument.offset;
  }
  /// All inline bytes, which Slot::bytes counts in.
  [[nodiscard]] const std::byte* inline_bytes() const { return bytes_.data(); }
  [[nodiscard]] const Argument& last_argument() const { return arguments_.back(); }
  [[nodiscard]] const NativeCallback& native_callback(const Command& command) const {
    return native_callbacks_[command.native_callback];
  }
  [[nodiscard]] std::span<const ResourceUse> resources() const { return resources_; }
  [[nodiscard]] std::span<const Slot> slots() const { return slots_; }
  [[nodiscard]] std::span<Slot> mutable_slots() { return slots_; }
  /// By command, ascending.
  [[nodiscard]] std::span<const SlotUse> slot_uses() const { return slot_uses_; }
  [[nodiscard]] std::span<const SlotUse> slot_uses(std::uint32_t command) const;
  [[nodiscard]] std::span<Argument> mutable_arguments(const Command& command) {
    return {arguments_.data() + command.first_argument, command.argument_count};
  }
  [[nodiscard]] std::byte* mutable_bytes(const Argument& argument) {
    return bytes_.data() + argument.offset;
  }
  [[nodiscard]] bool retains() const { return retain_; }
  /// Scopes and label of a command, joined by '/'. A command without a label has its kernel's name.
  [[nodiscard]] std::string label_path(const Command& command) const;
  [[nodiscard]] std::string_view name(NameId id) const;
  [[nodiscard]] std::size_t name_count() const { return names_.size(); }
  [[nodiscard]] NameId parent(NameId id) const;

  /// Sizes of the arrays, for a Command that is being built.
  [[nodiscard]] std::uint32_t argument_total() const {
    return static_cast<std::uint32_t>(arguments_.size());
  }
  [[nodiscard]] std::uint32_t range_total() const {
    return static_cast<std::uint32_t>(ranges_.size());
  }
  [[nodiscard]] std::uint32_t shared_total() const {
    return static_cast<std::uint32_t>(shared_sizes_.size());
  }

  /// Calls `visit(const AccessRange&)` for everything the command reads or writes: explicit ranges
  /// where given, what the signature says elsewhere. The one place where a command's footprint is
  /// defined.
  template <class Visitor>
  void for_each_range(const Command& command, Visitor&& visit) const {
    if (!(command.explicit_reads && command.explicit_writes)) {
      for (const Argument& argument : arguments(command)) {
        if (!argument.is_view() || argument.size == 0) continue;
        const bool reads = segue::reads(argument.access) && !command.explicit_reads;
        const bool writes = segue::writes(argument.access) && !command.explicit_writes;
        if (!reads && !writes) continue;
        AccessRange range = argument.range();
        range.access = reads && writes ? Access::kReadWrite
                       : reads         ? Access::kRead
                                       : Access::kWrite;
        visit(static_cast<const AccessRange&>(range));
      }
    }
    for (const Argument& range : explicit_ranges(command)) {
      if (range.size != 0) visit(static_cast<const AccessRange&>(range.range()));
    }
  }
  /// @}

 private:
  struct Name {
    NameId parent;
    std::uint32_t begin, size;
  };
  void touch(Storage& storage, std::uint64_t begin, std::uint64_t end, Access access) {
    if (storage.index >= resource_slots_.size()) [[unlikely]]
      grow_slots(resource_slots_, storage.index);
    Position& slot = resource_slots_[storage.index];
    if (slot.epoch != epoch_) [[unlikely]]
      add_resource(storage, slot);
    resources_[slot.position].add(begin, end, access);
  }
  void touch_kernel(Kernel& kernel);
  struct Position {
    std::uint64_t epoch = 0;  // of the recording that filled it
    std::uint32_t position = 0;
  };
  static void grow_slots(std::vector<Position>& slots, std::uint32_t index);
  void add_resource(Storage& storage, Position& slot);
  void retain_all();

  bool retain_ = true;
  std::uint64_t epoch_ = 1;
  std::vector<Command> commands_;
  std::vector<Argument> arguments_;
  std::vector<Argument> ranges_;
  std::size_t owned_arguments_ = 0, owned_ranges_ = 0, owned_shared_ = 0,
              owned_uses_ = 0;  // by commands; the rest is being built
  std::vector<std::uint32_t> shared_sizes_;
  std::vector<std::byte> bytes_;
  std::vector<NativeCallback> native_callbacks_;
  std::vector<Slot> slots_;
  std::vector<SlotUse> slot_uses_;
  std::vector<Name> names_;
  std::string name_text_;
  std::vector<ResourceUse> resources_;
  std::vector<Kernel*> kernels_;
  std::vector<Position> resource_slots_;
  std::vector<Position> kernel_slots_;
};

/// Of every inline argument, for kernels that load vectors from it.
inline constexpr std::size_t kBytesAlignment = 16;

inline std::uint64_t CommandList::keep_bytes(std::span<const std::byte> bytes) {
  const std::size_t offset = (bytes_.size() + kBytesAlignment - 1) & ~(kBytesAlignment - 1);
  bytes_.resize(offset);
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return offset;
}

inline void CommandList::add_bytes(std::span<const std::byte> bytes) {
  const std::uint64_t offset = keep_bytes(bytes);
  arguments_.push_back({nullptr, offset, bytes.size(), Access::kRead, true});
}

inline void CommandList::touch_kernel(Kernel& kernel) {
  if (kernel.index >= kernel_slots_.size()) [[unlikely]]
    grow_slots(kernel_slots_, kernel.index);
  Position& slot = kernel_slots_[kernel.index];
  if (slot.epoch == epoch_) [[likely]]
    return;
  slot = {epoch_, static_cast<std::uint32_t>(kernels_.size())};
  kernels_.push_back(&kernel);
  if (retain_) kernel.retain();
}

inline void CommandList::append(const Command& command) {
  assert(command.first_argument + command.argument_count == arguments_.size());
  if (command.kernel != nullptr) touch_kernel(*command.kernel);
  commands_.push_back(command);
  owned_arguments_ = arguments_.size();
  owned_ranges_ = ranges_.size();
  owned_shared_ = shared_sizes_.size();
  owned_uses_ = slot_uses_.size();
}

inline void ResourceUse::add(std::uint64_t begin, std::uint64_t end, Access access) {
  const auto widen = [begin, end](std::uint64_t& hull_begin, std::uint64_t& hull_end) {
    if (begin >= hull_begin && end <= hull_end) [[likely]]  // never so for an empty hull
      return;
    const bool empty = hull_begin == hull_end;
    hull_begin = empty || begin < hull_begin ? begin : hull_begin;
    hull_end = empty || end > hull_end ? end : hull_end;
  };
  if (begin == end) [[unlikely]]
    return;
  if (reads(access)) widen(read_begin, read_end);
  if (writes(access)) widen(write_begin, write_end);
}

}  // namespace segue::ir
