// SPDX-License-Identifier: Apache-2.0
//
// A graph as JSON, one element of each list a line. Everything is numbered in the order in which
// slots and nodes name it, so that equal graphs give equal texts whatever their buffers' addresses
// and whatever the recording went through.
//
// Imports share the host's address space as one memory. What decides about hazards is only which of
// them overlap, so buffers are grouped by that: sorted by where they begin, one joins the group
// before it if it begins before that group ends.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <ranges>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/fail.hpp"
#include "runtime/buffer_state.hpp"
#include "runtime/graph_json.hpp"
#include "runtime/graph_state.hpp"
#include "segue/graph.hpp"

namespace segue {
namespace runtime::json {

std::string signature_text(const Signature& signature) {
  std::string text;
  for (const Parameter& parameter : signature.parameters) {
    if (!text.empty()) text.push_back(' ');
    if (parameter.kind == ParameterKind::kBuffer) {
      text.append(!parameter.access_known     ? "?"
                  : !writes(parameter.access) ? "r"
                  : !reads(parameter.access)  ? "w"
                                              : "rw");
    } else {
      text.push_back(parameter.kind == ParameterKind::kBytes ? 'b' : 's');
      if (parameter.size_bytes != 0) text.append(std::to_string(parameter.size_bytes));
    }
  }
  return text;
}

namespace {

using Json = nlohmann::ordered_json;

std::string hex(const std::byte* bytes, std::uint64_t size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (std::uint64_t i = 0; i < size; ++i) {
    const auto value = std::to_integer<unsigned>(bytes[i]);
    text.push_back(kDigits[value >> 4]);
    text.push_back(kDigits[value & 15]);
  }
  return text;
}

Json extent(const Extent3& value) { return Json::array({value.x, value.y, value.z}); }

/// Numbers by their type; a float by its bits, for JSON has neither all floats nor -0.
Json constant(const SpecConstant& constant) {
  Json json = {{"id", constant.id}};
  std::visit(
      [&json]<class T>(T value) {
        if constexpr (std::is_same_v<T, std::uint32_t>) {
          json["u32"] = value;
        } else if constexpr (std::is_same_v<T, std::int32_t>) {
          json["i32_bits"] = std::bit_cast<std::uint32_t>(value);
        } else if constexpr (std::is_same_v<T, float>) {
          json["f32_bits"] = std::bit_cast<std::uint32_t>(value);
        } else {
          json["bool"] = value;
        }
      },
      constant.value);
  return json;
}

Json kernel(const ir::Kernel& kernel) {
  Json json = {{"name", kernel.name}, {"signature", signature_text(kernel.signature)}};
  Json constants = Json::array();
  for (const SpecConstant& given : kernel.constants) constants.push_back(constant(given));
  if (!constants.empty()) json["constants"] = std::move(constants);
  return json;
}

class Writer {
 public:
  explicit Writer(const GraphState& graph)
      : graph_(graph), list_(graph.list), scope_of_(list_.name_count() + 1, kNoScope) {}

  Result<std::string> write() {
    std::vector<Json> slots, nodes;
    for (const ir::Slot& slot : list_.slots()) slots.push_back(write_slot(slot));
    for (std::uint32_t i = 0; i < list_.size(); ++i) {
      if (list_.commands()[i].kind == ir::CommandKind::kNative) {
        return base::fail(ErrorCode::kUnsupported,
                          "Node {} of the graph is a native callback, which is code; a graph with "
                          "one cannot be saved.",
                          i);
      }
      nodes.push_back(write_node(i));
    }
    text_ = "{\n";
    add("segue_graph", kVersion);
    add("device", graph_.core->hal().backend());
    add("barriers", name_in(kBarrierModes, graph_.mode));
    add_list("buffers", write_buffers());
    add_list("kernels", kernels_);
    add_list("scopes", scopes_);
    add_list("slots", slots);
    add_list("nodes", nodes);
    text_.append("\n}\n");
    return std::move(text_);
  }

 private:
  static constexpr std::size_t kNoScope = SIZE_MAX;

  /// Labels may hold any bytes; those that are no UTF-8 become U+FFFD.
  static std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  void add(std::string_view key, const Json& value) {
    text_.append(text_.size() > 2 ? ",\n" : "");
    text_.append("\"").append(key).append("\": ").append(dump(value));
  }
  void add_list(std::string_view key, const std::vector<Json>& values) {
    text_.append(",\n\"").append(key).append("\": [");
    for (std::size_t i = 0; i < values.size(); ++i)
      text_.append(i == 0 ? "\n" : ",\n").append(dump(values[i]));
    text_.append(values.empty() ? "]" : "\n]");
  }

