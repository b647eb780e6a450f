// SPDX-License-Identifier: Apache-2.0
#include "spirv/module.hpp"

#include <algorithm>
#include <bit>

#define SPV_ENABLE_UTILITY_CODE
#include <spirv/unified1/spirv.hpp>

#include "base/fail.hpp"

namespace segue::spirv {
namespace {

static_assert(std::endian::native == std::endian::little, "Texts are read in place.");

constexpr std::size_t kHeaderWords = 5;
constexpr std::uint32_t kNewestVersion = 0x00010600;  // Vulkan 1.3, appendix "Versions and Formats"
constexpr std::uint32_t kMostIds = 0x003FFFFF;        // SPIR-V 1.6, section 2.17

template <class... Args>
std::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return base::fail(ErrorCode::kCompileFailed, format, std::forward<Args>(args)...);
}

bool is_declaration(std::uint32_t opcode) {
  return (opcode >= spv::OpTypeVoid && opcode <= spv::OpTypeForwardPointer) ||
         (opcode >= spv::OpConstantTrue && opcode <= spv::OpSpecConstantOp) ||
         opcode == spv::OpTypeCooperativeMatrixNV || opcode == spv::OpVariable ||
         opcode == spv::OpUndef;
}

}  // namespace

ResultIds result_ids(const Instruction& instruction) {
  bool has_result = false;
  bool has_type = false;
  spv::HasResultAndType(static_cast<spv::Op>(instruction.opcode), &has_result, &has_type);
  if (has_result && has_type) return {instruction.operand(0), instruction.operand(1)};
  if (has_result) return {0, instruction.operand(0)};
  return {};
}

std::string_view text_operand(const Instruction& instruction, std::size_t first) {
  if (first >= instruction.operands.size()) return {};
  const auto words = instruction.operands.subspan(first);
  const std::string_view all(reinterpret_cast<const char*>(words.data()), words.size_bytes());
  const std::size_t end = all.find('\0');
  return end == std::string_view::npos ? std::string_view() : all.substr(0, end);
}

std::vector<std::uint32_t> leading_capabilities(std::span<const std::uint32_t> words) {
  constexpr std::uint32_t kFirstWord = 2U << spv::WordCountShift | spv::OpCapability;
  std::vector<std::uint32_t> capabilities;
  for (std::size_t at = kHeaderWords; at + 1 < words.size() && words[at] == kFirstWord; at += 2)
    capabilities.push_back(words[at + 1]);
  return capabilities;
}

Result<Module> Module::parse(std::span<const std::uint32_t> words) {
  Module module;
  SEGUE_TRY(module.read_header(words));
  for (std::size_t at = kHeaderWords; at < words.size();) {
    const std::uint32_t count = words[at] >> spv::WordCountShift;
    if (count == 0 || count > words.size() - at) {
      return refuse("The instruction at word {} has {} words; 1 to {} are there.", at, count,
                    words.size() - at);
    }
    SEGUE_TRY(module.read({words[at] & spv::OpCodeMask, words.subspan(at + 1, count - 1)}));
    at += count;
  }
  if (module.open_function_ != 0)
    return refuse("The code of function {} has no end.", module.open_function_);
  return module;
}

Result<> Module::read_header(std::span<const std::uint32_t> words) {
  if (words.size() < kHeaderWords) {
    return refuse("The code has {} words; SPIR-V has at least {}.", words.size(), kHeaderWords);
  }
  if (words[0] != spv::MagicNumber) {
    return refuse(
        "The code begins with {:#010x}; SPIR-V begins with {:#010x} in this machine's "
        "byte order.",
        words[0], static_cast<std::uint32_t>(spv::MagicNumber));
  }
  version_ = words[1];
  if (version_ > kNewestVersion) {
    return refuse("The code is of SPIR-V version {}.{}; up to 1.6 is allowed.", version_ >> 16,
                  (version_ >> 8) & 0xFF);
  }
  if (words[3] == 0 || words[3] > kMostIds + 1)
    return refuse("The code declares {} ids; 1 to {} are allowed.", words[3], kMostIds);
  defined_by_.assign(words[3], 0);
  return {};
}

