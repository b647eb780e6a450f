// SPDX-License-Identifier: Apache-2.0
#import <Metal/Metal.h>

#include "metal_double/objects/private.h"

MTLCommonCounterSet const MTLCommonCounterSetTimestamp = @"timestamp";
MTLCommonCounter const MTLCommonCounterTimestamp = @"GPUTimestamp";
NSErrorDomain const MTLCounterErrorDomain = @"MTLCounterErrorDomain";

@interface MetalDoubleCounter : NSObject <MTLCounter>
@end
@interface MetalDoubleCounterSet : NSObject <MTLCounterSet>
@end

using namespace metal_double;

@implementation MetalDoubleCounter

- (NSString*)name {
  return MTLCommonCounterTimestamp;
}

@end

@implementation MetalDoubleCounterSet

- (NSString*)name {
  return MTLCommonCounterSetTimestamp;
}
- (NSArray<id<MTLCounter>>*)counters {
  return [NSArray arrayWithObject:[[[MetalDoubleCounter alloc] init] autorelease]];
}

@end

namespace metal_double {

NSArray<id<MTLCounterSet>>* counter_sets() {
  if (!World::get().options()->timestamp_counters) return nil;
  return [NSArray arrayWithObject:[[[MetalDoubleCounterSet alloc] init] autorelease]];
}

id<MTLCounterSampleBuffer> new_counter_samples(id device,
                                               MTLCounterSampleBufferDescriptor* descriptor,
                                               NSError** error) {
  constexpr NSUInteger kMaxSamples = 32768 / sizeof(MTLCounterResultTimestamp);
  if (World::get().creation_fails("newCounterSampleBuffer")) {
    set_error(error, MTLCounterErrorDomain, MTLCounterSampleBufferErrorOutOfMemory,
              "The test makes this call fail.");
    return nil;
  }
  const NSUInteger count = descriptor.sampleCount;
  if (descriptor.counterSet == nil || count == 0 || count > kMaxSamples) {
    set_error(error, MTLCounterErrorDomain, MTLCounterSampleBufferErrorInvalid,
              fmt::format("A sample buffer needs a counter set and 1 to {} samples, not {}.",
                          kMaxSamples, count));
    return nil;
  }
  auto core = std::make_shared<CounterCore>(state<DeviceState>(device).core, "counterSampleBuffer");
  take_label(*core, descriptor.label);
  core->samples.resize(count);
  core->is_private = descriptor.storageMode == MTLStorageModePrivate;
  return make_object<CounterState, MetalDoubleCounterSampleBuffer>(device, std::move(core));
}

}  // namespace metal_double

@implementation MetalDoubleCounterSampleBuffer

- (void)setLabel:(NSString*)label {
  (void)label;
  violation("setLabel is not understood by a sample buffer; its descriptor has the label.");
}
- (NSUInteger)sampleCount {
  return core_of<CounterState>(self)->samples.size();
}
- (NSData*)resolveCounterRange:(NSRange)range {
  const auto core = core_of<CounterState>(self);
  const std::size_t size = core->samples.size();
  if (range.location > size || range.length > size - range.location || core->is_private) {
    violation("resolveCounterRange: range [{}, {}) of {} cannot be read; it has {} samples.",
              range.location, range.location + range.length, core->title(), size);
    return nil;
  }
  std::vector<MTLCounterResultTimestamp> results;
  const std::scoped_lock lock(Scheduler::get().mutex());
  for (NSUInteger i = 0; i < range.length; ++i) {
    const std::uint64_t sample = core->samples[range.location + i];
    results.push_back({sample == 0 ? MTLCounterErrorValue : sample});
  }
  return [NSData dataWithBytes:results.data()
                        length:results.size() * sizeof(MTLCounterResultTimestamp)];
}

@end
