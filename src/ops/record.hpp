// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "segue/encoder.hpp"
#include "segue/kernel.hpp"
#include "segue/ops.hpp"
#include "segue/tensor.hpp"

// What every operation does around its kernel: check shapes, size the grid, append. Nothing is
// formatted or allocated unless a check fails.

namespace segue::ops {

/// A tensor as messages write it: "x is [2, 192] F32".
struct Described {
  const char* name;
  const Tensor& tensor;
};
[[nodiscard]] inline Described describe(const char* name, const Tensor& tensor) {
  return {name, tensor};
}

/// Makes the recording fail with a sentence.
void fail(CommandEncoder& encoder, fmt::string_view format, fmt::format_args args);

/// Makes the recording fail with a sentence unless `holds`; returns `holds`.
template <class... Args>
bool require(CommandEncoder& encoder, bool holds, fmt::format_string<Args...> format,
             Args&&... args) {
  if (holds) [[likely]]
    return true;
  fail(encoder, format, fmt::make_format_args(args...));
  return false;
}

inline bool same_shape(const Tensor& a, const Tensor& b) {
  return a.rows == b.rows && a.columns == b.columns;
}

/// Whether the view of `tensor` has the bytes of its shape, in `layout`; makes the recording fail
/// otherwise.
bool require_view(CommandEncoder& encoder, const char* op, const char* name, const Tensor& tensor,
                  WeightLayout layout = WeightLayout::kRowMajor);

/// require_tensor() for one that may not fit.
bool check_tensor(CommandEncoder& encoder, const char* op, const char* name, const Tensor& tensor,
                  DType dtype, std::uint32_t rows, std::uint32_t columns);

/// Whether `tensor` has this type, shape and as many bytes; makes the recording fail otherwise.
inline bool require_tensor(CommandEncoder& encoder, const char* op, const char* name,
                           const Tensor& tensor, DType dtype, std::uint32_t rows,
                           std::uint32_t columns) {
  const bool four_bytes = dtype == DType::kF32 || dtype == DType::kU32;
  if (four_bytes && tensor.dtype == dtype && tensor.rows == rows && tensor.columns == columns &&
      tensor.view.size_bytes() == std::uint64_t{4} * rows * columns) [[likely]] {
    return true;
  }
  return check_tensor(encoder, op, name, tensor, dtype, rows, columns);
}

/// Slots of an operation's inline bytes.
class Slots {
 public:
  Slots() = default;
  /// The slot of a number at `offset_bytes` of the parameters, if it is one.
  Slots& add(const Scalar& scalar, std::size_t offset_bytes, std::uint32_t max = UINT32_MAX) {
    return add(scalar.slot, offset_bytes, sizeof(std::uint32_t), max);
  }
  Slots& add(std::string_view name, std::size_t offset_bytes, std::size_t size_bytes,
             std::uint32_t max = UINT32_MAX) {
    if (!name.empty()) {
      entries_[count_++] = {name, static_cast<std::uint32_t>(offset_bytes),
                            static_cast<std::uint32_t>(size_bytes), max};
    }
    return *this;
  }
  [[nodiscard]] std::span<const BytesSlot> all() const { return {entries_, count_}; }

 private:
  BytesSlot entries_[2];
  std::size_t count_ = 0;
};

/// Groups that `items` take.
[[nodiscard]] inline std::uint32_t groups_for(std::uint32_t items, std::uint32_t per_group) {
  if (per_group == 1) return items;
  return items / per_group + static_cast<std::uint32_t>(items % per_group != 0);
}

/// Appends a dispatch whose last argument is `params`, over as many groups as `items` take; where a
/// group of the kernel does not take all of `batch`, in two dimensions.
template <class Params>
void record(CommandEncoder& encoder, const Kernel& kernel, OpKind op,
            std::initializer_list<KernelArg> views, const Params& params, std::uint32_t items,
            const Slots& slots = {}, std::uint32_t batch = 1) {
  KernelArg args[8];
  std::size_t count = 0;
  for (const KernelArg& view : views) args[count++] = view;
  args[count++] = KernelArg::bytes(params, slots.all());
  const Signature& signature = kernel.signature();
  const std::uint32_t per_batch = signature.batch_per_group;
  const Grid grid = groups(groups_for(items, signature.items_per_group),
                           per_batch == 0 ? 1 : groups_for(batch, per_batch));
  DispatchOptions options;
  options.op = op;
  encoder.dispatch(kernel, std::span(args, count), grid, options);
}

}  // namespace segue::ops

template <>
struct fmt::formatter<segue::ops::Described> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  auto format(const segue::ops::Described& described, fmt::format_context& context) const {
    const segue::Tensor& tensor = described.tensor;
    return fmt::format_to(context.out(), "{} is [{}, {}] {}", described.name, tensor.rows,
                          tensor.columns, segue::to_string(tensor.dtype));
  }
};
