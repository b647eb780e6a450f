// SPDX-License-Identifier: Apache-2.0
#include "spirv/reflection.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <spirv/unified1/spirv.hpp>

#include "base/fail.hpp"
#include "spirv/access.hpp"

namespace segue::spirv {
namespace {

constexpr std::string_view kGridBlock = "segue_Grid";
constexpr std::uint64_t kGridBytes = 12;
constexpr std::uint32_t kMostBindings = 1024;
constexpr std::uint32_t kInterfaceListsAll = 0x00010400;  // from SPIR-V 1.4 on

template <class... Args>
std::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return base::fail(ErrorCode::kCompileFailed, format, std::forward<Args>(args)...);
}

/// A global variable, and the type that its pointer points to.
struct Variable {
  std::uint32_t id = 0;
  std::uint32_t storage_class = 0;
  Instruction type;

  [[nodiscard]] std::uint32_t type_id() const { return type.operand(0); }
};

class Reflector {
 public:
  Reflector(const Module& module, const Specialisation& specialisation)
      : module_(module), values_(module, specialisation) {}

  Result<ShaderReflection> run(std::string_view entry_point) {
    SEGUE_TRY_ASSIGN(const Module::EntryPoint entry, find_entry(entry_point));
    accesses_ = find_accesses(module_, entry.function);
    SEGUE_TRY(read_group_size(entry.function));
    for (const Instruction& declaration : module_.declarations()) {
      if (declaration.opcode != spv::OpVariable) continue;
      const std::uint32_t id = declaration.operand(1);
      if (module_.version() >= kInterfaceListsAll &&
          std::ranges::find(entry.interface, id) == entry.interface.end())
        continue;
      const Instruction pointer = module_.definition(declaration.operand(0));
      SEGUE_TRY(
          read_variable({id, declaration.operand(2), module_.definition(pointer.operand(2))}));
    }
    SEGUE_TRY(order_blocks());
    read_counts();
    return std::move(result_);
  }

 private:
  Result<Module::EntryPoint> find_entry(std::string_view name) {
    for (const Module::EntryPoint& entry : module_.entry_points()) {
      if (entry.name != name || entry.model != spv::ExecutionModelGLCompute) continue;
      if (!module_.function(entry.function).empty()) return entry;
    }
    return refuse("The code has no compute entry point \"{}\".", name);
  }

  /// In the order of rising precedence: LocalSize, LocalSizeId, a constant decorated WorkgroupSize.
  Result<> read_group_size(std::uint32_t function) {
    std::array<std::uint32_t, 3> size{0, 0, 0};
    for (const Instruction& mode : module_.execution_modes()) {
      if (mode.operand(0) != function) continue;
      if (mode.operand(1) == spv::ExecutionModeLocalSize) {
        for (std::size_t i = 0; i < 3; ++i) size[i] = mode.operand(2 + i);
      } else if (mode.operand(1) == spv::ExecutionModeLocalSizeId) {
        for (std::size_t i = 0; i < 3; ++i) size[i] = read_extent(i, mode.operand(2 + i));
      }
    }
    for (const Instruction& declaration : module_.declarations()) {
      const bool composite = declaration.opcode == spv::OpConstantComposite ||
                             declaration.opcode == spv::OpSpecConstantComposite;
      if (!composite || module_.decoration(declaration.operand(1), spv::DecorationBuiltIn) !=
                            std::optional<std::uint32_t>(spv::BuiltInWorkgroupSize)) {
        continue;
      }
      for (std::size_t i = 0; i < 3; ++i) size[i] = read_extent(i, declaration.operand(2 + i));
    }
    result_.group_size = {size[0], size[1], size[2]};
    // Dimensions that one constant sets cannot be chosen each for itself.
    const auto& ids = group_size_ids_;
    const bool shared =
        (ids[0] && (ids[0] == ids[1] || ids[0] == ids[2])) || (ids[1] && ids[1] == ids[2]);
    if (!shared) result_.group_size_ids = ids;
    if (!result_.group_size.empty()) return {};
    return refuse("Its group size is {} x {} x {}; each dimension is at least 1.", size[0], size[1],
                  size[2]);
  }

  std::uint32_t read_extent(std::size_t dimension, std::uint32_t constant) {
    group_size_ids_[dimension] = module_.decoration(constant, spv::DecorationSpecId);
    return static_cast<std::uint32_t>(values_.constant(constant).value_or(0));
  }

