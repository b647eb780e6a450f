// SPDX-License-Identifier: Apache-2.0
#import <Foundation/Foundation.h>

#include <cstring>
#include <functional>
#include <optional>
#include <string>

#include "metal_double/core/world.hpp"
#include "metal_double/objects/object.h"

namespace metal_double {
namespace {

struct StringState : ObjectState {
  explicit StringState(std::string_view value) : text(value) {}
  std::string text;
};

/// The number of bytes of the UTF-8 sequence at `at`, or nothing if it is none.
std::optional<std::size_t> sequence_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + length > text.size()) return std::nullopt;
  unsigned point = first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) return std::nullopt;
    point = (point << 6U) | (byte(at + i) & 0x3FU);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  const bool surrogate = point >= 0xD800 && point < 0xE000;
  if (overlong || surrogate || point > 0x10FFFF) return std::nullopt;
  return length;
}

/// The number of UTF-16 units, or nothing if the text is no UTF-8.
std::optional<std::size_t> utf16_length(std::string_view text) {
  std::size_t units = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto length = sequence_length(text, at);
    if (!length) return std::nullopt;
    units += *length == 4 ? 2 : 1;
    at += *length;
  }
  return units;
}

}  // namespace

NSString* to_ns(std::string_view text) {
  return [[[NSString alloc] initWithBytes:text.data()
                                   length:text.size()
                                 encoding:NSUTF8StringEncoding] autorelease];
}

std::string from_ns(NSString* text) {
  return text == nil ? std::string() : std::string([text UTF8String]);
}

NSString* label_or_nil(const std::string& text) { return text.empty() ? nil : to_ns(text); }

}  // namespace metal_double

using namespace metal_double;

@implementation NSString

+ (instancetype)string {
  return [[[self alloc] initWithUTF8String:""] autorelease];
}
+ (instancetype)stringWithUTF8String:(const char*)text {
  return [[[self alloc] initWithUTF8String:text] autorelease];
}
- (instancetype)init {
  return [self initWithUTF8String:""];
}
- (instancetype)initWithUTF8String:(const char*)text {
  if (text == nullptr) {
    violation("A string is made of a null pointer.");
    [self release];
    return nil;
  }
  return [self initWithBytes:text length:std::strlen(text) encoding:NSUTF8StringEncoding];
}
- (instancetype)initWithBytes:(const void*)bytes
                       length:(NSUInteger)length
                     encoding:(NSStringEncoding)encoding {
  const std::string_view text(static_cast<const char*>(bytes), length);
  const auto units = utf16_length(text);
  if (!units || (encoding == NSASCIIStringEncoding && *units != length)) {
    [self release];  // As on a Mac: bytes that are no text make no string.
    return nil;
  }
  self = [super init];
  emplace_state<StringState>(self, text);
  return self;
}

- (const char*)UTF8String {
  return state<StringState>(self).text.c_str();
}
- (NSUInteger)length {
  return utf16_length([self UTF8String]).value_or(0);
}
- (NSUInteger)lengthOfBytesUsingEncoding:(NSStringEncoding)encoding {
  (void)encoding;
  return std::strlen([self UTF8String]);
}
- (BOOL)isEqualToString:(NSString*)other {
  return other != nil && std::strcmp([self UTF8String], [other UTF8String]) == 0;
}
- (BOOL)isEqual:(id)other {
  return [other isKindOfClass:[NSString class]] && [self isEqualToString:other];
}
- (NSUInteger)hash {
  return std::hash<std::string_view>()([self UTF8String]);
}
- (NSString*)stringByAppendingString:(NSString*)other {
  return to_ns(from_ns(self) + from_ns(other));
}
- (NSString*)description {
  return [[self retain] autorelease];
}
- (id)copyWithZone:(NSZone*)zone {
  (void)zone;
  return [self retain];
}

@end

@implementation NSConstantString

- (const char*)UTF8String {
  return bytes;
}
- (instancetype)retain {
  return self;
}
- (oneway void)release {
}
- (instancetype)autorelease {
  return self;
}
- (NSUInteger)retainCount {
  return NSUIntegerMax;
}

@end
