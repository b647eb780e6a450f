// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_library.hpp"

#include <algorithm>
#include <bit>

#include "base/fail.hpp"
#include "ir/storage.hpp"

namespace segue::runtime {

namespace {

Result<> check_parameter(std::string_view kernel, const Parameter& parameter,
                         const Limits& limits) {
  const auto refuse = [&](std::string_view quantity, std::uint64_t given, std::string_view limit,
                          std::uint64_t allowed) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Parameter \"{}\" of kernel \"{}\" has {} {} but {} is {}.", parameter.name,
                      kernel, quantity, given, limit, allowed);
  };
  switch (parameter.kind) {
    case ParameterKind::kBuffer:
      // Offsets are checked with a mask.
      if (!std::has_single_bit(parameter.alignment)) {
        return base::fail(
            ErrorCode::kInvalidArgument,
            "Parameter \"{}\" of kernel \"{}\" has alignment {}; an alignment is a power of two.",
            parameter.name, kernel, parameter.alignment);
      }
      return {};
    case ParameterKind::kBytes:
      if (parameter.size_bytes > limits.max_inline_bytes) {
        return refuse("size", parameter.size_bytes, "Limits::max_inline_bytes",
                      limits.max_inline_bytes);
      }
      return {};
    case ParameterKind::kShared:
      if (parameter.size_bytes > limits.max_shared_memory_bytes) {
        return refuse("size", parameter.size_bytes, "Limits::max_shared_memory_bytes",
                      limits.max_shared_memory_bytes);
      }
      return {};
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<KernelLibraryState>> KernelLibraryState::create(
    std::shared_ptr<hal::Device> device) {
  auto library = std::make_shared<KernelLibraryState>(device);
  for (KernelSource& source : device->builtin_kernels()) SEGUE_TRY(library->add(std::move(source)));
  return library;
}

Result<> KernelLibraryState::check(const KernelSource& source) const {
  if (source.name.empty()) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The kernel source has no name; a library knows kernels by name.");
  }
  if (source.backend != device_->backend()) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Kernel \"{}\" is written for backend \"{}\" but the device is of \"{}\".",
                      source.name, source.backend, device_->backend());
  }
  const Signature& signature = source.signature;
  const Limits& limits = device_->limits();
  bool shared_seen = false;
  for (const Parameter& parameter : signature.parameters) {
    const bool shared = parameter.kind == ParameterKind::kShared;
    if (shared_seen && !shared) {
      return base::fail(ErrorCode::kInvalidArgument,
                        "Parameter \"{}\" of kernel \"{}\" stands after a shared one; shared "
                        "parameters come last.",
                        parameter.name, source.name);
    }
    shared_seen = shared;
    SEGUE_TRY(check_parameter(source.name, parameter, limits));
  }
  if (signature.argument_count() > limits.max_arguments) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Kernel \"{}\" takes {} arguments but Limits::max_arguments is {}.",
                      source.name, signature.argument_count(), limits.max_arguments);
  }
  const Extent3 size = signature.group_size;
  if (size.empty() || size.count() > limits.max_group_threads) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The group size of kernel \"{}\" is {} x {} x {}; it has 1 to {} threads "
                      "(Limits::max_group_threads).",
                      source.name, size.x, size.y, size.z, limits.max_group_threads);
  }
  return {};
}

Result<> KernelLibraryState::add(KernelSource source) {
  SEGUE_TRY(check(source));
  const std::scoped_lock lock(mutex_);
  if (entries_.contains(source.name)) {
    return base::fail(
        ErrorCode::kInvalidArgument,
        "The library has a kernel \"{}\" already; replace() puts another in its place.",
        source.name);
  }
  std::string name = source.name;
  entries_.emplace(std::move(name),
                   Entry{std::make_shared<const KernelSource>(std::move(source)), {}});
  return {};
}

Result<KernelLibraryState::Constants> KernelLibraryState::normalise(
    std::string_view name, std::span<const SpecConstant> constants) {
  Constants sorted(constants.begin(), constants.end());
  std::ranges::sort(sorted, {}, &SpecConstant::id);
  const auto twice = std::ranges::adjacent_find(sorted, {}, &SpecConstant::id);
  if (twice != sorted.end()) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "Specialisation constant {} of kernel \"{}\" is given more than once; each "
                      "is given at most once.",
                      twice->id, name);
  }
  return sorted;
}

std::string KernelLibraryState::key_of(std::span<const SpecConstant> constants) {
  std::string key;
  const auto append = [&key](std::uint32_t word) {
    for (int shift = 0; shift < 32; shift += 8)
      key.push_back(static_cast<char>((word >> shift) & 0xFF));
  };
  for (const SpecConstant& constant : constants) {
    append(constant.id);
    append(static_cast<std::uint32_t>(constant.value.index()));
    // By bits: equal keys mean equal code, also for -0 and NaN.
    std::visit(
        [&append]<class T>(T value) {
          if constexpr (std::is_same_v<T, bool>) {
            append(value ? 1 : 0);
          } else {
            append(std::bit_cast<std::uint32_t>(value));
          }
        },
        constant.value);
  }
  return key;
}

