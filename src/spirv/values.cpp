// SPDX-License-Identifier: Apache-2.0
#include "spirv/values.hpp"

#include <algorithm>
#include <bit>

#include <spirv/unified1/spirv.hpp>

namespace segue::spirv {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 40;

std::uint64_t align_up(std::uint64_t value, std::uint32_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// What memory at a multiple of `offset` is aligned to.
std::uint32_t alignment_at(std::uint32_t offset, std::uint32_t wanted) {
  return offset == 0 ? wanted : std::min(wanted, 1U << std::countr_zero(offset));
}

std::uint64_t truncate(std::uint64_t bits, std::uint32_t width) {
  return width >= 64 ? bits : bits & ((std::uint64_t{1} << width) - 1);
}

std::int64_t extend_sign(std::uint64_t bits, std::uint32_t width) {
  const std::uint32_t unused = 64 - std::clamp(width, 1U, 64U);
  return static_cast<std::int64_t>(bits << unused) >> unused;
}

/// Result of an operation over two integers, or nothing if it has none.
std::optional<std::uint64_t> combine(std::uint32_t operation, std::uint64_t a, std::uint64_t b,
                                     std::uint32_t width) {
  const std::int64_t signed_a = extend_sign(a, width);
  const std::int64_t signed_b = extend_sign(b, width);
  const bool divisible = b != 0;
  // The smallest number divided by -1 does not fit.
  const bool signed_divisible = signed_b != 0 && signed_b != -1;
  const auto bits = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
  switch (operation) {
    case spv::OpIAdd: return a + b;
    case spv::OpISub: return a - b;
    case spv::OpIMul: return a * b;
    case spv::OpUDiv: return divisible ? std::optional(a / b) : std::nullopt;
    case spv::OpUMod: return divisible ? std::optional(a % b) : std::nullopt;
    case spv::OpSDiv:
      if (signed_b == -1) return 0 - a;
      return signed_divisible ? std::optional(bits(signed_a / signed_b)) : std::nullopt;
    case spv::OpSRem:
    case spv::OpSMod: {
      if (signed_b == -1) return 0;
      if (!signed_divisible) return std::nullopt;
      const std::int64_t rest = signed_a % signed_b;
      const bool wraps = operation == spv::OpSMod && rest != 0 && (rest < 0) != (signed_b < 0);
      return bits(wraps ? rest + signed_b : rest);
    }
    case spv::OpShiftLeftLogical: return b < 64 ? std::optional(a << b) : std::nullopt;
    case spv::OpShiftRightLogical: return b < 64 ? std::optional(a >> b) : std::nullopt;
    case spv::OpShiftRightArithmetic:
      return b < 64 ? std::optional(bits(signed_a >> b)) : std::nullopt;
    case spv::OpBitwiseOr:
    case spv::OpLogicalOr: return a | b;
    case spv::OpBitwiseAnd:
    case spv::OpLogicalAnd: return a & b;
    case spv::OpBitwiseXor: return a ^ b;
    case spv::OpIEqual:
    case spv::OpLogicalEqual: return a == b ? 1 : 0;
    case spv::OpINotEqual:
    case spv::OpLogicalNotEqual: return a != b ? 1 : 0;
    case spv::OpULessThan: return a < b ? 1 : 0;
    case spv::OpULessThanEqual: return a <= b ? 1 : 0;
    case spv::OpUGreaterThan: return a > b ? 1 : 0;
    case spv::OpUGreaterThanEqual: return a >= b ? 1 : 0;
    case spv::OpSLessThan: return signed_a < signed_b ? 1 : 0;
    case spv::OpSLessThanEqual: return signed_a <= signed_b ? 1 : 0;
    case spv::OpSGreaterThan: return signed_a > signed_b ? 1 : 0;
    case spv::OpSGreaterThanEqual: return signed_a >= signed_b ? 1 : 0;
    default: return std::nullopt;
  }
}

/// Bits of an integer type, 1 of a Boolean one, 0 of any other.
std::uint32_t integer_width(const Module& module, std::uint32_t type) {
  const Instruction declaration = module.definition(type);
  if (declaration.opcode == spv::OpTypeBool) return 1;
  if (declaration.opcode != spv::OpTypeInt) return 0;
  const std::uint32_t width = declaration.operand(1);
  return width <= 64 ? width : 0;
}

}  // namespace

Values::Values(const Module& module, const Specialisation& specialisation) : module_(module) {
  for (const Instruction& declaration : module.declarations()) {
    if (declaration.opcode >= spv::OpConstantTrue && declaration.opcode <= spv::OpSpecConstantOp) {
      add_constant(declaration, specialisation);
    } else {
      add_type(declaration);
    }
  }
}

std::optional<std::uint64_t> Values::constant(std::uint32_t id) const {
  const auto found = constants_.find(id);
  if (found == constants_.end()) return std::nullopt;
  return found->second;
}

std::optional<TypeLayout> Values::layout(std::uint32_t type) const {
  const auto found = layouts_.find(type);
  if (found == layouts_.end()) return std::nullopt;
  return found->second;
}

void Values::add_constant(const Instruction& declaration, const Specialisation& specialisation) {
  const ResultIds result = result_ids(declaration);
  const std::uint32_t width = integer_width(module_, result.type);
  if (width == 0) return;
  const auto given = [&]() -> std::optional<std::uint64_t> {
    const auto id = module_.decoration(result.id, spv::DecorationSpecId);
    if (!id) return std::nullopt;
    const auto found = specialisation.find(*id);
    if (found == specialisation.end()) return std::nullopt;
    return found->second;
  };
  std::optional<std::uint64_t> value;
  switch (declaration.opcode) {
    case spv::OpConstantTrue: value = 1; break;
    case spv::OpConstantFalse:
    case spv::OpConstantNull: value = 0; break;
    case spv::OpConstant:
      value = declaration.operand(2) | std::uint64_t{declaration.operand(3)} << 32;
      break;
    case spv::OpSpecConstantTrue: value = given().value_or(1); break;
    case spv::OpSpecConstantFalse: value = given().value_or(0); break;
    case spv::OpSpecConstant:
      value =
          given().value_or(declaration.operand(2) | std::uint64_t{declaration.operand(3)} << 32);
      break;
    case spv::OpSpecConstantOp: value = compute(declaration); break;
    default: break;
  }
  if (value) constants_[result.id] = truncate(*value, width);
}

/// Operands of OpSpecConstantOp: result type, result, opcode, what the opcode takes.
std::optional<std::uint64_t> Values::compute(const Instruction& operation) const {
  const std::uint32_t opcode = operation.operand(2);
  if (opcode == spv::OpCompositeExtract) return extract(operation);
  const std::uint32_t first = operation.operand(3);
  const auto a = constant(first);
  if (!a) return std::nullopt;
  const std::uint32_t width = integer_width(module_, module_.definition(first).operand(0));
  switch (opcode) {
    case spv::OpUConvert: return a;
    case spv::OpSConvert: return static_cast<std::uint64_t>(extend_sign(*a, width));
    case spv::OpSNegate: return 0 - *a;
    case spv::OpNot: return ~*a;
    case spv::OpLogicalNot: return *a ^ 1;
    case spv::OpSelect: return constant(operation.operand(*a != 0 ? 4 : 5));
    default: break;
  }
  const auto b = constant(operation.operand(4));
  if (!b) return std::nullopt;
  return combine(opcode, *a, *b, width);
}

/// One component of a constant vector, such as gl_WorkGroupSize.x.
std::optional<std::uint64_t> Values::extract(const Instruction& operation) const {
  const Instruction composite = module_.definition(operation.operand(3));
  const bool is_composite = composite.opcode == spv::OpConstantComposite ||
                            composite.opcode == spv::OpSpecConstantComposite;
  if (!is_composite || operation.operands.size() != 5) return std::nullopt;
  const std::size_t index = operation.operand(4);
  if (index >= composite.operands.size()) return std::nullopt;
  return constant(composite.operand(2 + index));
}

void Values::add_type(const Instruction& declaration) {
  const auto layout = layout_of(declaration);
  if (layout && layout->size_bytes <= kMostBytes) layouts_[declaration.operand(0)] = *layout;
}

std::optional<TypeLayout> Values::layout_of(const Instruction& declaration) const {
  switch (declaration.opcode) {
    case spv::OpTypeBool: return TypeLayout{4, 4};
    case spv::OpTypeInt:
    case spv::OpTypeFloat: {
      const std::uint32_t bytes = declaration.operand(1) / 8;
      if (bytes > 8 || !std::has_single_bit(bytes)) return std::nullopt;
      return TypeLayout{bytes, bytes};
    }
    case spv::OpTypeVector: {
      const Instruction type = module_.definition(declaration.operand(1));
      const auto component = layout(declaration.operand(1));
      const std::uint32_t count = declaration.operand(2);
      const bool scalar = type.opcode == spv::OpTypeBool || type.opcode == spv::OpTypeInt ||
                          type.opcode == spv::OpTypeFloat;
      if (!scalar || !component || count < 2 || count > 4) return std::nullopt;
      return TypeLayout{component->size_bytes * count, component->alignment * std::bit_ceil(count)};
    }
    case spv::OpTypeMatrix: {  // columns; the stride is a decoration of the struct that has it
      const Instruction type = module_.definition(declaration.operand(1));
      const auto column = layout(declaration.operand(1));
      const std::uint32_t count = declaration.operand(2);
      if (type.opcode != spv::OpTypeVector || !column || count < 2 || count > 4)
        return std::nullopt;
      return TypeLayout{align_up(column->size_bytes, column->alignment) * count, column->alignment};
    }
    case spv::OpTypeArray:
    case spv::OpTypeRuntimeArray: return layout_of_array(declaration);
    case spv::OpTypeStruct: return layout_of_struct(declaration);
    default: return std::nullopt;
  }
}

std::optional<TypeLayout> Values::layout_of_array(const Instruction& declaration) const {
  const auto element = layout(declaration.operand(1));
  if (!element || element->unsized) return std::nullopt;
  TypeLayout array{0, element->alignment};
  std::uint64_t stride = align_up(element->size_bytes, element->alignment);
  if (const auto given = module_.decoration(declaration.operand(0), spv::DecorationArrayStride)) {
    if (*given == 0) return std::nullopt;
    stride = *given;
    array.alignment = alignment_at(*given, array.alignment);
  }
  if (declaration.opcode == spv::OpTypeRuntimeArray) {
    array.unsized = true;
    return array;
  }
  const auto count = constant(declaration.operand(2));
  if (!count || *count == 0 || *count > kMostBytes / std::max<std::uint64_t>(stride, 1))
    return std::nullopt;
  array.size_bytes = stride * *count;
  return array;
}

std::optional<TypeLayout> Values::layout_of_struct(const Instruction& declaration) const {
  const std::uint32_t id = declaration.operand(0);
  TypeLayout whole;
  std::uint64_t end = 0;  // of the members so far
  bool laid_out = false;
  for (std::size_t i = 1; i < declaration.operands.size(); ++i) {
    const auto member = layout(declaration.operand(i));
    if (!member || whole.unsized) return std::nullopt;
    const auto index = static_cast<std::uint32_t>(i - 1);
    const auto offset = module_.member_decoration(id, index, spv::DecorationOffset);
    std::uint64_t size = member->size_bytes;
    const auto stride = module_.member_decoration(id, index, spv::DecorationMatrixStride);
    const Instruction type = module_.definition(declaration.operand(i));
    if (stride && type.opcode == spv::OpTypeMatrix)
      size = std::max<std::uint64_t>(size, std::uint64_t{*stride} * type.operand(2));
    if (offset) {
      laid_out = true;
      whole.alignment = std::max(whole.alignment, alignment_at(*offset, member->alignment));
    } else {
      end = align_up(end, member->alignment);
      whole.alignment = std::max(whole.alignment, member->alignment);
    }
    const std::uint64_t begin = offset ? std::uint64_t{*offset} : end;
    end = std::max(end, begin + size);
    whole.unsized = member->unsized;
  }
  whole.size_bytes = laid_out ? end : align_up(end, whole.alignment);
  return whole;
}

}  // namespace segue::spirv
