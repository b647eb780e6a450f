// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "segue/device.hpp"
#include "support/vulkan_device.hpp"

namespace segue::test {

/// What a program does with a device, one thing after the other.
enum class Phase : std::uint8_t {
  kOpen,
  kAllocate,
  kTransfer,  ///< Between host and device.
  kCompile,   ///< Kernels.
  kSubmit,    ///< Recordings on two queues.
  kLink,      ///< A graph with slots of all kinds.
  kReplay,
};
inline constexpr std::array kPhases{Phase::kOpen,    Phase::kAllocate, Phase::kTransfer,
                                    Phase::kCompile, Phase::kSubmit,   Phase::kLink,
                                    Phase::kReplay};
[[nodiscard]] const char* to_string(Phase phase);
std::ostream& operator<<(std::ostream& out, Phase phase);

/// A program on a Vulkan device with wrapped entry points (see WrappedApi). Each object is made
/// once and kept, so that running a phase again goes on with what an earlier attempt left.
class VulkanScenario {
 public:
  VulkanScenario();
  VulkanScenario(const VulkanScenario&) = delete;
  VulkanScenario& operator=(const VulkanScenario&) = delete;
  ~VulkanScenario();

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
  /// Null until there is one.
  [[nodiscard]] CommandEncoder* encoder() { return encoders_[0] ? &*encoders_[0] : nullptr; }
  [[nodiscard]] Executable* executable() { return executable_ ? &*executable_ : nullptr; }
  [[nodiscard]] const Kernel& add_one() const { return add_one_; }
  /// Messages of the driver and of validation layers since the beginning.
  [[nodiscard]] std::vector<std::string> messages() const { return messages_.all(); }
  /// How often the device's error handler was called, and with what last.
  [[nodiscard]] int reported() const { return reported_; }
  [[nodiscard]] const Error& last_report() const { return last_report_; }

 private:
  using Words = std::vector<std::uint32_t>;
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  Result<> open();
  Result<> allocate();
  Result<> transfer();
  Result<> compile();
  Result<> submit();
  Result<> submit_first();
  Result<> link();
  Result<> replay();
  Result<> replay_with(std::optional<std::uint32_t> amount, const BufferView& target,
                       std::uint32_t count);
  [[nodiscard]] Result<Words> read(const BufferView& view) const;
  [[nodiscard]] Result<> write(const BufferView& view, const Words& words) const;
  [[nodiscard]] Result<> expect(const BufferView& view, const Words& words, const char* what) const;

  ValidationMessages messages_;
  std::atomic<int> reported_{0};
  Error last_report_;
  std::unique_ptr<void, Free> pages_;
  Device device_;
  Buffer small_, large_, unmapped_, imported_, counts_;
  Kernel add_one_, add_, copy_, store_;
  std::array<std::optional<CommandEncoder>, 2> encoders_;
  std::optional<Executable> executable_;
};

}  // namespace segue::test
