// SPDX-License-Identifier: Apache-2.0
#import <Foundation/Foundation.h>
#include <objc/runtime.h>

#include <Block.h>
#include <Block_private.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "metal_double/core/world.hpp"
#include "metal_double/objects/object.h"

/// The class of objects that were deallocated. It answers to nothing, so that every message to one
/// ends in the handler for unknown messages.
__attribute__((objc_root_class))
@interface MetalDoubleZombie {
  Class isa;
}
@end
@implementation MetalDoubleZombie
@end

/// The compiler hangs what @protocol(...) names on this class, which the runtime must know, or it
/// leaves those protocols as they are in the file.
__attribute__((objc_root_class))
@interface __ObjC_Protocol_Holder_Ugly_Hack {
  Class isa;
}
@end
@implementation __ObjC_Protocol_Holder_Ugly_Hack
@end

extern "C" {
// The runtime's hook for messages that a class does not know.
extern IMP (*__objc_msg_forward2)(id, SEL);

// Copying a block copies what it captures. The runtime for blocks knows nothing of objects, so
// these stand in front of its own, and leave it everything else.
void _Block_object_assign(void* target, const void* object, const int flags) {
  if (flags == BLOCK_FIELD_IS_OBJECT) {
    *static_cast<id*>(target) = [static_cast<id>(const_cast<void*>(object)) retain];
    return;
  }
  static auto* const next =
      reinterpret_cast<void (*)(void*, const void*, int)>(dlsym(RTLD_NEXT, "_Block_object_assign"));
  next(target, object, flags);
}
void _Block_object_dispose(const void* object, const int flags) {
  if (flags == BLOCK_FIELD_IS_OBJECT) {
    [static_cast<id>(const_cast<void*>(object)) release];
    return;
  }
  static auto* const next =
      reinterpret_cast<void (*)(const void*, int)>(dlsym(RTLD_NEXT, "_Block_object_dispose"));
  next(object, flags);
}
}

namespace metal_double {
namespace {

constexpr std::size_t kMaxZombies = 50000;

struct alignas(16) Header {
  std::atomic<long> references{1};
  std::unique_ptr<ObjectState> state;
  Class original = Nil;
  unsigned generation = 0;
  bool counted = true;
};

Header& header(id object) {
  return *reinterpret_cast<Header*>(reinterpret_cast<char*>(object) - sizeof(Header));
}

/// MetalDoubleBuffer is an MTLBuffer to its users.
std::string public_name(Class cls) {
  constexpr std::string_view kPrefix = "MetalDouble";
  const std::string_view name = class_getName(cls);
  if (!name.starts_with(kPrefix)) return std::string(name);
  const std::string_view rest = name.substr(kPrefix.size());
  const bool is_complete = rest.starts_with("NS") || rest.starts_with("OS");
  return (is_complete ? "" : "MTL") + std::string(rest);
}

struct Zombies {
  std::mutex mutex;
  std::deque<void*> memory;
};

Zombies& zombies() {
  static auto* const all = new Zombies;
  return *all;
}

Class zombie_class() {
  static Class const cls = objc_getClass("MetalDoubleZombie");
  return cls;
}

void bury(id object) {
  Zombies& all = zombies();
  const std::scoped_lock lock(all.mutex);
  all.memory.push_back(&header(object));
  if (all.memory.size() <= kMaxZombies) return;
  std::free(all.memory.front());
  all.memory.pop_front();
}

void destroy(id object) {
  Header& head = header(object);
  head.state.reset();
  if (head.counted) World::get().count(public_name(head.original), -1, head.generation);
  object_setClass(object, zombie_class());
  bury(object);
}

void release_object(id object) {
  Header& head = header(object);
  if (head.references.fetch_sub(1, std::memory_order_acq_rel) == 1) [object dealloc];
}

id answer_nothing(id, SEL) { return nil; }

IMP forward(id receiver, SEL selector) {
  if (object_getClass(receiver) == zombie_class()) {
    violation("Message \"{}\" is sent to a freed {}.", sel_getName(selector),
              public_name(header(receiver).original));
  } else {
    violation("Message \"{}\" is not understood by {}.", sel_getName(selector),
              public_name(object_getClass(receiver)));
  }
  return reinterpret_cast<IMP>(answer_nothing);
}

__attribute__((constructor)) void set_hooks() { __objc_msg_forward2 = forward; }

/// The pools of a thread, and what they hold. A pool holds what was added since it came.
struct Pools {
  struct Pool {
    id object;
    std::size_t first;
  };
  std::vector<Pool> pools;
  std::vector<id> objects;

