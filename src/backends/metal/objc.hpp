// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Foundation/Foundation.h>

#include <string>
#include <string_view>
#include <utility>

/// Conditions of an `if`: the system is that macOS or newer. Apple's compiler wants to see
/// @available; elsewhere that is always true, so the double of Metal is asked.
#if defined(__APPLE__)
#define SEGUE_ON_MACOS_14 @available(macOS 14.0, *)
#define SEGUE_ON_MACOS_15 @available(macOS 15.0, *)
#else
#define SEGUE_ON_MACOS_14 [[NSProcessInfo processInfo] isOperatingSystemAtLeastVersion:{14, 0, 0}]
#define SEGUE_ON_MACOS_15 [[NSProcessInfo processInfo] isOperatingSystemAtLeastVersion:{15, 0, 0}]
#endif

namespace segue::metal {

/// Owns one reference to an Objective-C object. T is `id<MTLBuffer>`, `NSString*` and the like.
template <class T>
class Retained {
 public:
  Retained() = default;
  Retained(const Retained& other) : object_([other.object_ retain]) {}
  Retained(Retained&& other) noexcept : object_(std::exchange(other.object_, nil)) {}
  Retained& operator=(Retained other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Retained() { [object_ release]; }

  [[nodiscard]] T get() const { return object_; }
  [[nodiscard]] explicit operator bool() const { return object_ != nil; }

  /// Takes over the reference that `new…`, `alloc` and `copy` return.
  [[nodiscard]] static Retained adopt(T object) {
    Retained retained;
    retained.object_ = object;
    return retained;
  }

 private:
  T object_ = nil;
};

template <class T>
[[nodiscard]] Retained<T> adopt(T object) {
  return Retained<T>::adopt(object);
}

/// One more reference to an object that belongs to somebody else, such as an autorelease pool.
template <class T>
[[nodiscard]] Retained<T> share(T object) {
  return Retained<T>::adopt([object retain]);
}

/// Owned by the autorelease pool. Text that is not UTF-8 becomes empty.
[[nodiscard]] inline NSString* to_ns(std::string_view text) {
  NSString* const string =
      [[NSString alloc] initWithBytes:text.data() length:text.size() encoding:NSUTF8StringEncoding];
  return string == nil ? @"" : [string autorelease];
}

[[nodiscard]] inline std::string to_string(NSString* text) {
  const char* const bytes = [text UTF8String];
  return bytes == nullptr ? std::string() : std::string(bytes);
}

}  // namespace segue::metal
