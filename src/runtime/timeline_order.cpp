// SPDX-License-Identifier: Apache-2.0
//
// Which submissions come after which, as far as it is certain, and which of them can complete. Both
// are searches over the few submissions in flight; nobody who uses no timelines pays for them.
#include "runtime/timeline_order.hpp"

#include <algorithm>
#include <optional>

#include "base/fail.hpp"
#include "runtime/timeline_state.hpp"

namespace segue::runtime {
namespace {

using Point = TimelineUses::Point;

/// The submissions in flight that have not completed, and who comes before whom.
class Order {
 public:
  explicit Order(InFlight in_flight) {
    for (SubmissionState* each : in_flight) add(*each);
  }
  void add(SubmissionState& submission) { nodes_.push_back(&submission); }

  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] SubmissionState& operator[](std::size_t i) const { return *nodes_[i]; }
  [[nodiscard]] bool done(std::size_t i) const { return nodes_[i]->retired; }

  /// Calls `visit` for what is before on the queue, and for what it conflicts with, until it
  /// returns false; returns whether it never did.
  template <class Visitor>
  bool all_before(std::size_t i, Visitor&& visit) const {
    for (std::size_t j = i; j-- > 0;) {
      if (nodes_[j]->queue_index != nodes_[i]->queue_index) continue;
      if (!done(j) && !visit(j)) return false;
      break;
    }
    for (const base::Ref<SubmissionState>& each : nodes_[i]->predecessors) {
      const auto found = std::ranges::find(nodes_, each.get());
      if (found == nodes_.end() || (*found)->retired) continue;
      if (!visit(static_cast<std::size_t>(found - nodes_.begin()))) return false;
    }
    return true;
  }
  /// Calls `visit` for what signals one of the values from `value` to `last`, until it returns
  /// true; returns whether it did.
  template <class Visitor>
  bool any_signaller(const TimelineState* timeline, std::uint64_t value, std::uint64_t last,
                     Visitor&& visit) const {
    for (std::size_t j = 0; j < nodes_.size(); ++j) {
      if (done(j)) continue;
      for (const Point& signal : nodes_[j]->timelines.signals()) {
        if (signal.timeline.get() == timeline && signal.value >= value && signal.value <= last &&
            visit(j))
          return true;
      }
    }
    return false;
  }
  /// Calls `visit` for all that certainly comes directly before.
  template <class Visitor>
  void visit_before(std::size_t i, Visitor&& visit) const {
    const auto go_on = [&visit](std::size_t j) {
      visit(j);
      return true;
    };
    all_before(i, go_on);
    for (const Point& wait : nodes_[i]->timelines.waits()) {
      if (wait.timeline->is_over(wait.value)) continue;
      any_signaller(wait.timeline.get(), wait.value, wait.value, [&](std::size_t j) {
        visit(j);
        return false;
      });
    }
  }

 private:
  std::vector<SubmissionState*> nodes_;
};

/// `last` and what comes before it.
std::vector<bool> closure_before(const Order& order, std::size_t last) {
  std::vector<bool> found(order.size());
  std::vector<std::size_t> open{last};
  found[last] = true;
  while (!open.empty()) {
    const std::size_t i = open.back();
    open.pop_back();
    order.visit_before(i, [&](std::size_t j) {
      if (!found[j]) open.push_back(j);
      found[j] = true;
    });
  }
  return found;
}

bool is_waited_for(const Order& order, const Point& signal) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order.done(i)) continue;
    for (const Point& wait : order[i].timelines.waits()) {
      if (wait.timeline == signal.timeline && wait.value == signal.value) return true;
    }
  }
  return false;
}

/// `first` and what comes after it.
std::vector<bool> closure_after(const Order& order, std::size_t first) {
  std::vector<bool> found(order.size());
  found[first] = true;
  // What was submitted before comes after only by waiting for what is signalled now.
  if (std::ranges::none_of(order[first].timelines.signals(),
                           [&](const Point& signal) { return is_waited_for(order, signal); })) {
    return found;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (found[i] || order.done(i)) continue;
      order.visit_before(i, [&](std::size_t j) {
        if (!found[j] || found[i]) return;
        found[i] = true;
        changed = true;
      });
    }
  }
  return found;
}

