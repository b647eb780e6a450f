// SPDX-License-Identifier: Apache-2.0
//
// From a source to a pipeline: text or library, function, constants, what Metal reflects.
#include "backends/metal/metal_kernel.hpp"

#include <algorithm>
#include <utility>

#include "backends/metal/metal_errors.hpp"
#include "base/fail.hpp"

namespace segue::metal {
namespace {

template <class... Args>
std::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return base::fail(ErrorCode::kCompileFailed, format, std::forward<Args>(args)...);
}

/// What Metal's compiler says becomes part of the sentence: it is what people read.
std::unexpected<Error> compiler_error(std::string_view what, NSError* error) {
  return std::unexpected(
      make_error(ErrorCode::kCompileFailed,
                 fmt::format("{}: {}", what, to_string([error localizedDescription])), error));
}

const MslCode& code_of(const KernelSource& source) {
  return *static_cast<const MslCode*>(source.native.get());
}

// Library and function.

Retained<MTLCompileOptions*> compile_options() {
  auto options = adopt([[MTLCompileOptions alloc] init]);
  // Kernels are compared bit for bit; no expression may be rearranged.
  if (SEGUE_ON_MACOS_15) {
    [options.get() setMathMode:MTLMathModeSafe];
  } else {
    [options.get() setFastMathEnabled:NO];
  }
  return options;
}

Result<Retained<id<MTLLibrary>>> library_from_text(id<MTLDevice> device, std::string_view text) {
  NSError* error = nil;
  NSString* const source = to_ns(text);
  if ([source length] == 0) return refuse("Its text is empty, or not UTF-8.");
  auto library = adopt([device newLibraryWithSource:source
                                            options:compile_options().get()
                                              error:&error]);
  if (!library) return compiler_error("Its text does not compile", error);
  return library;
}

Result<Retained<id<MTLLibrary>>> library_from_bytes(id<MTLDevice> device,
                                                    std::span<const std::byte> bytes) {
  dispatch_data_t const data =
      dispatch_data_create(bytes.data(), bytes.size(), nullptr, DISPATCH_DATA_DESTRUCTOR_DEFAULT);
  NSError* error = nil;
  auto library = adopt([device newLibraryWithData:data error:&error]);
  dispatch_release(data);
  if (!library) return compiler_error("Its library cannot be loaded", error);
  return library;
}

Result<Retained<id<MTLLibrary>>> make_library(id<MTLDevice> device, const KernelSource& source) {
  const MslCode& code = code_of(source);
  if (code.builtin != nullptr) return library_from_text(device, code.builtin->text);
  if (!code.library.empty()) return library_from_bytes(device, code.library);
  return library_from_text(device, source.text);
}

Result<std::string> entry_point_of(const KernelSource& source, id<MTLLibrary> library) {
  if (const BuiltinMsl* const builtin = code_of(source).builtin)
    return std::string(builtin->entry_point);
  if (!source.entry_point.empty()) return source.entry_point;
  NSArray* const names = [library functionNames];
  if ([names count] != 1) {
    return refuse("Its text has {} functions; with more or fewer than one, an entry point must be "
                  "named.",
                  [names count]);
  }
  return to_string([names objectAtIndex:0]);
}

// Specialisation constants.

MTLDataType type_of(const SpecConstant& constant) {
  switch (constant.value.index()) {
    case 0: return MTLDataTypeUInt;
    case 1: return MTLDataTypeInt;
    case 2: return MTLDataTypeFloat;
    default: return MTLDataTypeBool;
  }
}

std::string_view name_of(MTLDataType type) {
  switch (type) {
    case MTLDataTypeUInt:
    case MTLDataTypeInt: return "an integer";
    case MTLDataTypeFloat: return "a float";
    case MTLDataTypeBool: return "a Boolean";
    default: return "of another type";
  }
}

MTLFunctionConstant* find_constant(id<MTLFunction> function, std::uint32_t index) {
  NSDictionary* const constants = [function functionConstantsDictionary];
  for (NSString* name in constants) {
    MTLFunctionConstant* const constant = [constants objectForKey:name];
    if ([constant index] == index) return constant;
  }
  return nil;
}

bool is_integer(MTLDataType type) { return type == MTLDataTypeUInt || type == MTLDataTypeInt; }

/// `function` is the function without constants, which tells those that there are.
Result<Retained<MTLFunctionConstantValues*>> constant_values(id<MTLFunction> function,
                                                             std::span<const SpecConstant> given) {
  auto values = adopt([[MTLFunctionConstantValues alloc] init]);
  for (const SpecConstant& constant : given) {
    MTLFunctionConstant* const known = find_constant(function, constant.id);
    if (known == nil) return refuse("The code has no specialisation constant {}.", constant.id);
    const MTLDataType type = type_of(constant);
    const bool fits = type == [known type] || (is_integer(type) && is_integer([known type]));
    if (!fits) {
      return refuse("Specialisation constant {} (\"{}\") is {}, but {} is given.", constant.id,
                    to_string([known name]), name_of([known type]), name_of(type));
    }
    std::visit(
        [&](auto value) {
          [values.get() setConstantValue:&value type:[known type] atIndex:constant.id];
        },
        constant.value);
  }
  return values;
}

Result<Retained<id<MTLFunction>>> make_function(id<MTLLibrary> library, const std::string& name,
                                                std::span<const SpecConstant> given) {
  auto plain = adopt([library newFunctionWithName:to_ns(name)]);
  if (!plain) return refuse("Its text has no kernel function \"{}\".", name);
  if ([[plain.get() functionConstantsDictionary] count] == 0 && given.empty()) return plain;
  SEGUE_TRY_ASSIGN(const Retained<MTLFunctionConstantValues*> values,
                   constant_values(plain.get(), given));
  NSError* error = nil;
  auto function = adopt([library newFunctionWithName:to_ns(name)
                                      constantValues:values.get()
                                               error:&error]);
  if (!function) return compiler_error("It cannot be specialised", error);
  return function;
}

// Reflection.

Access access_of(MTLBindingAccess access) {
  switch (access) {
    case MTLBindingAccessReadOnly: return Access::kRead;
    case MTLBindingAccessWriteOnly: return Access::kWrite;
    default: return Access::kReadWrite;
  }
}

Result<MslReflection> reflect(MTLComputePipelineReflection* reflected,
                              id<MTLComputePipelineState> state) {
  MslReflection reflection;
  reflection.simd_width = static_cast<std::uint32_t>([state threadExecutionWidth]);
  for (id<MTLBinding> binding in [reflected bindings]) {
    const auto index = static_cast<std::uint32_t>([binding index]);
    if ([binding type] == MTLBindingTypeThreadgroupMemory) {
      reflection.threadgroups.push_back({to_string([binding name]), index});
    } else if ([binding type] == MTLBindingTypeBuffer) {
      const id<MTLBufferBinding> buffer = static_cast<id<MTLBufferBinding>>(binding);
      reflection.buffers.push_back({to_string([buffer name]), index, access_of([buffer access]),
                                    [buffer bufferDataType] == MTLDataTypeStruct,
                                    static_cast<std::uint32_t>([buffer bufferDataSize]),
                                    static_cast<std::uint32_t>([buffer bufferAlignment])});
    } else {
      return refuse("Argument \"{}\" is neither a buffer nor threadgroup memory.",
                    to_string([binding name]));
    }
  }
  return reflection;
}

Signature signature_of(const BuiltinMsl& builtin) {
  Signature signature;
  for (const BuiltinMslParameter& parameter : builtin.parameters) {
    signature.parameters.push_back({std::string(parameter.name), parameter.kind, parameter.access,
                                    parameter.access_known, parameter.size_bytes,
                                    parameter.alignment, parameter.sizing});
  }
  signature.group_size = builtin.group_size;
  signature.guards_ragged_edges = builtin.guards_ragged_edges;
  signature.fixed_group_size = builtin.fixed_group_size;
  signature.items_per_group = builtin.items_per_group;
  signature.batch_per_group = builtin.batch_per_group;
  return signature;
}

Error with_name(const std::string& kernel, Error error) {
  error.message = fmt::format("Kernel \"{}\" does not compile: {}", kernel, error.message);
  return error;
}

}  // namespace

