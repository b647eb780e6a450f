// SPDX-License-Identifier: Apache-2.0
#import <Foundation/Foundation.h>
#import <dispatch/dispatch.h>

#include <Block.h>

#include <cstddef>
#include <variant>
#include <vector>

#include "metal_double/core/world.hpp"
#include "metal_double/objects/object.h"
#include "metal_double/objects/private.h"

NSErrorDomain const NSCocoaErrorDomain = @"NSCocoaErrorDomain";
NSErrorUserInfoKey const NSLocalizedDescriptionKey = @"NSLocalizedDescription";
NSErrorUserInfoKey const NSUnderlyingErrorKey = @"NSUnderlyingError";

namespace metal_double {
namespace {

struct NumberState : ObjectState {
  using Value = std::variant<long long, unsigned long long, double>;
  explicit NumberState(Value given) : value(given) {}
  Value value;

  template <typename T>
  [[nodiscard]] T as() const {
    return std::visit([](auto held) { return static_cast<T>(held); }, value);
  }
};

struct UrlState : ObjectState {
  explicit UrlState(NSString* given) : path(copied(given)) {}
  Retained<NSString*> path;
};

struct ErrorState : ObjectState {
  Retained<NSString*> domain;
  NSInteger code = 0;
  Retained<NSDictionary*> user_info;
};

NSNumber* make_number(NumberState::Value value) {
  return [make_object<NumberState, NSNumber>(value) autorelease];
}

}  // namespace

DataState::DataState(const void* data, std::size_t length)
    : bytes(static_cast<const std::byte*>(data), static_cast<const std::byte*>(data) + length) {}

void set_error(NSError** error, NSErrorDomain domain, NSInteger code, std::string_view text) {
  if (error == nullptr) return;
  NSDictionary* const info = [NSDictionary dictionaryWithObject:to_ns(text)
                                                         forKey:NSLocalizedDescriptionKey];
  *error = [NSError errorWithDomain:domain code:code userInfo:info];
}

}  // namespace metal_double

using namespace metal_double;

@implementation NSNumber

+ (NSNumber*)numberWithInt:(int)value {
  return make_number(static_cast<long long>(value));
}
+ (NSNumber*)numberWithUnsignedInt:(unsigned int)value {
  return make_number(static_cast<unsigned long long>(value));
}
+ (NSNumber*)numberWithLong:(long)value {
  return make_number(static_cast<long long>(value));
}
+ (NSNumber*)numberWithUnsignedLong:(unsigned long)value {
  return make_number(static_cast<unsigned long long>(value));
}
+ (NSNumber*)numberWithLongLong:(long long)value {
  return make_number(value);
}
+ (NSNumber*)numberWithUnsignedLongLong:(unsigned long long)value {
  return make_number(value);
}
+ (NSNumber*)numberWithFloat:(float)value {
  return make_number(static_cast<double>(value));
}
+ (NSNumber*)numberWithDouble:(double)value {
  return make_number(value);
}
+ (NSNumber*)numberWithBool:(BOOL)value {
  return make_number(static_cast<long long>(value));
}
+ (NSNumber*)numberWithInteger:(NSInteger)value {
  return make_number(static_cast<long long>(value));
}
+ (NSNumber*)numberWithUnsignedInteger:(NSUInteger)value {
  return make_number(static_cast<unsigned long long>(value));
}
- (int)intValue {
  return state<NumberState>(self).as<int>();
}
- (unsigned int)unsignedIntValue {
  return state<NumberState>(self).as<unsigned>();
}
- (long long)longLongValue {
  return state<NumberState>(self).as<long long>();
}
- (unsigned long long)unsignedLongLongValue {
  return state<NumberState>(self).as<unsigned long long>();
}
- (float)floatValue {
  return state<NumberState>(self).as<float>();
}
- (double)doubleValue {
  return state<NumberState>(self).as<double>();
}
- (BOOL)boolValue {
  return state<NumberState>(self).as<bool>();
}
- (NSInteger)integerValue {
  return state<NumberState>(self).as<NSInteger>();
}
- (NSUInteger)unsignedIntegerValue {
  return state<NumberState>(self).as<NSUInteger>();
}
- (NSString*)stringValue {
  return std::visit([](auto held) { return to_ns(fmt::format("{}", held)); },
                    state<NumberState>(self).value);
}
- (NSString*)description {
  return [self stringValue];
}
- (BOOL)isEqualToNumber:(NSNumber*)number {
  return number != nil && state<NumberState>(self).value == state<NumberState>(number).value;
}
- (BOOL)isEqual:(id)other {
  return [other isKindOfClass:[NSNumber class]] && [self isEqualToNumber:other];
}
- (NSUInteger)hash {
  return [self unsignedIntegerValue];
}
- (id)copyWithZone:(NSZone*)zone {
  (void)zone;
  return [self retain];
}

