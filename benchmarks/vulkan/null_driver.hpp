// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/vulkan/create_context.hpp"

namespace segue::bench {

/// The mock driver of the Vulkan tools does nothing and says so: it reports hardly any feature and
/// limit. This gives it those that the backend asks for, and semaphores that are always signalled,
/// so that what is left of any time is the library's own. Does nothing to other drivers.
void complete_null_driver(vulkan::Api& api);

}  // namespace segue::bench
