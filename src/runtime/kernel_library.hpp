// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/hal.hpp"
#include "segue/kernel.hpp"

namespace segue::runtime {

/// Sources by name, and of each the kernels compiled so far by their specialisation constants.
/// Thread-safe: the mutex guards the maps only, so that slow compilers of several kernels run side
/// by side.
class KernelLibraryState {
 public:
  explicit KernelLibraryState(std::shared_ptr<hal::Device> device) : device_(std::move(device)) {}

  /// A library that holds the backend's own kernels.
  [[nodiscard]] static Result<std::shared_ptr<KernelLibraryState>> create(
      std::shared_ptr<hal::Device> device);

  Result<> add(KernelSource source);
  Result<> replace(KernelSource source);
  [[nodiscard]] Result<Kernel> get(std::string_view name, std::span<const SpecConstant> constants);

  [[nodiscard]] bool contains(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::size_t compiled_count() const;

 private:
  using Constants = std::vector<SpecConstant>;  // sorted by id, each id once

  /// One kernel that is being compiled by whoever asked first, or was.
  struct Specialisation {
    Constants constants;
    std::optional<Result<Kernel>> outcome;  // none while compiling; guarded by the library's mutex
  };
  using SourcePointer = std::shared_ptr<const KernelSource>;
  using SpecialisationPointer = std::shared_ptr<Specialisation>;
  using Specialisations =
      std::map<std::string, SpecialisationPointer, std::less<>>;  // by key_of(constants)

  struct Entry {
    SourcePointer source;
    Specialisations specialisations;
  };

  [[nodiscard]] static Result<Constants> normalise(std::string_view name,
                                                   std::span<const SpecConstant> constants);
  [[nodiscard]] static std::string key_of(std::span<const SpecConstant> constants);
  [[nodiscard]] Result<> check(const KernelSource& source) const;
  [[nodiscard]] Result<Kernel> compile(const KernelSource& source,
                                       std::span<const SpecConstant> constants);
  /// Publishes the outcome to all who wait; a failure leaves no trace, so that the next call tries
  /// again.
  void finish(std::string_view name, const std::string& key,
              const SpecialisationPointer& specialisation, Result<Kernel> outcome);

  std::shared_ptr<hal::Device> device_;
  std::mutex replace_mutex_;  // one replace at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable compiled_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace segue::runtime
