// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/host/host_device.hpp"
#include "ir/command_list.hpp"
#include "ir/plan.hpp"
#include "segue/host.hpp"

/// Drives the host backend as the runtime does, but with plans made by hand.
namespace segue::host::testing {

/// The value of a Result that the test expects to have one.
template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  return std::move(*result);
}

struct TestJob final : hal::Job {
  void complete(hal::Outcome&& result) noexcept override {
    outcome = std::move(result);
    completed.store(true);
    completed.notify_all();
  }
  hal::Outcome outcome;
};

/// A buffer: storage and its memory.
struct TestBuffer {
  base::Ref<ir::Storage> storage;
  std::shared_ptr<hal::Memory> memory;

  template <class T>
  [[nodiscard]] std::span<T> as() const {
    return {reinterpret_cast<T*>(storage->host), storage->size_bytes / sizeof(T)};
  }
};

inline TestBuffer make_buffer(hal::Device& device, std::uint64_t size_bytes,
                              std::string label = "buffer") {
  static std::atomic<std::uint32_t> next = 1;
  const std::uint32_t id = next++;
  TestBuffer buffer;
  buffer.memory = value_of(device.allocate({size_bytes, true, true, label}));
  buffer.storage = base::Ref<ir::Storage>(new ir::Storage);
  buffer.storage->memory = static_cast<MemoryId>(id);
  buffer.storage->index = id;
  buffer.storage->size_bytes = size_bytes;
  buffer.storage->host = buffer.memory->host;
  buffer.storage->label = std::move(label);
  return buffer;
}

/// An argument: a whole buffer, a part of one, or bytes.
struct TestArgument {
  TestArgument(const TestBuffer& whole)  // NOLINT(google-explicit-constructor): reads as a list.
      : buffer(&whole), size(whole.storage->size_bytes) {}
  TestArgument(const TestBuffer& part, std::uint64_t part_offset, std::uint64_t part_size)
      : buffer(&part), offset(part_offset), size(part_size) {}
  template <class T>
  static TestArgument value(const T& bytes) {
    TestArgument argument;
    argument.inline_bytes.resize(sizeof(T));
    std::memcpy(argument.inline_bytes.data(), &bytes, sizeof(T));
    return argument;
  }

  const TestBuffer* buffer = nullptr;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::vector<std::byte> inline_bytes;

 private:
  TestArgument() = default;
};

/// A command list with a plan in recorded order, whose groups end where barrier() is called.
class TestProgram {
 public:
  using Arguments = std::initializer_list<TestArgument>;

  void dispatch(const base::Ref<ir::Kernel>& kernel, Arguments arguments, Extent3 groups,
                Extent3 threads = {0, 0, 0}, std::initializer_list<std::uint32_t> shared = {}) {
    ir::Command command = begin(ir::CommandKind::kDispatch, arguments);
    command.kernel = kernel.get();
    command.group_count = groups;
    command.thread_count = threads.x == 0 ? groups : threads;
    command.first_shared = list_.shared_total();
    command.shared_count = static_cast<std::uint32_t>(shared.size());
    for (const std::uint32_t size : shared) list_.add_shared_size(size);
    end(command);
  }
  void dispatch_indirect(const base::Ref<ir::Kernel>& kernel, Arguments arguments, Extent3 bound) {
    ir::Command command = begin(ir::CommandKind::kDispatchIndirect, arguments);
    command.kernel = kernel.get();
    command.group_count = bound;
    end(command);
  }
  void fill(const TestArgument& destination, std::uint8_t value) {
    ir::Command command = begin(ir::CommandKind::kFill, {destination});
    command.fill_byte = value;
    end(command);
  }
  void copy(const TestArgument& source, const TestArgument& destination) {
    end(begin(ir::CommandKind::kCopy, {source, destination}));
  }
  void upload(const TestArgument& destination, const TestArgument& bytes) {
    end(begin(ir::CommandKind::kUpload, {destination, bytes}));
  }
  void native(ir::NativeCallback callback) {
    ir::Command command = begin(ir::CommandKind::kNative, {});
    command.native_callback = list_.add_native_callback(std::move(callback));
    end(command);
  }
  void barrier() { plan_.group_ends.push_back(static_cast<std::uint32_t>(plan_.order.size())); }
  void label(std::string_view name) { label_ = list_.add_name(name); }

  const ir::Plan& finish() {
    const auto size = static_cast<std::uint32_t>(plan_.order.size());
    if (size != 0 && (plan_.group_ends.empty() || plan_.group_ends.back() != size)) barrier();
    plan_.list = &list_;
    return plan_;
  }

 private:
  ir::Command begin(ir::CommandKind kind, Arguments arguments) {
    ir::Command command;
    command.kind = kind;
    command.label = label_;
    command.first_argument = list_.argument_total();
    command.argument_count = static_cast<std::uint8_t>(arguments.size());
    for (const TestArgument& argument : arguments) {
      if (argument.buffer != nullptr) {
        list_.add_view(*argument.buffer->storage, argument.offset, argument.size,
                       Access::kReadWrite);
      } else {
        list_.add_bytes(argument.inline_bytes);
      }
    }
    return command;
  }
  void end(const ir::Command& command) {
    plan_.order.push_back(static_cast<std::uint32_t>(list_.size()));
    list_.append(command);
  }

  ir::CommandList list_;
  ir::Plan plan_;
  ir::NameId label_ = ir::NameId::kNone;
};

inline std::shared_ptr<hal::Device> make_device(unsigned threads = 1,
                                                Parallelism parallelism = Parallelism::kAuto) {
  HostOptions options;
  options.threads = threads;
  options.parallelism = parallelism;
  return value_of(create_hal_device(options));
}

/// Submits and waits, as commit_and_wait() does.
inline hal::Outcome run(hal::Queue& queue, TestProgram& program) {
  TestJob job;
  job.plan = &program.finish();
  job.waited_for = true;
  const Result<> submitted = queue.submit(job);
  if (!submitted) throw std::runtime_error(submitted.error().to_string());
  queue.wait(job, std::nullopt);
  return std::move(job.outcome);
}

inline hal::Outcome run(hal::Device& device, TestProgram& program) {
  return run(*value_of(device.create_queue()), program);
}

}  // namespace segue::host::testing
