// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "segue/access.hpp"
#include "segue/error.hpp"
#include "segue/grid.hpp"
#include "segue/ref.hpp"

namespace segue {

enum class ParameterKind : std::uint8_t {
  kBuffer,  ///< A view of device memory.
  kBytes,   ///< A trivially copyable value, copied into the recording.
  kShared,  ///< Memory shared by the threads of one group; takes no argument.
};

/// Who decides how large a shared parameter is.
enum class SharedSizing : std::uint8_t {
  kFixed,           ///< Always Parameter::size_bytes.
  kSpecialisation,  ///< A specialisation constant (Vulkan, translated MSL).
  kLaunch,          ///< The dispatch, by DispatchOptions::shared_memory (Metal, CUDA, host).
};

/// One parameter of a kernel.
struct Parameter {
  std::string name;
  ParameterKind kind = ParameterKind::kBuffer;
  Access access = Access::kReadWrite;  ///< Buffers only.
  bool access_known = true;  ///< False: treated as read and written, and reported as unannotated.
  std::uint32_t size_bytes = 0;  ///< kBytes: exact size. kShared: size if fixed. 0: any.
  std::uint32_t alignment = 1;   ///< Buffers: what the view's offset must divide by, in bytes.
  SharedSizing sizing = SharedSizing::kFixed;
};

/// What a kernel takes: everything that recording checks and hazard tracking needs.
struct Signature {
  /// In argument order. Shared parameters come last, since they take no argument.
  std::vector<Parameter> parameters;
  Extent3 group_size;                ///< Threads of one group unless the dispatch says otherwise.
  bool guards_ragged_edges = false;  ///< The kernel checks the exact thread count itself.
  bool fixed_group_size = false;     ///< The dispatch may not choose another group size.
  std::uint32_t items_per_group =
      1;  ///< Outputs that one group produces, for callers that size a grid by it.
  std::uint32_t batch_per_group =
      0;  ///< Of a second dimension, such as tokens; 0: a group takes all.

  [[nodiscard]] std::size_t argument_count() const;
};

/// A specialisation constant, by the id that the kernel gives it.
struct SpecConstant {
  std::uint32_t id = 0;
  std::variant<std::uint32_t, std::int32_t, float, bool> value;

  friend bool operator==(const SpecConstant&, const SpecConstant&) = default;
};

/// A kernel as its author wrote it, before specialisation. Made by a backend's header, such as
/// host::kernel(...); see docs/kernel-abi.md for what the code must obey.
struct KernelSource {
  std::string name;     ///< Unique in its library.
  std::string backend;  ///< Which backend can compile it, such as "host".
  std::string text;     ///< Source or binary where the backend takes one.
  std::string entry_point;
  Signature signature;  ///< Declared parameters; backends that reflect compare it with the code.
  std::shared_ptr<const void> native;  ///< The backend's own representation.
};

namespace ir {
struct Kernel;
}

/// A compiled kernel. A cheap handle; copies share the kernel, which lives as long as any handle or
/// unfinished submission. Thread-safe.
class Kernel {
 public:
  Kernel() noexcept;
  explicit Kernel(base::Ref<ir::Kernel> impl) noexcept;
  Kernel(const Kernel& other) noexcept;
  Kernel(Kernel&& other) noexcept;
  Kernel& operator=(const Kernel& other) noexcept;
  Kernel& operator=(Kernel&& other) noexcept;
  ~Kernel();

  [[nodiscard]] std::string_view name() const;
  [[nodiscard]] const Signature& signature() const;
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(impl_); }

  /// For the library itself.
  [[nodiscard]] ir::Kernel* impl() const { return impl_.get(); }

 private:
  base::Ref<ir::Kernel> impl_;
};

namespace runtime {
class KernelLibraryState;
}

/// The kernels of one device, by name. Compiles at first use and caches by name and specialisation
/// constants. Thread-safe; handles taken from it stay valid when a source is replaced or the
/// library goes away.
class KernelLibrary {
 public:
  KernelLibrary() = default;
  explicit KernelLibrary(std::shared_ptr<runtime::KernelLibraryState> state)
      : state_(std::move(state)) {}

  /// Registers a kernel without compiling it.
  ///
  /// @error kInvalidArgument  The name is empty or taken, a shared parameter stands before another
  /// kind, or the
  ///                          source is for another backend.
  Result<> add(KernelSource source);

  /// Puts `source` in place of the kernel of that name and compiles every specialisation in use
  /// again. Kernels handed out before keep the old code.
  ///
  /// @error kNotFound       No kernel has that name.
  /// @error kCompileFailed  The new code does not compile; the library is unchanged.
  Result<> replace(KernelSource source);

  /// The kernel `name`, compiled with `constants` (in any order, each id once).
  ///
  /// @error kNotFound       No kernel has that name.
  /// @error kCompileFailed  With the compiler's log and the kernel's name.
  [[nodiscard]] Result<Kernel> get(std::string_view name,
                                   std::span<const SpecConstant> constants = {}) const;

  [[nodiscard]] bool contains(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  /// How many (name, constants) pairs are compiled now.
  [[nodiscard]] std::size_t compiled_count() const;

 private:
  std::shared_ptr<runtime::KernelLibraryState> state_;
};

}  // namespace segue
