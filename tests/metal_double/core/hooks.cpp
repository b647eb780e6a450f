// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "metal_double/core/scheduler.hpp"
#include "metal_double/double.hpp"

namespace metal_double {

void reset(Options options) {
  Scheduler::get().finish_all();
  World::get().forget();
  World::get().set_options(std::move(options));
  Scheduler::get().begin_anew();
}

void set_options(Options options) { World::get().set_options(std::move(options)); }

Options options() { return *World::get().options(); }

std::vector<std::string> violations() { return World::get().violations(false); }

std::vector<std::string> take_violations() { return World::get().violations(true); }

std::map<std::string, long> live_objects() {
  Scheduler::get().drain();
  return World::get().live();
}

std::vector<std::string> log(unsigned device) { return World::get().device(device)->log(); }

void clear_log() {
  for (unsigned i = 0; i < World::get().options()->devices.size(); ++i) {
    World::get().device(i)->clear_log();
  }
}

void fail_nth_call(std::uint64_t n) { World::get().fail_nth(n); }

std::uint64_t calls_made() { return World::get().creations().size(); }

std::vector<std::string> call_names() { return World::get().creations(); }

void fail_command_buffer(std::uint64_t n, long code, unsigned pass) {
  World::get().plan_failure(n, {code, pass});
}

void lose_device(long code) { Scheduler::get().lose(code); }

void hold_execution(bool hold) { Scheduler::get().hold(hold); }

void drain() { Scheduler::get().drain(); }

std::uint64_t dispatches_run() { return Scheduler::get().dispatches_run(); }

void set_compiler(Compiler compiler) { World::get().set_compiler(std::move(compiler)); }

}  // namespace metal_double