  Result<> read_variable(const Variable& variable) {
    switch (variable.storage_class) {
      case spv::StorageClassStorageBuffer:
      case spv::StorageClassUniform: return read_block(variable);
      case spv::StorageClassWorkgroup: return read_shared(variable);
      case spv::StorageClassPushConstant:
        return refuse("It uses push constants (\"{}\"); inline bytes are a uniform block.",
                      name_of(variable));
      case spv::StorageClassUniformConstant:
      case spv::StorageClassImage:
        return refuse("It uses an image or a sampler (\"{}\"); arguments are buffers.",
                      name_of(variable));
      default: return {};
    }
  }

  [[nodiscard]] std::string_view name_of(const Variable& variable) const {
    const std::string_view instance = module_.name(variable.id);
    return instance.empty() ? module_.member_name(variable.type_id(), 0) : instance;
  }

  [[nodiscard]] bool is_block(const Variable& variable) const {
    return module_.decoration(variable.type_id(), spv::DecorationBlock) ||
           module_.decoration(variable.type_id(), spv::DecorationBufferBlock);
  }

  Result<> read_block(const Variable& variable) {
    const auto binding = module_.decoration(variable.id, spv::DecorationBinding);
    const auto set = module_.decoration(variable.id, spv::DecorationDescriptorSet);
    BlockInfo block;
    block.name = name_of(variable);
    if (!binding || !set) return refuse("Block \"{}\" has no set and binding.", block.name);
    if (*set != 0) {
      return refuse("Block \"{}\" is in descriptor set {}; arguments are in set 0.", block.name,
                    *set);
    }
    if (*binding >= kMostBindings) {
      return refuse("Block \"{}\" has binding {}; argument i has binding i, at most {}.",
                    block.name, *binding, kMostBindings - 1);
    }
    block.binding = *binding;
    if (block.name.empty()) block.name = fmt::format("argument{}", block.binding);
    if (variable.type.opcode != spv::OpTypeStruct || !is_block(variable)) {
      return refuse("Binding {} (\"{}\") is no single block; each binding has one buffer.",
                    block.binding, block.name);
    }
    const auto layout = values_.layout(variable.type_id());
    if (!layout || layout->size_bytes > UINT32_MAX) {
      return refuse("Block \"{}\" has no size that can be told, or more than 4 GiB.", block.name);
    }
    block.size_bytes = static_cast<std::uint32_t>(layout->size_bytes);
    block.alignment = layout->alignment;
    block.unsized = layout->unsized;
    block.uniform = variable.storage_class == spv::StorageClassUniform &&
                    !module_.decoration(variable.type_id(), spv::DecorationBufferBlock);
    block.grid = block.uniform && module_.name(variable.type_id()) == kGridBlock;
    SEGUE_TRY(read_access(variable, block));
    return add_block(std::move(block));
  }

  /// Whether the variable or every member of its block has a decoration.
  [[nodiscard]] bool all_decorated(const Variable& variable, std::uint32_t kind) const {
    if (module_.decoration(variable.id, kind)) return true;
    const std::size_t members = variable.type.operands.size() - 1;
    for (std::uint32_t i = 0; i < members; ++i) {
      if (!module_.member_decoration(variable.type_id(), i, kind)) return false;
    }
    return members != 0;
  }

  Result<> read_access(const Variable& variable, BlockInfo& block) {
    const VariableAccess used = accesses_[variable.id];
    const bool never_written = all_decorated(variable, spv::DecorationNonWritable);
    const bool never_read = all_decorated(variable, spv::DecorationNonReadable);
    if (used.writes && (never_written || block.uniform)) {
      return refuse("Block \"{}\" is {} but the code writes it.", block.name,
                    block.uniform ? "a uniform one" : "declared readonly");
    }
    if (used.reads && never_read)
      return refuse("Block \"{}\" is declared writeonly but the code reads it.", block.name);
    if (block.uniform) {
      block.reads = used.reads || used.escapes;
    } else if (never_written || never_read) {
      block.reads = !never_read || never_written;
      block.writes = !never_written;
    } else {
      block.writes = used.writes || used.escapes;
      block.reads = used.reads || used.escapes || !used.writes;  // untouched counts as read
    }
    return {};
  }

  /// Several blocks at one binding are views of the same argument, which has the shortest of their
  /// names: the order of variables follows from their use and says nothing.
  Result<> add_block(BlockInfo block) {
    for (BlockInfo& known : result_.blocks) {
      if (known.binding != block.binding) continue;
      if (known.uniform != block.uniform || known.grid != block.grid) {
        return refuse("Binding {} is both \"{}\" and \"{}\", which are of different kinds.",
                      block.binding, known.name, block.name);
      }
      if (std::pair(block.name.size(), block.name) < std::pair(known.name.size(), known.name))
        known.name = block.name;
      known.size_bytes = std::max(known.size_bytes, block.size_bytes);
      known.alignment = std::max(known.alignment, block.alignment);
      known.unsized |= block.unsized;
      known.reads |= block.reads;
      known.writes |= block.writes;
      return {};
    }
    result_.blocks.push_back(std::move(block));
    return {};
  }