MetalKernel::MetalKernel(ContextPointer context, const KernelSource& source,
                         std::span<const SpecConstant> given)
    : context_(std::move(context)), source_(source), given_(given.begin(), given.end()) {
  name = source.name;
  index = context_->kernel_indices->take();
}

MetalKernel::~MetalKernel() { context_->kernel_indices->give_back(index); }

Result<> MetalKernel::take_builtin(const BuiltinMsl& builtin) {
  for (const SpecConstant& constant : given_) {
    if (std::ranges::find(builtin.frozen, constant.id, &BuiltinMslConstant::id) !=
        builtin.frozen.end()) {
      return refuse("Specialisation constant {} is part of its text, so it cannot be given.",
                    constant.id);
    }
  }
  layout_.signature = signature_of(builtin);
  layout_.grid_index = builtin.grid_index;
  layout_.view_sizes_index = builtin.view_sizes_index;
  layout_.view_sizes_count = builtin.view_sizes_count;
  signature = layout_.signature;
  return {};
}

Result<> MetalKernel::take_function(const Signature* declared) {
  MslReflection reflection;
  SEGUE_TRY_ASSIGN(pipeline_, build(reflection));
  SEGUE_TRY_ASSIGN(layout_, layout_of(reflection));
  if (declared != nullptr) SEGUE_TRY(reconcile(*declared, reflection, layout_));
  SEGUE_TRY(check_limits(layout_.signature, context_->limits));
  signature = layout_.signature;
  made_.store(pipeline_.get(), std::memory_order_release);
  return {};
}

