// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "segue/kernel.hpp"

namespace segue::test {

/// A parameter of a declared signature: a buffer.
inline Parameter view_parameter(std::string name, Access access) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.access = access;
  return parameter;
}

/// Inline bytes; a size of 0: any.
inline Parameter bytes_parameter(std::string name, std::uint32_t size_bytes) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.kind = ParameterKind::kBytes;
  parameter.access = Access::kRead;
  parameter.size_bytes = size_bytes;
  return parameter;
}

/// Shared memory that the dispatch sizes.
inline Parameter shared_parameter(std::string name) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.kind = ParameterKind::kShared;
  parameter.sizing = SharedSizing::kLaunch;
  return parameter;
}

}  // namespace segue::test
