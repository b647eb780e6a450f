// SPDX-License-Identifier: Apache-2.0
#include "fault/vulkan_scenario.hpp"

#include <cstring>
#include <span>
#include <utility>

#include "backends/vulkan/vulkan_device.hpp"
#include "base/fail.hpp"
#include "conformance/vulkan_conformance_kernels.hpp"
#include "runtime/device_state.hpp"
#include "support/wrapped_api.hpp"

namespace segue::test {
namespace {

constexpr std::uint32_t kWords = 1024;
constexpr std::uint64_t kBytes = 4 * kWords;
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kLargeBytes = std::uint64_t{20} << 20;  // an allocation of its own
constexpr std::uint32_t kHalf = kWords / 2;

std::vector<std::uint32_t> filled(std::uint32_t value) {
  return std::vector<std::uint32_t>(kWords, value);
}

}  // namespace

const char* to_string(Phase phase) {
  constexpr std::array kNames{"Open",   "Allocate", "Transfer", "Compile",
                              "Submit", "Link",     "Replay"};
  return kNames[static_cast<std::size_t>(phase)];
}

std::ostream& operator<<(std::ostream& out, Phase phase) { return out << to_string(phase); }

VulkanScenario::VulkanScenario() : pages_(std::aligned_alloc(kPageBytes, kPageBytes)) {
  std::memset(pages_.get(), 0, kPageBytes);
}

VulkanScenario::~VulkanScenario() { close(); }

void VulkanScenario::close() {
  executable_.reset();
  for (auto& encoder : encoders_) encoder.reset();
  add_one_ = add_ = copy_ = store_ = Kernel();
  small_ = large_ = unmapped_ = imported_ = counts_ = Buffer();
  device_ = Device();
}

Result<> VulkanScenario::run(Phase phase) {
  switch (phase) {
    case Phase::kOpen: return open();
    case Phase::kAllocate: return allocate();
    case Phase::kTransfer: return transfer();
    case Phase::kCompile: return compile();
    case Phase::kSubmit: return submit();
    case Phase::kLink: return link();
    case Phase::kReplay: return replay();
  }
  return {};
}

Result<> VulkanScenario::run_through(Phase phase) {
  for (const Phase each : kPhases) {
    SEGUE_TRY(run(each));
    if (each == phase) break;
  }
  return {};
}

Result<> VulkanScenario::open() {
  if (device_) return {};
  vulkan::VulkanOptions vulkan_options = validated_options();
  vulkan_options.on_message = messages_.handler();
  vulkan_options.pipeline_cache_directory = "none";
  DeviceOptions options;
  options.queue_count = 2;
  options.error_handler = [this](const Error& error) {
    last_report_ = error;
    ++reported_;
  };
  SEGUE_TRY_ASSIGN(
      std::shared_ptr<hal::Device> hal,
      vulkan::create_hal_device(vulkan_options, options.queue_count, WrappedApi::hook()));
  SEGUE_TRY_ASSIGN(std::shared_ptr<runtime::DeviceState> state,
                   runtime::DeviceState::create(std::move(hal), options));
  device_ = Device(std::move(state));
  return {};
}

Result<> VulkanScenario::allocate() {
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
  SEGUE_TRY(make(large_, "large", kLargeBytes, HostAccess::kReadWrite));
  SEGUE_TRY(make(unmapped_, "unmapped", kBytes, HostAccess::kNone));
  SEGUE_TRY(make(counts_, "counts", 16, HostAccess::kReadWrite));
  if (!imported_) {
    const std::span bytes(static_cast<std::byte*>(pages_.get()), kPageBytes);
    SEGUE_TRY_ASSIGN(imported_,
                     device_.import_host_memory(bytes, {.label = "imported", .writable = true}));
  }
  return {};
}

Result<VulkanScenario::Words> VulkanScenario::read(const BufferView& view) const {
  Words words(view.size_bytes() / 4);
  SEGUE_TRY(device_.download(view, std::as_writable_bytes(std::span(words))));
  return words;
}

Result<> VulkanScenario::write(const BufferView& view, const Words& words) const {
  return device_.upload(view, std::as_bytes(std::span(words)));
}

Result<> VulkanScenario::expect(const BufferView& view, const Words& words,
                                const char* what) const {
  SEGUE_TRY_ASSIGN(const Words found, read(view));
  if (found == words) return {};
  return base::fail(ErrorCode::kCorruptData, "The results of {} are wrong.", what);
}

Result<> VulkanScenario::transfer() {
  for (const Buffer* buffer : {&small_, &large_, &unmapped_, &imported_}) {
    SEGUE_TRY_ASSIGN(const BufferView view, buffer->view(buffer->size_bytes() - kBytes, kBytes));
    SEGUE_TRY(write(view, filled(7)));
    SEGUE_TRY(expect(view, filled(7), "transfers"));
  }
  return {};
}

Result<> VulkanScenario::compile() {
  for (KernelSource& source : vulkan_conformance_kernels()) {
    if (!device_.kernels().contains(source.name))
      SEGUE_TRY(device_.kernels().add(std::move(source)));
  }
  SEGUE_TRY_ASSIGN(add_one_, device_.kernels().get("test_add_one"));
  SEGUE_TRY_ASSIGN(add_, device_.kernels().get("test_add"));
  SEGUE_TRY_ASSIGN(copy_, device_.kernels().get("test_copy"));
  SEGUE_TRY_ASSIGN(store_, device_.kernels().get("test_store"));
  return {};
}

/// Two submissions that nobody waits for at once, on two queues, the second needing the first; then
/// one that is waited for.
Result<> VulkanScenario::submit() {
  for (unsigned i = 0; i < encoders_.size(); ++i) {
    EncoderOptions options;
    options.queue = i;
    if (!encoders_[i]) {
      SEGUE_TRY_ASSIGN(encoders_[i], device_.create_encoder(options));
    }
    SEGUE_TRY(encoders_[i]->begin());
  }
  SEGUE_TRY(write(small_.view(), filled(1)));
  SEGUE_TRY(write(counts_.view(), {kWords / 64, 1, 1, 0}));
  SEGUE_TRY(submit_first());
  CommandEncoder& second = *encoders_[1];
  second.copy(unmapped_.view(), imported_.view());
  second.dispatch(add_one_, {imported_.view()}, threads(kWords));
  SEGUE_TRY(second.commit("second"));
  SEGUE_TRY(second.begin());
  second.dispatch(add_one_, {imported_.view()}, threads(kWords));
  SEGUE_TRY(second.commit_and_wait("third"));
  SEGUE_TRY(encoders_[0]->begin());
  SEGUE_TRY(encoders_[0]->commit_and_wait());  // nothing, which completes as well
  return expect(imported_.view(), filled(11), "submissions");
}

Result<> VulkanScenario::submit_first() {
  CommandEncoder& encoder = *encoders_[0];
  SEGUE_TRY_ASSIGN(const BufferView part, large_.view(0, kBytes));
  encoder.push_label("scope");
  encoder.fill(part, std::byte{0});
  encoder.dispatch(add_, {small_.view(), part, KernelArg::bytes(std::uint32_t{3})},
                   threads(kWords));
  encoder.dispatch_indirect(add_one_, std::array<KernelArg, 1>{part}, counts_.view(),
                            {kWords / 64, 1, 1});
  const Words five = filled(5);
  encoder.dispatch(store_, {KernelArg::bytes(std::as_bytes(std::span(five))), unmapped_.view()},
                   threads(kWords));
  encoder.dispatch(add_, {part, unmapped_.view(), KernelArg::bytes(std::uint32_t{1})},
                   threads(kWords));
  encoder.pop_label();
  SEGUE_TRY(encoder.commit("first"));
  return {};
}

/// target[i] += amount * small[i] for the first elements of a slot for the grid, after which two
/// words are uploaded behind.
Result<> VulkanScenario::link() {
  SEGUE_TRY(encoders_[0]->begin());
  CommandEncoder& encoder = *encoders_[0];
  const std::array slots{BytesSlot{.name = "amount"}};
  SEGUE_TRY_ASSIGN(const BufferView target, large_.view(0, kBytes));
  DispatchOptions options;
  options.grid_slot = "grid";
  encoder.start_capture();
  const std::uint32_t amount = 1;
  encoder.dispatch(
      add_, {small_.view(), KernelArg::slot("target", target), KernelArg::bytes(amount, slots)},
      threads(kWords), options);
  encoder.dispatch(add_one_, {KernelArg::slot("target", target)}, threads(kHalf));
  const Result<Graph> graph = encoder.take_capture();
  if (!graph) return std::unexpected(graph.error());
  if (!executable_) {
    CompileOptions compile_options;
    compile_options.max_in_flight = 2;
    SEGUE_TRY_ASSIGN(executable_, graph->compile(device_, compile_options));
  }
  SEGUE_TRY(write(small_.view(), filled(1)));
  SEGUE_TRY(write(target, filled(0)));
  SEGUE_TRY_ASSIGN(Submission early, graph->submit_early(device_));
  SEGUE_TRY(early.wait());
  Words expected = filled(1);
  for (std::uint32_t i = 0; i < kHalf; ++i) ++expected[i];
  return expect(target, expected, "an early start");
}

Result<> VulkanScenario::replay() {
  SEGUE_TRY_ASSIGN(const BufferView target, large_.view(0, kBytes));
  SEGUE_TRY_ASSIGN(const BufferView other, large_.view(kBytes, kBytes));
  SEGUE_TRY(write(small_.view(), filled(1)));
  SEGUE_TRY(write(counts_.view(), {9, 0, 0, 0}));
  executable_->set_profiling(false);
  SEGUE_TRY(replay_with(1, target, kWords));
  SEGUE_TRY(replay_with(4, target, kHalf));
  SEGUE_TRY(replay_with(4, other, kWords));
  SEGUE_TRY(replay_with(std::nullopt, other, kWords));  // 9, from memory
  executable_->set_profiling(true);
  return replay_with(std::nullopt, target, kWords);
}

/// Three replays, more than may be in flight.
Result<> VulkanScenario::replay_with(std::optional<std::uint32_t> amount, const BufferView& target,
                                     std::uint32_t count) {
  SEGUE_TRY_ASSIGN(const SlotId amount_slot, executable_->slot("amount"));
  SEGUE_TRY_ASSIGN(const SlotId target_slot, executable_->slot("target"));
  SEGUE_TRY_ASSIGN(const SlotId grid_slot, executable_->slot("grid"));
  if (amount) {
    SEGUE_TRY(executable_->set(amount_slot, *amount));
  } else {
    SEGUE_TRY_ASSIGN(const BufferView source, counts_.view(0, 4));
    SEGUE_TRY(executable_->load(amount_slot, source));
  }
  SEGUE_TRY(executable_->set(target_slot, target));
  SEGUE_TRY(executable_->set(grid_slot, Extent3{count, 1, 1}));
  SEGUE_TRY(write(target, filled(0)));
  constexpr std::uint32_t kReplays = 3;
  for (std::uint32_t i = 1; i < kReplays; ++i) SEGUE_TRY(executable_->submit("replay"));
  SEGUE_TRY(executable_->submit_and_wait());
  Words expected = filled(0);
  for (std::uint32_t i = 0; i < kWords; ++i) {
    if (i < count) expected[i] += kReplays * amount.value_or(9);
    if (i < kHalf) expected[i] += kReplays;
  }
  return expect(target, expected, "replays");
}

}  // namespace segue::test
