// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "graph/certificate.hpp"
#include "segue/certificate.hpp"

namespace segue::runtime {

/// What users see of an independent check of a plan: each finding a sentence.
[[nodiscard]] Certificate certify(const ir::Plan& plan);

}  // namespace segue::runtime
