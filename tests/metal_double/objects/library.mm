// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "metal_double/objects/private.h"

NSErrorDomain const MTLLibraryErrorDomain = @"MTLLibraryErrorDomain";

namespace metal_double {
namespace {

constexpr std::string_view kLibraryMagic = "MTLB";

std::map<std::string, std::string> macros_of(MTLCompileOptions* options) {
  std::map<std::string, std::string> macros;
  NSDictionary<NSString*, NSObject*>* const given = [options preprocessorMacros];
  for (NSString* key in given) {
    macros[from_ns(key)] = from_ns([[given objectForKey:key] description]);
  }
  return macros;
}

id<MTLLibrary> compile(id device, std::string_view source, MTLCompileOptions* options,
                       NSError** error) {
  Compiler compiler = World::get().compiler();
  if (!compiler) compiler = msl::Module::compile;
  auto module = compiler(source, macros_of(options));
  if (!module) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, module.error());
    return nil;
  }
  auto name = std::make_shared<Named>(state<DeviceState>(device).core, "library");
  auto* const library = make_object<LibraryState, MetalDoubleLibrary>(device, std::move(name));
  state<LibraryState>(library).module = std::move(*module);
  return library;
}

/// A library file of the double: the magic bytes, then the text.
id<MTLLibrary> load(id device, std::string_view bytes, NSError** error) {
  if (!bytes.starts_with(kLibraryMagic)) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorInternal, "Invalid library file");
    return nil;
  }
  return compile(device, bytes.substr(kLibraryMagic.size()), nil, error);
}

bool fails(const char* call, NSError** error) {
  if (!World::get().creation_fails(call)) return false;
  set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorInternal,
            "The test makes this call fail.");
  return true;
}

const msl::FunctionInfo* find_function(const msl::Module& module, std::string_view name) {
  const auto functions = module.functions();
  const auto found = std::ranges::find(functions, name, &msl::FunctionInfo::name);
  return found == functions.end() ? nullptr : &*found;
}

MetalDoubleFunction* make_function(MetalDoubleLibrary* library, const msl::FunctionInfo& info) {
  auto& mine = state<LibraryState>(library);
  auto name = std::make_shared<Named>(mine.name->shared_device(), "function");
  MetalDoubleFunction* const function =
      make_object<FunctionState, MetalDoubleFunction>(mine.device_object.get(), std::move(name));
  auto& made = state<FunctionState>(function);
  made.module = mine.module;
  made.info = info;
  return function;
}

std::optional<msl::ConstantType> constant_type(MTLDataType type) {
  switch (type) {
    case MTLDataTypeBool: return msl::ConstantType::kBool;
    case MTLDataTypeInt: return msl::ConstantType::kInt;
    case MTLDataTypeUInt: return msl::ConstantType::kUint;
    case MTLDataTypeShort: return msl::ConstantType::kShort;
    case MTLDataTypeUShort: return msl::ConstantType::kUshort;
    case MTLDataTypeFloat: return msl::ConstantType::kFloat;
    case MTLDataTypeHalf: return msl::ConstantType::kHalf;
    default: return std::nullopt;
  }
}

MTLDataType data_type(msl::ConstantType type) {
  switch (type) {
    case msl::ConstantType::kBool: return MTLDataTypeBool;
    case msl::ConstantType::kInt: return MTLDataTypeInt;
    case msl::ConstantType::kUint: return MTLDataTypeUInt;
    case msl::ConstantType::kShort: return MTLDataTypeShort;
    case msl::ConstantType::kUshort: return MTLDataTypeUShort;
    case msl::ConstantType::kFloat: return MTLDataTypeFloat;
    case msl::ConstantType::kHalf: return MTLDataTypeHalf;
  }
  return MTLDataTypeNone;
}

std::size_t constant_bytes(msl::ConstantType type) {
  switch (type) {
    case msl::ConstantType::kBool: return 1;
    case msl::ConstantType::kShort:
    case msl::ConstantType::kUshort:
    case msl::ConstantType::kHalf: return 2;
    default: return 4;
  }
}

struct ConstantValuesState : ObjectState {
  std::map<unsigned, msl::ConstantValue> by_index;
};

struct FunctionConstantState : ObjectState {
  explicit FunctionConstantState(const msl::FunctionConstant& given) : constant(given) {}
  msl::FunctionConstant constant;
};

/// The values for the constants that a function has, or what is wrong with them.
std::expected<std::vector<msl::ConstantValue>, std::string> pick_values(
    const msl::FunctionInfo& info, const std::map<unsigned, msl::ConstantValue>& given) {
  std::vector<msl::ConstantValue> values;
  for (const msl::FunctionConstant& constant : info.constants) {
    const auto found = given.find(constant.index);
    if (found == given.end()) {
      if (!constant.required) continue;
      return std::unexpected(fmt::format("Function {} has no value for constant {} at index {}.",
                                         info.name, constant.name, constant.index));
    }
    if (found->second.type != constant.type) {
      return std::unexpected(
          fmt::format("Function {} gets a value of another type for constant {} at index {}.",
                      info.name, constant.name, constant.index));
    }
    values.push_back(found->second);
  }
  return values;
}

}  // namespace

