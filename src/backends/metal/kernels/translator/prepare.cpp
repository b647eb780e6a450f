// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/kernels/translator/prepare.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <spirv/unified1/GLSL.std.450.h>
#include <spirv/unified1/spirv.hpp>

#include "base/fail.hpp"
#include "spirv/reflection.hpp"

namespace segue::metal::translator {
namespace {

using spirv::Instruction;

constexpr std::size_t kHeaderWords = 5;

/// Words of MSL that C++ and GLSL do not have: function and address space qualifiers, and types.
constexpr std::string_view kMslWords[]{"as_type",
                                       "bfloat",
                                       "constant",
                                       "device",
                                       "fragment",
                                       "half",
                                       "kernel",
                                       "matrix",
                                       "object_data",
                                       "ptrdiff_t",
                                       "ray_data",
                                       "sampler",
                                       "size_t",
                                       "texture",
                                       "thread",
                                       "threadgroup",
                                       "threadgroup_imageblock",
                                       "uchar",
                                       "ulong",
                                       "ushort",
                                       "vec",
                                       "vertex"};

template <class... Args>
std::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return base::fail(ErrorCode::kCompileFailed, format, std::forward<Args>(args)...);
}

/// The constants that others are made of, by id. Indices in OpCompositeExtract are no ids.
std::span<const std::uint32_t> sources(const Instruction& declaration) {
  const auto operands = declaration.operands;
  switch (declaration.opcode) {
    case spv::OpConstantComposite:
    case spv::OpSpecConstantComposite: return operands.subspan(2);
    case spv::OpSpecConstantOp:
      if (operands.size() < 3) return {};
      return declaration.operand(2) == spv::OpCompositeExtract
                 ? operands.subspan(3, std::min<std::size_t>(1, operands.size() - 3))
                 : operands.subspan(3);
    default: return {};
  }
}

bool is_spec_constant(std::uint32_t opcode) {
  return opcode == spv::OpSpecConstantTrue || opcode == spv::OpSpecConstantFalse ||
         opcode == spv::OpSpecConstant;
}

/// Which constants are frozen.
class Freezer {
 public:
  explicit Freezer(const spirv::Module& module) : module_(module) {
    find_roots();
    find_fixed();
  }

  /// Whether the constant's value depends on nothing that remains.
  [[nodiscard]] bool is_fixed(std::uint32_t id) const { return fixed_.contains(id); }
  [[nodiscard]] bool is_frozen(std::uint32_t spec_id) const { return spec_ids_.contains(spec_id); }

 private:
  void find_roots() {
    for (const Instruction& declaration : module_.declarations()) {
      const std::uint32_t id = declaration.operand(1);
      if (declaration.opcode == spv::OpTypeArray) {
        freeze(declaration.operand(2));
      } else if (decides_signature(id)) {
        freeze(id);
      }
    }
    for (const Instruction& mode : module_.execution_modes()) {
      if (mode.operand(1) != spv::ExecutionModeLocalSizeId) continue;
      for (std::size_t i = 2; i < 5; ++i) freeze(mode.operand(i));
    }
  }

  [[nodiscard]] bool decides_signature(std::uint32_t id) const {
    const std::string_view name = module_.name(id);
    return name == "items_per_group" || name == "batch_per_group" ||
           name == "segue_subgroup_size" ||
           module_.decoration(id, spv::DecorationBuiltIn) ==
               std::optional<std::uint32_t>(spv::BuiltInWorkgroupSize);
  }

  /// The constant and what it is made of.
  void freeze(std::uint32_t id) {
    const Instruction declaration = module_.definition(id);
    if (is_spec_constant(declaration.opcode)) {
      if (const auto spec_id = module_.decoration(id, spv::DecorationSpecId))
        spec_ids_.insert(*spec_id);
    }
    for (const std::uint32_t source : sources(declaration)) freeze(source);
  }

  void find_fixed() {
    for (const Instruction& declaration : module_.declarations()) {
      if (declaration.opcode < spv::OpConstantTrue || declaration.opcode > spv::OpSpecConstantOp)
        continue;
      const std::uint32_t id = declaration.operand(1);
      const auto spec_id = module_.decoration(id, spv::DecorationSpecId);
      const bool remains = is_spec_constant(declaration.opcode) && spec_id && !is_frozen(*spec_id);
      const auto from = sources(declaration);
      if (!remains && std::ranges::all_of(from, [this](auto i) { return is_fixed(i); }))
        fixed_.insert(id);
    }
  }

  const spirv::Module& module_;
  std::set<std::uint32_t> spec_ids_;
  std::set<std::uint32_t> fixed_;
};

class Preparer {
 public:
  Preparer(const spirv::Module& module, const spirv::Values& values)
      : module_(module), values_(values), freezer_(module) {}

  Result<Prepared> run(std::span<const std::uint32_t> words) {
    const auto header = words.first(kHeaderWords);
    result_.words.assign(header.begin(), header.end());
    for (std::size_t at = kHeaderWords; at < words.size();) {
      const std::uint32_t count = words[at] >> spv::WordCountShift;
      SEGUE_TRY(add({words[at] & spv::OpCodeMask, words.subspan(at + 1, count - 1)}));
      at += count;
    }
    for (const auto& [id, constant] : constants_)
      (freezer_.is_frozen(id) ? result_.frozen : result_.remaining).push_back(constant);
    return std::move(result_);
  }

