// SPDX-License-Identifier: Apache-2.0
//
// Patterns around the products of one token. A fused product reads its activations once for all its
// matrices, and neither they nor its products pass through memory that others see.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/op_params.hpp"
#include "ops/fusion_patterns.hpp"

namespace segue::ops {
namespace {

using Shape = base::FusedMatVecParams;
using ShapeOrReason = std::expected<Shape, std::string>;

constexpr std::uint8_t kX = 1, kY = 2, kSize = 3;  // arguments of a plain product

/// The shape of a plain product of one token that covers its whole matrix.
ShapeOrReason plain_shape(const FusionNode& node, const Kernel& kernel) {
  const auto size = node.value<base::MatMulParams>(kSize);
  if (!size) return refuse("\"{}\" has no size.", node.kernel_name());
  if (size->tokens != 1) {
    return refuse("\"{}\" multiplies {} tokens; a fused product takes 1.", node.kernel_name(),
                  size->tokens);
  }
  if (!covers(node, kernel, size->rows))
    return refuse("\"{}\" runs over a part of its {} rows.", node.kernel_name(), size->rows);
  return Shape{{size->rows, 0, 0}, size->columns, 0.0F};
}

/// The shapes of sibling products as one.
ShapeOrReason common_shape(Nodes siblings, const ProductForm& form) {
  Shape common{};
  for (std::size_t i = 0; i < siblings.size(); ++i) {
    const Kernel& kernel = form.product(Product::kPlain);
    if (!siblings[i].runs(kernel)) {
      return refuse("The products run different kernels, \"{}\" and \"{}\".", kernel.name(),
                    siblings[i].kernel_name());
    }
    const ShapeOrReason shape = plain_shape(siblings[i], kernel);
    if (!shape) return std::unexpected(shape.error());
    if (i != 0 && shape->columns != common.columns)
      return refuse("The products have {} and {} columns.", common.columns, shape->columns);
    common.rows[i] = shape->rows[0];
    common.columns = shape->columns;
  }
  return common;
}

/// The shape of a product that may be fused already.
ShapeOrReason shape_of(const FusionNode& node, Product which, const Kernel& kernel) {
  if (which == Product::kPlain) return plain_shape(node, kernel);
  const auto shape = node.value<Shape>(matrix_count(which) + 1U + result_count(which));
  if (!shape) return refuse("\"{}\" has no size.", node.kernel_name());
  if (node.grid() != product_grid(kernel, shape->rows))
    return refuse("\"{}\" runs over a part of its rows.", node.kernel_name());
  return *shape;
}

/// A plain product with weights of a form that has a kernel for `which`.
FusionStep plain_step(const KernelsPointer& kernels, Product which) {
  return {OpKind::kMatVec, [kernels, which](const FusionNode& node) {
            const ProductForm* form = kernels->form_of(node, Product::kPlain);
            return form != nullptr && form->product(which);
          }};
}

bool any_form(const FusionKernels& kernels, Product which) {
  return std::ranges::any_of(kernels.forms, [which](const ProductForm& form) {
    return static_cast<bool>(form.product(which));
  });
}

/// @param gate, up  Which of the two products is recorded first.
FusionPattern silu_mul_pattern(const KernelsPointer& kernels, std::string name, std::uint8_t gate,
                               std::uint8_t up) {
  FusionPattern pattern;
  pattern.name = std::move(name);
  const FusionStep product = plain_step(kernels, Product::kSiluMul);
  pattern.steps = {product, product, {OpKind::kSiluMul, [kernels](const FusionNode& node) {
                                        return node.runs(kernels->silu_mul);
                                      }}};
  pattern.links = {{FusionFlow::kShared, {gate, kX}, {up, kX}},
                   {FusionFlow::kEliminated, {gate, kY}, {2, 0}},
                   {FusionFlow::kEliminated, {up, kY}, {2, 1}}};
  pattern.fuse = [kernels, gate, up](Nodes nodes) -> Fused {
    const ProductForm& form = *kernels->form_of(nodes[0], Product::kPlain);
    ShapeOrReason shape = common_shape(nodes.first(2), form);
    if (!shape) return std::unexpected(shape.error());
    const auto unit = nodes[2].value<base::ElementwiseParams>(3);
    const std::uint32_t rows = shape->rows[0];
    if (!unit || rows != shape->rows[1] || unit->count != rows || unit->period != rows ||
        !covers(nodes[2], kernels->silu_mul, rows)) {
      return refuse("\"silu_mul\" does not take exactly the {} and {} rows of the products.", rows,
                    shape->rows[1]);
    }
    shape->rows[1] = 0;  // gate and up share one count
    const Kernel& kernel = form.product(Product::kSiluMul);
    return FusedDispatch{
        kernel,
        OpKind::kMatVec,
        product_grid(kernel, shape->rows),
        {FusedArgument::take(gate, 0), FusedArgument::take(up, 0), FusedArgument::take(gate, kX),
         FusedArgument::take(2, 2), FusedArgument::bytes(*shape)}};
  };
  return pattern;
}

FusionPattern sibling_pattern(const KernelsPointer& kernels, std::string name, Product which) {
  FusionPattern pattern;
  pattern.name = std::move(name);
  const std::uint8_t count = matrix_count(which);
  pattern.steps.assign(count, plain_step(kernels, which));
  for (std::uint8_t i = 1; i < count; ++i)
    pattern.links.push_back({FusionFlow::kShared, {0, kX}, {i, kX}});
  pattern.fuse = [kernels, which, count](Nodes nodes) -> Fused {
    const ProductForm& form = *kernels->form_of(nodes[0], Product::kPlain);
    const ShapeOrReason shape = common_shape(nodes, form);
    if (!shape) return std::unexpected(shape.error());
    FusedDispatch fused{form.product(which), OpKind::kMatVec, {}, {}};
    fused.grid = product_grid(fused.kernel, shape->rows);
    for (std::uint8_t i = 0; i < count; ++i) fused.arguments.push_back(FusedArgument::take(i, 0));
    fused.arguments.push_back(FusedArgument::take(0, kX));
    for (std::uint8_t i = 0; i < count; ++i) fused.arguments.push_back(FusedArgument::take(i, kY));
    fused.arguments.push_back(FusedArgument::bytes(*shape));
    return fused;
  };
  return pattern;
}

/// @param operand  Which operand of the sum is the product.
FusionPattern add_pattern(const KernelsPointer& kernels, std::string name, std::uint8_t operand) {
  FusionPattern pattern;
  pattern.name = std::move(name);
  pattern.steps = {
      plain_step(kernels, Product::kAdd),
      {OpKind::kElemAdd, [kernels](const FusionNode& node) { return node.runs(kernels->add); }}};
  pattern.links = {{FusionFlow::kEliminated, {0, kY}, {1, operand}}};
  const auto other = static_cast<std::uint8_t>(1 - operand);
  pattern.fuse = [kernels, other](Nodes nodes) -> Fused {
    const ProductForm& form = *kernels->form_of(nodes[0], Product::kPlain);
    const ShapeOrReason shape = common_shape(nodes.first(1), form);
    if (!shape) return std::unexpected(shape.error());
    const auto sum = nodes[1].value<base::ElementwiseParams>(3);
    const std::uint32_t rows = shape->rows[0];
    if (!sum || sum->count != rows || sum->period != rows || !covers(nodes[1], kernels->add, rows))
      return refuse("\"add\" does not take exactly the {} rows of the product.", rows);
    const AccessRange residual = nodes[1].range(other), y = nodes[1].range(2);
    if (overlap(residual, y) && !same_bytes(residual, y))
      return refuse("The sum overlaps its operand without being the same view.");
    const Kernel& kernel = form.product(Product::kAdd);
    return FusedDispatch{
        kernel,
        OpKind::kMatVec,
        product_grid(kernel, shape->rows),
        {FusedArgument::take(0, 0), FusedArgument::take(0, kX), FusedArgument::take(1, other),
         FusedArgument::take(1, 2), FusedArgument::bytes(*shape)}};
  };
  return pattern;
}

FusionPattern norm_pattern(const KernelsPointer& kernels, std::string name, Product which) {
  FusionPattern pattern;
  pattern.name = std::move(name);
  pattern.steps = {
      {OpKind::kRmsNorm,
       [kernels](const FusionNode& node) { return node.runs(kernels->rms_norm_weighted); }},
      {OpKind::kMatVec, [kernels, which](const FusionNode& node) {
         const ProductForm* form = kernels->form_of(node, which);
         return form != nullptr && form->normalised(which);
       }}};
  const std::uint8_t matrices = matrix_count(which), results = result_count(which);
  pattern.links = {{FusionFlow::kEliminated, {0, 2}, {1, matrices}}};
  pattern.fuse = [kernels, which, matrices, results](Nodes nodes) -> Fused {
    const ProductForm& form = *kernels->form_of(nodes[1], which);
    ShapeOrReason shape = shape_of(nodes[1], which, form.product(which));
    if (!shape) return std::unexpected(shape.error());
    const auto norm = nodes[0].value<base::RmsNormParams>(3);
    if (!norm || norm->rows != 1 || norm->columns != shape->columns ||
        !covers(nodes[0], kernels->rms_norm_weighted, 1)) {
      return refuse("\"rms_norm_weighted\" does not make exactly the row of {} that is multiplied.",
                    shape->columns);
    }
    shape->epsilon = norm->epsilon;
    FusedDispatch fused{form.normalised(which), OpKind::kMatVec, {}, {}};
    fused.grid = product_grid(fused.kernel, shape->rows);
    for (std::uint8_t i = 0; i < matrices; ++i)
      fused.arguments.push_back(FusedArgument::take(1, i));
    fused.arguments.push_back(FusedArgument::take(0, 0));
    fused.arguments.push_back(FusedArgument::take(0, 1));
    for (std::uint8_t i = 0; i < results; ++i) {
      const auto argument = static_cast<std::uint8_t>(matrices + 1 + i);
      fused.arguments.push_back(FusedArgument::take(1, argument));
    }
    fused.arguments.push_back(FusedArgument::bytes(*shape));
    return fused;
  };
  return pattern;
}

}  // namespace

Grid product_grid(const Kernel& kernel, std::span<const std::uint32_t> rows) {
  std::uint64_t count = 0;
  for (const std::uint32_t each : rows) count += group_count(kernel, each);
  return groups(static_cast<std::uint32_t>(count));
}

void append_product_patterns(std::vector<FusionPattern>& patterns, const KernelsPointer& kernels) {
  if (kernels->silu_mul && any_form(*kernels, Product::kSiluMul)) {
    patterns.push_back(silu_mul_pattern(kernels, "mat_vec_silu_mul", 0, 1));
    patterns.push_back(silu_mul_pattern(kernels, "mat_vec_silu_mul (up first)", 1, 0));
  }
  if (any_form(*kernels, Product::kThree))
    patterns.push_back(sibling_pattern(kernels, "mat_vec3", Product::kThree));
  if (any_form(*kernels, Product::kTwo))
    patterns.push_back(sibling_pattern(kernels, "mat_vec2", Product::kTwo));
  if (kernels->add && any_form(*kernels, Product::kAdd)) {
    patterns.push_back(add_pattern(kernels, "mat_vec_add", 1));
    patterns.push_back(add_pattern(kernels, "mat_vec_add (product first)", 0));
  }
}

void append_norm_product_patterns(std::vector<FusionPattern>& patterns,
                                  const KernelsPointer& kernels) {
  if (!kernels->rms_norm_weighted) return;
  struct Named {
    Product product;
    const char* name;
  };
  constexpr Named kAll[] = {{Product::kThree, "norm_mat_vec3"},
                            {Product::kTwo, "norm_mat_vec2"},
                            {Product::kSiluMul, "norm_mat_vec_silu_mul"},
                            {Product::kPlain, "norm_mat_vec"}};
  for (const Named& each : kAll) {
    const bool exists = std::ranges::any_of(kernels->forms, [&each](const ProductForm& form) {
      return static_cast<bool>(form.normalised(each.product));
    });
    if (exists) patterns.push_back(norm_pattern(kernels, each.name, each.product));
  }
}

}  // namespace segue::ops
