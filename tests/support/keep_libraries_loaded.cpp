// SPDX-License-Identifier: Apache-2.0
//
// For builds with the address sanitizer, whose leak check comes last: what Vulkan's loader, layers
// and software drivers leak is theirs, but can be told apart only while they are loaded. Tables of
// the Objective-C runtime are never freed.
extern "C" {

/// Instead of the C library's: nothing is unloaded.
int dlclose(void* /*library*/) { return 0; }

/// What the leak check leaves out, by library.
const char* __lsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier): its name
  return "leak:libvulkan\nleak:libVkLayer\nleak:libLLVM\nleak:libobjc\n";
}
}