Result<Kernel> KernelLibraryState::compile(const KernelSource& source,
                                           std::span<const SpecConstant> constants) {
  Result<base::Ref<ir::Kernel>> compiled = device_->compile(source, constants);
  if (!compiled) {
    Error error = std::move(compiled).error();
    if (!error.message.contains(fmt::format("\"{}\"", source.name))) {
      error.message = fmt::format("Kernel \"{}\" does not compile: {}", source.name, error.message);
    }
    return std::unexpected(std::move(error));
  }
  ir::Kernel& kernel = **compiled;
  kernel.argument_count = static_cast<std::uint32_t>(kernel.signature.argument_count());
  kernel.compiled_by = device_.get();
  kernel.constants.assign(constants.begin(), constants.end());
  return Kernel(*std::move(compiled));
}

Result<Kernel> KernelLibraryState::get(std::string_view name,
                                       std::span<const SpecConstant> constants) {
  SEGUE_TRY_ASSIGN(const Constants sorted, normalise(name, constants));
  std::string key = key_of(sorted);

  std::unique_lock lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) {
    return base::fail(ErrorCode::kNotFound, "The library of device \"{}\" has no kernel \"{}\".",
                      device_->name(), name);
  }
  if (const auto known = entry->second.specialisations.find(key);
      known != entry->second.specialisations.end()) {
    const SpecialisationPointer specialisation = known->second;
    compiled_.wait(lock, [&] { return specialisation->outcome.has_value(); });
    return *specialisation->outcome;
  }
  const auto specialisation = std::make_shared<Specialisation>();
  specialisation->constants = sorted;
  entry->second.specialisations.emplace(key, specialisation);
  const SourcePointer source = entry->second.source;
  lock.unlock();

  // Published whatever happens, an exception for lack of memory included: others wait for it.
  struct Publisher {
    KernelLibraryState& library;
    std::string_view name;
    const std::string& key;
    const SpecialisationPointer& specialisation;
    Result<Kernel> outcome;
    ~Publisher() { library.finish(name, key, specialisation, outcome); }
  } publisher{*this, name, key, specialisation,
              base::fail(ErrorCode::kOutOfMemory,
                         "Compiling kernel \"{}\" runs out of host memory.", name)};
  publisher.outcome = compile(*source, sorted);
  return publisher.outcome;
}

void KernelLibraryState::finish(std::string_view name, const std::string& key,
                                const SpecialisationPointer& specialisation,
                                Result<Kernel> outcome) {
  const std::scoped_lock lock(mutex_);
  if (!outcome) {
    // A replace() may have put another specialisation in this one's place meanwhile.
    Specialisations& known = entries_.find(name)->second.specialisations;
    const auto mine = known.find(key);
    if (mine != known.end() && mine->second == specialisation) known.erase(mine);
  }
  specialisation->outcome = std::move(outcome);
  compiled_.notify_all();
}

Result<> KernelLibraryState::replace(KernelSource source) {
  SEGUE_TRY(check(source));
  const auto replacement = std::make_shared<const KernelSource>(std::move(source));
  const std::string& name = replacement->name;

  const std::scoped_lock one_at_a_time(replace_mutex_);
  Specialisations compiled;
  std::unique_lock lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) {
    return base::fail(ErrorCode::kNotFound,
                      "The library of device \"{}\" has no kernel \"{}\" to replace.",
                      device_->name(), name);
  }
  // Others may ask for further specialisations of the old source while these compile, hence the
  // loop.
  const auto first_missing = [&]() -> const Specialisations::value_type* {
    for (const auto& known : entry->second.specialisations) {
      if (!compiled.contains(known.first)) return &known;
    }
    return nullptr;
  };
  while (const auto* missing = first_missing()) {
    const std::string key = missing->first;
    auto specialisation = std::make_shared<Specialisation>();
    specialisation->constants = missing->second->constants;
    lock.unlock();
    Result<Kernel> outcome = compile(*replacement, specialisation->constants);
    if (!outcome) return std::unexpected(std::move(outcome).error());
    specialisation->outcome = std::move(outcome);
    lock.lock();
    compiled.emplace(key, std::move(specialisation));
  }
  entry->second = Entry{replacement, std::move(compiled)};
  return {};
}

bool KernelLibraryState::contains(std::string_view name) const {
  const std::scoped_lock lock(mutex_);
  return entries_.contains(name);
}

std::vector<std::string> KernelLibraryState::names() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

std::size_t KernelLibraryState::compiled_count() const {
  const std::scoped_lock lock(mutex_);
  std::size_t count = 0;
  for (const auto& [name, entry] : entries_) {
    count += static_cast<std::size_t>(
        std::ranges::count_if(entry.specialisations,
                              [](const auto& known) { return known.second->outcome.has_value(); }));
  }
  return count;
}

}  // namespace segue::runtime
