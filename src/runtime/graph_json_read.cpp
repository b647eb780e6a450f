// SPDX-License-Identifier: Apache-2.0
//
// A graph from text that is not trusted. What it says is recorded anew by the encoder that records
// for users, so that a saved graph passes every check that a call would: signatures, views, slots,
// the limits of the device. Here stands only what a call cannot get wrong.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/buffer_state.hpp"
#include "runtime/encoder_state.hpp"
#include "runtime/graph_json.hpp"
#include "runtime/graph_json_value.hpp"
#include "segue/device.hpp"
#include "segue/graph.hpp"

namespace segue {
namespace runtime::json {
namespace {

constexpr std::uint64_t kMostBuffers = std::uint64_t{1} << 20;
constexpr std::uint64_t kMostKernels = 4096;
constexpr std::uint64_t kMostScopes = std::uint64_t{1} << 20;
constexpr std::uint32_t kMostScopeDepth = 256;
constexpr std::uint64_t kMostSlots = 1024;
constexpr std::uint64_t kMostNodes = std::uint64_t{1} << 20;
constexpr std::uint64_t kMostConstants = 256;
constexpr std::uint64_t kMostRanges = UINT16_MAX - 1;  // the counts of an indirect dispatch follow
constexpr std::uint64_t kMostSlotUses = 256;           // in one argument

Result<Extent3> read_extent(const Value& owner, std::string_view key) {
  SEGUE_TRY_ASSIGN(const Value list, owner.list(key, 3));
  if (list.size() != 3) return list.fail("has {} elements; an extent has 3.", list.size());
  Extent3 extent;
  std::uint32_t* const axes[] = {&extent.x, &extent.y, &extent.z};
  for (std::size_t i = 0; i < 3; ++i) {
    const Value axis = list[i];
    SEGUE_TRY_ASSIGN(const std::uint64_t value, axis.as_number(UINT32_MAX));
    *axes[i] = static_cast<std::uint32_t>(value);
  }
  return extent;
}

Result<OpKind> read_op(const Value& node) {
  SEGUE_TRY_ASSIGN(const std::string_view name, node.name("op"));
  for (int i = 0; i < kOpKindCount; ++i) {
    if (to_string(static_cast<OpKind>(i)) == name) return static_cast<OpKind>(i);
  }
  return node.fail("is of op \"{}\", which no operation has.", name.substr(0, 64));
}

Result<SpecConstant> read_constant(const Value& json) {
  SpecConstant constant;
  SEGUE_TRY(json.allow({"id", "u32", "i32_bits", "f32_bits", "bool"}));
  SEGUE_TRY_ASSIGN(constant.id, json.number32("id"));
  if (json.size() != 2) return json.fail("has {} keys; it has an id and one value.", json.size());
  if (json.has("bool")) {
    SEGUE_TRY_ASSIGN(constant.value, json.flag("bool"));
  } else if (json.has("i32_bits")) {
    SEGUE_TRY_ASSIGN(const std::uint32_t bits, json.number32("i32_bits"));
    constant.value = std::bit_cast<std::int32_t>(bits);
  } else if (json.has("f32_bits")) {
    SEGUE_TRY_ASSIGN(const std::uint32_t bits, json.number32("f32_bits"));
    constant.value = std::bit_cast<float>(bits);
  } else {
    SEGUE_TRY_ASSIGN(constant.value, json.number32("u32"));
  }
  return constant;
}

Result<Kernel> read_kernel(const Value& json, const Device& device) {
  SEGUE_TRY(json.allow({"name", "signature", "constants"}));
  SEGUE_TRY_ASSIGN(const std::string_view name, json.name("name"));
  SEGUE_TRY_ASSIGN(const std::string_view signature, json.name("signature"));
  std::vector<SpecConstant> constants;
  if (json.has("constants")) {
    SEGUE_TRY_ASSIGN(const Value list, json.list("constants", kMostConstants));
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Value element = list[i];
      SEGUE_TRY_ASSIGN(const SpecConstant constant, read_constant(element));
      constants.push_back(constant);
    }
  }
  Result<Kernel> kernel = device.kernels().get(name, constants);
  if (!kernel) return json.blame(std::move(kernel).error());
  if (const std::string actual = signature_text(kernel->signature()); actual != signature) {
    return json.fail("has the signature \"{}\", but kernel \"{}\" of the device has \"{}\".",
                     signature.substr(0, 256), name, actual);
  }
  return kernel;
}

/// What one node records, kept until the encoder has taken it.
struct Arguments {
  std::vector<KernelArg> args;
  std::vector<std::vector<std::byte>> bytes;
  std::vector<std::vector<BytesSlot>> slots;
};

class Reader {
 public:
  explicit Reader(const Device& device) : device_(device) {}