  std::size_t buffer_index(const ir::Storage& storage) {
    const auto [entry, is_new] = buffer_of_.try_emplace(&storage, buffers_.size());
    if (is_new) buffers_.push_back(static_cast<const BufferState*>(&storage));
    return entry->second;
  }
  /// A kernel and what KernelLibrary::replace() put in its place are one.
  std::size_t kernel_index(const ir::Kernel& used) {
    const auto [known, is_unknown] = kernel_of_.try_emplace(&used, 0);
    if (is_unknown) {
      Json json = kernel(used);
      const auto [entry, is_new] = kernel_by_text_.try_emplace(dump(json), kernels_.size());
      if (is_new) kernels_.push_back(std::move(json));
      known->second = entry->second;
    }
    return known->second;
  }
  /// Scopes of the same names are one, however often they were pushed.
  std::size_t scope_index(ir::NameId id) {
    std::vector<ir::NameId> unknown;
    for (; id != ir::NameId::kNone && scope_of_[static_cast<std::size_t>(id)] == kNoScope;
         id = list_.parent(id)) {
      unknown.push_back(id);
    }
    std::size_t index = scope_of_[static_cast<std::size_t>(id)];
    for (const ir::NameId child : unknown | std::views::reverse) {
      const auto [entry, is_new] = scope_by_name_.try_emplace(
          std::pair(index, std::string(list_.name(child))), scopes_.size());
      if (is_new) {
        Json scope = {{"name", list_.name(child)}};
        if (index != kNoScope) scope["parent"] = index;
        scopes_.push_back(std::move(scope));
      }
      index = scope_of_[static_cast<std::size_t>(child)] = entry->second;
    }
    return index;
  }

  Json write_view(const ir::Argument& view) {
    return {{"buffer", buffer_index(*view.storage)}, {"offset", view.offset}, {"size", view.size}};
  }

  Json write_slot(const ir::Slot& slot) {
    Json json = {{"name", list_.name(slot.name)}, {"kind", name_in(kSlotKinds, slot.kind)}};
    switch (slot.kind) {
      case ir::SlotKind::kView:
        json["view"] = write_view(slot.view);
        json["access"] = name_in(kAccesses, slot.access);
        break;
      case ir::SlotKind::kBytes:
        json["bytes"] = hex(list_.inline_bytes() + slot.bytes, slot.size);
        if (slot.max != UINT32_MAX) json["max"] = slot.max;
        break;
      case ir::SlotKind::kGrid: json["grid"] = extent(slot.grid); break;
    }
    return json;
  }

  Json write_argument(std::uint32_t index, std::uint32_t position) {
    const ir::Argument& argument = list_.arguments(list_.commands()[index])[position];
    Json json;
    std::vector<std::byte> bytes;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> uses;  // offset and slot
    if (argument.is_view()) {
      json = write_view(argument);
    } else {
      bytes.assign(list_.bytes(argument), list_.bytes(argument) + argument.size);
    }
    for (const ir::SlotUse& use : list_.slot_uses(index)) {
      const ir::Slot& slot = list_.slots()[use.slot];
      if (use.argument != position || slot.kind == ir::SlotKind::kGrid) continue;
      if (argument.is_view()) {
        json["slot"] = use.slot;
        continue;
      }
      // The default, whatever a fused dispatch was given in its place.
      std::copy_n(list_.inline_bytes() + slot.bytes, slot.size,
                  bytes.begin() + static_cast<std::ptrdiff_t>(use.offset));
      uses.emplace_back(use.offset, use.slot);
    }
    if (!argument.is_view()) json = {{"bytes", hex(bytes.data(), bytes.size())}};
    // Recording takes the slots of an argument in the order of their bytes; fusing in any.
    std::ranges::sort(uses);
    for (const auto& [offset, slot] : uses)
      json["slots"].push_back({{"slot", slot}, {"offset", offset}});
    return json;
  }

  Json write_node(std::uint32_t index) {
    const ir::Command& command = list_.commands()[index];
    Json json = {{"kind", name_in(kNodeKinds, command.kind)}};
    if (command.label != ir::NameId::kNone) json["label"] = list_.name(command.label);
    if (const std::size_t scope = scope_index(command.scope); scope != kNoScope)
      json["scope"] = scope;
    if (command.is_dispatch()) write_dispatch(index, json);
    if (command.kind == ir::CommandKind::kBarrier) return json;
    const bool indirect = command.kind == ir::CommandKind::kDispatchIndirect;
    const std::uint32_t count = command.argument_count - (indirect ? 1U : 0U);
    Json arguments = Json::array();
    for (std::uint32_t i = 0; i < count; ++i) arguments.push_back(write_argument(index, i));
    json["arguments"] = std::move(arguments);
    if (indirect) json["counts"] = write_view(list_.arguments(command).back());
    if (command.kind == ir::CommandKind::kFill) json["byte"] = command.fill_byte;
    // A dispatch of nothing has an empty footprint anyway.
    if (command.is_dispatch() && !command.group_count.empty()) write_ranges(command, json);
    if (command.unannotated) json["unannotated"] = true;
    return json;
  }