  /// Drains the pool and those that were left open above it.
  void drain(id pool) {
    while (!pools.empty()) {
      const Pool last = pools.back();
      while (objects.size() > last.first) {  // Releasing may add more.
        const id object = objects.back();
        objects.pop_back();
        [object release];
      }
      pools.pop_back();
      destroy(last.object);
      if (last.object == pool) return;
    }
    violation("An autorelease pool is drained that this thread does not have.");
  }
};

Pools& pools() {
  thread_local Pools all;
  return all;
}

void autorelease_object(id object) {
  Pools& mine = pools();
  if (mine.pools.empty()) {
    violation("{} is autoreleased without an autorelease pool, and leaks (missing pool).",
              public_name(object_getClass(object)));
    return;
  }
  mine.objects.push_back(object);
}

}  // namespace

id allocate(Class cls) {
  const std::size_t size = sizeof(Header) + class_getInstanceSize(cls);
  void* const memory = std::calloc(1, size);
  if (memory == nullptr) return nil;
  auto* const head = new (memory) Header;
  head->original = cls;
  head->generation = World::get().generation();
  const id object = reinterpret_cast<id>(static_cast<char*>(memory) + sizeof(Header));
  object_setClass(object, cls);
  World::get().count(public_name(cls), 1, head->generation);
  return object;
}

void set_state(id object, std::unique_ptr<ObjectState> state) {
  header(object).state = std::move(state);
}

ObjectState* raw_state(id object) { return header(object).state.get(); }

void make_immortal(id object) {
  Header& head = header(object);
  World::get().count(public_name(head.original), -1, head.generation);
  head.counted = false;
}

bool is_missing_selector(SEL selector) {
  if (World::get().options()->os_major >= 15) return false;
  const std::string_view name = sel_getName(selector);
  return name.find("ResidencySet") != std::string_view::npos || name == "mathMode" ||
         name == "setMathMode:";
}

}  // namespace metal_double

using namespace metal_double;

// The root methods stand behind [super dealloc], which the compiler does not see.
#pragma clang diagnostic ignored "-Wobjc-missing-super-calls"

@implementation NSObject

+ (void)load {
}
+ (void)initialize {
}
+ (instancetype)alloc {
  return allocate(self);
}
+ (instancetype)new {
  return [[self alloc] init];
}
- (instancetype)init {
  return self;
}
- (void)dealloc {
  destroy(self);
}

- (instancetype)retain {
  header(self).references.fetch_add(1, std::memory_order_relaxed);
  return self;
}
- (oneway void)release {
  release_object(self);
}
- (instancetype)autorelease {
  autorelease_object(self);
  return self;
}
- (NSUInteger)retainCount {
  return static_cast<NSUInteger>(header(self).references.load());
}
- (id)copy {
  return [static_cast<id<NSCopying>>(self) copyWithZone:nil];
}

- (BOOL)isEqual:(id)object {
  return self == object;
}
- (NSUInteger)hash {
  return reinterpret_cast<NSUInteger>(self);
}
- (Class)class {
  return object_getClass(self);
}
+ (Class)class {
  return self;
}
- (Class)superclass {
  return class_getSuperclass(object_getClass(self));
}
+ (Class)superclass {
  return class_getSuperclass(self);
}
- (instancetype)self {
  return self;
}
+ (BOOL)isSubclassOfClass:(Class)aClass {
  for (Class cls = self; cls != Nil; cls = class_getSuperclass(cls)) {
    if (cls == aClass) return YES;
  }
  return NO;
}
- (BOOL)isKindOfClass:(Class)aClass {
  return [object_getClass(self) isSubclassOfClass:aClass];
}
- (BOOL)isMemberOfClass:(Class)aClass {
  return object_getClass(self) == aClass;
}
+ (BOOL)conformsToProtocol:(Protocol*)protocol {
  for (Class cls = self; cls != Nil; cls = class_getSuperclass(cls)) {
    if (class_conformsToProtocol(cls, protocol)) return YES;
  }
  return NO;
}
- (BOOL)conformsToProtocol:(Protocol*)protocol {
  return [object_getClass(self) conformsToProtocol:protocol];
}
+ (BOOL)instancesRespondToSelector:(SEL)selector {
  return class_respondsToSelector(self, selector) && !is_missing_selector(selector);
}
- (BOOL)respondsToSelector:(SEL)selector {
  return [object_getClass(self) instancesRespondToSelector:selector];
}
- (NSString*)description {
  return to_ns("<" + public_name(object_getClass(self)) + ">");
}

// Class objects are never counted.
+ (id)retain {
  return self;
}
+ (oneway void)release {
}
+ (id)autorelease {
  return self;
}

@end

@implementation NSAutoreleasePool

- (instancetype)init {
  Pools& mine = pools();
  mine.pools.push_back({self, mine.objects.size()});
  return self;
}
- (void)drain {
  pools().drain(self);
}
- (oneway void)release {
  pools().drain(self);
}
- (instancetype)retain {
  violation("An autorelease pool is retained.");
  return self;
}
- (instancetype)autorelease {
  violation("An autorelease pool is autoreleased.");
  return self;
}
+ (void)addObject:(id)anObject {
  [anObject autorelease];
}
- (void)addObject:(id)anObject {
  [anObject autorelease];
}

@end
