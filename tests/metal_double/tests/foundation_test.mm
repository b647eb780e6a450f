// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

#import <dispatch/dispatch.h>

#include <Block.h>

#include <thread>

namespace metal_double {
namespace {

class FoundationDouble : public DoubleTest {};

TEST_F(FoundationDouble, StringsCountUtf16Units) {
  EXPECT_EQ([@"abc" length], 3U);
  NSString* const text = [NSString stringWithUTF8String:"a\xc3\xa4\xf0\x9f\x8e\xb5"];
  EXPECT_EQ(text.length, 4U);
  EXPECT_EQ([text lengthOfBytesUsingEncoding:NSUTF8StringEncoding], 7U);
  EXPECT_TRUE([text isEqual:[[text copy] autorelease]]);
  EXPECT_FALSE([text isEqualToString:@"abc"]);
}

TEST_F(FoundationDouble, BytesThatAreNoTextMakeNoString) {
  for (const std::string_view bytes :
       {"\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80"}) {
    EXPECT_EQ([[NSString alloc] initWithBytes:bytes.data()
                                       length:bytes.size()
                                     encoding:NSUTF8StringEncoding],
              nil);
  }
}

TEST_F(FoundationDouble, CollectionsOwnWhatTheyHold) {
  NSObject* const object = [[NSObject alloc] init];
  @autoreleasepool {
    NSArray* const array = @[ object, @"x", @3 ];
    EXPECT_EQ(object.retainCount, 2U);
    NSUInteger count = 0;
    for (id each in array) count += each != nil ? 1 : 0;
    EXPECT_EQ(count, 3U);
    NSMutableDictionary* const map = [NSMutableDictionary dictionary];
    [map setObject:object forKey:@"key"];
    [map setObject:@4 forKey:@"other"];
    EXPECT_EQ([[map objectForKey:@"other"] intValue], 4);
    [map removeObjectForKey:@"other"];
    EXPECT_EQ(map.count, 1U);
    EXPECT_EQ(object.retainCount, 3U);
  }
  EXPECT_EQ(object.retainCount, 1U);
  [object release];
}

TEST_F(FoundationDouble, ErrorsSayWhatHappened) {
  NSError* const error = [NSError errorWithDomain:@"Domain"
                                             code:5
                                         userInfo:@{NSLocalizedDescriptionKey : @"It broke."}];
  EXPECT_TRUE([error.localizedDescription isEqualToString:@"It broke."]);
  EXPECT_EQ(error.code, 5);
}

TEST_F(FoundationDouble, BlocksOwnWhatTheyCapture) {
  NSObject* const object = [[NSObject alloc] init];
  void (^block)(void) = Block_copy(^{
    (void)[object retainCount];
  });
  EXPECT_EQ(object.retainCount, 2U);
  Block_release(block);
  EXPECT_EQ(object.retainCount, 1U);
  void (^inner)(void) = ^{
    (void)[object retainCount];
  };
  __block int calls = 0;
  void (^nested)(void) = Block_copy(^{
    inner();
    ++calls;
  });
  EXPECT_EQ(object.retainCount, 2U);
  nested();
  EXPECT_EQ(calls, 1);
  Block_release(nested);
  EXPECT_EQ(object.retainCount, 1U);
  [object release];
}

TEST_F(FoundationDouble, TheSystemIsTheOneToPlay) {
  Options options;
  options.os_major = 14;
  options.os_minor = 2;
  use(options);
  const auto is_at_least = [](NSInteger major, NSInteger minor) {
    const NSOperatingSystemVersion version = {major, minor, 0};
    return [[NSProcessInfo processInfo] isOperatingSystemAtLeastVersion:version] == YES;
  };
  EXPECT_TRUE(is_at_least(14, 2));
  EXPECT_TRUE(is_at_least(13, 6));
  EXPECT_FALSE(is_at_least(14, 3));
  EXPECT_FALSE(is_at_least(15, 0));
  EXPECT_FALSE([device respondsToSelector:@selector(newResidencySetWithDescriptor:error:)]);
  EXPECT_TRUE([device respondsToSelector:@selector(newFence)]);
  EXPECT_TRUE([device conformsToProtocol:@protocol(MTLDevice)]);
  EXPECT_TRUE([device conformsToProtocol:@protocol(NSObject)]);
  EXPECT_TRUE([log_buffer conformsToProtocol:@protocol(MTLAllocation)]);
  EXPECT_FALSE([device conformsToProtocol:@protocol(MTLBuffer)]);
}

TEST_F(FoundationDouble, APoolIsMissing) {
  std::thread([] {
    NSArray* const leaked = [NSArray array];
    [leaked release];
  }).join();
  expect_violation("NSArray is autoreleased without an autorelease pool");
}

TEST_F(FoundationDouble, PoolsNest) {
  NSObject* const object = [[NSObject alloc] init];
  [object retain];
  [object retain];
  NSAutoreleasePool* const outer = [[NSAutoreleasePool alloc] init];
  [object autorelease];
  @autoreleasepool {
    [object autorelease];
  }
  EXPECT_EQ(object.retainCount, 2U);
  [[NSAutoreleasePool alloc] init];  // Left open, as by an exception.
  [outer drain];
  EXPECT_EQ(object.retainCount, 1U);
  [object release];
}

TEST_F(FoundationDouble, MessagesToTheFreedAreCaught) {
  NSObject* const object = [[NSObject alloc] init];
  [object release];
  [object retainCount];
  expect_violation("Message \"retainCount\" is sent to a freed NSObject");
  [object release];
  expect_violation("Message \"release\" is sent to a freed NSObject");
}

TEST_F(FoundationDouble, MessagesThatNobodyKnowsAreCaught) {
  const id object = [[[NSObject alloc] init] autorelease];
  [object commit];
  expect_violation("Message \"commit\" is not understood by NSObject");
}

TEST_F(FoundationDouble, DispatchDataIsACopy) {
  std::string text = "MTLB all";
  dispatch_data_t const data =
      dispatch_data_create(text.data(), text.size(), nil, DISPATCH_DATA_DESTRUCTOR_DEFAULT);
  text.assign(text.size(), ' ');
  id<MTLLibrary> const library = [device newLibraryWithData:data error:nil];
  EXPECT_NE(library, nil);
  [library release];
  dispatch_release(data);
}

}  // namespace
}  // namespace metal_double
