// SPDX-License-Identifier: Apache-2.0
#include "fault/metal_scenario.hpp"

#import <Metal/Metal.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <span>
#include <utility>

#include "base/fail.hpp"
#include "conformance/metal_conformance_kernels.hpp"

namespace segue::test {
namespace {

using Words = MetalScenario::Words;

constexpr std::uint32_t kWords = 2048;  // more bytes than a command takes inline
constexpr std::uint64_t kBytes = 4 * kWords;
constexpr std::uint32_t kHalf = kWords / 2;
constexpr std::uint32_t kGroup = 64;
constexpr std::uint32_t kOne = 0x3f800000;  // 1.0F
constexpr std::uint32_t kTwo = 0x40000000;
constexpr std::uint32_t kLoaded = 9;

Words filled(std::uint32_t value, std::size_t count = kWords) { return Words(count, value); }

Words counting() {
  Words words(kWords);
  for (std::uint32_t i = 0; i < kWords; ++i) words[i] = i;
  return words;
}

/// What test_reverse makes of counting().
Words reversed() {
  Words words(kWords);
  for (std::uint32_t i = 0; i < kWords; ++i) words[i] = i - i % kGroup + kGroup - 1 - i % kGroup;
  return words;
}

std::filesystem::path trace_path() {
  return std::filesystem::temp_directory_path() /
         ("segue_fault_" + std::to_string(::getpid()) + ".gputrace");
}

}  // namespace

Machine unified_machine() {
  Machine machine{"Unified", {}, {}};
  machine.options.order = metal_double::Order::kReversed;
  return machine;
}

Machine discrete_machine() {
  Machine machine{"Discrete", {}, {}};
  machine.options.unified_memory = false;
  machine.options.families = {2001, 2002, 3001, 3002, 3003, 5001};
  return machine;
}

Machine m1_machine() {
  Machine machine{"M1", {}, {}};
  machine.options.os_major = 14;
  machine.options.families = {1001, 1002, 1003, 1004, 1005, 1006, 1007,
                              2001, 2002, 3001, 3002, 3003, 5001};
  machine.options.order = metal_double::Order::kReversed;
  return machine;
}

Machine reencoding_machine() {
  Machine machine{"Reencoding", {}, {}};
  machine.options.indirect_command_buffers = false;
  machine.options.timestamp_counters = false;
  machine.options.signals_in_queue_order = false;
  machine.options.order = metal_double::Order::kReversed;
  machine.metal.indirect_command_buffers = false;
  machine.metal.retained_references = true;
  machine.metal.debug_groups = true;
  return machine;
}

const char* to_string(MetalScenario::Phase phase) {
  constexpr std::array kNames{"Open",      "Allocate", "Transfer", "Compile", "Submit",
                              "Timelines", "Trace",    "Link",     "Replay"};
  return kNames[static_cast<std::size_t>(phase)];
}

std::ostream& operator<<(std::ostream& out, MetalScenario::Phase phase) {
  return out << to_string(phase);
}

MetalScenario::MetalScenario(metal::MetalOptions options) : options_(options) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t size = (kBytes + page - 1) / page * page;
  pages_.reset(std::aligned_alloc(page, size));
  std::memset(pages_.get(), 0, size);
}

MetalScenario::~MetalScenario() { close(); }

void MetalScenario::close() {
  executable_.reset();
  for (auto& encoder : encoders_) encoder.reset();
  ops_.reset();
  add_one_ = add_ = store_ = reverse_ = Kernel();
  small_ = target_ = unmapped_ = imported_ = copied_ = Buffer();
  counts_ = floats_ = sums_ = marks_ = Buffer();
  device_ = Device();
}

Result<> MetalScenario::run(Phase phase) {
  switch (phase) {
    case Phase::kOpen: return open();
    case Phase::kAllocate: return allocate();
    case Phase::kTransfer: return transfer();
    case Phase::kCompile: return compile();
    case Phase::kSubmit: return submit();
    case Phase::kTimelines: return timelines();
    case Phase::kTrace: return trace();
    case Phase::kLink: return link();
    case Phase::kReplay: return replay();
  }
  return {};
}

Result<> MetalScenario::run_through(Phase phase) {
  for (const Phase each : kPhases) {
    SEGUE_TRY(run(each));
    if (each == phase) break;
  }
  return {};
}

std::vector<Error> MetalScenario::reports() const {
  const std::lock_guard lock(mutex_);
  return reports_;
}