 private:
  void emit(std::uint32_t opcode, std::span<const std::uint32_t> operands) {
    const auto count = static_cast<std::uint32_t>(operands.size() + 1);
    result_.words.push_back(count << spv::WordCountShift | opcode);
    result_.words.insert(result_.words.end(), operands.begin(), operands.end());
  }
  void emit(const Instruction& instruction) { emit(instruction.opcode, instruction.operands); }

  Result<> add(const Instruction& instruction) {
    const std::uint32_t id = instruction.operand(1);
    switch (instruction.opcode) {
      case spv::OpExtInstImport:
        if (spirv::text_operand(instruction, 1) == "GLSL.std.450")
          glsl_functions_ = instruction.operand(0);
        break;
      case spv::OpName:
        if (is_msl_word(instruction)) return {};
        break;
      case spv::OpDecorate:
        if (goes(instruction)) return {};
        break;
      case spv::OpSpecConstantTrue:
      case spv::OpSpecConstantFalse:
      case spv::OpSpecConstant:
        SEGUE_TRY(list(instruction));
        if (freezer_.is_fixed(id)) return add_value(instruction);
        break;
      case spv::OpSpecConstantOp:
        if (freezer_.is_fixed(id)) return add_value(instruction);
        break;
      case spv::OpSpecConstantComposite:
        if (!freezer_.is_fixed(id)) break;
        emit(spv::OpConstantComposite, instruction.operands);
        return {};
      case spv::OpExtInst: add_function(instruction); return {};
      default: break;
    }
    emit(instruction);
    return {};
  }

  /// Functions have their types in their names, as in "kernel(f1;u1;".
  [[nodiscard]] static bool is_msl_word(const Instruction& naming) {
    const std::string_view name = spirv::text_operand(naming, 1);
    return std::ranges::find(kMslWords, name.substr(0, name.find('('))) != std::end(kMslWords);
  }

  [[nodiscard]] bool goes(const Instruction& decoration) const {
    if (decoration.operand(1) == spv::DecorationNoContraction) return true;
    return decoration.operand(1) == spv::DecorationSpecId &&
           freezer_.is_frozen(decoration.operand(2));
  }

  /// A constant that has its value.
  Result<> add_value(const Instruction& declaration) {
    const std::uint32_t type = declaration.operand(0);
    const std::uint32_t id = declaration.operand(1);
    const auto value = values_.constant(id);
    const Instruction type_of = module_.definition(type);
    if (!value || (type_of.opcode == spv::OpTypeInt && type_of.operand(1) != 32)) {
      return refuse("Constant \"{}\" decides the size of something, but is no integer of 32 bits.",
                    module_.name(id));
    }
    if (type_of.opcode == spv::OpTypeBool) {
      const std::uint32_t words[]{type, id};
      emit(*value != 0 ? spv::OpConstantTrue : spv::OpConstantFalse, words);
    } else {
      const std::uint32_t words[]{type, id, static_cast<std::uint32_t>(*value)};
      emit(spv::OpConstant, words);
    }
    return {};
  }

  Result<> list(const Instruction& declaration) {
    const std::uint32_t id = declaration.operand(1);
    const auto spec_id = module_.decoration(id, spv::DecorationSpecId);
    if (!spec_id) return {};
    const Instruction type = module_.definition(declaration.operand(0));
    if (type.opcode != spv::OpTypeBool && type.operand(1) != 32) {
      return refuse("Specialisation constant {} (\"{}\") has {} bits; 32 are allowed.", *spec_id,
                    module_.name(id), type.operand(1));
    }
    // A compiler may emit the constant of a group size once more without its name.
    Constant& constant = constants_[*spec_id];
    constant.id = *spec_id;
    if (constant.name.empty()) constant.name = module_.name(id);
    switch (type.opcode) {
      case spv::OpTypeBool: constant.type = Constant::Type::kBool; break;
      case spv::OpTypeFloat: constant.type = Constant::Type::kFloat; break;
      default: constant.type = type.operand(2) != 0 ? Constant::Type::kInt : Constant::Type::kUint;
    }
    // The values of floats are not evaluated; none is ever given.
    constant.value =
        static_cast<std::uint32_t>(values_.constant(id).value_or(declaration.operand(2)));
    return {};
  }

  void add_function(const Instruction& call) {
    constexpr std::size_t kWhich = 3;
    std::vector<std::uint32_t> words(call.operands.begin(), call.operands.end());
    if (call.operand(2) == glsl_functions_ && words.size() > kWhich) {
      switch (words[kWhich]) {
        case GLSLstd450FMin: words[kWhich] = GLSLstd450NMin; break;
        case GLSLstd450FMax: words[kWhich] = GLSLstd450NMax; break;
        case GLSLstd450FClamp: words[kWhich] = GLSLstd450NClamp; break;
        default: break;
      }
    }
    emit(call.opcode, words);
  }

  const spirv::Module& module_;
  const spirv::Values& values_;
  const Freezer freezer_;
  std::map<std::uint32_t, Constant> constants_;
  std::uint32_t glsl_functions_ = 0;
  Prepared result_;
};

}  // namespace

spirv::Specialisation metal_constants(const spirv::Module& module) {
  spirv::Specialisation given;
  for (const spirv::SpecConstantInfo& info : spirv::spec_constants(module)) {
    if (info.name == "segue_subgroup_size") given[info.id] = kSimdWidth;
  }
  return given;
}

Result<Prepared> prepare(std::span<const std::uint32_t> words) {
  SEGUE_TRY_ASSIGN(const spirv::Module module, spirv::Module::parse(words));
  const spirv::Values values(module, metal_constants(module));
  return Preparer(module, values).run(words);
}

}  // namespace segue::metal::translator
