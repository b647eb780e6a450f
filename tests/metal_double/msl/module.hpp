// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace metal_double::msl {

/// What a kernel may do with a buffer, by the type of the argument: const data is read.
enum class Access : std::uint8_t { kRead, kReadWrite, kWrite };

enum class BindingKind : std::uint8_t { kBuffer, kThreadgroup };

enum class ConstantType : std::uint8_t { kBool, kInt, kUint, kShort, kUshort, kFloat, kHalf };

/// An argument of a kernel function with [[buffer(n)]] or [[threadgroup(n)]].
struct Binding {
  std::string name;
  BindingKind kind = BindingKind::kBuffer;
  Access access = Access::kRead;
  unsigned index = 0;
  /// sizeof of what the reference or pointer points to; a trailing array of one counts once.
  std::uint64_t data_size = 0;
  std::uint64_t alignment = 1;
  bool is_struct = false;  ///< What it points to: neither a number, a vector nor a matrix.
};

struct FunctionConstant {
  std::string name;
  ConstantType type = ConstantType::kUint;
  unsigned index = 0;
  /// There is no default through is_function_constant_defined.
  bool required = false;
};

struct FunctionInfo {
  std::string name;
  std::vector<Binding> bindings;
  std::vector<FunctionConstant> constants;  // those that the function can reach
  unsigned max_total_threads = 0;           // [[max_total_threads_per_threadgroup(n)]], 0 if none
  std::uint64_t static_threadgroup_bytes = 0;
};

struct ConstantValue {
  unsigned index = 0;
  ConstantType type = ConstantType::kUint;
  std::array<std::byte, 4> bytes{};
};

struct BoundBuffer {
  std::byte* data = nullptr;
  std::uint64_t size = 0;  // to the end of the MTLBuffer, or of the inline bytes
};

struct Extent {
  std::uint32_t x = 1, y = 1, z = 1;
};

/// In which order the threads of a group run between two barriers. A kernel that lacks a barrier
/// gives other results in one of them.
enum class ThreadOrder : std::uint8_t { kForward, kReversed };

struct Launch {
  std::string_view function;
  std::span<const ConstantValue> constants;
  std::array<BoundBuffer, 31> buffers;
  std::array<std::uint32_t, 31> threadgroup_bytes{};
  Extent threads;     // of the whole grid; the last groups may be ragged
  Extent group_size;  // at most 1024 threads
  /// Empty: in order; else a permutation i -> group index, x fastest.
  std::function<std::uint32_t(std::uint32_t)> group_order;
  ThreadOrder thread_order = ThreadOrder::kForward;
};

/// One MTLLibrary: Metal Shading Language that was compiled as C++ for this processor.
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  /// Compiles `source`, or takes what an earlier run of this or another process compiled.
  ///
  /// @param macros  Names and values, as in MTLCompileOptions.preprocessorMacros.
  /// @error The compiler's log, in terms of the MSL text.
  static std::expected<std::shared_ptr<Module>, std::string> compile(
      std::string_view source, const std::map<std::string, std::string>& macros);

  virtual std::span<const FunctionInfo> functions() const = 0;

  /// Runs every thread group on the calling thread, one after another. Thread-safe.
  ///
  /// Threadgroup memory holds garbage at the start of each group.
  ///
  /// @error An argument that the function needs and that is not bound, a barrier that some threads
  ///        of a group never reach, or the like. What ran before has been done.
  virtual std::expected<void, std::string> run(const Launch& launch) const = 0;
};

}  // namespace metal_double::msl