Result<Words> MetalScenario::read(const BufferView& view) const {
  Words words(view.size_bytes() / 4);
  SEGUE_TRY(device_.download(view, std::as_writable_bytes(std::span(words))));
  return words;
}

Result<> MetalScenario::write(const BufferView& view, const Words& words) const {
  return device_.upload(view, std::as_bytes(std::span(words)));
}

Result<> MetalScenario::expect(const BufferView& view, const Words& words, const char* what) const {
  SEGUE_TRY_ASSIGN(const Words found, read(view));
  if (found == words) return {};
  return base::fail(ErrorCode::kCorruptData, "The results of {} are wrong.", what);
}

// From a device to kernels.

Result<> MetalScenario::open() {
  if (device_) return {};
  DeviceOptions options;
  options.queue_count = 2;
  options.error_handler = [this](const Error& error) {
    const std::lock_guard lock(mutex_);
    reports_.push_back(error);
  };
  SEGUE_TRY_ASSIGN(device_, metal::create_device(options, options_));
  return {};
}

Result<> MetalScenario::allocate() {
  const auto make = [this](Buffer& buffer, const char* label, std::uint64_t size,
                           HostAccess access) -> Result<> {
    if (buffer) return {};
    BufferDesc desc;
    desc.size_bytes = size;
    desc.host_access = access;
    desc.label = label;
    SEGUE_TRY_ASSIGN(buffer, device_.create_buffer(desc));
    return {};
  };
  SEGUE_TRY(make(small_, "small", kBytes, HostAccess::kReadWrite));
  SEGUE_TRY(make(target_, "target", 2 * kBytes, HostAccess::kReadWrite));
  SEGUE_TRY(make(unmapped_, "unmapped", kBytes, HostAccess::kNone));
  SEGUE_TRY(make(copied_, "copied", kBytes, HostAccess::kNone));
  SEGUE_TRY(make(counts_, "counts", 16, HostAccess::kReadWrite));
  SEGUE_TRY(make(floats_, "floats", kBytes, HostAccess::kReadWrite));
  SEGUE_TRY(make(sums_, "sums", kBytes, HostAccess::kNone));
  SEGUE_TRY(make(marks_, "marks", 16, HostAccess::kReadWrite));
  return device_.features().unified_memory
             ? import_pages()
             : make(imported_, "not imported", kBytes, HostAccess::kReadWrite);
}

Result<> MetalScenario::import_pages() {
  if (imported_) return {};
  const std::uint64_t page = device_.limits().host_import_alignment;
  const std::span bytes(static_cast<std::byte*>(pages_.get()), (kBytes + page - 1) / page * page);
  SEGUE_TRY_ASSIGN(imported_,
                   device_.import_host_memory(bytes, {.label = "imported", .writable = true}));
  return {};
}

Result<> MetalScenario::transfer() {
  for (const Buffer* buffer : {&small_, &target_, &unmapped_, &imported_}) {
    SEGUE_TRY_ASSIGN(const BufferView view, buffer->view(buffer->size_bytes() - kBytes, kBytes));
    SEGUE_TRY(write(view, counting()));
    SEGUE_TRY(expect(view, counting(), "transfers"));
  }
  return {};
}

Result<> MetalScenario::compile() {
  for (KernelSource& source : metal_conformance_kernels()) {
    if (!device_.kernels().contains(source.name))
      SEGUE_TRY(device_.kernels().add(std::move(source)));
  }
  SEGUE_TRY_ASSIGN(add_one_, device_.kernels().get("test_add_one"));
  SEGUE_TRY_ASSIGN(add_, device_.kernels().get("test_add"));
  SEGUE_TRY_ASSIGN(store_, device_.kernels().get("test_store"));
  SEGUE_TRY_ASSIGN(reverse_, device_.kernels().get("test_reverse"));
  if (!ops_) {
    SEGUE_TRY_ASSIGN(ops_, ops::Ops::create(device_));
  }
  return {};
}

// Recordings.

/// Both encoders, for new recordings.
Result<> MetalScenario::begin() {
  for (unsigned i = 0; i < encoders_.size(); ++i) {
    EncoderOptions options;
    options.queue = i;
    if (!encoders_[i]) {
      SEGUE_TRY_ASSIGN(encoders_[i], device_.create_encoder(options));
    }
    SEGUE_TRY(encoders_[i]->begin());
  }
  return {};
}

