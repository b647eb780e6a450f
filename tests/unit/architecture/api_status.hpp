// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "support/api_status_table.hpp"
#include "unit/architecture/public_api.hpp"

namespace segue::architecture {

/// What is wrong with docs/api-status.md, one sentence each: a method without a row or with two, a
/// row without a method, a cell that says something else than is allowed, a no or partly without a
/// footnote, a footnote that is missing, written twice or unused, a backend that is there for some
/// methods only.
std::vector<std::string> status_faults(const test::StatusTable& table,
                                       const std::vector<ApiMethod>& api);

}  // namespace segue::architecture
