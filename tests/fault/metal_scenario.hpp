// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "metal_double/double.hpp"
#include "segue/device.hpp"
#include "segue/executable.hpp"
#include "segue/metal.hpp"
#include "segue/ops.hpp"

namespace segue::test {

/// A machine that the double plays, and how a program opens it.
struct Machine {
  const char* name = "";
  metal_double::Options options;
  metal::MetalOptions metal;

  friend std::ostream& operator<<(std::ostream& out, const Machine& machine) {
    return out << machine.name;
  }
};
/// Apple silicon with all there is.
[[nodiscard]] Machine unified_machine();
/// A graphics card whose memory the host does not see.
[[nodiscard]] Machine discrete_machine();
/// macOS 14 on M1: no residency sets, and pipelines of indirect commands must be set beforehand.
[[nodiscard]] Machine m1_machine();
/// Replays encode each command again; no timestamps of passes; all options that help debugging.
[[nodiscard]] Machine reencoding_machine();

/// A program on the double of Metal, one phase after the other. Each object is made once and kept,
/// so that running a phase again goes on with what an earlier attempt left.
class MetalScenario {
 public:
  using Words = std::vector<std::uint32_t>;
  enum class Phase : std::uint8_t {
    kOpen,
    kAllocate,   ///< Shared, private and imported memory.
    kTransfer,   ///< Between host and device.
    kCompile,    ///< Kernels of the user's; built-in ones compile when they are first used.
    kSubmit,     ///< Recordings on two queues.
    kTimelines,  ///< Two queues and the host in turns; export and import.
    kTrace,      ///< A capture to a file.
    kLink,       ///< A graph with slots of all kinds.
    kReplay,
  };
  static constexpr std::array kPhases{Phase::kOpen,    Phase::kAllocate, Phase::kTransfer,
                                      Phase::kCompile, Phase::kSubmit,   Phase::kTimelines,
                                      Phase::kTrace,   Phase::kLink,     Phase::kReplay};

  explicit MetalScenario(metal::MetalOptions options = {});
  MetalScenario(const MetalScenario&) = delete;
  MetalScenario& operator=(const MetalScenario&) = delete;
  ~MetalScenario();

  /// Runs one phase; those before it have succeeded.
  ///
  /// @error  What a call of the phase fails with; or kCorruptData if all succeed with wrong
  /// results.
  [[nodiscard]] Result<> run(Phase phase);
  /// Runs the phases before `phase`, then `phase`.
  [[nodiscard]] Result<> run_through(Phase phase);
  /// Gives everything up.
  void close();

  [[nodiscard]] const Device& device() const { return device_; }
  [[nodiscard]] const Buffer& small() const { return small_; }
  [[nodiscard]] const Buffer& unmapped() const { return unmapped_; }
  [[nodiscard]] const Kernel& add_one() const { return add_one_; }
  /// Null until there is one.
  [[nodiscard]] CommandEncoder* encoder(unsigned queue) {
    return encoders_[queue] ? &*encoders_[queue] : nullptr;
  }
  [[nodiscard]] Executable* executable() { return executable_ ? &*executable_ : nullptr; }
  /// What the device's error handler got.
  [[nodiscard]] std::vector<Error> reports() const;

  [[nodiscard]] Result<Words> read(const BufferView& view) const;
  [[nodiscard]] Result<> write(const BufferView& view, const Words& words) const;

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  struct Replays {
    std::optional<std::uint32_t> amount;  ///< Nothing: the device loads it.
    BufferView target;
    std::uint32_t count = 0;
  };

  Result<> open();
  Result<> allocate();
  Result<> import_pages();
  Result<> transfer();
  Result<> compile();
  Result<> submit();
  Result<> submit_first();
  Result<> submit_second();
  Result<> check_submissions() const;
  Result<> timelines();
  Result<> share_timeline() const;
  Result<> trace();
  Result<> link();
  Result<> replay();
  Result<> replay_thrice(const Replays& replays);
  Result<> check_replays(const Replays& replays) const;
  void record_graph(CommandEncoder& encoder);
  void record_reverse(CommandEncoder& encoder, const Buffer& to) const;
  void record_sum(CommandEncoder& encoder) const;
  void record_native(CommandEncoder& encoder);
  Result<> begin();
  [[nodiscard]] Result<> expect(const BufferView& view, const Words& words, const char* what) const;

  const metal::MetalOptions options_;
  mutable std::mutex mutex_;
  std::vector<Error> reports_;
  std::atomic<int> native_calls_{0};
  std::unique_ptr<void, Free> pages_;
  Device device_;
  Buffer small_, target_, unmapped_, imported_, copied_, counts_, floats_, sums_, marks_;
  Kernel add_one_, add_, store_, reverse_;
  std::optional<ops::Ops> ops_;
  std::array<std::optional<CommandEncoder>, 2> encoders_;
  std::optional<Executable> executable_;
};

[[nodiscard]] const char* to_string(MetalScenario::Phase phase);
std::ostream& operator<<(std::ostream& out, MetalScenario::Phase phase);

}  // namespace segue::test