/// Whether `later` can signal what it is to, given that it comes after `earlier`.
Result<> check_pair(const SubmissionState& later, const SubmissionState& earlier) {
  const auto check = [&](const Point& signal, const Point& other,
                         std::string_view use) -> Result<> {
    if (signal.timeline != other.timeline || other.value < signal.value) return {};
    return base::fail(ErrorCode::kInvalidArgument,
                      "Value {} of timeline \"{}\" is to be signalled by {}, which comes after {}, "
                      "which {} value {}; it never can.",
                      signal.value, signal.timeline->label(), describe(later), describe(earlier),
                      use, other.value);
  };
  for (const Point& signal : later.timelines.signals()) {
    for (const Point& wait : earlier.timelines.waits()) SEGUE_TRY(check(signal, wait, "waits for"));
    for (const Point& other : earlier.timelines.signals())
      SEGUE_TRY(check(signal, other, "signals"));
  }
  return {};
}

Result<> check_values(const SubmissionState& added) {
  for (const Point& wait : added.timelines.waits()) {
    if (auto error = wait.timeline->failure_at(wait.value))
      return std::unexpected(*std::move(error));
  }
  for (const Point& signal : added.timelines.signals()) {
    SEGUE_TRY_ASSIGN(const std::uint64_t now, signal.timeline->value());
    if (signal.value > now) continue;
    return base::fail(ErrorCode::kInvalidArgument,
                      "Value {} of timeline \"{}\" is to be signalled by {}, but the timeline has "
                      "reached {}; the value must increase.",
                      signal.value, signal.timeline->label(), describe(added), now);
  }
  return {};
}

}  // namespace

Result<> check_order(InFlight in_flight, SubmissionState& added) {
  SEGUE_TRY(check_values(added));
  Order order(in_flight);
  order.add(added);
  const std::size_t last = order.size() - 1;
  const std::vector<bool> before = closure_before(order, last);
  const std::vector<bool> after = closure_after(order, last);
  for (std::size_t later = order.size(); later-- > 0;) {  // first of all the one that is added
    for (std::size_t earlier = 0; after[later] && earlier < order.size(); ++earlier) {
      if (before[earlier] && later != earlier) SEGUE_TRY(check_pair(order[later], order[earlier]));
    }
  }
  return {};
}

namespace {

/// Finds what completes, one after another, until nothing is left that can.
class Progress {
 public:
  Progress(InFlight in_flight, Signallers signallers)
      : order_(in_flight), signallers_(signallers), completes_(order_.size()) {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 0; i < order_.size(); ++i) {
        if (completes_[i] || !can_complete(i)) continue;
        completes_[i] = true;
        changed = true;
      }
    }
  }

  [[nodiscard]] Stalls stalls() const {
    Stalls stalls;
    stalls.stalled = completes_;
    stalls.stalled.flip();
    for (std::size_t i = 0; i < order_.size(); ++i) {
      if (completes_[i]) continue;
      for (const Point& wait : order_[i].timelines.waits()) {
        if (ends(wait)) continue;
        stalls.waits.push_back({wait.timeline, wait.value, false});
      }
    }
    mark_ripe(stalls.waits);
    return stalls;
  }

 private:
  [[nodiscard]] bool can_complete(std::size_t i) const {
    return order_.done(i) ||
           (order_.all_before(i, [this](std::size_t j) { return completes_[j]; }) &&
            std::ranges::all_of(order_[i].timelines.waits(),
                                [this](const Point& wait) { return ends(wait); }));
  }
  [[nodiscard]] bool ends(const Point& wait) const {
    const bool others = signallers_ == Signallers::kHost
                            ? wait.timeline->host_may_signal()
                            : wait.timeline->shared() && !wait.timeline->failure();
    return others || wait.timeline->is_over(wait.value) ||
           is_signalled(wait, wait.value, UINT64_MAX);
  }
  [[nodiscard]] bool is_signalled(const Point& wait, std::uint64_t first,
                                  std::uint64_t last) const {
    return order_.any_signaller(wait.timeline.get(), first, last,
                                [this](std::size_t j) { return completes_[j]; });
  }
  /// Those whose value can be had without passing a signal that is still to come; if there are
  /// none, because they wait in a circle, then all.
  void mark_ripe(std::vector<BlockedWait>& waits) const {
    bool postponed = false, any = false;
    for (BlockedWait& wait : waits) {
      const bool will_be_signalled = is_signalled({wait.timeline, wait.value}, 0, UINT64_MAX);
      wait.ripe = !will_be_signalled && !order_.any_signaller(wait.timeline.get(), 0, wait.value,
                                                              [](std::size_t) { return true; });
      postponed |= will_be_signalled;
      any |= wait.ripe;
    }
    if (any || postponed) return;
    for (BlockedWait& wait : waits) wait.ripe = true;
  }

  Order order_;
  Signallers signallers_;
  std::vector<bool> completes_;
};

}  // namespace

