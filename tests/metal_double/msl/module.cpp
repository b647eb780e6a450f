// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/module.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "metal_double/msl/compiler.hpp"
#include "metal_double/msl/executor.hpp"
#include "metal_double/msl/group_memory.hpp"
#include "segue_msl/abi.hpp"

namespace metal_double::msl {
namespace {

using segue_msl::ModuleTable;
using Result = std::expected<void, std::string>;

std::string_view name_of(ConstantType type) {
  switch (type) {
    case ConstantType::kBool: return "bool";
    case ConstantType::kInt: return "int";
    case ConstantType::kUint: return "uint";
    case ConstantType::kShort: return "short";
    case ConstantType::kUshort: return "ushort";
    case ConstantType::kFloat: return "float";
    case ConstantType::kHalf: return "half";
  }
  return "unknown";
}

FunctionConstant describe(const segue_msl::ConstantEntry& entry) {
  return {.name = entry.name,
          .type = static_cast<ConstantType>(entry.type),
          .index = entry.index,
          .required = entry.required};
}

FunctionInfo describe(const ModuleTable& table, const segue_msl::FunctionEntry& entry) {
  FunctionInfo info{.name = entry.name,
                    .bindings = {},
                    .constants = {},
                    .max_total_threads = entry.max_total_threads,
                    .static_threadgroup_bytes = 0};
  for (unsigned i = 0; i < entry.binding_count; ++i) {
    const segue_msl::BindingEntry& binding = entry.bindings[i];
    info.bindings.push_back({.name = binding.name,
                             .kind = static_cast<BindingKind>(binding.kind),
                             .access = static_cast<Access>(binding.access),
                             .index = binding.index,
                             .data_size = binding.data_size,
                             .alignment = binding.alignment,
                             .is_struct = binding.is_struct});
  }
  for (unsigned i = 0; i < entry.constant_count; ++i) {
    info.constants.push_back(describe(table.constants[entry.constants[i]]));
  }
  info.static_threadgroup_bytes = GroupMemory::variable_bytes(table, entry.name);
  return info;
}

/// What Metal's compiler rejects, and clang++ does not see.
Result check(const ModuleTable& table, std::span<const FunctionInfo> functions) {
  std::map<unsigned, std::string_view> constants;
  for (unsigned i = 0; i < table.constant_count; ++i) {
    const auto [other, added] =
        constants.emplace(table.constants[i].index, table.constants[i].name);
    if (added) continue;
    return std::unexpected(
        fmt::format("program_source: error: function constants \"{}\" and \"{}\" both have the "
                    "index {}\n",
                    other->second, table.constants[i].name, other->first));
  }
  for (const FunctionInfo& function : functions) {
    std::map<std::pair<BindingKind, unsigned>, std::string_view> bindings;
    for (const Binding& binding : function.bindings) {
      const auto [other, added] =
          bindings.emplace(std::pair(binding.kind, binding.index), binding.name);
      if (binding.index >= segue_msl::kArgumentSlots) {
        return std::unexpected(
            fmt::format("program_source: error: argument \"{}\" of \"{}\" has the index {}, but "
                        "the last is {}\n",
                        binding.name, function.name, binding.index, segue_msl::kArgumentSlots - 1));
      }
      if (added) continue;
      return std::unexpected(fmt::format(
          "program_source: error: arguments \"{}\" and \"{}\" of \"{}\" both have the index {}\n",
          other->second, binding.name, function.name, binding.index));
    }
  }
  return {};
}

std::uint32_t groups_of(std::uint32_t threads, std::uint32_t size) {
  return threads / size + (threads % size != 0 ? 1 : 0);
}

class LoadedModule final : public Module {
 public:
  explicit LoadedModule(const ModuleTable& table) : table_(table) {
    for (unsigned i = 0; i < table.function_count; ++i) {
      functions_.push_back(describe(table, table.functions[i]));
    }
  }

  std::span<const FunctionInfo> functions() const override { return functions_; }

  Result run(const Launch& launch) const override {
    const auto found = std::ranges::find(functions_, launch.function, &FunctionInfo::name);
    if (found == functions_.end()) {
      return std::unexpected(fmt::format("The library has no function \"{}\".", launch.function));
    }
    const auto place = static_cast<std::size_t>(found - functions_.begin());
    if (auto done = check(launch, *found); !done) return done;
    if (auto done = set_constants(launch, *found); !done) return done;
    return run_groups(launch, table_.functions[place]);
  }

 private:
  static Result check(const Launch& launch, const FunctionInfo& info) {
    const Extent& size = launch.group_size;
    const std::uint64_t threads = std::uint64_t{size.x} * size.y * size.z;
    const unsigned limit = info.max_total_threads != 0
                               ? std::min(info.max_total_threads, kMaxGroupThreads)
                               : kMaxGroupThreads;
    if (threads == 0 || threads > limit) {
      return std::unexpected(
          fmt::format("Function \"{}\" is launched with thread groups of {} x {} x {} threads, but "
                      "a group of it "
                      "has between 1 and {}.",
                      info.name, size.x, size.y, size.z, limit));
    }
    for (const Binding& binding : info.bindings) {
      if (auto done = check(launch, info, binding); !done) return done;
    }
    return {};
  }

