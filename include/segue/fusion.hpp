// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "segue/access.hpp"
#include "segue/grid.hpp"
#include "segue/kernel.hpp"

namespace segue {

namespace ir {
class CommandList;
}

/// A captured dispatch as a fusion pattern sees it. Borrows; valid during the call it is given to.
class FusionNode {
 public:
  FusionNode(const ir::CommandList& list, std::uint32_t command)
      : list_(&list), command_(command) {}

  [[nodiscard]] OpKind op() const;
  [[nodiscard]] std::string_view kernel_name() const;
  [[nodiscard]] bool runs(const Kernel& kernel) const;
  [[nodiscard]] Grid grid() const;
  [[nodiscard]] std::size_t argument_count() const;
  /// False for inline bytes, and for an argument that does not exist.
  [[nodiscard]] bool is_view(std::size_t argument) const;
  /// The bytes of a view, with the access that the kernel's signature gives. Empty for inline
  /// bytes.
  [[nodiscard]] AccessRange range(std::size_t argument) const;
  /// The inline bytes of an argument. Empty for a view.
  [[nodiscard]] std::span<const std::byte> bytes(std::size_t argument) const;
  /// The inline bytes as a value, if they have its size.
  template <class T>
  [[nodiscard]] std::optional<T> value(std::size_t argument) const {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::span<const std::byte> from = bytes(argument);
    if (from.size() != sizeof(T)) return std::nullopt;
    T value{};
    std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }
  /// The name of the slot that fills this view, or the inline bytes from `offset_bytes` on; empty
  /// if none does.
  [[nodiscard]] std::string_view slot(std::size_t argument, std::size_t offset_bytes = 0) const;
  /// Position in the graph.
  [[nodiscard]] std::uint32_t index() const { return command_; }

 private:
  const ir::CommandList* list_;
  std::uint32_t command_;
};

/// How two arguments of a pattern's dispatches are related: both are the same bytes, and
enum class FusionFlow : std::uint8_t {
  kEliminated,  ///< the consumer reads what the producer wrote, which disappears.
  kKept,        ///< the consumer reads what the producer wrote, and the fused kernel writes it too.
  kShared,      ///< both read the same value.
};

/// Argument `argument` of the pattern's dispatch `node`.
struct FusionPoint {
  std::uint8_t node = 0;
  std::uint8_t argument = 0;
};

struct FusionLink {
  FusionFlow flow = FusionFlow::kEliminated;
  FusionPoint from;  ///< The producer's output, or one reader.
  FusionPoint to;    ///< The consumer's input, or another reader.
};

/// What one dispatch of a pattern must be.
struct FusionStep {
  OpKind op = OpKind::kOther;
  /// More conditions on the dispatch alone, such as its kernel. Empty: none.
  std::function<bool(const FusionNode&)> accepts = {};
};

/// Where an argument of the fused dispatch comes from.
class FusedArgument {
 public:
  /// The same view or bytes, slots included, as a dispatch of the pattern has.
  [[nodiscard]] static FusedArgument take(std::uint8_t node, std::uint8_t argument) {
    FusedArgument fused;
    fused.source = FusionPoint{node, argument};
    return fused;
  }
  /// A slot of some bytes that are copied from a dispatch of the pattern.
  struct CarriedSlot {
    FusionPoint from;
    std::uint32_t from_offset = 0;
    std::uint32_t offset = 0;
    std::uint32_t size_bytes = 4;
  };
  /// New inline bytes. Each of `slots` that is a slot there becomes one here; the other bytes stay
  /// as they are given.
  template <class T>
  [[nodiscard]] static FusedArgument bytes(const T& value, std::vector<CarriedSlot> slots = {}) {
    static_assert(std::is_trivially_copyable_v<T>);
    FusedArgument fused;
    fused.content.resize(sizeof(T));
    std::memcpy(fused.content.data(), &value, sizeof(T));
    fused.slots = std::move(slots);
    return fused;
  }

  std::optional<FusionPoint> source;
  std::vector<std::byte> content;
  std::vector<CarriedSlot> slots;
};

/// What takes the place of a match.
struct FusedDispatch {
  Kernel kernel;
  OpKind op = OpKind::kOther;
  Grid grid;
  std::vector<FusedArgument> arguments;
};

/// A sequence of dispatches that one kernel can replace.
///
/// The library finds the dispatches and proves that replacing them changes nothing: that the links
/// hold byte for byte, that every eliminated value lies in transient memory, is read by nobody else
/// and is overwritten by nobody in between, that no other dispatch has to run between the replaced
/// ones, that no hand-placed barrier stands between them, and that the fused dispatch touches
/// everything that they touched but for the eliminated values, no more than that, and takes over
/// their slots. The pattern knows its kernels: which shapes and parameters fit, how the new
/// arguments come about, and which views may overlap that one of the dispatches was given already.
struct FusionPattern {
  std::string name;
  std::vector<FusionStep> steps;  ///< 2 to 8 dispatches, in recorded order, no matter what stands
                                  ///< between them. Links connect all of them.
  std::vector<FusionLink> links;
  /// The replacement, or a sentence why these dispatches cannot be fused.
  std::function<std::expected<FusedDispatch, std::string>(std::span<const FusionNode>)> fuse;
  /// 0: the same bits as the separate kernels. Otherwise the largest relative error (L2 norm of the
  /// difference over that of the result) of any output against double precision.
  double tolerance = 0;
};

/// Dispatches that fit a pattern's steps and links but were left alone, and why. One for each first
/// dispatch: the first match's reason.
struct FusionRefusal {
  std::string pattern;
  std::uint32_t command = 0;  ///< The first of them, as a position in the graph at that time.
  std::string reason;
};

struct FusionReport {
  struct Fired {
    std::string pattern;
    std::uint32_t count = 0;
  };
  std::vector<Fired> fired;  ///< One for each pattern given, in the same order.
  std::vector<FusionRefusal> refusals;
  std::uint32_t dispatches_before = 0;
  std::uint32_t dispatches_after = 0;
};

}  // namespace segue
