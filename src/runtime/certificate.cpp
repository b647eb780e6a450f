// SPDX-License-Identifier: Apache-2.0
#include "runtime/certificate.hpp"

#include <fmt/format.h>

namespace segue {

std::string Certificate::to_string() const {
  std::string text = fmt::format(
      "{} dispatches, {} barriers ({} asked for), critical path {}: {} missing, {} needless.\n",
      dispatches, barriers, requested, critical_path, missing.size(), needless.size());
  for (const auto* findings : {&malformed, &missing, &needless}) {
    for (const std::string& finding : *findings) text.append("  ").append(finding).append("\n");
  }
  return text;
}

namespace runtime {

Certificate certify(const ir::Plan& plan) {
  const graph::Certificate certificate = graph::certify(plan);
  Certificate result;
  result.dispatches = static_cast<std::uint32_t>(plan.order.size());
  result.barriers = certificate.barriers;
  result.requested = certificate.requested;
  result.critical_path = certificate.critical_path;
  result.malformed = certificate.malformed;
  for (const graph::MissingOrder& order : certificate.missing)
    result.missing.push_back(graph::describe(certificate, order));
  for (const std::uint32_t group : certificate.needless) {
    result.needless.push_back(
        fmt::format("Nothing needs the barrier between groups {} and {}.", group, group + 1));
  }
  return result;
}

}  // namespace runtime
}  // namespace segue
