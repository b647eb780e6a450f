// SPDX-License-Identifier: Apache-2.0
//
// From a source to a kernel: GLSL becomes SPIR-V, the code is read, compared with what its author
// declares and what the device can do, and a first pipeline is made.
#include <algorithm>
#include <bit>
#include <utility>

#include "backends/vulkan/capabilities.hpp"
#include "backends/vulkan/compiled_kernel.hpp"
#include "backends/vulkan/glsl_compiler.hpp"
#include "backends/vulkan/kernel_signature.hpp"
#include "backends/vulkan/spirv_validator.hpp"
#include "base/fail.hpp"
#include "spirv/signature.hpp"

namespace segue::vulkan {
namespace {

constexpr std::string_view kSubgroupSize = "segue_subgroup_size";

template <class... Args>
std::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return base::fail(ErrorCode::kCompileFailed, format, std::forward<Args>(args)...);
}

using Type = spirv::SpecConstantInfo::Type;

Type type_of(const SpecConstant& constant) {
  if (std::holds_alternative<bool>(constant.value)) return Type::kBool;
  return std::holds_alternative<float>(constant.value) ? Type::kFloat : Type::kInteger;
}

std::string_view name_of(Type type) {
  switch (type) {
    case Type::kBool: return "a Boolean";
    case Type::kInteger: return "an integer";
    case Type::kFloat: return "a float";
  }
  return "";
}

std::uint32_t bits_of(const SpecConstant& constant) {
  return std::visit(
      []<class T>(T value) -> std::uint32_t {
        if constexpr (std::is_same_v<T, bool>) {
          return value ? 1 : 0;
        } else {
          return std::bit_cast<std::uint32_t>(value);
        }
      },
      constant.value);
}

/// Constants as given, and those that the device sets unless they are given.
Result<spirv::Specialisation> specialise(std::span<const spirv::SpecConstantInfo> known,
                                         std::span<const SpecConstant> given,
                                         std::span<const NamedConstant> tuning,
                                         const DeviceTraits& traits) {
  spirv::Specialisation specialisation;
  for (const spirv::SpecConstantInfo& info : known) {
    if (info.type != spirv::SpecConstantInfo::Type::kInteger ||
        info.size_bytes != sizeof(std::uint32_t))
      continue;
    if (info.name == kSubgroupSize) specialisation[info.id] = traits.subgroup_size;
    const auto tuned = std::ranges::find(tuning, info.name, &NamedConstant::name);
    if (tuned != tuning.end()) specialisation[info.id] = tuned->value;
  }
  for (const SpecConstant& constant : given) {
    const auto info = std::ranges::find(known, constant.id, &spirv::SpecConstantInfo::id);
    if (info == known.end())
      return refuse("The code has no specialisation constant {}.", constant.id);
    if (info->size_bytes != sizeof(std::uint32_t)) {
      return refuse("Specialisation constant {} (\"{}\") has {} bytes; 4 are allowed.", constant.id,
                    info->name, info->size_bytes);
    }
    if (info->type != type_of(constant)) {
      return refuse("Specialisation constant {} (\"{}\") is {}, but {} is given.", constant.id,
                    info->name, name_of(info->type), name_of(type_of(constant)));
    }
    specialisation[constant.id] = bits_of(constant);
  }
  return specialisation;
}

/// Only what the user gave, for what specialisation decides in a signature.
spirv::Specialisation given_only(std::span<const SpecConstant> given) {
  spirv::Specialisation specialisation;
  for (const SpecConstant& constant : given) specialisation[constant.id] = bits_of(constant);
  return specialisation;
}

}  // namespace

class KernelCompiler {
 public:
  using Impl = CompiledKernel::Impl;