id<MTLLibrary> new_library_from_source(id device, NSString* source, MTLCompileOptions* options,
                                       NSError** error) {
  if (fails("newLibraryWithSource", error)) return nil;
  if (!check_given("newLibraryWithSource", source)) return nil;
  state<DeviceState>(device).core->record("newLibraryWithSource");
  return compile(device, from_ns(source), options, error);
}

id<MTLLibrary> new_library_from_url(id device, NSURL* url, NSError** error) {
  if (fails("newLibraryWithURL", error)) return nil;
  state<DeviceState>(device).core->record("newLibraryWithURL");
  std::ifstream file(from_ns([url path]), std::ios::binary);
  if (!file) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorFileNotFound,
              fmt::format("library not found: {}", from_ns([url path])));
    return nil;
  }
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  return load(device, bytes, error);
}

id<MTLLibrary> new_library_from_data(id device, dispatch_data_t data, NSError** error) {
  if (fails("newLibraryWithData", error) || !check_given("newLibraryWithData", data)) return nil;
  state<DeviceState>(device).core->record("newLibraryWithData");
  const auto& bytes = state<DataState>(data).bytes;
  return load(device, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, error);
}

}  // namespace metal_double

using namespace metal_double;

@implementation MetalDoubleLibrary

- (NSArray<NSString*>*)functionNames {
  std::vector<id> names;
  for (const auto& function : state<LibraryState>(self).module->functions()) {
    names.push_back(to_ns(function.name));
  }
  return [NSArray arrayWithObjects:names.data() count:names.size()];
}
- (id<MTLFunction>)newFunctionWithName:(NSString*)functionName {
  if (World::get().creation_fails("newFunctionWithName")) return nil;
  const auto* const info = find_function(*state<LibraryState>(self).module, from_ns(functionName));
  return info == nullptr ? nil : make_function(self, *info);
}
- (id<MTLFunction>)newFunctionWithName:(NSString*)name
                        constantValues:(MTLFunctionConstantValues*)constantValues
                                 error:(NSError**)error {
  if (fails("newFunctionWithName:constantValues:", error) ||
      !check_given("newFunctionWithName:constantValues:", constantValues)) {
    return nil;
  }
  const auto* const info = find_function(*state<LibraryState>(self).module, from_ns(name));
  if (info == nullptr) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorFunctionNotFound,
              fmt::format("Function {} was not found in the library", from_ns(name)));
    return nil;
  }
  auto values = pick_values(*info, state<ConstantValuesState>(constantValues).by_index);
  if (!values) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, values.error());
    return nil;
  }
  MetalDoubleFunction* const function = make_function(self, *info);
  state<FunctionState>(function).constants = std::move(*values);
  state<FunctionState>(function).specialised = true;
  return function;
}

@end

@implementation MetalDoubleFunction

- (NSString*)name {
  return to_ns(state<FunctionState>(self).info.name);
}
- (MTLFunctionType)functionType {
  return MTLFunctionTypeKernel;
}
- (NSDictionary<NSString*, MTLFunctionConstant*>*)functionConstantsDictionary {
  NSMutableDictionary* const all = [NSMutableDictionary dictionary];
  for (const msl::FunctionConstant& constant : state<FunctionState>(self).info.constants) {
    MTLFunctionConstant* const made =
        make_object<FunctionConstantState, MTLFunctionConstant>(constant);
    [all setObject:made forKey:to_ns(constant.name)];
    [made release];
  }
  return all;
}

@end

@implementation MTLFunctionConstant

- (NSString*)name {
  return to_ns(state<FunctionConstantState>(self).constant.name);
}
- (MTLDataType)type {
  return data_type(state<FunctionConstantState>(self).constant.type);
}
- (NSUInteger)index {
  return state<FunctionConstantState>(self).constant.index;
}
- (BOOL)required {
  return state<FunctionConstantState>(self).constant.required;
}

@end

@implementation MTLFunctionConstantValues

- (instancetype)init {
  self = [super init];
  emplace_state<ConstantValuesState>(self);
  return self;
}
- (void)setConstantValue:(const void*)value type:(MTLDataType)type atIndex:(NSUInteger)index {
  const auto known = constant_type(type);
  if (!known) {
    violation("setConstantValue: the double does not know data type {}.",
              static_cast<unsigned long>(type));
    return;
  }
  msl::ConstantValue constant{static_cast<unsigned>(index), *known, {}};
  const auto* const bytes = static_cast<const std::byte*>(value);
  std::copy(bytes, bytes + constant_bytes(*known), constant.bytes.begin());
  state<ConstantValuesState>(self).by_index[constant.index] = constant;
}
- (void)reset {
  state<ConstantValuesState>(self).by_index.clear();
}
- (id)copyWithZone:(NSZone*)zone {
  (void)zone;
  MTLFunctionConstantValues* const copy = [[MTLFunctionConstantValues alloc] init];
  state<ConstantValuesState>(copy).by_index = state<ConstantValuesState>(self).by_index;
  return copy;
}

@end
