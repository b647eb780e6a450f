// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "metal_double/core/resources.hpp"

namespace metal_double {

struct Node;
class CommandBufferCore;

/// The order of a pass's earlier writes to its later reads.
struct Barrier {};
struct WaitFence {
  std::shared_ptr<FenceCore> fence;
};
struct UpdateFence {
  std::shared_ptr<FenceCore> fence;
};
/// Commands of an indirect command buffer, read when the command buffer is committed.
struct ExecuteIndirect {
  std::shared_ptr<IndirectCore> commands;
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  Bindings inherited;
  std::set<BufferCore*> resident;  ///< By useResource: so far.
  struct Resolved {
    std::optional<Dispatch> dispatch;
    bool barrier = false;
  };
  std::vector<Resolved> resolved;  ///< At commit.
};
using PassCommand = std::variant<Dispatch, Barrier, WaitFence, UpdateFence, ExecuteIndirect>;

/// How far a pass has come, for MTLCommandBufferEncoderInfo.
enum class PassState : std::uint8_t { kPending, kRunning, kDone, kFaulted };

/// What one compute encoder recorded.
struct Pass {
  struct Samples {
    std::shared_ptr<CounterCore> buffer;
    std::uint64_t start = ~std::uint64_t{0};
    std::uint64_t end = ~std::uint64_t{0};
  };
  std::string label;
  unsigned index = 0;  ///< In its command buffer.
  bool concurrent = false;
  std::vector<PassCommand> commands;
  std::vector<std::string> signposts;
  std::vector<Samples> samples;
  /// By useResource, with whether they are written.
  std::map<std::shared_ptr<BufferCore>, bool> used;
  PassState state = PassState::kPending;  ///< Owned by the scheduler.
};

struct WaitEvent {
  std::shared_ptr<EventCore> event;
  std::uint64_t value = 0;
};
struct SignalEvent {
  std::shared_ptr<EventCore> event;
  std::uint64_t value = 0;
};
using Item = std::variant<std::shared_ptr<Pass>, WaitEvent, SignalEvent>;

/// A command queue. All of it is owned by the scheduler, but for what Named has.
class QueueCore : public Named {
 public:
  using Named::Named;
  struct Tracked {
    std::shared_ptr<Node> last_write;
    std::vector<std::shared_ptr<Node>> reads;
  };
  std::uint64_t max_command_buffers = 64;
  std::uint64_t outstanding = 0;  ///< Command buffers that are alive and not completed.
  std::uint64_t submitted = 0;    ///< Those of them that are committed.
  std::vector<std::shared_ptr<CommandBufferCore>> enqueued;  ///< Not yet given to the device.
  std::vector<std::shared_ptr<ResidencyCore>> residency;
  std::shared_ptr<Node> last_end;            ///< Of the last command buffer.
  std::shared_ptr<Node> last_item;           ///< In Order::kInOrder.
  std::map<std::uint64_t, Tracked> tracked;  ///< By id of the buffer.
};

enum class Phase : std::uint8_t { kRecording, kEnqueued, kCommitted, kScheduled, kDone, kFailed };

class CommandBufferCore : public Named {
 public:
  using Named::Named;

  // While recording: of the thread that records.
  std::shared_ptr<QueueCore> queue;
  bool retains = true;
  bool wants_encoder_info = false;
  std::vector<Item> items;
  bool encoder_open = false;
  std::set<std::shared_ptr<Named>> uses;                  ///< Whatever its commands name.
  std::set<std::shared_ptr<BufferCore>> relied;           ///< Reached by indirect commands only.
  std::vector<std::shared_ptr<ResidencyCore>> residency;  ///< Own ones, then the queue's too.
  std::atomic<bool> commit_called{false};

  // Owned by the scheduler.
  Phase phase = Phase::kRecording;
  std::optional<Failure> planned;
  long failure = 0;  ///< A value of MTLCommandBufferError.
  std::string failure_reason;
  double start_seconds = 0;
  double end_seconds = 0;
  bool finished = false;  ///< Handlers were called and references dropped.
  bool counted = false;   ///< In QueueCore::outstanding.

  // Called on the thread of callbacks.
  std::function<void()> on_scheduled;
  std::function<void()> on_completed;
};

/// Notes what a dispatch uses in the command buffer.
void note_uses(CommandBufferCore& buffer, const Dispatch& dispatch);

/// Reads the indirect commands, checks them and that their buffers are resident.
void resolve_indirect(CommandBufferCore& buffer);

}  // namespace metal_double
