// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace segue {

/// What an independent check of a plan found: each pair of commands compared range by range,
/// without the dependency relation, the tracker or the planner that made the plan.
struct Certificate {
  std::uint32_t dispatches = 0;
  std::uint32_t barriers = 0;
  std::uint32_t requested = 0;         ///< Barriers that stand where one was placed by hand.
  std::uint32_t critical_path = 0;     ///< Commands in the longest chain, found anew.
  std::vector<std::string> missing;    ///< Pairs in conflict with no barrier between them.
  std::vector<std::string> needless;   ///< Barriers that no pair and no hand-placed one needs.
  std::vector<std::string> malformed;  ///< Commands lost or run twice, memory shared while alive.

  /// Nothing missing and nothing malformed: the plan gives the results of serial execution.
  [[nodiscard]] bool valid() const { return missing.empty() && malformed.empty(); }
  /// Valid, and no barrier of it can go.
  [[nodiscard]] bool tight() const { return valid() && needless.empty(); }
  /// Valid, and no order of the commands needs fewer barriers.
  [[nodiscard]] bool minimal() const {
    return valid() && barriers == (critical_path == 0 ? 0 : critical_path - 1);
  }
  /// A sentence, and one line for each finding.
  [[nodiscard]] std::string to_string() const;
};

}  // namespace segue
