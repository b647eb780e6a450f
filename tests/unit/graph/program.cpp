// SPDX-License-Identifier: Apache-2.0
#include "unit/graph/program.hpp"

#include <algorithm>

namespace segue::test {

std::uint32_t Program::add_storage(std::uint64_t memory, std::uint64_t offset, std::uint64_t size) {
  base::Ref<ir::Storage> storage(new ir::Storage);
  storage->memory = MemoryId{memory};
  storage->memory_offset = offset;
  storage->size_bytes = size;
  storage->index = static_cast<std::uint32_t>(storages_.size());
  storages_.push_back(std::move(storage));
  return static_cast<std::uint32_t>(storages_.size() - 1);
}

void Program::dispatch(std::span<const Use> uses) {
  ir::Command command;
  command.first_argument = list_.argument_total();
  command.first_range = list_.range_total();
  command.argument_count = static_cast<std::uint8_t>(uses.size());
  OracleCommand oracle;
  for (const Use& use : uses) {
    const ir::Storage& storage = *storages_[use.storage];
    list_.add_view(*storages_[use.storage], use.begin, use.end - use.begin, use.access);
    oracle.accesses.push_back({static_cast<std::uint64_t>(storage.memory),
                               storage.memory_offset + use.begin, storage.memory_offset + use.end,
                               use.access != Access::kWrite, use.access != Access::kRead});
  }
  list_.append(command);
  oracle_.push_back(std::move(oracle));
}

void Program::fence() {
  ir::Command command;
  command.kind = ir::CommandKind::kBarrier;
  command.first_argument = list_.argument_total();
  command.first_range = list_.range_total();
  list_.append(command);
  oracle_.push_back({true, {}});
}

void Program::clear() {
  list_.clear();
  oracle_.clear();
}

Program random_program(std::mt19937_64& random, const ProgramShape& shape) {
  const auto up_to = [&random](std::uint64_t limit) { return random() % (limit + 1); };
  const auto happens = [&random](double chance) {
    return std::uniform_real_distribution<>(0, 1)(random) < chance;
  };
  Program program;
  for (std::uint32_t i = 0; i < shape.storages; ++i)
    program.add_storage(1 + up_to(shape.memories - 1), up_to(shape.bytes), shape.bytes);
  const std::uint64_t commands = up_to(shape.commands);
  std::vector<Program::Use> uses;
  while (program.list().size() < commands) {
    if (happens(shape.fence_chance)) {
      program.fence();
      continue;
    }
    uses.resize(up_to(shape.uses));
    for (Program::Use& use : uses) {
      use.storage = static_cast<std::uint32_t>(up_to(shape.storages - 1));
      use.begin = up_to(shape.bytes);
      use.end = use.begin + up_to(shape.bytes - use.begin);  // Sometimes empty.
      use.access = !happens(shape.write_chance) ? Access::kRead
                   : happens(0.5)               ? Access::kWrite
                                                : Access::kReadWrite;
    }
    program.dispatch(uses);
  }
  return program;
}

ir::Plan plan_in_rounds(const Program& program) {
  const OracleProgram& oracle = program.oracle();
  ir::Plan plan;
  plan.list = &program.list();
  std::vector<std::uint32_t> left;
  for (std::uint32_t i = 0; i < oracle.size(); ++i) {
    if (!oracle[i].fence) left.push_back(i);
  }
  while (!left.empty()) {
    std::vector<std::uint32_t> waiting;
    for (const std::uint32_t later : left) {
      const bool waits = std::ranges::any_of(left, [&](std::uint32_t earlier) {
        return earlier < later && (must_keep_order(oracle[earlier], oracle[later]) ||
                                   std::any_of(
                                       oracle.begin() + earlier, oracle.begin() + later,
                                       [](const auto& command) { return command.fence; }));
      });
      (waits ? waiting : plan.order).push_back(later);
    }
    plan.group_ends.push_back(static_cast<std::uint32_t>(plan.order.size()));
    left = waiting;
  }
  return plan;
}

}  // namespace segue::test
