// SPDX-License-Identifier: Apache-2.0
#include "spirv/access.hpp"

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include <spirv/unified1/spirv.hpp>

namespace segue::spirv {
namespace {

/// Opcodes from here on belong to extensions; the core instructions below are all known.
constexpr std::uint32_t kFirstExtension = 4096;

class AccessFinder {
 public:
  explicit AccessFinder(const Module& module) : module_(module) {
    for (const Instruction& declaration : module.declarations()) {
      if (declaration.opcode == spv::OpVariable)
        variable_of_[declaration.operand(1)] = declaration.operand(1);
    }
  }

  /// Each function once, with those that it calls.
  void visit(std::uint32_t function) {
    std::vector<std::uint32_t> waiting{function};
    while (!waiting.empty()) {
      const std::uint32_t next = waiting.back();
      waiting.pop_back();
      if (!visited_.insert(next).second) continue;
      for (const Instruction& instruction : module_.function(next)) {
        if (instruction.opcode == spv::OpFunctionCall) waiting.push_back(instruction.operand(2));
        visit(instruction);
      }
    }
  }

  [[nodiscard]] std::map<std::uint32_t, VariableAccess> take() { return std::move(accesses_); }

 private:
  void visit(const Instruction& instruction) {
    switch (instruction.opcode) {
      case spv::OpAccessChain:
      case spv::OpInBoundsAccessChain:
      case spv::OpPtrAccessChain:
      case spv::OpInBoundsPtrAccessChain:
      case spv::OpCopyObject: return derive(instruction.operand(1), instruction.operand(2));
      case spv::OpLoad:
      case spv::OpAtomicLoad:
      case spv::OpCooperativeMatrixLoadNV: return touch(instruction.operand(2), true, false);
      case spv::OpAtomicStore:
      case spv::OpCooperativeMatrixStoreNV: return touch(instruction.operand(0), false, true);
      case spv::OpStore:
        touch(instruction.operand(0), false, true);
        return escape(instruction.operand(1));
      case spv::OpCopyMemory:
      case spv::OpCopyMemorySized:
        touch(instruction.operand(0), false, true);
        return touch(instruction.operand(1), true, false);
      default: break;
    }
    if (instruction.opcode >= spv::OpAtomicExchange && instruction.opcode <= spv::OpAtomicXor)
      return touch(instruction.operand(2), true, true);
    if (const auto first = first_free_operand(instruction.opcode)) {
      for (std::size_t i = *first; i < instruction.operands.size(); ++i)
        escape(instruction.operands[i]);
    }
  }

  /// Where the operands of an instruction begin among which a pointer may stand; none if it takes
  /// no pointers, or does nothing to what they point to. Literals there that happen to be the
  /// number of a pointer count as it, which errs on the safe side.
  static std::optional<std::size_t> first_free_operand(std::uint32_t opcode) {
    switch (opcode) {
      case spv::OpExtInst: return 4;  // after type, result, set and instruction
      case spv::OpFunctionCall:       // after type, result and function
      case spv::OpSelect: return 3;   // after type, result and condition
      case spv::OpPhi:                // after type and result
      case spv::OpCompositeConstruct:
      case spv::OpCompositeInsert:
      case spv::OpBitcast:
      case spv::OpConvertPtrToU:
      case spv::OpCopyLogical:
      case spv::OpImageTexelPointer:
      case spv::OpAtomicFlagTestAndSet: return 2;
      case spv::OpReturnValue:
      case spv::OpAtomicFlagClear: return 0;
      case spv::OpSDot:
      case spv::OpUDot:
      case spv::OpSUDot:
      case spv::OpSDotAccSat:
      case spv::OpUDotAccSat:
      case spv::OpSUDotAccSat:
      case spv::OpCooperativeMatrixMulAddNV:
      case spv::OpCooperativeMatrixLengthNV: return std::nullopt;
      default: break;
    }
    if (opcode >= kFirstExtension) return 0;
    return std::nullopt;
  }

  void derive(std::uint32_t result, std::uint32_t base) {
    if (const auto found = variable_of_.find(base); found != variable_of_.end())
      variable_of_[result] = found->second;
  }

  void touch(std::uint32_t pointer, bool reads, bool writes) {
    const auto found = variable_of_.find(pointer);
    if (found == variable_of_.end()) return;
    VariableAccess& access = accesses_[found->second];
    access.reads |= reads;
    access.writes |= writes;
  }

  void escape(std::uint32_t pointer) {
    if (const auto found = variable_of_.find(pointer); found != variable_of_.end())
      accesses_[found->second].escapes = true;
  }

  const Module& module_;
  std::unordered_map<std::uint32_t, std::uint32_t> variable_of_;  // by id of a pointer
  std::map<std::uint32_t, VariableAccess> accesses_;
  std::set<std::uint32_t> visited_;
};

}  // namespace

std::map<std::uint32_t, VariableAccess> find_accesses(const Module& module,
                                                      std::uint32_t function) {
  AccessFinder finder(module);
  finder.visit(function);
  return finder.take();
}

}  // namespace segue::spirv
