// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "metal_double/core/resources.hpp"

namespace metal_double {

/// A dispatch as it was asked for.
struct DispatchRequest {
  GridSize grid;
  GridSize group_size;
  bool by_threads = false;  ///< `grid` counts threads, else groups.
  Slot indirect;            ///< If bound, `grid` is read from it.
};

/// For sentences and the log: 4x1x1.
std::string to_string(const GridSize& size);

/// False, with a violation, if Metal does not take a binding of `length` bytes, or of a buffer at
/// `offset`, at `index`. `where` begins the sentence.
bool check_index(std::string_view where, unsigned long index);
bool check_buffer(std::string_view where, const BufferCore* buffer, std::uint64_t offset);
bool check_threadgroup_length(std::string_view where, std::uint64_t length);

/// The dispatch, or nothing and a violation.
std::optional<Dispatch> check_dispatch(std::string_view where, const Bindings& bindings,
                                       const DispatchRequest& request);

/// Whether the family has groups that do not divide the grid.
bool has_nonuniform_groups(const Options& options);

}  // namespace metal_double
