// SPDX-License-Identifier: Apache-2.0
#import <Foundation/Foundation.h>

#include <algorithm>
#include <vector>

#include "metal_double/core/world.hpp"
#include "metal_double/objects/object.h"

namespace metal_double {
namespace {

/// Objects that it owns. The array of plain pointers is what fast enumeration hands out.
struct Objects {
  Objects() = default;
  Objects(const Objects&) = delete;
  Objects& operator=(const Objects&) = delete;
  ~Objects() {
    for (const id object : items) [object release];
  }
  void add(id object) { items.push_back([object retain]); }
  void erase(std::size_t index) {
    const id object = items[index];
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(index));
    [object release];
  }
  std::vector<id> items;
};

struct ArrayState : ObjectState {
  Objects objects;
};

struct DictionaryState : ObjectState {
  Objects keys;
  Objects values;
  unsigned long mutations = 0;

  [[nodiscard]] std::size_t find(id key) const {
    const auto found =
        std::ranges::find_if(keys.items, [&](id other) { return [other isEqual:key] == YES; });
    return static_cast<std::size_t>(found - keys.items.begin());
  }
  void set(id key, id value) {
    const std::size_t at = find(key);
    if (at == keys.items.size()) {
      id copy = [key copy];
      keys.add(copy);
      [copy release];
      values.add(value);
      ++mutations;
      return;
    }
    [value retain];
    [values.items[at] release];
    values.items[at] = value;
  }
};

NSUInteger enumerate(const std::vector<id>& items, NSFastEnumerationState* state,
                     unsigned long* mutations) {
  if (state->state != 0) return 0;
  state->state = 1;
  state->itemsPtr = const_cast<id*>(items.data());
  state->mutationsPtr = mutations;
  return items.size();
}

}  // namespace
}  // namespace metal_double

using namespace metal_double;

@implementation NSArray

- (instancetype)init {
  self = [super init];
  emplace_state<ArrayState>(self);
  return self;
}
- (instancetype)initWithObjects:(const id[])objects count:(NSUInteger)count {
  self = [self init];
  for (NSUInteger i = 0; i < count; ++i) {
    if (objects[i] == nil) {
      violation("Object {} of an array is nil.", i);
      continue;
    }
    state<ArrayState>(self).objects.add(objects[i]);
  }
  return self;
}
+ (instancetype)array {
  return [[[self alloc] init] autorelease];
}
+ (instancetype)arrayWithObject:(id)object {
  return [[[self alloc] initWithObjects:&object count:1] autorelease];
}
+ (instancetype)arrayWithObjects:(const id[])objects count:(NSUInteger)count {
  return [[[self alloc] initWithObjects:objects count:count] autorelease];
}
- (NSUInteger)count {
  return state<ArrayState>(self).objects.items.size();
}
- (id)objectAtIndex:(NSUInteger)index {
  const auto& items = state<ArrayState>(self).objects.items;
  if (index < items.size()) return items[index];
  violation("Index {} is past the end of an array of {} objects.", index, items.size());
  return nil;
}
- (id)objectAtIndexedSubscript:(NSUInteger)index {
  return [self objectAtIndex:index];
}
- (id)firstObject {
  return [self count] == 0 ? nil : [self objectAtIndex:0];
}
- (BOOL)containsObject:(id)object {
  return std::ranges::any_of(state<ArrayState>(self).objects.items,
                             [&](id other) { return [other isEqual:object] == YES; });
}
- (id)copyWithZone:(NSZone*)zone {
  (void)zone;
  return [self retain];
}
- (NSUInteger)countByEnumeratingWithState:(NSFastEnumerationState*)state_
                                  objects:(id*)buffer
                                    count:(NSUInteger)length {
  (void)buffer;
  (void)length;
  static unsigned long never_mutated = 0;
  return enumerate(state<ArrayState>(self).objects.items, state_, &never_mutated);
}

@end

@implementation NSDictionary

- (instancetype)init {
  self = [super init];
  emplace_state<DictionaryState>(self);
  return self;
}
+ (instancetype)dictionary {
  return [[[self alloc] init] autorelease];
}
+ (instancetype)dictionaryWithObject:(id)object forKey:(id<NSCopying>)key {
  return [self dictionaryWithObjects:&object forKeys:&key count:1];
}
+ (instancetype)dictionaryWithObjects:(const id[])objects
                              forKeys:(const id<NSCopying>[])keys
                                count:(NSUInteger)count {
  NSDictionary* const made = [[[self alloc] init] autorelease];
  for (NSUInteger i = 0; i < count; ++i) {
    if (objects[i] == nil || keys[i] == nil) {
      violation("Entry {} of a dictionary has a nil key or object.", i);
      continue;
    }
    state<DictionaryState>(made).set(keys[i], objects[i]);
  }
  return made;
}
- (NSUInteger)count {
  return state<DictionaryState>(self).keys.items.size();
}
- (id)objectForKey:(id)key {
  const auto& entries = state<DictionaryState>(self);
  const std::size_t at = entries.find(key);
  return at == entries.keys.items.size() ? nil : entries.values.items[at];
}
- (id)objectForKeyedSubscript:(id)key {
  return [self objectForKey:key];
}
- (NSArray*)allKeys {
  const auto& keys = state<DictionaryState>(self).keys.items;
  return [NSArray arrayWithObjects:keys.data() count:keys.size()];
}
- (id)copyWithZone:(NSZone*)zone {
  (void)zone;
  if (![self isKindOfClass:[NSMutableDictionary class]]) return [self retain];
  NSDictionary* const copy = [[NSDictionary alloc] init];
  const auto& entries = state<DictionaryState>(self);
  for (std::size_t i = 0; i < entries.keys.items.size(); ++i) {
    state<DictionaryState>(copy).set(entries.keys.items[i], entries.values.items[i]);
  }
  return copy;
}
- (NSUInteger)countByEnumeratingWithState:(NSFastEnumerationState*)state_
                                  objects:(id*)buffer
                                    count:(NSUInteger)length {
  (void)buffer;
  (void)length;
  auto& entries = state<DictionaryState>(self);
  return enumerate(entries.keys.items, state_, &entries.mutations);
}

@end

@implementation NSMutableDictionary

+ (instancetype)dictionaryWithCapacity:(NSUInteger)capacity {
  (void)capacity;
  return [self dictionary];
}
- (void)setObject:(id)object forKey:(id<NSCopying>)key {
  if (object == nil || key == nil) {
    violation("A nil key or object is put into a dictionary.");
    return;
  }
  state<DictionaryState>(self).set(key, object);
}
- (void)setObject:(id)object forKeyedSubscript:(id<NSCopying>)key {
  [self setObject:object forKey:key];
}
- (void)removeObjectForKey:(id)key {
  auto& entries = state<DictionaryState>(self);
  const std::size_t at = entries.find(key);
  if (at == entries.keys.items.size()) return;
  entries.keys.erase(at);
  entries.values.erase(at);
  ++entries.mutations;
}

@end