  Result<> order_blocks() {
    std::ranges::sort(result_.blocks, {}, &BlockInfo::binding);
    for (std::size_t i = 0; i < result_.blocks.size(); ++i) {
      const BlockInfo& block = result_.blocks[i];
      if (block.binding != i) {
        return refuse("Nothing is bound at binding {}, but \"{}\" at {}; argument i has binding i.",
                      i, block.name, block.binding);
      }
      if (!block.grid) continue;
      if (i + 1 != result_.blocks.size())
        return refuse("{} has binding {}; it comes after all arguments.", kGridBlock, i);
      if (block.size_bytes != kGridBytes) {
        return refuse("{} has {} bytes; it is one uvec3 of {} bytes.", kGridBlock, block.size_bytes,
                      kGridBytes);
      }
    }
    return {};
  }

  Result<> read_shared(const Variable& variable) {
    SharedInfo shared;
    shared.name = module_.name(variable.id);
    const auto layout = values_.layout(variable.type_id());
    if (!layout || layout->unsized) {
      // A length computed from what is not evaluated here; the driver checks it.
      result_.shared.push_back(std::move(shared));
      return {};
    }
    shared.size_bytes = layout->size_bytes;
    if (variable.type.opcode == spv::OpTypeArray) read_count(variable, shared);
    const std::uint64_t begin =
        (result_.shared_bytes + layout->alignment - 1) / layout->alignment * layout->alignment;
    result_.shared_bytes = begin + shared.size_bytes;
    result_.shared.push_back(std::move(shared));
    return {};
  }

  void read_count(const Variable& variable, SharedInfo& shared) const {
    const std::uint32_t length = variable.type.operand(2);
    const auto id = module_.decoration(length, spv::DecorationSpecId);
    const auto count = values_.constant(length);
    if (!id || !count || shared.name.empty()) return;
    if (module_.name(length) != shared.name + "_count") return;
    if (std::ranges::find(group_size_ids_, id) != group_size_ids_.end()) return;
    const Instruction type = module_.definition(module_.definition(length).operand(0));
    if (type.operand(1) != 32) return;
    shared.count_id = *id;
    shared.element_bytes = static_cast<std::uint32_t>(shared.size_bytes / *count);
  }

  /// Constants with names that callers of a kernel size a grid by.
  void read_counts() {
    for (const Instruction& declaration : module_.declarations()) {
      const std::uint32_t id = declaration.operand(1);
      const auto value = values_.constant(id);
      if (!value) continue;
      const std::string_view name = module_.name(id);
      if (name == "items_per_group") result_.items_per_group = static_cast<std::uint32_t>(*value);
      if (name == "batch_per_group") result_.batch_per_group = static_cast<std::uint32_t>(*value);
    }
  }

  const Module& module_;
  Values values_;
  std::map<std::uint32_t, VariableAccess> accesses_;
  std::array<std::optional<std::uint32_t>, 3> group_size_ids_;
  ShaderReflection result_;
};

SpecConstantInfo::Type type_of(std::uint32_t opcode) {
  if (opcode == spv::OpTypeBool) return SpecConstantInfo::Type::kBool;
  return opcode == spv::OpTypeFloat ? SpecConstantInfo::Type::kFloat
                                    : SpecConstantInfo::Type::kInteger;
}

}  // namespace

std::vector<SpecConstantInfo> spec_constants(const Module& module) {
  std::map<std::uint32_t, SpecConstantInfo> constants;
  for (const Instruction& declaration : module.declarations()) {
    if (declaration.opcode < spv::OpSpecConstantTrue || declaration.opcode > spv::OpSpecConstant)
      continue;
    const std::uint32_t id = declaration.operand(1);
    const auto spec_id = module.decoration(id, spv::DecorationSpecId);
    if (!spec_id) continue;
    const Instruction type = module.definition(declaration.operand(0));
    // A compiler may emit the constant of a group size once more without its name.
    SpecConstantInfo& info = constants[*spec_id];
    info.id = *spec_id;
    if (info.name.empty()) info.name = module.name(id);
    info.type = type_of(type.opcode);
    info.size_bytes = type.opcode == spv::OpTypeBool ? 4 : type.operand(1) / 8;
  }
  std::vector<SpecConstantInfo> sorted;
  for (auto& [id, info] : constants) sorted.push_back(std::move(info));
  return sorted;
}

Result<ShaderReflection> reflect(const Module& module, std::string_view entry_point,
                                 const Specialisation& specialisation) {
  return Reflector(module, specialisation).run(entry_point);
}

}  // namespace segue::spirv
