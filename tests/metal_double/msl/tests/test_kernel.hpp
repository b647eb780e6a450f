// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metal_double/msl/module.hpp"

namespace metal_double::msl::test {

/// What every text begins with.
inline constexpr std::string_view kPrelude =
    "#include <metal_stdlib>\n#include <simd/simd.h>\nusing namespace metal;\n";

inline std::shared_ptr<Module> compile(std::string_view text,
                                       const std::map<std::string, std::string>& macros = {}) {
  auto module = Module::compile(std::string(kPrelude) + std::string(text), macros);
  EXPECT_TRUE(module.has_value()) << module.error();
  return module.has_value() ? *module : nullptr;
}

template <typename T>
BoundBuffer bound(std::vector<T>& values) {
  return {.data = reinterpret_cast<std::byte*>(values.data()), .size = values.size() * sizeof(T)};
}

template <typename T>
BoundBuffer bound(T& value) {
  return {.data = reinterpret_cast<std::byte*>(&value), .size = sizeof(T)};
}

template <typename T>
ConstantValue constant(unsigned index, ConstantType type, T value) {
  ConstantValue constant{.index = index, .type = type, .bytes = {}};
  std::memcpy(constant.bytes.data(), &value, sizeof value);
  return constant;
}

/// Buffers at indices 0, 1, ...
template <typename... T>
Launch launch(std::string_view function, Extent threads, Extent group_size, T&... buffers) {
  Launch launch;
  launch.function = function;
  launch.threads = threads;
  launch.group_size = group_size;
  std::size_t index = 0;
  ((launch.buffers[index++] = bound(buffers)), ...);
  return launch;
}

inline void run(const std::shared_ptr<Module>& module, const Launch& launch) {
  ASSERT_NE(module, nullptr);
  const auto done = module->run(launch);
  EXPECT_TRUE(done.has_value()) << done.error();
}

/// The error, or nothing if there is none.
inline std::string error_of(const std::shared_ptr<Module>& module, const Launch& launch) {
  if (module == nullptr) return "The text does not compile.";
  const auto done = module->run(launch);
  return done.has_value() ? "" : done.error();
}

/// What `count` threads in groups of `group` write as out[thread], where `body` computes `result`
/// of type T from the thread's index `i`.
template <typename T>
std::vector<T> compute(std::string_view type, std::string_view body, unsigned count,
                       unsigned group = 32, ThreadOrder order = ThreadOrder::kForward) {
  std::string text = "kernel void compute(device ";
  text += std::string(type) + "* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {\n";
  text += std::string(type) + " result;\n" + std::string(body) + "\nout[i] = result;\n}\n";
  std::vector<T> out(count);
  Launch job = launch("compute", {.x = count}, {.x = group}, out);
  job.thread_order = order;
  run(compile(text), job);
  return out;
}

}  // namespace metal_double::msl::test
