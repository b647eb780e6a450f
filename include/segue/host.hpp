// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "segue/device.hpp"
#include "segue/error.hpp"
#include "segue/kernel.hpp"

/// The host backend: kernels are C++ functions, run by the CPU's threads. Always built.
namespace segue::host {

/// Memory of one argument as a kernel sees it. Empty views have size 0 and any address.
struct KernelArgument {
  std::byte* data = nullptr;
  std::uint64_t size_bytes = 0;
};

/// What one call of a kernel has to do: groups `[group_begin, group_end)` of a grid, counted with x
/// fastest.
///
/// The worker splits a grid into such parts and may run them, and other dispatches of the same
/// barrier group, on several threads at once. A kernel must therefore not rely on one group seeing
/// what another wrote.
struct KernelContext {
  std::span<const KernelArgument> arguments;  ///< Buffers and bytes in signature order.
  std::span<const KernelArgument>
      shared;  ///< Shared parameters in order; undefined content, 64-byte aligned.
  std::span<const SpecConstant> constants;
  Extent3 thread_count;  ///< Exact, for kernels that guard ragged edges.
  Extent3 group_size;
  Extent3 group_count;
  std::uint64_t group_begin = 0;
  std::uint64_t group_end = 0;
};

/// A kernel's code. May be called from several threads at once. It must not throw; if it does, the
/// submission fails.
using KernelFunction = std::function<void(const KernelContext&)>;

/// @name Parameter types of typed kernels. The signature, and with it every hazard, follows from
/// them.
/// @{
template <class T>
struct In : std::span<const T> {
  using std::span<const T>::span;
};
template <class T>
struct Out : std::span<T> {
  using std::span<T>::span;
};
template <class T>
struct InOut : std::span<T> {
  using std::span<T>::span;
};
template <class T>
struct Shared : std::span<T> {
  using std::span<T>::span;
};
/// @}

struct KernelOptions {
  Extent3 group_size{};
  bool guards_ragged_edges = false;
  bool fixed_group_size = false;
  std::uint32_t items_per_group = 1;
};

/// A kernel from a function over raw arguments and a declared signature.
[[nodiscard]] KernelSource raw_kernel(std::string name, Signature signature,
                                      KernelFunction function);

namespace detail {

template <class T>
struct ParameterTraits {  // a trivially copyable value: inline bytes
  using Value = std::remove_cvref_t<T>;
  static_assert(std::is_trivially_copyable_v<Value>,
                "A kernel parameter is In, Out, InOut, Shared or a plain value.");
  static constexpr ParameterKind kKind = ParameterKind::kBytes;
  static Parameter declare(std::string name) {
    return {std::move(name), kKind, Access::kRead, true, sizeof(Value), 1, SharedSizing::kFixed};
  }
  static const Value& get(const KernelArgument& argument) {
    return *reinterpret_cast<const Value*>(argument.data);
  }
};

template <class Span, class T, ParameterKind kind, Access access>
struct SpanTraits {
  static constexpr ParameterKind kKind = kind;
  static Parameter declare(std::string name) {
    return {std::move(name), kind, access, true, 0, alignof(T), SharedSizing::kLaunch};
  }
  static Span get(const KernelArgument& argument) {
    return Span(reinterpret_cast<T*>(argument.data),
                static_cast<std::size_t>(argument.size_bytes / sizeof(T)));
  }
};
template <class T>
struct ParameterTraits<In<T>> : SpanTraits<In<T>, const T, ParameterKind::kBuffer, Access::kRead> {
};
template <class T>
struct ParameterTraits<Out<T>> : SpanTraits<Out<T>, T, ParameterKind::kBuffer, Access::kWrite> {};
template <class T>
struct ParameterTraits<InOut<T>>
    : SpanTraits<InOut<T>, T, ParameterKind::kBuffer, Access::kReadWrite> {};
template <class T>
struct ParameterTraits<Shared<T>>
    : SpanTraits<Shared<T>, T, ParameterKind::kShared, Access::kReadWrite> {};

template <class F>
struct CallTraits : CallTraits<decltype(&F::operator())> {};
template <class C, class... P>
struct CallTraits<void (C::*)(const KernelContext&, P...) const> {
  using Parameters = std::tuple<P...>;
};
template <class... P>
struct CallTraits<void (*)(const KernelContext&, P...)> {
  using Parameters = std::tuple<P...>;
};

template <class Function, class... P, std::size_t... I>
KernelSource make_typed(std::string name, std::initializer_list<std::string_view> names,
                        Function function, const KernelOptions& options, std::tuple<P...>*,
                        std::index_sequence<I...>) {
  Signature signature;
  signature.group_size = options.group_size;
  signature.guards_ragged_edges = options.guards_ragged_edges;
  signature.fixed_group_size = options.fixed_group_size;
  signature.items_per_group = options.items_per_group;
  const auto name_of = [&](std::size_t i) {
    return i < names.size() ? std::string(names.begin()[i]) : "argument" + std::to_string(i);
  };
  (signature.parameters.push_back(ParameterTraits<std::remove_cvref_t<P>>::declare(name_of(I))),
   ...);
  auto call = [function = std::move(function)](const KernelContext& context) {
    const std::size_t first_shared = context.arguments.size();
    const auto argument = [&](std::size_t i) -> const KernelArgument& {
      return i < first_shared ? context.arguments[i] : context.shared[i - first_shared];
    };
    function(context, ParameterTraits<std::remove_cvref_t<P>>::get(argument(I))...);
  };
  return raw_kernel(std::move(name), std::move(signature), std::move(call));
}

}  // namespace detail

/// A kernel from a C++ function, whose parameters declare what it reads and writes:
///
///     host::kernel("saxpy", {"x", "y", "a"},
///                  [](const host::KernelContext& work, host::In<float> x, host::InOut<float> y,
///                  const float& a) {
///                    for (auto i = work.group_begin; i < work.group_end; ++i) y[i] += a * x[i];
///                  });
///
/// @param names  One for each parameter after the context; they appear in errors.
template <class Function>
[[nodiscard]] KernelSource kernel(std::string name, std::initializer_list<std::string_view> names,
                                  Function function, const KernelOptions& options = {}) {
  using Parameters = typename detail::CallTraits<std::decay_t<Function>>::Parameters;
  return detail::make_typed(std::move(name), names, std::move(function), options,
                            static_cast<Parameters*>(nullptr),
                            std::make_index_sequence<std::tuple_size_v<Parameters>>{});
}

/// When the worker uses more than one thread.
enum class Parallelism : std::uint8_t {
  kAuto,    ///< When a barrier group has enough work to pay for the hand-over.
  kAlways,  ///< For every group, each dispatch on a fixed thread, so that a missing barrier is a
            ///< visible race.
  kNever,
};

struct HostOptions {
  /// Threads that run kernels, the one that runs the queue included; at most 256. 0: as many
  /// processors as the process may use, and with kAlways at least 2. Where the system refuses
  /// threads, fewer work.
  unsigned threads = 0;
  Parallelism parallelism = Parallelism::kAuto;
  /// For tests of plans: the commands of a barrier group run in reverse, one after the other, so
  /// that a missing barrier changes results. Only with Parallelism::kNever.
  bool reverse_groups = false;
  /// For tests of error paths: called, from any thread, before each call that may fail, with its
  /// name ("allocate", "import", "compile", "create_queue", "create_thread", "submit",
  /// "link", "update", "create_timeline", "signal_timeline", "run_kernel"); true makes that call
  /// fail. "device" is asked when a submission starts; true loses the device.
  std::function<bool(std::string_view call)> fail_call = {};
};

/// Opens the CPU as a device.
///
/// @error kInvalidArgument  An option or environment variable has a bad value.
/// @error kOutOfMemory      The system has no thread or memory left.
[[nodiscard]] Result<Device> create_device(const DeviceOptions& options = {},
                                           const HostOptions& host_options = {});

}  // namespace segue::host