Stalls find_stalls(InFlight in_flight, Signallers signallers) {
  return Progress(in_flight, signallers).stalls();
}

namespace {

/// The submissions that fail, and the timelines, each of which is good up to the last value that is
/// signalled before the first one that is not.
class Spread {
 public:
  explicit Spread(InFlight in_flight) : in_flight_(in_flight) {}

  void fail(SubmissionState& submission, const Error& error) {
    failed_.push_back(&submission);
    for (const Point& signal : submission.timelines.signals()) {
      cut(*signal.timeline, signal.value, error,
          fmt::format("{} failed, which was to signal {}: {}", describe(submission), signal.value,
                      error.message));
    }
  }
  /// Waits in vain fail with what was to signal; if there is nothing, or it waits for them in its
  /// turn, then by themselves.
  void fail(std::span<const BlockedWait> waits) {
    for (const bool alone : {true, false}) {
      for (const BlockedWait& wait : waits) {
        const Cut* known = find(*wait.timeline);
        if (known != nullptr && wait.value >= first_failed(*known)) continue;
        if (alone && has_signaller(wait)) continue;
        cut(*wait.timeline, wait.value, {ErrorCode::kInvalidState, {}, {}, {}, {}},
            "its last handle is gone, and nothing submitted that can run signals more.");
      }
      spread();
    }
  }
  void cut(TimelineState& timeline, std::uint64_t value, Error error, std::string_view reason) {
    if (Cut* known = find(timeline)) {
      known->value = std::min(known->value, value);
      return;
    }
    error.message = fmt::format("Timeline \"{}\" fails: {}", timeline.label(), reason);
    cuts_.push_back({&timeline, value, std::move(error)});
  }
  /// Finds what fails with what is found already.
  void spread() {
    for (bool changed = true; changed;) {
      changed = false;
      for (SubmissionState* each : in_flight_) {
        if (each->retired || is_failed(*each)) continue;
        const std::optional<Error> error = failure_of(*each);
        if (!error) continue;
        fail(*each, *error);
        changed = true;
      }
    }
  }
  void mark() {
    for (const Cut& cut : cuts_) cut.timeline->mark_failed(first_failed(cut), cut.error);
  }

 private:
  struct Cut {
    TimelineState* timeline = nullptr;
    std::uint64_t value = 0;  // the least that somebody failed to signal
    Error error;
  };

  [[nodiscard]] Cut* find(const TimelineState& timeline) {
    const auto found = std::ranges::find(cuts_, &timeline, &Cut::timeline);
    return found == cuts_.end() ? nullptr : &*found;
  }
  [[nodiscard]] bool is_failed(const SubmissionState& submission) const {
    return std::ranges::find(failed_, &submission) != failed_.end();
  }
  [[nodiscard]] bool has_signaller(const BlockedWait& wait) const {
    return std::ranges::any_of(in_flight_, [&wait](const SubmissionState* each) {
      return !each->retired &&
             std::ranges::any_of(each->timelines.signals(), [&wait](const Point& signal) {
               return signal.timeline == wait.timeline && signal.value >= wait.value;
             });
    });
  }
  [[nodiscard]] std::uint64_t first_failed(const Cut& cut) const {
    std::uint64_t good = cut.timeline->reached_below(cut.value);
    for (const SubmissionState* each : in_flight_) {
      if (each->retired || is_failed(*each)) continue;
      for (const Point& signal : each->timelines.signals()) {
        if (signal.timeline.get() == cut.timeline && signal.value < cut.value)
          good = std::max(good, signal.value);
      }
    }
    return good + 1;
  }
  [[nodiscard]] std::optional<Error> failure_of(const SubmissionState& submission) {
    for (const Point& wait : submission.timelines.waits()) {
      if (auto error = wait.timeline->failure_at(wait.value)) return error;
      const Cut* cut = find(*wait.timeline);
      if (cut != nullptr && wait.value >= first_failed(*cut)) return cut->error;
    }
    return std::nullopt;
  }

  InFlight in_flight_;
  std::vector<const SubmissionState*> failed_;
  std::vector<Cut> cuts_;
};

}  // namespace

void spread_failure(InFlight in_flight, SubmissionState* failed,
                    std::span<const BlockedWait> waits) {
  Spread spread(in_flight);
  if (failed != nullptr) spread.fail(*failed, *failed->outcome().error);
  spread.fail(waits);
  spread.mark();
}

}  // namespace segue::runtime