  void write_dispatch(std::uint32_t index, Json& json) {
    const ir::Command& command = list_.commands()[index];
    json["kernel"] = kernel_index(*command.kernel);
    json["op"] = to_string(command.op);
    const Grid grid = command.grid();
    json["grid"] = {{grid.kind == GridKind::kThreads ? "threads" : "groups", extent(grid.extent)}};
    for (const ir::SlotUse& use : list_.slot_uses(index)) {
      if (list_.slots()[use.slot].kind == ir::SlotKind::kGrid) json["grid_slot"] = use.slot;
    }
    json["group_size"] = extent(command.group_size);
    if (command.shared_count != 0) json["shared"] = list_.shared_sizes(command);
  }

  void write_ranges(const ir::Command& command, Json& json) {
    Json read = Json::array(), written = Json::array();
    const bool indirect = command.kind == ir::CommandKind::kDispatchIndirect;
    for (const ir::Argument& range : list_.explicit_ranges(command)) {
      // Recording adds the read of the group counts by itself.
      if (indirect && range.access == Access::kRead &&
          range.range() == list_.arguments(command).back().range()) {
        continue;
      }
      (range.access == Access::kRead ? read : written).push_back(write_view(range));
    }
    if (command.explicit_reads) json["reads"] = std::move(read);
    if (command.explicit_writes) json["writes"] = std::move(written);
  }

  std::vector<Json> write_buffers() const {
    const std::vector<Place> places = find_places();
    std::vector<Json> result;
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      const BufferState& state = *buffers_[i];
      result.push_back({{"label", state.label},
                        {"size", state.size_bytes},
                        {"memory", places[i].memory},
                        {"memory_offset", places[i].offset},
                        {"transient", state.transient},
                        {"host_access", state.host_access != HostAccess::kNone},
                        {"writable", state.writable}});
    }
    return result;
  }

  struct Place {
    std::size_t memory = 0;
    std::uint64_t offset = 0;
  };
  [[nodiscard]] std::vector<Place> find_places() const {
    std::vector<std::size_t> sorted(buffers_.size());
    for (std::size_t i = 0; i < sorted.size(); ++i) sorted[i] = i;
    std::ranges::sort(sorted, {}, [this](std::size_t i) {
      return std::tuple(buffers_[i]->memory, buffers_[i]->memory_offset, i);
    });
    std::vector<Place> places(buffers_.size());
    std::vector<std::size_t> first(buffers_.size());  // of each group, by its number here
    std::size_t group = 0;
    const BufferState* start = nullptr;
    std::uint64_t end = 0;
    for (const std::size_t i : sorted) {
      const BufferState& state = *buffers_[i];
      if (start == nullptr || state.memory != start->memory || state.memory_offset >= end) {
        group = start == nullptr ? 0 : group + 1;
        start = &state;
        end = 0;
        first[group] = i;
      }
      first[group] = std::min(first[group], i);
      end = std::max(end, state.memory_offset + state.size_bytes);
      places[i] = {group, state.memory_offset - start->memory_offset};
    }
    // Numbered anew, by the first buffer of each.
    std::map<std::size_t, std::size_t> numbers;
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (first[places[i].memory] == i) numbers.emplace(places[i].memory, numbers.size());
      places[i].memory = numbers.at(places[i].memory);
    }
    return places;
  }

  const GraphState& graph_;
  const ir::CommandList& list_;
  std::vector<const BufferState*> buffers_;
  std::unordered_map<const ir::Storage*, std::size_t> buffer_of_;
  std::vector<Json> kernels_;
  std::unordered_map<const ir::Kernel*, std::size_t> kernel_of_;
  std::map<std::string, std::size_t> kernel_by_text_;
  std::vector<Json> scopes_;
  std::vector<std::size_t> scope_of_;  // by NameId
  std::map<std::pair<std::size_t, std::string>, std::size_t> scope_by_name_;
  std::string text_;
};

}  // namespace
}  // namespace runtime::json

Result<std::string> Graph::to_json() const {
  if (!state_)
    return base::fail(ErrorCode::kInvalidState, "The graph is empty; take_capture() gives one.");
  return runtime::json::Writer(*state_).write();
}

}  // namespace segue
