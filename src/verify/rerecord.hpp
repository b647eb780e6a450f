// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "segue/buffer.hpp"
#include "segue/encoder.hpp"
#include "segue/error.hpp"
#include "segue/graph.hpp"

namespace segue::verify {

/// Gives the view that a command is to use instead of one of its own.
using MoveView = std::function<Result<BufferView>(const BufferView&)>;

/// Why a command cannot be recorded with other views; empty if it can.
[[nodiscard]] std::string obstacle(const GraphNode& node);

/// Records a captured command with other views.
///
/// @pre    obstacle(node) is empty.
/// @error  Those of `move`. What the encoder refuses, its commit() returns.
[[nodiscard]] Result<> rerecord(CommandEncoder& encoder, const GraphNode& node,
                                const MoveView& move);

}  // namespace segue::verify
