// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "metal_double/msl/module.hpp"

/// A double of Metal, for machines without it: what a test says to it and asks of it. It records
/// messages, counts objects, runs work in orders that Metal allows, and notes each broken rule.
namespace metal_double {

/// In which order work runs that nothing orders.
enum class Order : std::uint8_t {
  kInOrder,   ///< As encoded; a queue also waits for its earlier work, as some drivers do.
  kReversed,  ///< Whatever may run and was encoded last.
  kRandom,    ///< Any that may run; the seed is printed.
};

/// The machine that the double plays. Sizes are in bytes.
struct Options {
  unsigned os_major = 15;
  unsigned os_minor = 0;
  std::vector<std::string> devices{"Metal double"};
  /// Values of MTLGPUFamily.
  std::vector<long> families{1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008,
                             1009, 2001, 2002, 3001, 3002, 3003, 5001};
  bool unified_memory = true;
  bool indirect_command_buffers = true;
  bool capture_to_file = true;
  bool timestamp_counters = true;  ///< At the boundaries of passes.
  std::uint64_t max_buffer_length = std::uint64_t{8} << 30;
  std::uint64_t recommended_working_set = std::uint64_t{8} << 30;
  std::uint64_t memory_limit = std::uint64_t{16} << 30;  ///< More cannot be allocated.
  std::uint64_t max_threadgroup_memory = 32768;
  std::uint64_t max_threads_per_threadgroup = 1024;
  std::uint64_t max_indirect_commands = 16384;
  std::uint64_t max_command_buffers = 64;  ///< Of a queue for which none are given.
  std::uint64_t page_size = 0;             ///< 0: the system's.
  double gpu_ticks_per_ns = 1.0;           ///< Of the clock of counters and sampleTimestamps.
  Order order = Order::kInOrder;
  std::uint64_t seed = 0;  ///< 0: a new one.
  /// How long an idle device waits for more work before it chooses; not if somebody waits for it.
  std::chrono::microseconds window{200};
  bool signals_in_queue_order = true;  ///< Else a signal waits for its own command buffer only.
  bool signal_after_failure = false;   ///< A failed command buffer still signals its events.
  bool print_violations = true;
  bool keep_log = true;  ///< Long programs that no test reads the messages of do without.
};

/// Waits for all work, then forgets everything: messages, violations, counts, plans of failures.
/// Objects that are still alive go on to work but count no more.
void reset(Options options = {});
/// Takes effect for later calls; objects stay as they are.
void set_options(Options options);
[[nodiscard]] Options options();

/// Each broken rule since reset(), one sentence each.
[[nodiscard]] std::vector<std::string> violations();
[[nodiscard]] std::vector<std::string> take_violations();

/// Objects that were created since reset() and are alive, by class or protocol. Waits for all work.
[[nodiscard]] std::map<std::string, long> live_objects();

/// The messages that a device and its objects got, in order.
[[nodiscard]] std::vector<std::string> log(unsigned device = 0);
void clear_log();

/// Makes the n-th creation from now on return nil, n from 1; 0: none.
void fail_nth_call(std::uint64_t n);
/// Creations since reset() or the last fail_nth_call(), failed ones too.
[[nodiscard]] std::uint64_t calls_made();
[[nodiscard]] std::vector<std::string> call_names();

/// Makes the n-th command buffer that is committed from now on fail in its pass `pass` (from 0),
/// with a value of MTLCommandBufferError. May be called for several. With one that says that the
/// device is gone, access revoked or device removed, everything after it fails, too.
void fail_command_buffer(std::uint64_t n, long code, unsigned pass = 0);
/// Fails all command buffers, those in flight too. Default: MTLCommandBufferErrorDeviceRemoved.
void lose_device(long code = 11);

/// While held, no dispatch runs. Lets a test act while work is in flight.
void hold_execution(bool hold);
/// Returns when nothing that is committed can go on, and all handlers were called.
void drain();

/// How many dispatches ran since reset().
[[nodiscard]] std::uint64_t dispatches_run();

using Compiler = std::function<std::expected<std::shared_ptr<msl::Module>, std::string>(
    std::string_view source, const std::map<std::string, std::string>& macros)>;
/// What makes libraries of source text; nullptr: msl::Module::compile. Stays over reset().
void set_compiler(Compiler compiler);

}  // namespace metal_double
