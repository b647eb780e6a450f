// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Foundation/Foundation.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace metal_double {

/// What an object has, in place of instance variables: it lies in front of the object, where its
/// reference count is too. Destroyed when the object is deallocated.
struct ObjectState {
  ObjectState() = default;
  ObjectState(const ObjectState&) = delete;
  ObjectState& operator=(const ObjectState&) = delete;
  virtual ~ObjectState() = default;
};

id allocate(Class cls);
void set_state(id object, std::unique_ptr<ObjectState> state);
ObjectState* raw_state(id object);

template <typename State>
State& state(id object) {
  return *static_cast<State*>(raw_state(object));
}

template <typename State, typename... Args>
State& emplace_state(id object, Args&&... args) {
  auto made = std::make_unique<State>(std::forward<Args>(args)...);
  State& result = *made;
  set_state(object, std::move(made));
  return result;
}

/// A new object of a private class with its state; the caller owns it.
template <typename State, typename Object, typename... Args>
Object* make_object(Args&&... args) {
  Object* const object = [[Object alloc] init];
  emplace_state<State>(object, std::forward<Args>(args)...);
  return object;
}

/// An object that is not counted among those alive, for singletons.
void make_immortal(id object);

/// Whether `selector` is one that systems before macOS 15 do not have.
bool is_missing_selector(SEL selector);

/// Owns one reference.
template <typename T>
class Retained {
 public:
  Retained() = default;
  Retained(T object) : object_([object retain]) {}  // NOLINT(google-explicit-constructor)
  Retained(const Retained& other) : object_([other.object_ retain]) {}
  Retained(Retained&& other) noexcept : object_(std::exchange(other.object_, nil)) {}
  Retained& operator=(Retained other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Retained() { [object_ release]; }
  T get() const { return object_; }
  explicit operator bool() const { return object_ != nil; }

 private:
  T object_ = nil;
};

/// A copy of a string or dictionary that a property keeps.
template <typename T>
Retained<T> copied(T object) {
  T copy = [object copy];
  Retained<T> result(copy);
  [copy release];
  return result;
}

/// Autoreleased; and empty for nil.
NSString* to_ns(std::string_view text);
std::string from_ns(NSString* text);
/// nil for an empty text.
NSString* label_or_nil(const std::string& text);

/// Sets *error, unless nobody wants it, to an autoreleased error.
void set_error(NSError** error, NSErrorDomain domain, NSInteger code, std::string_view text);

}  // namespace metal_double