  static Result check(const Launch& launch, const FunctionInfo& info, const Binding& binding) {
    if (binding.kind == BindingKind::kThreadgroup) {
      if (launch.threadgroup_bytes[binding.index] != 0) return {};
      return std::unexpected(
          fmt::format("Function \"{}\" has the threadgroup argument \"{}\" at index {}, but no "
                      "threadgroup memory is set there.",
                      info.name, binding.name, binding.index));
    }
    const BoundBuffer& buffer = launch.buffers[binding.index];
    if (buffer.data == nullptr) {
      return std::unexpected(fmt::format(
          "Function \"{}\" has the buffer argument \"{}\" at index {}, but no buffer is "
          "bound there.",
          info.name, binding.name, binding.index));
    }
    const std::uint64_t past = reinterpret_cast<std::uintptr_t>(buffer.data) % binding.alignment;
    if (past == 0) return {};
    return std::unexpected(
        fmt::format("Buffer argument \"{}\" of function \"{}\" is bound {} bytes past an aligned "
                    "address, but its type needs an alignment of {}.",
                    binding.name, info.name, past, binding.alignment));
  }

  /// For the calling thread. Constants that the launch does not set are undefined again.
  Result set_constants(const Launch& launch, const FunctionInfo& info) const {
    for (const FunctionConstant& constant : info.constants) {
      const auto given = std::ranges::find(launch.constants, constant.index, &ConstantValue::index);
      if (given == launch.constants.end()) {
        if (!constant.required) continue;
        return std::unexpected(fmt::format(
            "Function \"{}\" needs the constant \"{}\" at index {}, but it has no value.",
            info.name, constant.name, constant.index));
      }
      if (given->type != constant.type) {
        return std::unexpected(fmt::format(
            "The constant \"{}\" at index {} is given as {}, but its type is {}.", constant.name,
            constant.index, name_of(given->type), name_of(constant.type)));
      }
    }
    for (unsigned i = 0; i < table_.constant_count; ++i) {
      const segue_msl::ConstantEntry& entry = table_.constants[i];
      const auto given = std::ranges::find_if(launch.constants, [&](const ConstantValue& value) {
        return value.index == entry.index && value.type == static_cast<ConstantType>(entry.type);
      });
      entry.set(given == launch.constants.end() ? nullptr : given->bytes.data());
    }
    table_.evaluate_constants();
    return {};
  }

  Result run_groups(const Launch& launch, const segue_msl::FunctionEntry& function) const {
    segue_msl::Group group{};
    for (std::size_t i = 0; i < launch.buffers.size(); ++i)
      group.buffers[i] = launch.buffers[i].data;
    group.grid_threads = {launch.threads.x, launch.threads.y, launch.threads.z};
    group.full_size = {launch.group_size.x, launch.group_size.y, launch.group_size.z};
    group.group_count = {groups_of(launch.threads.x, launch.group_size.x),
                         groups_of(launch.threads.y, launch.group_size.y),
                         groups_of(launch.threads.z, launch.group_size.z)};
    GroupMemory memory(table_, function.name, launch.threadgroup_bytes, launch.thread_order);
    group.variables = memory.variables();
    for (unsigned i = 0; i < segue_msl::kArgumentSlots; ++i) {
      group.threadgroup_arguments[i] = memory.argument(i);
    }
    std::unique_ptr<Executor> executor;
    if (function.synchronises) executor = ExecutorPool::take();
    std::string error;
    const std::uint32_t count = group.group_count.x * group.group_count.y * group.group_count.z;
    for (std::uint32_t i = 0; i < count && error.empty(); ++i) {
      place(group, launch.group_order ? launch.group_order(i) : i);
      memory.scramble();
      if (executor != nullptr) {
        error = executor->run(group, function, launch.thread_order);
      } else {
        function.run_group(group);
      }
    }
    if (executor != nullptr) ExecutorPool::give_back(std::move(executor));
    if (error.empty()) return {};
    return std::unexpected(fmt::format("Function \"{}\", thread group ({}, {}, {}): {}.",
                                       function.name, group.position.x, group.position.y,
                                       group.position.z, error));
  }

  static void place(segue_msl::Group& group, std::uint32_t index) {
    const segue_msl::Uint3& count = group.group_count;
    group.position = {index % count.x, index / count.x % count.y, index / count.x / count.y};
    const auto size_of = [](unsigned threads, unsigned size, unsigned position) {
      return std::min(size, threads - position * size);
    };
    group.size = {size_of(group.grid_threads.x, group.full_size.x, group.position.x),
                  size_of(group.grid_threads.y, group.full_size.y, group.position.y),
                  size_of(group.grid_threads.z, group.full_size.z, group.position.z)};
  }

  const ModuleTable& table_;
  std::vector<FunctionInfo> functions_;
};

/// The library stays loaded: its code may be on the stack of a fiber, and a loaded text will likely
/// be compiled again.
std::expected<const ModuleTable*, std::string> load(const std::string& path) {
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    return std::unexpected(fmt::format("The compiled library does not load: {}.", ::dlerror()));
  }
  const auto* table = static_cast<const ModuleTable*>(::dlsym(library, "segue_msl_module"));
  if (table == nullptr) {
    return std::unexpected(fmt::format("The compiled library has no table: {}.", ::dlerror()));
  }
  if (*table->runtime == nullptr) {
    GroupMemory::place_variables(*table);
    *table->runtime = &Executor::runtime();
  }
  return table;
}

}  // namespace

std::expected<std::shared_ptr<Module>, std::string> Module::compile(
    std::string_view source, const std::map<std::string, std::string>& macros) {
  const auto library = compile_to_library(source, macros);
  if (!library) return std::unexpected(library.error());
  const auto table = load(library->string());
  if (!table) return std::unexpected(table.error());
  auto module = std::make_shared<LoadedModule>(**table);
  if (auto done = check(**table, module->functions()); !done) {
    return std::unexpected(done.error());
  }
  return module;
}

}  // namespace metal_double::msl