/// In groups of 64, which exchange their words through shared memory.
void MetalScenario::record_reverse(CommandEncoder& encoder, const Buffer& to) const {
  constexpr std::array kShared{SharedMemorySize{2, 4 * kGroup}};
  DispatchOptions options;
  options.shared_memory = kShared;
  encoder.dispatch(reverse_, {small_.view(), to.view()}, threads(kWords), options);
}

/// By a built-in kernel.
void MetalScenario::record_sum(CommandEncoder& encoder) const {
  const Tensor from{floats_.view(), DType::kF32, 1, kWords};
  const Tensor to{sums_.view(), DType::kF32, 1, kWords};
  ops_->add(encoder, from, from, to);
}

void MetalScenario::record_native(CommandEncoder& encoder) {
  const std::array reads{small_.view()};
  encoder.native(reads, {}, [this](void* native) {
    const auto compute = static_cast<id<MTLComputeCommandEncoder>>(native);
    [compute insertDebugSignpost:@"native"];
    ++native_calls_;
  });
}

/// Two submissions that nobody waits for at once, on two queues, the second needing the first; then
/// one that is waited for.
Result<> MetalScenario::submit() {
  SEGUE_TRY(begin());
  SEGUE_TRY(write(small_.view(), counting()));
  SEGUE_TRY(write(floats_.view(), filled(kOne)));
  SEGUE_TRY(write(counts_.view(), {kWords / kGroup, 1, 1, 0}));
  native_calls_ = 0;
  device_.residency().add(unmapped_);
  SEGUE_TRY(submit_first());
  SEGUE_TRY(submit_second());
  device_.residency().remove(unmapped_);
  SEGUE_TRY(encoders_[0]->begin());
  SEGUE_TRY(encoders_[0]->commit_and_wait());  // nothing, which completes as well
  return check_submissions();
}

Result<> MetalScenario::submit_first() {
  CommandEncoder& encoder = *encoders_[0];
  SEGUE_TRY_ASSIGN(const BufferView start, unmapped_.view(0, 16));
  const Words four = filled(7, 4);
  const Words nine = filled(9);
  encoder.push_label("scope");
  encoder.fill(unmapped_.view(), std::byte{1});
  encoder.upload(start, std::as_bytes(std::span(four)));
  encoder.copy(small_.view(), copied_.view());
  encoder.dispatch(add_, {small_.view(), unmapped_.view(), KernelArg::bytes(std::uint32_t{3})},
                   threads(kWords));
  encoder.dispatch_indirect(add_one_, std::array<KernelArg, 1>{unmapped_.view()}, counts_.view(),
                            {kWords / kGroup, 1, 1});
  record_reverse(encoder, copied_);
  SEGUE_TRY_ASSIGN(const BufferView imported, imported_.view(0, kBytes));
  encoder.dispatch(store_, {KernelArg::bytes(std::as_bytes(std::span(nine))), imported},
                   threads(kWords));
  record_native(encoder);
  record_sum(encoder);
  encoder.pop_label();
  SEGUE_TRY(encoder.commit("first"));
  return {};
}

Result<> MetalScenario::submit_second() {
  CommandEncoder& encoder = *encoders_[1];
  SEGUE_TRY_ASSIGN(const BufferView imported, imported_.view(0, kBytes));
  encoder.dispatch(add_, {copied_.view(), imported, KernelArg::bytes(std::uint32_t{1})},
                   threads(kWords));
  SEGUE_TRY(encoder.commit("second"));
  SEGUE_TRY(encoder.begin());
  encoder.dispatch(add_one_, {imported}, threads(kWords));
  return encoder.commit_and_wait("third");
}

Result<> MetalScenario::check_submissions() const {
  Words unmapped = filled(0x01010101);
  Words imported = reversed();
  for (std::uint32_t i = 0; i < kWords; ++i) {
    if (i < 4) unmapped[i] = 7;
    unmapped[i] += 3 * i + 1;
    imported[i] += 10;
  }
  SEGUE_TRY_ASSIGN(const BufferView view, imported_.view(0, kBytes));
  SEGUE_TRY(expect(unmapped_.view(), unmapped, "the first submission"));
  SEGUE_TRY(expect(copied_.view(), reversed(), "shared memory"));
  SEGUE_TRY(expect(sums_.view(), filled(kTwo), "a built-in kernel"));
  SEGUE_TRY(expect(view, imported, "the second queue"));
  if (native_calls_ == 1) return {};
  return base::fail(ErrorCode::kCorruptData, "The native callback is called {} times, not once.",
                    native_calls_.load());
}

