// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "graph/contraction.hpp"
#include "graph/dependencies.hpp"
#include "segue/error.hpp"
#include "segue/fusion.hpp"

namespace segue::graph {

inline constexpr std::size_t kMinFusionSteps = 2;
inline constexpr std::size_t kMaxFusionSteps = 8;

/// One command for each step of a pattern, ascending.
struct FusionMatch {
  const FusionPattern* pattern = nullptr;
  std::array<std::uint32_t, kMaxFusionSteps> commands{};

  [[nodiscard]] std::span<const std::uint32_t> members() const {
    return {commands.data(), pattern->steps.size()};
  }
  [[nodiscard]] std::uint32_t command(FusionPoint point) const { return commands[point.node]; }
  [[nodiscard]] const ir::Argument& argument(const ir::CommandList& list, FusionPoint point) const {
    return list.arguments(list.commands()[command(point)])[point.argument];
  }
};

/// Whether a pattern can match at all: steps, links between them that connect all, a replacement.
///
/// @error kInvalidArgument  In a sentence that names the pattern, or its position without a name.
Result<> check_pattern(const FusionPattern& pattern, std::size_t position);

/// "4 "layer 0/mul"": a command in a sentence.
[[nodiscard]] std::string describe_command(const ir::CommandList& list, std::uint32_t command);

/// The dispatches that read exactly the same bytes, ascending. Made when first asked for: few
/// patterns look for siblings.
class ReaderIndex {
 public:
  explicit ReaderIndex(const ir::CommandList& list) : list_(list) {}
  struct Reader {
    MemoryId memory;
    std::uint64_t begin, end;
    std::uint32_t command;
    friend auto operator<=>(const Reader&, const Reader&) = default;
  };
  [[nodiscard]] std::span<const Reader> of(const AccessRange& bytes);

 private:
  void make();

  const ir::CommandList& list_;
  bool made_ = false;
  std::vector<Reader> readers_;
};

/// Finds the dispatches that fit a pattern's steps and links, whether or not they may be fused.
class FusionMatcher {
 public:
  FusionMatcher(const ir::CommandList& list, const Dependencies& dependencies, ReaderIndex& readers,
                const Contraction& contraction, const FusionPattern& pattern);

  using Visitor = std::function<bool(const FusionMatch&)>;
  /// Calls `visit` for the matches whose first step is `first` until it returns true. Matches that
  /// use a contracted command do not count. Gives up after a fixed number of attempts, so that a
  /// value with a thousand readers does not take a thousand times a thousand.
  void find(std::uint32_t first, const Visitor& visit);

 private:
  /// How one step is found from those found before: across a link.
  struct Move {
    std::uint8_t step = 0;
    const FusionLink* link = nullptr;
    bool forwards = false;  // the step is the link's `to`
  };

  void plan_moves();
  bool extend(std::size_t depth);
  bool try_command(std::size_t depth, std::uint32_t command);
  bool try_shared(std::size_t depth);
  [[nodiscard]] bool fits(std::uint8_t step, std::uint32_t command) const;
  [[nodiscard]] bool link_fits(const FusionLink& link) const;
  [[nodiscard]] bool found(std::uint8_t step) const { return (found_ >> step & 1U) != 0; }

  const ir::CommandList& list_;
  const Dependencies& dependencies_;
  ReaderIndex& readers_;
  const Contraction& contraction_;
  const FusionPattern& pattern_;
  std::vector<Move> moves_;  // for each step but the first

  const Visitor* visit_ = nullptr;
  FusionMatch match_;
  std::uint32_t found_ = 0;  // a bit for each step
  std::uint32_t attempts_left_ = 0;
  std::uint32_t matches_left_ = 0;
};

}  // namespace segue::graph
