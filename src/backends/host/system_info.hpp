// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace segue::host {

/// The processor's model name and the widest vector instruction set in use, such as "AMD EPYC
/// (AVX3_DL)".
[[nodiscard]] std::string processor_name();

/// Processors that this process may run on, at least 1.
[[nodiscard]] unsigned usable_processor_count();

/// Bytes that the system can give without swapping; no value where it does not say.
[[nodiscard]] std::optional<std::uint64_t> available_memory_bytes();

/// Names the calling thread for debuggers and profilers; at most 15 characters count.
void name_this_thread(const char* name);

}  // namespace segue::host