// Timelines.

Result<> MetalScenario::timelines() {
  SEGUE_TRY(begin());
  SEGUE_TRY(write(small_.view(), filled(0)));
  SEGUE_TRY(write(target_.view(), filled(0, 2 * kWords)));
  SEGUE_TRY_ASSIGN(const Timeline turn, device_.create_timeline(0, "turn"));
  const std::array buffers{&small_, &target_};
  for (unsigned i = 0; i < encoders_.size(); ++i) {
    CommandEncoder& encoder = *encoders_[i];
    encoder.wait_for(turn, i + 1);
    encoder.dispatch(add_one_, {buffers[i]->view()}, threads(kWords));
    encoder.signal(turn, i + 2);
    SEGUE_TRY(encoder.commit("turn"));
  }
  SEGUE_TRY(turn.signal(1));
  SEGUE_TRY(turn.wait(3));
  SEGUE_TRY(expect(small_.view(), filled(1), "the first turn"));
  SEGUE_TRY_ASSIGN(const BufferView target, target_.view(0, kBytes));
  SEGUE_TRY(expect(target, filled(1), "the second turn"));
  return share_timeline();
}

Result<> MetalScenario::share_timeline() const {
  SEGUE_TRY_ASSIGN(const Timeline timeline, device_.create_timeline(3, "shared"));
  SEGUE_TRY_ASSIGN(const NativeHandle handle, timeline.export_handle());
  Result<Timeline> imported = device_.import_timeline(handle, "imported");
  if (!imported) {
    [static_cast<id>(handle.object) release];  // still ours
    return std::unexpected(imported.error());
  }
  SEGUE_TRY(timeline.signal(4));
  SEGUE_TRY_ASSIGN(const std::uint64_t value, imported->value());
  if (value == 4) return {};
  return base::fail(ErrorCode::kCorruptData, "The imported timeline has reached {}, not 4.", value);
}

// A trace.

Result<> MetalScenario::trace() {
  SEGUE_TRY(begin());
  SEGUE_TRY(write(small_.view(), filled(0)));
  const std::filesystem::path path = trace_path();
  std::filesystem::remove(path);
  SEGUE_TRY(metal::start_capture(device_, path.string()));
  encoders_[0]->dispatch(add_one_, {small_.view()}, threads(kWords));
  const Result<> done = encoders_[0]->commit_and_wait("traced");
  SEGUE_TRY(metal::stop_capture());
  const bool written = std::filesystem::remove(path);
  SEGUE_TRY(done);
  if (!written) return base::fail(ErrorCode::kCorruptData, "The trace is not written.");
  return expect(small_.view(), filled(1), "traced work");
}

// Replays.

/// target[i] += amount * small[i] for the first elements of a slot for the grid, one more in the
/// first half; and commands of each other kind.
void MetalScenario::record_graph(CommandEncoder& encoder) {
  const BufferView target = target_.view(0, kBytes).value();
  const std::array amount_slots{BytesSlot{.name = "amount"}};
  const std::array mark_slots{BytesSlot{.name = "marks"}};
  const std::array<std::uint32_t, 2> no_marks{};
  const Words nine = filled(9);
  DispatchOptions options;
  options.grid_slot = "grid";
  encoder.dispatch(add_,
                   {small_.view(), KernelArg::slot("target", target),
                    KernelArg::bytes(std::uint32_t{1}, amount_slots)},
                   threads(kWords), options);
  encoder.dispatch(add_one_, {KernelArg::slot("target", target)}, threads(kHalf));
  encoder.upload(marks_.view(0, 8).value(), KernelArg::bytes(no_marks, mark_slots));
  encoder.fill(marks_.view(8, 8).value(), std::byte{5});
  encoder.copy(small_.view(), KernelArg::slot("copy", copied_.view()));
  encoder.dispatch_indirect(add_one_,
                            std::array<KernelArg, 1>{KernelArg::slot("copy", copied_.view())},
                            counts_.view(), {kWords / kGroup, 1, 1});
  record_native(encoder);
  record_reverse(encoder, unmapped_);
  record_sum(encoder);
  const BufferView imported = imported_.view(0, kBytes).value();
  encoder.dispatch(store_, {KernelArg::bytes(std::as_bytes(std::span(nine))), imported},
                   threads(kWords));
}