@end

@implementation NSData

- (instancetype)initWithBytes:(const void*)bytes length:(NSUInteger)length {
  self = [super init];
  emplace_state<DataState>(self, bytes, length);
  return self;
}
+ (instancetype)dataWithBytes:(const void*)bytes length:(NSUInteger)length {
  return [[[self alloc] initWithBytes:bytes length:length] autorelease];
}
- (NSUInteger)length {
  return state<DataState>(self).bytes.size();
}
- (const void*)bytes {
  return state<DataState>(self).bytes.data();
}
- (id)copyWithZone:(NSZone*)zone {
  (void)zone;
  return [self retain];
}

@end

@implementation NSURL

+ (NSURL*)fileURLWithPath:(NSString*)path {
  return [self fileURLWithPath:path isDirectory:NO];
}
+ (NSURL*)fileURLWithPath:(NSString*)path isDirectory:(BOOL)isDir {
  (void)isDir;
  return [make_object<UrlState, NSURL>(path) autorelease];
}
- (NSString*)path {
  return state<UrlState>(self).path.get();
}
- (BOOL)isFileURL {
  return YES;
}
- (id)copyWithZone:(NSZone*)zone {
  (void)zone;
  return [self retain];
}

@end

@implementation NSError

+ (instancetype)errorWithDomain:(NSErrorDomain)domain
                           code:(NSInteger)code
                       userInfo:(NSDictionary*)info {
  return [[[self alloc] initWithDomain:domain code:code userInfo:info] autorelease];
}
- (instancetype)initWithDomain:(NSErrorDomain)domain
                          code:(NSInteger)code
                      userInfo:(NSDictionary*)info {
  self = [super init];
  auto& error = emplace_state<ErrorState>(self);
  error.domain = copied(domain);
  error.code = code;
  error.user_info = copied(info);
  return self;
}
- (NSErrorDomain)domain {
  return state<ErrorState>(self).domain.get();
}
- (NSInteger)code {
  return state<ErrorState>(self).code;
}
- (NSDictionary*)userInfo {
  NSDictionary* const info = state<ErrorState>(self).user_info.get();
  return info != nil ? info : [NSDictionary dictionary];
}
- (NSString*)localizedDescription {
  NSString* const text = [[self userInfo] objectForKey:NSLocalizedDescriptionKey];
  if (text != nil) return text;
  return to_ns(fmt::format("The operation couldn't be completed. ({} error {}.)",
                           from_ns([self domain]), [self code]));
}
- (NSString*)description {
  return [self localizedDescription];
}
- (id)copyWithZone:(NSZone*)zone {
  (void)zone;
  return [self retain];
}

@end

@implementation NSProcessInfo

+ (NSProcessInfo*)processInfo {
  static NSProcessInfo* const shared = [] {
    NSProcessInfo* const made = [[NSProcessInfo alloc] init];
    make_immortal(made);
    return made;
  }();
  return shared;
}
- (NSOperatingSystemVersion)operatingSystemVersion {
  const auto options = World::get().options();
  return {options->os_major, options->os_minor, 0};
}
- (unsigned long long)physicalMemory {
  return World::get().options()->memory_limit;
}
- (BOOL)isOperatingSystemAtLeastVersion:(NSOperatingSystemVersion)wanted {
  const NSOperatingSystemVersion is = [self operatingSystemVersion];
  if (is.majorVersion != wanted.majorVersion) return is.majorVersion > wanted.majorVersion;
  if (is.minorVersion != wanted.minorVersion) return is.minorVersion > wanted.minorVersion;
  return is.patchVersion >= wanted.patchVersion;
}

@end

@implementation MetalDoubleOSDispatchData
@end

dispatch_data_t dispatch_data_create(const void* buffer, size_t size, dispatch_queue_t queue,
                                     dispatch_block_t destructor) {
  (void)queue;
  MetalDoubleOSDispatchData* const data =
      make_object<DataState, MetalDoubleOSDispatchData>(buffer, size);
  if (destructor != nullptr) destructor();  // Its bytes are not needed any more.
  return data;
}