Result<> Module::read(const Instruction& instruction) {
  if (open_function_ != 0 || instruction.opcode == spv::OpFunction)
    return read_function_part(instruction);
  switch (instruction.opcode) {
    case spv::OpCapability: capabilities_.push_back(instruction.operand(0)); return {};
    case spv::OpEntryPoint: {
      EntryPoint entry{
          text_operand(instruction, 2), instruction.operand(0), instruction.operand(1), {}};
      const std::size_t before = 2 + entry.name.size() / 4 + 1;
      if (before <= instruction.operands.size())
        entry.interface = instruction.operands.subspan(before);
      entry_points_.push_back(entry);
      return {};
    }
    case spv::OpExecutionMode:
    case spv::OpExecutionModeId: execution_modes_.push_back(instruction); return {};
    case spv::OpDecorationGroup:
    case spv::OpGroupDecorate:
    case spv::OpGroupMemberDecorate:
      return refuse("The code uses decoration groups, which SPIR-V has deprecated.");
    default: break;
  }
  if (is_declaration(instruction.opcode)) return define(instruction);
  read_annotation(instruction);
  return {};
}

Result<> Module::read_function_part(const Instruction& instruction) {
  if (instruction.opcode == spv::OpFunction) {
    const std::uint32_t id = instruction.operand(1);
    if (open_function_ != 0 || id == 0 || functions_.contains(id))
      return refuse("Function {} begins where no function may begin.", id);
    open_function_ = id;
    functions_[id].begin = code_.size();
  }
  code_.push_back(instruction);
  if (instruction.opcode == spv::OpFunctionEnd) {
    functions_[open_function_].end = code_.size();
    open_function_ = 0;
  }
  return {};
}

Result<> Module::define(const Instruction& instruction) {
  if (instruction.opcode != spv::OpTypeForwardPointer) {
    const std::uint32_t id = result_ids(instruction).id;
    if (id == 0 || id >= defined_by_.size())
      return refuse("The code defines id {}; 1 to {} are allowed.", id, defined_by_.size() - 1);
    if (defined_by_[id] != 0) return refuse("The code defines id {} twice.", id);
    defined_by_[id] = static_cast<std::uint32_t>(declarations_.size() + 1);
  }
  declarations_.push_back(instruction);
  return {};
}

void Module::read_annotation(const Instruction& instruction) {
  const std::uint32_t target = instruction.operand(0);
  switch (instruction.opcode) {
    case spv::OpName: names_[{target, kWhole}] = text_operand(instruction, 1); break;
    case spv::OpMemberName:
      names_[{target, instruction.operand(1)}] = text_operand(instruction, 2);
      break;
    case spv::OpDecorate:
      decorations_[{target, kWhole, instruction.operand(1)}] = instruction.operand(2);
      break;
    case spv::OpMemberDecorate:
      decorations_[{target, instruction.operand(1), instruction.operand(2)}] =
          instruction.operand(3);
      break;
    default: break;  // what says nothing about arguments
  }
}

std::span<const Instruction> Module::function(std::uint32_t id) const {
  const auto found = functions_.find(id);
  if (found == functions_.end()) return {};
  return std::span(code_).subspan(found->second.begin, found->second.end - found->second.begin);
}

Instruction Module::definition(std::uint32_t id) const {
  if (id >= defined_by_.size() || defined_by_[id] == 0) return {};
  return declarations_[defined_by_[id] - 1];
}

std::string_view Module::member_name(std::uint32_t id, std::uint32_t member) const {
  const auto found = names_.find({id, member});
  return found == names_.end() ? std::string_view() : found->second;
}

std::optional<std::uint32_t> Module::member_decoration(std::uint32_t id, std::uint32_t member,
                                                       std::uint32_t kind) const {
  const auto found = decorations_.find({id, member, kind});
  if (found == decorations_.end()) return std::nullopt;
  return found->second;
}

}  // namespace segue::spirv