  Result<Graph> read(const Value& root) {
    // Another version may differ in everything else.
    SEGUE_TRY_ASSIGN(const std::uint64_t version, root.number("segue_graph", UINT32_MAX));
    if (version != kVersion) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "The graph is of version {}; this library reads version {}.", version,
                        kVersion);
    }
    SEGUE_TRY(root.allow(
        {"segue_graph", "device", "barriers", "buffers", "kernels", "scopes", "slots", "nodes"}));
    SEGUE_TRY_ASSIGN(const std::string_view backend, root.name("device"));
    if (backend != device_.backend()) {
      return root.fail("is for a device of \"{}\", but this one is of \"{}\".",
                       backend.substr(0, 64), device_.backend());
    }
    EncoderOptions options;
    SEGUE_TRY_ASSIGN(options.barriers, root.choice("barriers", kBarrierModes));
    options.lifetime = Lifetime::kRetained;
    SEGUE_TRY(device_.state()->core()->check_alive());
    encoder_ = std::make_unique<EncoderState>(device_.state(), options);
    encoder_->start_capture();
    SEGUE_TRY(read_buffers(root));
    SEGUE_TRY_ASSIGN(const Value kernels, root.list("kernels", kMostKernels));
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      const Value element = kernels[i];
      SEGUE_TRY_ASSIGN(Kernel kernel, read_kernel(element, device_));
      kernels_.push_back(std::move(kernel));
    }
    SEGUE_TRY(read_scopes(root));
    SEGUE_TRY(read_slots(root));
    SEGUE_TRY_ASSIGN(const Value nodes, root.list("nodes", kMostNodes));
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const Value node = nodes[i];
      SEGUE_TRY(read_node(node));
    }
    SEGUE_TRY_ASSIGN(const Graph graph, encoder_->take_capture());
    return with_scopes(*graph.state());
  }

 private:
  // Buffers.

  struct BufferText {
    BufferDesc desc;
    std::size_t memory = 0;
    std::uint64_t memory_offset = 0;
    bool writable = true;
  };
  struct Memory {
    std::uint64_t end = 0;
    std::size_t buffers = 0;
    bool host_access = false;
    Buffer whole;
  };

  Result<BufferText> read_buffer(const Value& json, std::size_t memories) const {
    SEGUE_TRY(json.allow(
        {"label", "size", "memory", "memory_offset", "transient", "host_access", "writable"}));
    BufferText text;
    SEGUE_TRY_ASSIGN(const std::string_view label, json.name("label"));
    text.desc.label = label;
    const std::uint64_t most = device_.limits().max_buffer_bytes;
    SEGUE_TRY_ASSIGN(text.desc.size_bytes, json.number("size", most));
    SEGUE_TRY_ASSIGN(text.memory, json.index("memory", memories));
    SEGUE_TRY_ASSIGN(text.memory_offset, json.number("memory_offset", most - text.desc.size_bytes));
    SEGUE_TRY_ASSIGN(text.desc.transient, json.flag("transient"));
    SEGUE_TRY_ASSIGN(const bool host_access, json.flag("host_access"));
    text.desc.host_access = host_access ? HostAccess::kReadWrite : HostAccess::kNone;
    if (text.desc.transient && host_access)
      return json.fail("is transient and has host access; it has one or the other.");
    SEGUE_TRY_ASSIGN(text.writable, json.flag("writable"));
    text.desc.deferred = true;
    return text;
  }

  Result<> read_buffers(const Value& root) {
    SEGUE_TRY_ASSIGN(const Value list, root.list("buffers", kMostBuffers));
    std::vector<BufferText> texts;
    std::vector<Memory> memories(list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Value element = list[i];
      SEGUE_TRY_ASSIGN(BufferText text, read_buffer(element, list.size()));
      Memory& memory = memories[text.memory];
      memory.end = std::max(memory.end, text.memory_offset + text.desc.size_bytes);
      memory.host_access |= text.desc.host_access == HostAccess::kReadWrite;
      ++memory.buffers;
      texts.push_back(std::move(text));
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const Value element = list[i];
      Result<Buffer> buffer = create_buffer(texts[i], memories[texts[i].memory]);
      if (!buffer) return element.blame(std::move(buffer).error());
      buffer->state()->writable = texts[i].writable;
      buffers_.push_back(*std::move(buffer));
    }
    return {};
  }

  /// Buffers over the same memory become parts of one that no node names.
  Result<Buffer> create_buffer(const BufferText& text, Memory& memory) const {
    if (memory.buffers == 1 && text.memory_offset == 0) return device_.create_buffer(text.desc);
    if (text.desc.transient || text.desc.size_bytes == 0) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "It has {} bytes and is{} transient; a buffer in shared memory has at "
                        "least 1 byte and is not.",
                        text.desc.size_bytes, text.desc.transient ? "" : " not");
    }
    if (!memory.whole) {
      BufferDesc desc;
      desc.size_bytes = memory.end;
      desc.host_access = memory.host_access ? HostAccess::kReadWrite : HostAccess::kNone;
      desc.deferred = true;
      desc.label = text.desc.label;
      SEGUE_TRY_ASSIGN(memory.whole, device_.create_buffer(desc));
    }
    return create_part(memory.whole, text.memory_offset, text.desc);
  }

  Result<BufferView> read_view(const Value& json) const {
    SEGUE_TRY_ASSIGN(const std::size_t buffer, json.index("buffer", buffers_.size()));
    SEGUE_TRY_ASSIGN(const std::uint64_t offset, json.number("offset", UINT64_MAX));
    SEGUE_TRY_ASSIGN(const std::uint64_t size, json.number("size", UINT64_MAX));
    Result<BufferView> view = buffers_[buffer].view(offset, size);
    if (!view) return json.blame(std::move(view).error());
    return view;
  }

  // Scopes are names that a list keeps; they are added when the commands are known.

  struct Scope {
    std::string_view name;
    std::optional<std::size_t> parent;
    std::uint32_t depth = 1;
  };

  Result<> read_scopes(const Value& root) {
    SEGUE_TRY_ASSIGN(const Value list, root.list("scopes", kMostScopes));
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Value json = list[i];
      SEGUE_TRY(json.allow({"name", "parent"}));
      Scope scope;
      SEGUE_TRY_ASSIGN(scope.name, json.name("name"));
      if (scope.name.empty()) return json.fail("has an empty name; a scope has one.");
      if (json.has("parent")) {
        SEGUE_TRY_ASSIGN(scope.parent, json.index("parent", i));
        scope.depth = scopes_[*scope.parent].depth + 1;
        if (scope.depth > kMostScopeDepth)
          return json.fail("is the scope number {} inside others; {} is the most.", scope.depth,
                           kMostScopeDepth);
      }
      scopes_.push_back(scope);
    }
    return {};
  }

  Result<Graph> with_scopes(const GraphState& recorded) const {
    auto graph = std::make_shared<GraphState>(recorded.core);
    graph->list = recorded.list;
    graph->mode = recorded.mode;
    std::vector<ir::NameId> names;
    for (const Scope& scope : scopes_) {
      names.push_back(graph->list.add_name(
          scope.name, scope.parent ? names[*scope.parent] : ir::NameId::kNone));
    }
    const std::span<ir::Command> commands = graph->list.mutable_commands();
    for (std::size_t i = 0; i < commands.size(); ++i) {
      if (node_scopes_[i]) commands[i].scope = names[*node_scopes_[i]];
    }
    return Graph(std::shared_ptr<const GraphState>(std::move(graph)));
  }

  // Slots.

  struct SlotText {
    std::string_view name;
    std::uint64_t size = 0;
    std::uint32_t max = UINT32_MAX;
    ir::SlotKind kind = ir::SlotKind::kBytes;
  };

  Result<> read_slots(const Value& root) {
    SEGUE_TRY_ASSIGN(const Value list, root.list("slots", kMostSlots));
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Value json = list[i];
      SEGUE_TRY(read_slot(json));
      SEGUE_TRY(check_recorded(json));
    }
    return {};
  }

  Result<> read_slot(const Value& json) {
    SlotText text;
    ir::Slot slot;
    SEGUE_TRY_ASSIGN(text.name, json.name("name"));
    SEGUE_TRY_ASSIGN(text.kind, json.choice("kind", kSlotKinds));
    slot.kind = text.kind;
    std::vector<std::byte> value;
    BufferView view;  // alive until the list keeps it so
    switch (text.kind) {
      case ir::SlotKind::kView: {
        SEGUE_TRY(json.allow({"name", "kind", "view", "access"}));
        SEGUE_TRY_ASSIGN(slot.access, json.choice("access", kAccesses));
        SEGUE_TRY_ASSIGN(const Value place, json.member("view"));
        SEGUE_TRY(place.allow({"buffer", "offset", "size"}));
        SEGUE_TRY_ASSIGN(view, read_view(place));
        slot.size = view.size_bytes();
        slot.view = {view.buffer().state(), view.offset_bytes(), view.size_bytes(), slot.access,
                     true};
        break;
      }
      case ir::SlotKind::kBytes: {
        SEGUE_TRY(json.allow({"name", "kind", "bytes", "max"}));
        SEGUE_TRY_ASSIGN(value, json.bytes("bytes"));
        if (json.has("max")) {
          SEGUE_TRY_ASSIGN(slot.max, json.number32("max"));
        }
        slot.size = text.size = value.size();
        text.max = slot.max;
        break;
      }
      case ir::SlotKind::kGrid: {
        SEGUE_TRY(json.allow({"name", "kind", "grid"}));
        SEGUE_TRY_ASSIGN(slot.grid, read_extent(json, "grid"));
        break;
      }
    }
    encoder_->declare_slot(text.name, slot, value);
    slots_.push_back(text);
    return {};
  }

  // Nodes.

  Result<> read_node(const Value& node) {
    SEGUE_TRY_ASSIGN(const ir::CommandKind kind, node.choice("kind", kNodeKinds));
    std::optional<std::size_t> scope;
    if (node.has("scope")) {
      SEGUE_TRY_ASSIGN(scope, node.index("scope", scopes_.size()));
    }
    if (kind == ir::CommandKind::kDispatch || kind == ir::CommandKind::kDispatchIndirect) {
      SEGUE_TRY(read_dispatch(node, kind == ir::CommandKind::kDispatchIndirect));
    } else {
      SEGUE_TRY(read_plain(node, kind));
    }
    SEGUE_TRY(check_recorded(node));
    node_scopes_.push_back(scope);
    return {};
  }

  /// Whether the encoder took what was recorded last.
  Result<> check_recorded(const Value& json) const {
    Result<> status = encoder_->status();
    if (!status) return json.blame(std::move(status).error());
    return {};
  }

  Result<> read_plain(const Value& node, ir::CommandKind kind) {
    if (kind == ir::CommandKind::kBarrier) {
      SEGUE_TRY(node.allow({"kind", "scope"}));
      encoder_->memory_barrier();
      return {};
    }
    const bool fill = kind == ir::CommandKind::kFill;
    SEGUE_TRY(fill ? node.allow({"kind", "scope", "arguments", "byte"})
                   : node.allow({"kind", "scope", "arguments"}));
    Arguments arguments;
    SEGUE_TRY(read_arguments(node, fill ? 1 : 2, arguments));
    const std::vector<KernelArg>& args = arguments.args;
    if (args.size() != (fill ? 1 : 2))
      return node.fail("has {} arguments; it takes {}.", args.size(), fill ? 1 : 2);
    if (fill) {
      SEGUE_TRY_ASSIGN(const std::uint64_t byte, node.number("byte", UINT8_MAX));
      encoder_->fill(args[0], static_cast<std::byte>(byte));
    } else if (kind == ir::CommandKind::kCopy) {
      encoder_->copy(args[0], args[1]);
    } else {
      encoder_->upload(args[0], args[1]);
    }
    return {};
  }

  Result<> read_dispatch(const Value& node, bool indirect) {
    SEGUE_TRY(node.allow({"kind", "label", "scope", "kernel", "op", "grid", "grid_slot",
                          "group_size", "shared", "arguments", "reads", "writes", "unannotated",
                          indirect ? "counts" : "arguments"}));
    SEGUE_TRY_ASSIGN(const std::size_t kernel_index, node.index("kernel", kernels_.size()));
    const Kernel& kernel = kernels_[kernel_index];
    DispatchOptions options;
    SEGUE_TRY_ASSIGN(options.op, read_op(node));
    SEGUE_TRY_ASSIGN(options.group_size, read_extent(node, "group_size"));
    if (options.group_size.empty())
      return node.fail("has an empty group; it has 1 thread or more.");
    if (node.has("label")) {
      SEGUE_TRY_ASSIGN(options.label, node.name("label"));
    }
    if (node.has("grid_slot")) {
      SEGUE_TRY_ASSIGN(const std::size_t slot, node.index("grid_slot", slots_.size()));
      options.grid_slot = slots_[slot].name;
    }
    SEGUE_TRY_ASSIGN(const Grid grid, read_grid(node));
    SEGUE_TRY_ASSIGN(const std::vector<SharedMemorySize> shared, read_shared(node, kernel));
    options.shared_memory = shared;
    std::vector<BufferView> reads, writes;
    SEGUE_TRY(read_ranges(node, "reads", grid, reads, options.reads));
    SEGUE_TRY(read_ranges(node, "writes", grid, writes, options.writes));
    Arguments arguments;
    SEGUE_TRY(read_arguments(node, kernel.signature().argument_count(), arguments));
    const std::uint64_t unannotated = encoder_->stats().unannotated;
    if (indirect) {
      if (grid.kind != GridKind::kGroups)
        return node.fail("counts threads; an indirect dispatch counts groups.");
      SEGUE_TRY_ASSIGN(const Value counts, node.member("counts"));
      SEGUE_TRY(counts.allow({"buffer", "offset", "size"}));
      SEGUE_TRY_ASSIGN(const BufferView view, read_view(counts));
      encoder_->dispatch_indirect(kernel.impl(), arguments.args, view, grid.extent, options);
    } else {
      encoder_->dispatch(kernel.impl(), arguments.args, grid, options);
    }
    bool says_unannotated = false;
    if (node.has("unannotated")) {
      SEGUE_TRY_ASSIGN(says_unannotated, node.flag("unannotated"));
    }
    SEGUE_TRY(check_recorded(node));
    if (says_unannotated != (encoder_->stats().unannotated != unannotated)) {
      return node.fail(
          "says that its accesses are{} all declared, but kernel \"{}\" says otherwise.",
          says_unannotated ? " not" : "", kernel.name());
    }
    return {};
  }

  static Result<Grid> read_grid(const Value& node) {
    SEGUE_TRY_ASSIGN(const Value json, node.member("grid"));
    SEGUE_TRY(json.allow({"threads", "groups"}));
    if (json.size() != 1) return json.fail("has {} keys; it has threads or groups.", json.size());
    Grid grid;
    grid.kind = json.has("threads") ? GridKind::kThreads : GridKind::kGroups;
    SEGUE_TRY_ASSIGN(grid.extent,
                     read_extent(json, grid.kind == GridKind::kThreads ? "threads" : "groups"));
    return grid;
  }

  static Result<std::vector<SharedMemorySize>> read_shared(const Value& node,
                                                           const Kernel& kernel) {
    const Signature& signature = kernel.signature();
    const std::size_t first = signature.argument_count();
    const std::size_t count = signature.parameters.size() - first;
    std::vector<SharedMemorySize> sizes;
    if (!node.has("shared") && count == 0) return sizes;
    SEGUE_TRY_ASSIGN(const Value list, node.list("shared", count));
    if (list.size() != count) {
      return list.fail("has {} sizes, but kernel \"{}\" has {} shared parameters.", list.size(),
                       kernel.name(), count);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Value json = list[i];
      SEGUE_TRY_ASSIGN(const std::uint64_t bytes, json.as_number(UINT32_MAX));
      const Parameter& parameter = signature.parameters[first + i];
      if (parameter.sizing == SharedSizing::kLaunch) {
        sizes.push_back({static_cast<std::uint32_t>(first + i), static_cast<std::uint32_t>(bytes)});
      } else if (bytes != parameter.size_bytes) {
        return json.fail("is {} bytes, but parameter \"{}\" of kernel \"{}\" has {}.", bytes,
                         parameter.name, kernel.name(), parameter.size_bytes);
      }
    }
    return sizes;
  }

  Result<> read_ranges(const Value& node, std::string_view key, const Grid& grid,
                       std::vector<BufferView>& views,
                       std::optional<std::span<const BufferView>>& option) const {
    if (!node.has(key)) return {};
    if (grid.extent.empty())
      return node.fail("has \"{}\", but a dispatch of nothing touches nothing.", key);
    SEGUE_TRY_ASSIGN(const Value list, node.list(key, kMostRanges));
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Value json = list[i];
      SEGUE_TRY(json.allow({"buffer", "offset", "size"}));
      SEGUE_TRY_ASSIGN(BufferView view, read_view(json));
      views.push_back(std::move(view));
    }
    option = views;
    return {};
  }

  Result<> read_arguments(const Value& node, std::size_t most, Arguments& arguments) const {
    SEGUE_TRY_ASSIGN(const Value list, node.list("arguments", most));
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Value json = list[i];
      if (json.has("bytes")) {
        SEGUE_TRY(read_bytes_argument(json, arguments));
        continue;
      }
      SEGUE_TRY(json.allow({"buffer", "offset", "size", "slot"}));
      SEGUE_TRY_ASSIGN(const BufferView view, read_view(json));
      if (json.has("slot")) {
        SEGUE_TRY_ASSIGN(const std::size_t slot, json.index("slot", slots_.size()));
        arguments.args.push_back(KernelArg::slot(slots_[slot].name, view));
      } else {
        arguments.args.push_back(view);
      }
    }
    return {};
  }

  Result<> read_bytes_argument(const Value& json, Arguments& arguments) const {
    SEGUE_TRY(json.allow({"bytes", "slots"}));
    SEGUE_TRY_ASSIGN(std::vector<std::byte> bytes, json.bytes("bytes"));
    std::vector<BytesSlot> uses;
    if (json.has("slots")) {
      SEGUE_TRY_ASSIGN(const Value list, json.list("slots", kMostSlotUses));
      for (std::size_t i = 0; i < list.size(); ++i) {
        const Value use = list[i];
        SEGUE_TRY(use.allow({"slot", "offset"}));
        SEGUE_TRY_ASSIGN(const std::size_t slot, use.index("slot", slots_.size()));
        SEGUE_TRY_ASSIGN(const std::uint32_t offset, use.number32("offset"));
        const SlotText& text = slots_[slot];
        if (text.kind != ir::SlotKind::kBytes)
          return use.fail("names slot \"{}\", which is not of bytes.", text.name);
        uses.push_back({text.name, offset, static_cast<std::uint32_t>(text.size), text.max});
      }
    }
    // Moving a vector leaves its elements where they are, which the argument borrows.
    arguments.bytes.push_back(std::move(bytes));
    arguments.slots.push_back(std::move(uses));
    arguments.args.push_back(KernelArg::bytes(std::span<const std::byte>(arguments.bytes.back()),
                                              arguments.slots.back()));
    return {};
  }

  const Device& device_;
  std::unique_ptr<EncoderState> encoder_;
  std::vector<Buffer> buffers_;
  std::vector<Kernel> kernels_;
  std::vector<Scope> scopes_;
  std::vector<SlotText> slots_;
  std::vector<std::optional<std::size_t>> node_scopes_;
};

}  // namespace
}  // namespace runtime::json

Result<Graph> Graph::from_json(const Device& device, std::string_view text) {
  if (!device) {
    return base::fail(ErrorCode::kInvalidState, "The device handle is empty; no device is open.");
  }
  SEGUE_TRY_ASSIGN(const runtime::json::Document document, runtime::json::parse(text));
  const runtime::json::Value root(document);
  return runtime::json::Reader(device).read(root);
}

}  // namespace segue
