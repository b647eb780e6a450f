// SPDX-License-Identifier: Apache-2.0
#pragma once

#import <Metal/MTLResource.h>

typedef NSString* MTLCommonCounterSet;
typedef NSString* MTLCommonCounter;
FOUNDATION_EXPORT MTLCommonCounterSet const MTLCommonCounterSetTimestamp;
FOUNDATION_EXPORT MTLCommonCounter const MTLCommonCounterTimestamp;

typedef struct {
  uint64_t timestamp;
} MTLCounterResultTimestamp;

#define MTLCounterErrorValue (static_cast<uint64_t>(-1))
#define MTLCounterDontSample (static_cast<NSUInteger>(-1))

typedef NS_ENUM(NSUInteger, MTLCounterSamplingPoint) {
  MTLCounterSamplingPointAtStageBoundary = 0,
  MTLCounterSamplingPointAtDrawBoundary = 1,
  MTLCounterSamplingPointAtDispatchBoundary = 2,
  MTLCounterSamplingPointAtTileDispatchBoundary = 3,
  MTLCounterSamplingPointAtBlitBoundary = 4,
};

FOUNDATION_EXPORT NSErrorDomain const MTLCounterErrorDomain;
typedef NS_ENUM(NSInteger, MTLCounterSampleBufferError) {
  MTLCounterSampleBufferErrorOutOfMemory = 0,
  MTLCounterSampleBufferErrorInvalid = 1,
  MTLCounterSampleBufferErrorInternal = 2,
};

@protocol MTLCounter <NSObject>
@property(readonly, copy) NSString* name;
@end

@protocol MTLCounterSet <NSObject>
@property(readonly, copy) NSString* name;
@property(readonly, copy) NSArray<id<MTLCounter>>* counters;
@end

@interface MTLCounterSampleBufferDescriptor : NSObject <NSCopying>
@property(readwrite, retain) id<MTLCounterSet> counterSet;
@property(readwrite, copy) NSString* label;
@property(readwrite, nonatomic) MTLStorageMode storageMode;
@property(readwrite, nonatomic) NSUInteger sampleCount;
@end

@protocol MTLCounterSampleBuffer <NSObject>
@property(readonly) id<MTLDevice> device;
@property(readonly) NSString* label;
@property(readonly) NSUInteger sampleCount;
- (NSData*)resolveCounterRange:(NSRange)range;
@end