Result<const Pipeline*> MetalKernel::make_pipeline() {
  const std::lock_guard lock(mutex_);
  if (unusable_) return std::unexpected(*unusable_);
  if (pipeline_ == nullptr) {
    MslReflection reflection;
    auto built = build(reflection);
    if (!built) return std::unexpected(with_name(name, std::move(built).error()));
    if (reflection.simd_width != kSimdWidth) {
      const auto failure = base::fail(
          ErrorCode::kUnsupported,
          "Kernel \"{}\" is made for SIMD groups of {} threads, but on device \"{}\" they have {}.",
          name, kSimdWidth, context_->name, reflection.simd_width);
      unusable_ = failure.error();
      return failure;
    }
    pipeline_ = *std::move(built);
    made_.store(pipeline_.get(), std::memory_order_release);
  }
  return pipeline_.get();
}

Result<std::unique_ptr<Pipeline>> MetalKernel::build(MslReflection& reflection) const {
  @autoreleasepool {
    const id<MTLDevice> device = context_->device.get();
    SEGUE_TRY_ASSIGN(const Retained<id<MTLLibrary>> library, make_library(device, source_));
    SEGUE_TRY_ASSIGN(const std::string entry_point, entry_point_of(source_, library.get()));
    SEGUE_TRY_ASSIGN(const Retained<id<MTLFunction>> function,
                     make_function(library.get(), entry_point, given_));
    const auto descriptor = adopt([[MTLComputePipelineDescriptor alloc] init]);
    [descriptor.get() setLabel:to_ns(name)];
    [descriptor.get() setComputeFunction:function.get()];
    [descriptor.get()
        setSupportIndirectCommandBuffers:context_->traits.indirect_command_buffers ? YES : NO];
    // Metal compiles a kernel of ours for groups as large as it has.
    if (code_of(source_).builtin != nullptr)
      [descriptor.get() setMaxTotalThreadsPerThreadgroup:layout_.signature.group_size.count()];
    MTLComputePipelineReflection* reflected = nil;
    NSError* error = nil;
    auto pipeline = std::make_unique<Pipeline>();
    pipeline->state =
        adopt([device newComputePipelineStateWithDescriptor:descriptor.get()
                                                    options:MTLPipelineOptionBindingInfo |
                                                            MTLPipelineOptionBufferTypeInfo
                                                 reflection:&reflected
                                                      error:&error]);
    if (!pipeline->state) return compiler_error("The device refuses it", error);
    SEGUE_TRY_ASSIGN(reflection, reflect(reflected, pipeline->state.get()));
    for (const ReflectedBuffer& buffer : reflection.buffers)
      if (buffer.index < kBufferTableSize) pipeline->min_bytes[buffer.index] = buffer.size_bytes;
    return pipeline;
  }
}

Result<base::Ref<ir::Kernel>> compile_kernel(const ContextPointer& context,
                                             const KernelSource& source,
                                             std::span<const SpecConstant> constants) {
  if (source.backend != "metal" || source.native == nullptr) {
    return std::unexpected(with_name(
        source.name,
        refuse("It is for backend \"{}\"; \"metal\" is allowed.", source.backend).error()));
  }
  base::Ref<MetalKernel> kernel(new MetalKernel(context, source, constants));
  const MslCode& code = code_of(source);
  const Result<> taken = code.builtin != nullptr
                             ? kernel->take_builtin(*code.builtin)
                             : kernel->take_function(code.declared ? &source.signature : nullptr);
  if (!taken) return std::unexpected(with_name(source.name, taken.error()));
  return base::Ref<ir::Kernel>(kernel.get());
}

}  // namespace segue::metal
