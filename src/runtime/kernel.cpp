// SPDX-License-Identifier: Apache-2.0
#include "segue/kernel.hpp"

#include <algorithm>

#include "ir/storage.hpp"
#include "runtime/kernel_library.hpp"

namespace segue {

std::size_t Signature::argument_count() const {
  return static_cast<std::size_t>(std::ranges::count_if(parameters, [](const Parameter& parameter) {
    return parameter.kind != ParameterKind::kShared;
  }));
}

// Here, where ir::Kernel is complete, so that users need not know it.
Kernel::Kernel() noexcept = default;
Kernel::Kernel(base::Ref<ir::Kernel> impl) noexcept : impl_(std::move(impl)) {}
Kernel::Kernel(const Kernel& other) noexcept = default;
Kernel::Kernel(Kernel&& other) noexcept = default;
Kernel& Kernel::operator=(const Kernel& other) noexcept = default;
Kernel& Kernel::operator=(Kernel&& other) noexcept = default;
Kernel::~Kernel() = default;

std::string_view Kernel::name() const { return impl_ ? impl_->name : std::string_view(); }

const Signature& Kernel::signature() const {
  static const Signature kEmpty;
  return impl_ ? impl_->signature : kEmpty;
}

Result<> KernelLibrary::add(KernelSource source) { return state_->add(std::move(source)); }

Result<> KernelLibrary::replace(KernelSource source) { return state_->replace(std::move(source)); }

Result<Kernel> KernelLibrary::get(std::string_view name,
                                  std::span<const SpecConstant> constants) const {
  return state_->get(name, constants);
}

bool KernelLibrary::contains(std::string_view name) const { return state_->contains(name); }

std::vector<std::string> KernelLibrary::names() const { return state_->names(); }

std::size_t KernelLibrary::compiled_count() const { return state_->compiled_count(); }

}  // namespace segue
