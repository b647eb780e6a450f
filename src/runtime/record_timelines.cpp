// SPDX-License-Identifier: Apache-2.0
//
// What a commit waits for and signals.
#include <utility>

#include "runtime/encoder_state.hpp"

namespace segue::runtime {

bool EncoderState::takes_timelines() {
  if (!ready()) return false;
  if (!is_capturing()) return true;
  refuse(ErrorCode::kInvalidState,
         "Timelines belong to a submission, not to the graph that is being captured; give them to "
         "Executable::submit().");
  return false;
}

void EncoderState::wait_for(const Timeline& timeline, std::uint64_t value) {
  if (!takes_timelines()) return;
  if (Result<> added = timelines_.add_wait(*core_, timeline, value); !added)
    fail(std::move(added).error());
}

void EncoderState::signal(const Timeline& timeline, std::uint64_t value) {
  if (!takes_timelines()) return;
  if (Result<> added = timelines_.add_signal(*core_, timeline, value); !added)
    fail(std::move(added).error());
}

}  // namespace segue::runtime