  static Result<base::Ref<ir::Kernel>> run(const ContextPointer& context,
                                           const KernelSource& source,
                                           std::span<const SpecConstant> constants,
                                           const std::shared_ptr<base::IndexAllocator>& indices) {
    base::Ref<CompiledKernel> kernel(new CompiledKernel(indices));
    kernel->name = source.name;
    kernel->impl_->context = context;
    kernel->impl_->name = source.name;
    kernel->impl_->entry_point = source.entry_point;
    const auto* code = static_cast<const ShaderCode*>(source.native.get());
    if (code == nullptr) return refuse("It has no code.");
    SEGUE_TRY(take_code(source, *code, *kernel->impl_));
    SEGUE_TRY(read_code(*kernel, constants, *code, source.signature));
    if (code->trusted) return base::Ref<ir::Kernel>(kernel.get());
    SEGUE_TRY(kernel->impl_->find_or_make({kernel->signature.group_size, {}, BindingMode::kPush}));
    return base::Ref<ir::Kernel>(kernel.get());
  }

 private:
  static Result<> take_code(const KernelSource& source, const ShaderCode& code, Impl& impl) {
    if (source.backend != "vulkan")
      return refuse("It is for backend \"{}\"; \"vulkan\" is allowed.", source.backend);
    if (code.glsl) {
      SEGUE_TRY_ASSIGN(impl.compiled, compile_glsl(source.text));
      impl.words = impl.compiled;
    } else {
      if (!code.trusted) SEGUE_TRY(validate_spirv(code.words));
      impl.source = source.native;
      impl.words = code.words;
    }
    return {};
  }

  static Result<> read_code(CompiledKernel& kernel, std::span<const SpecConstant> constants,
                            const ShaderCode& code, const Signature& declared) {
    Impl& impl = *kernel.impl_;
    const Context& context = *impl.context;
    SEGUE_TRY_ASSIGN(const spirv::Module module, spirv::Module::parse(impl.words));
    if (const auto missing = missing_capability(module.capabilities(), context.traits)) {
      return refuse("It needs the SPIR-V capability {}, which device \"{}\" does not offer.",
                    *missing, context.name);
    }
    const std::vector<spirv::SpecConstantInfo> known = spirv::spec_constants(module);
    SEGUE_TRY_ASSIGN(impl.constants, specialise(known, constants, code.tuning, context.traits));
    SEGUE_TRY_ASSIGN(const spirv::ShaderReflection reflection,
                     spirv::reflect(module, impl.entry_point, impl.constants));
    const spirv::Specialisation given = given_only(constants);
    kernel.signature = spirv::signature_of(reflection, given);
    if (code.declared) {
      SEGUE_TRY_ASSIGN(kernel.signature,
                       reconcile(declared, std::move(kernel.signature), reflection));
    }
    SEGUE_TRY(check_limits(kernel.signature, reflection, context.limits));
    take_bindings(kernel, reflection, given);
    return {};
  }

  static void take_bindings(CompiledKernel& kernel, const spirv::ShaderReflection& reflection,
                            const spirv::Specialisation& given) {
    Impl& impl = *kernel.impl_;
    impl.group_size = reflection.group_size;
    impl.group_size_ids = reflection.group_size_ids;
    for (const spirv::BlockInfo& block : reflection.blocks) {
      impl.bindings.push_back(
          {block.uniform ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
           block.size_bytes});
    }
    kernel.wants_grid_ = reflection.wants_grid();
    kernel.bindings_ = impl.bindings;
    if (kernel.wants_grid_) kernel.bindings_.pop_back();
    for (const spirv::SharedInfo& shared : reflection.shared) {
      if (!shared.count_id) continue;
      impl.shared.push_back(
          {*shared.count_id, shared.element_bytes, !given.contains(*shared.count_id)});
    }
  }
};

Result<base::Ref<ir::Kernel>> compile_kernel(const ContextPointer& context,
                                             const KernelSource& source,
                                             std::span<const SpecConstant> constants,
                                             const std::shared_ptr<base::IndexAllocator>& indices) {
  auto kernel = KernelCompiler::run(context, source, constants, indices);
  if (!kernel) return compile_error(source.name, std::move(kernel).error());
  return kernel;
}

}  // namespace segue::vulkan
