// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "metal_double/core/world.hpp"

namespace metal_double {

struct Node;

/// Something with a label that command buffers may use.
class Named {
 public:
  Named(std::shared_ptr<DeviceCore> device, std::string kind);
  Named(const Named&) = delete;
  Named& operator=(const Named&) = delete;
  virtual ~Named() = default;

  [[nodiscard]] DeviceCore& device() const { return *device_; }
  [[nodiscard]] const std::shared_ptr<DeviceCore>& shared_device() const { return device_; }
  [[nodiscard]] std::uint64_t id() const { return id_; }
  /// The label, or such as buffer#3.
  [[nodiscard]] std::string name() const;
  /// For sentences: Buffer "weights".
  [[nodiscard]] std::string title() const;
  [[nodiscard]] std::string label() const;
  void set_label(std::string label);
  void object_made() { ++objects_; }
  /// The last object is deallocated. Work in flight that did not retain it has lost it.
  void object_freed();
  [[nodiscard]] bool freed() const { return freed_; }

  std::atomic<int> in_flight{0};  ///< Committed command buffers that use it.

 private:
  std::shared_ptr<DeviceCore> device_;
  std::string kind_;
  std::uint64_t id_;
  unsigned number_;
  std::atomic<int> objects_{0};
  std::atomic<bool> freed_{false};
  mutable std::mutex mutex_;
  std::string label_;
};

class BufferCore : public Named {
 public:
  using Named::Named;
  ~BufferCore() override;
  /// Zeroed memory. False: there is none.
  bool allocate(std::uint64_t bytes);
  void import(std::byte* memory, std::uint64_t bytes);
  /// The object is gone, and with it the memory as far as the device tells.
  void stop_counting();

  std::byte* data = nullptr;
  std::uint64_t size = 0;
  unsigned long options = 0;  ///< MTLResourceOptions.
  bool tracked = true;
  bool imported = false;
  std::atomic<std::uint64_t> counted_bytes{0};  ///< In DeviceCore::allocated_bytes.
  std::atomic<int> residency_sets{0};  ///< That contain it, and from which it was not removed.
};

/// A buffer whose gpuAddress was asked for may be reached through it: registers it.
void note_address_taken(const std::shared_ptr<BufferCore>& buffer);
/// The buffers whose addresses stand in `bytes`.
std::vector<std::shared_ptr<BufferCore>> buffers_addressed_by(const std::byte* bytes,
                                                              std::uint64_t size);

class PipelineCore : public Named {
 public:
  using Named::Named;
  [[nodiscard]] const msl::Binding* find(msl::BindingKind kind, unsigned index) const;

  std::shared_ptr<msl::Module> module;
  msl::FunctionInfo info;
  std::vector<msl::ConstantValue> constants;
  std::uint64_t max_threads = 1024;
  bool multiple_of_width = false;
  bool indirect = false;  ///< supportIndirectCommandBuffers.
  bool labelled = false;  ///< Else its name is that of the function.
};

class FenceCore : public Named {
 public:
  using Named::Named;
  std::shared_ptr<Node> last_update;    ///< Owned by the scheduler.
  std::atomic<std::uint64_t> queue{0};  ///< The id of the first queue that used it.
};

class EventCore : public Named {
 public:
  using Named::Named;
  // Owned by the scheduler.
  std::uint64_t value = 0;
};

class ResidencyCore : public Named {
 public:
  using Named::Named;
  // Owned by the scheduler.
  std::set<std::shared_ptr<BufferCore>> pending;    ///< As after the next commit.
  std::set<std::shared_ptr<BufferCore>> committed;  ///< Resident.
};

class CounterCore : public Named {
 public:
  using Named::Named;
  // Owned by the scheduler. Zero: not sampled yet.
  std::vector<std::uint64_t> samples;
  bool is_private = false;
};

/// What is bound at an index: a buffer, inline bytes or nothing.
struct Slot {
  std::shared_ptr<BufferCore> buffer;
  std::uint64_t offset = 0;
  std::shared_ptr<const std::vector<std::byte>> bytes;

  [[nodiscard]] bool bound() const { return buffer || bytes; }
  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] msl::BoundBuffer memory() const;
};

struct GridSize {
  std::uint64_t x = 1, y = 1, z = 1;
};

inline constexpr unsigned kMaxBindings = 31;

struct Bindings {
  std::shared_ptr<PipelineCore> pipeline;
  std::array<Slot, kMaxBindings> buffers;
  std::array<std::uint64_t, kMaxBindings> threadgroup_bytes{};
};

/// A dispatch that keeps the rules.
struct Dispatch {
  std::shared_ptr<PipelineCore> pipeline;
  std::vector<std::pair<unsigned, Slot>> buffers;  ///< Those that the kernel has arguments for.
  std::array<std::uint32_t, kMaxBindings> threadgroup_bytes{};
  msl::Extent threads;
  msl::Extent group_size;
  Slot indirect;  ///< Where the group counts are, if bound.
};

class IndirectCore : public Named {
 public:
  struct Command {
    Bindings bindings;
    GridSize grid;
    GridSize group_size;
    bool by_threads = false;
    bool dispatches = false;  ///< A dispatch was encoded since the last reset.
    bool barrier = false;
  };
  using Named::Named;

  unsigned long command_types = 0;
  bool inherits_pipeline = false;
  bool inherits_buffers = false;
  std::uint64_t max_buffers = 0;
  std::uint64_t max_threadgroup_bindings = 0;
  std::vector<Command> commands;
};

}  // namespace metal_double