Result<> MetalScenario::link() {
  SEGUE_TRY(begin());
  CommandEncoder& encoder = *encoders_[0];
  encoder.start_capture();
  record_graph(encoder);
  const Result<Graph> graph = encoder.take_capture();
  if (!graph) return std::unexpected(graph.error());
  SEGUE_TRY(write(small_.view(), counting()));
  SEGUE_TRY(write(floats_.view(), filled(kOne)));
  SEGUE_TRY(write(counts_.view(), {kWords / kGroup, 1, 1, kLoaded}));
  SEGUE_TRY_ASSIGN(const BufferView target, target_.view(0, kBytes));
  SEGUE_TRY(write(target, filled(0)));
  if (!executable_) {
    CompileOptions options;
    options.max_in_flight = 2;
    options.label = "graph";
    SEGUE_TRY_ASSIGN(executable_, graph->compile(device_, options));
  }
  SEGUE_TRY_ASSIGN(Submission early, graph->submit_early(device_));
  SEGUE_TRY(early.wait());
  Words expected = counting();
  for (std::uint32_t i = 0; i < kHalf; ++i) ++expected[i];
  return expect(target, expected, "an early start");
}

Result<> MetalScenario::replay() {
  SEGUE_TRY(write(small_.view(), counting()));
  SEGUE_TRY_ASSIGN(const BufferView target, target_.view(0, kBytes));
  SEGUE_TRY_ASSIGN(const BufferView other, target_.view(kBytes, kBytes));
  executable_->set_profiling(false);
  SEGUE_TRY(replay_thrice({1, target, kWords}));
  SEGUE_TRY(replay_thrice({4, target, kHalf}));
  SEGUE_TRY(replay_thrice({4, other, 0}));
  SEGUE_TRY(replay_thrice({std::nullopt, other, kWords}));
  executable_->set_profiling(true);
  return replay_thrice({std::nullopt, target, kWords});
}

/// More than may be in flight.
Result<> MetalScenario::replay_thrice(const Replays& replays) {
  SEGUE_TRY_ASSIGN(const SlotId amount, executable_->slot("amount"));
  SEGUE_TRY_ASSIGN(const SlotId target, executable_->slot("target"));
  SEGUE_TRY_ASSIGN(const SlotId grid, executable_->slot("grid"));
  SEGUE_TRY_ASSIGN(const SlotId marks, executable_->slot("marks"));
  if (replays.amount) {
    SEGUE_TRY(executable_->set(amount, *replays.amount));
  } else {
    SEGUE_TRY_ASSIGN(const BufferView source, counts_.view(12, 4));
    SEGUE_TRY(executable_->load(amount, source));
  }
  SEGUE_TRY(executable_->set(target, replays.target));
  SEGUE_TRY(executable_->set(grid, Extent3{replays.count, 1, 1}));
  SEGUE_TRY(executable_->set(marks, std::array<std::uint32_t, 2>{6, replays.count}));
  SEGUE_TRY(write(replays.target, filled(0)));
  for (int i = 0; i < 2; ++i) SEGUE_TRY(executable_->submit("replay"));
  SEGUE_TRY(executable_->submit_and_wait());
  return check_replays(replays);
}

Result<> MetalScenario::check_replays(const Replays& replays) const {
  Words target = filled(0);
  Words copied = counting();
  for (std::uint32_t i = 0; i < kWords; ++i) {
    if (i < replays.count) target[i] += 3 * replays.amount.value_or(kLoaded) * i;
    if (i < kHalf) target[i] += 3;
    ++copied[i];
  }
  SEGUE_TRY_ASSIGN(const BufferView imported, imported_.view(0, kBytes));
  SEGUE_TRY(expect(replays.target, target, "replays"));
  SEGUE_TRY(expect(copied_.view(), copied, "counts in memory in replays"));
  SEGUE_TRY(
      expect(marks_.view(), {6, replays.count, 0x05050505, 0x05050505}, "uploads in replays"));
  SEGUE_TRY(expect(unmapped_.view(), reversed(), "shared memory in replays"));
  SEGUE_TRY(expect(sums_.view(), filled(kTwo), "a built-in kernel in replays"));
  return expect(imported, filled(9), "inline bytes in replays");
}

}  // namespace segue::test
