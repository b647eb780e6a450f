// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "metal_double/core/command_buffer.hpp"

namespace metal_double {

/// A step of committed work, in a graph of what must come before what.
struct Node {
  enum class Kind : std::uint8_t { kJoin, kDispatch, kWait, kSignal, kPassBegin, kPassEnd, kEnd };
  Kind kind = Kind::kJoin;
  std::uint64_t sequence = 0;  ///< In order of encoding.
  unsigned blockers = 0;
  bool done = false;
  std::vector<std::shared_ptr<Node>> successors;
  // Dropped when done.
  std::shared_ptr<CommandBufferCore> owner;
  std::shared_ptr<Pass> pass;
  const Dispatch* dispatch = nullptr;
  std::shared_ptr<EventCore> event;
  std::uint64_t value = 0;
};
using NodePtr = std::shared_ptr<Node>;

/// Runs committed command buffers on a thread, in an order that Metal's rules allow, and calls
/// handlers on another.
///
/// Its mutex guards whatever is said to be owned by the scheduler.
class Scheduler {
 public:
  static Scheduler& get();
  ~Scheduler();

  /// Waits as Metal does while the queue has as many command buffers as it may have.
  void begin(const std::shared_ptr<CommandBufferCore>& buffer);
  /// The object is deallocated.
  void abandon(CommandBufferCore& buffer);
  void enqueue(const std::shared_ptr<CommandBufferCore>& buffer);
  void commit(const std::shared_ptr<CommandBufferCore>& buffer);
  void wait_scheduled(CommandBufferCore& buffer);
  void wait_completed(CommandBufferCore& buffer);
  [[nodiscard]] bool on_callback_thread() const;

  std::uint64_t value(EventCore& event);
  void set_value(EventCore& event, std::uint64_t value);
  bool wait_value(EventCore& event, std::uint64_t value, std::uint64_t timeout_ms);

  /// Makes the pending content of a set its content.
  void commit_residency(const std::shared_ptr<ResidencyCore>& set);
  void add_residency(QueueCore& queue, std::shared_ptr<ResidencyCore> set);
  void remove_residency(QueueCore& queue, const std::shared_ptr<ResidencyCore>& set);

  void lose(long code);
  void hold(bool hold);
  void drain();
  /// Waits for all work, and fails what waits for events that nobody signals.
  void finish_all();
  /// New seed, and the device is there again.
  void begin_anew();
  [[nodiscard]] std::uint64_t dispatches_run();

  /// Locked while state that the scheduler owns is read from outside.
  std::mutex& mutex() { return mutex_; }

 private:
  Scheduler();

  // scheduler_graph.cpp: from command buffers to nodes. All with the mutex locked.
  struct PassBuilder;
  NodePtr make(Node::Kind kind, const std::shared_ptr<CommandBufferCore>& owner);
  static void order(const NodePtr& before, const NodePtr& after);
  void flush(QueueCore& queue);
  void build(const std::shared_ptr<CommandBufferCore>& buffer);
  NodePtr build_pass(const std::shared_ptr<CommandBufferCore>& buffer,
                     const std::shared_ptr<Pass>& pass, const NodePtr& gate);
  void order_tracked(QueueCore& queue, const Pass& pass, const NodePtr& begin, const NodePtr& end);
  void add_command(PassBuilder& builder, PassCommand& command);
  void add_indirect(PassBuilder& builder, ExecuteIndirect& execute);
  void seal(const NodePtr& node);

  // scheduler.cpp: running. Those with `locked` in the name have the mutex locked.
  void settle_locked(const NodePtr& node);
  void settle_one_locked(const NodePtr& node);
  void finish_locked(const NodePtr& node);
  void raise_locked(EventCore& event, std::uint64_t value, bool by_device);
  void begin_pass_locked(const Node& node);
  static void end_pass_locked(const Node& node);
  void complete_locked(const std::shared_ptr<CommandBufferCore>& buffer);
  static void fail_locked(CommandBufferCore& buffer, long code, std::string reason);
  void fail_as_planned_locked(CommandBufferCore& buffer);
  void lose_locked(long code);
  void check_reliance_locked(const ResidencyCore& set);
  NodePtr pick_locked();
  void collect_locked(std::unique_lock<std::mutex>& lock);
  void start_locked();
  void run_work();
  void run_callbacks();
  void execute(const Node& node, std::uint64_t salt);
  bool check_addresses(const Node& node, const msl::Launch& launch);

  std::mutex mutex_;
  std::condition_variable work_;       ///< Nodes are ready, or the end has come.
  std::condition_variable callbacks_;  ///< A command buffer is scheduled or completed.
  std::condition_variable progress_;   ///< Anything else that somebody may wait for.
  std::map<std::uint64_t, NodePtr> ready_;
  std::vector<NodePtr> waiting_;  ///< For values of events.
  std::vector<NodePtr> settling_;
  bool is_settling_ = false;
  std::deque<std::pair<std::shared_ptr<CommandBufferCore>, bool>> to_call_;  ///< And: completed.
  std::set<std::shared_ptr<CommandBufferCore>> in_flight_;
  std::uint64_t sequence_ = 0;
  std::uint64_t dispatches_run_ = 0;
  unsigned waiters_ = 0;
  bool busy_ = false;
  bool calling_ = false;
  bool held_ = false;
  bool stop_ = false;
  long lost_ = 0;
  std::mt19937_64 random_;
  std::thread worker_;
  std::thread caller_;
};

/// Seconds on the device's clock, and what its counters show.
double now_seconds();
std::uint64_t now_ticks();

}  // namespace metal_double
