// SPDX-License-Identifier: Apache-2.0
// What a compiled module and the runner say to each other. Both include this file; the module is
// compiled without any other header of the system.
#pragma once

namespace segue_msl {

inline constexpr unsigned kArgumentSlots = 31;
inline constexpr unsigned kSimdWidth = 32;

struct Uint3 {
  unsigned x, y, z;
};

/// A thread group while it runs.
struct Group {
  void* buffers[kArgumentSlots];
  unsigned char* threadgroup_arguments[kArgumentSlots];
  unsigned char* variables;  // what the kernel's own threadgroup variables live in
  Uint3 grid_threads;
  Uint3 group_count;
  Uint3 full_size;  // of groups that the grid's edge does not cut
  Uint3 size;       // of this group
  Uint3 position;
};

/// A thread of a group.
struct Thread {
  Uint3 position;  // in its group
  unsigned index;  // in its group, x fastest
};

/// What the lanes of a SIMD group have brought to an operation. It holds until the lane's next one.
struct Exchange {
  union {
    unsigned words[kSimdWidth];
    unsigned long long wide[kSimdWidth][2];
  };
  unsigned active;  // bit i: lane i takes part
  unsigned lane;    // the lane that asks; right only until it runs into its next operation
  bool reduced;     // `result` holds what the first lane to go on has computed
  unsigned long long result[2];
};

/// What a module may call.
struct Runtime {
  /// Waits for the other lanes of the SIMD group, `operation` and `line` say for which of their
  /// operations.
  Exchange* (*exchange_word)(unsigned value, unsigned operation, unsigned line);
  Exchange* (*exchange_wide)(unsigned long long low, unsigned long long high, unsigned operation,
                             unsigned line);
  void (*barrier)(unsigned line);
};

enum class BindingKind : unsigned char { kBuffer, kThreadgroup };
enum class Access : unsigned char { kRead, kReadWrite };
enum class ConstantType : unsigned char { kBool, kInt, kUint, kShort, kUshort, kFloat, kHalf };

struct BindingEntry {
  const char* name;
  unsigned index;
  BindingKind kind;
  Access access;
  unsigned long long data_size;
  unsigned long long alignment;
  bool is_struct;
};

struct ConstantEntry {
  const char* name;
  unsigned index;
  ConstantType type;
  bool required;
  void (*set)(const void* bytes);  // for the calling thread; nullptr: the constant is not defined
};

/// A threadgroup variable of a kernel's body. The loader gives it its place.
struct GroupVariable {
  const char* function;
  unsigned long size;
  unsigned long alignment;
  unsigned long offset;
};

struct FunctionEntry {
  const char* name;
  const BindingEntry* bindings;
  unsigned binding_count;
  const unsigned* constants;  // places in ModuleTable::constants
  unsigned constant_count;
  unsigned max_total_threads;
  bool synchronises;  // calls a barrier or an operation of SIMD groups
  void (*run_thread)(const Group& group, const Thread& thread);
  void (*run_group)(const Group& group);  // for functions that do not synchronise
};

/// The one symbol that a module exports, `segue_msl_module`.
struct ModuleTable {
  const FunctionEntry* functions;
  unsigned function_count;
  const ConstantEntry* constants;
  unsigned constant_count;
  void (*evaluate_constants)();  // those that depend on function constants, for the calling thread
  GroupVariable* variables_begin;
  GroupVariable* variables_end;
  const Runtime** runtime;  // to be filled by the loader
};

}  // namespace segue_msl
