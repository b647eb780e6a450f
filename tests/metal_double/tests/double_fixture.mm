// SPDX-License-Identifier: Apache-2.0
#import "metal_double/tests/double_fixture.h"

#include <cstring>

namespace metal_double {
namespace {

using msl::Access;
using msl::Binding;
using msl::BindingKind;
using msl::FunctionInfo;
using Kernel = std::function<std::expected<void, std::string>(const msl::Launch&)>;

template <typename T>
T* at(const msl::Launch& launch, unsigned index) {
  return reinterpret_cast<T*>(launch.buffers[index].data);
}

Binding buffer_binding(const char* name, unsigned index, Access access, std::uint64_t size) {
  return {name, BindingKind::kBuffer, access, index, size, 4};
}

struct Entry {
  FunctionInfo info;
  Kernel kernel;
};

std::vector<Entry> all_kernels() {
  const Binding journal = buffer_binding("journal", 0, Access::kReadWrite, 4);
  const Binding value = buffer_binding("value", 1, Access::kRead, 4);
  std::vector<Entry> all;
  // journal[0] counts the numbers behind it.
  all.push_back({{"append", {journal, value}, {}, 0, 0}, [](const msl::Launch& launch) {
                   auto* const entries = at<std::uint32_t>(launch, 0);
                   entries[++entries[0]] = *at<std::uint32_t>(launch, 1);
                   return std::expected<void, std::string>();
                 }});
  all.push_back(
      {{"append_const", {journal, buffer_binding("value", 1, Access::kRead, 4)}, {}, 0, 0},
       all.back().kernel});
  all.push_back({{"copy",
                  {buffer_binding("source", 0, Access::kRead, 4),
                   buffer_binding("target", 1, Access::kReadWrite, 4)},
                  {},
                  0,
                  0},
                 [](const msl::Launch& launch) {
                   *at<std::uint32_t>(launch, 1) = *at<std::uint32_t>(launch, 0);
                   return std::expected<void, std::string>();
                 }});
  all.push_back({{"count_threads", {journal}, {}, 0, 0}, [](const msl::Launch& launch) {
                   *at<std::uint32_t>(launch, 0) +=
                       launch.threads.x * launch.threads.y * launch.threads.z;
                   return std::expected<void, std::string>();
                 }});
  all.push_back({{"append_groups", {journal}, {}, 0, 0}, [](const msl::Launch& launch) {
                   auto* const entries = at<std::uint32_t>(launch, 0);
                   for (std::uint32_t i = 0; i < launch.threads.x / launch.group_size.x; ++i) {
                     entries[++entries[0]] = launch.group_order ? launch.group_order(i) : i;
                   }
                   return std::expected<void, std::string>();
                 }});
  all.push_back({{"shared",
                  {{"scratch", BindingKind::kThreadgroup, Access::kReadWrite, 0, 64, 4}},
                  {},
                  64,
                  1024},
                 [](const msl::Launch&) { return std::expected<void, std::string>(); }});
  all.push_back({{"constant",
                  {journal},
                  {{"kFactor", msl::ConstantType::kUint, 3, true},
                   {"kOptional", msl::ConstantType::kBool, 4, false}},
                  0,
                  0},
                 [](const msl::Launch& launch) {
                   std::memcpy(at<std::uint32_t>(launch, 0), launch.constants[0].bytes.data(), 4);
                   return std::expected<void, std::string>();
                 }});
  all.push_back({{"fails", {}, {}, 0, 0}, [](const msl::Launch&) {
                   return std::expected<void, std::string>(std::unexpect, "A barrier diverges.");
                 }});
  return all;
}

class FakeModule : public msl::Module {
 public:
  FakeModule() : entries_(all_kernels()) {
    for (const Entry& entry : entries_) infos_.push_back(entry.info);
  }
  std::span<const FunctionInfo> functions() const override { return infos_; }
  std::expected<void, std::string> run(const msl::Launch& launch) const override {
    for (const Entry& entry : entries_) {
      if (entry.info.name == launch.function) return entry.kernel(launch);
    }
    return std::unexpected("There is no such kernel.");
  }

 private:
  std::vector<Entry> entries_;
  std::vector<FunctionInfo> infos_;
};

std::expected<std::shared_ptr<msl::Module>, std::string> compile(
    std::string_view source, const std::map<std::string, std::string>& macros) {
  if (source == "broken") return std::unexpected("program_source:1:1: error: broken");
  if (source == "macros" && !macros.contains("SIZE")) return std::unexpected("SIZE is not defined");
  return std::make_shared<FakeModule>();
}

}  // namespace

void DoubleTest::SetUp() {
  set_compiler(compile);
  reset();
  begin();
}

void DoubleTest::use(Options options) {
  end();
  reset(std::move(options));
  begin();
}

void DoubleTest::begin() {
  pool_ = [[NSAutoreleasePool alloc] init];
  device = MTLCreateSystemDefaultDevice();
  queue = [device newCommandQueue];
  log_buffer = buffer(4096, "journal");
  clear_log();
}

void DoubleTest::end() {
  drain();
  for (const auto& [name, object] : pipelines_) [object release];
  pipelines_.clear();
  for (const id object : owned_) [object release];
  owned_.clear();
  [queue release];
  [device release];
  [pool_ drain];
}

void DoubleTest::TearDown() {
  hold_execution(false);
  end();
  EXPECT_THAT(live_objects(), ::testing::IsEmpty());
  EXPECT_THAT(violations(), ::testing::IsEmpty());
  set_compiler(nullptr);
}

id<MTLBuffer> DoubleTest::buffer(NSUInteger bytes, const char* label, MTLResourceOptions options) {
  id<MTLBuffer> const made = [device newBufferWithLength:bytes options:options];
  made.label = [NSString stringWithUTF8String:label];
  owned_.push_back(made);
  return made;
}

id<MTLComputePipelineState> DoubleTest::pipeline(const char* kernel, bool indirect) {
  id& made = pipelines_[{kernel, indirect}];
  if (made != nil) return made;
  id<MTLLibrary> const library = [device newLibraryWithSource:@"all" options:nil error:nil];
  MTLComputePipelineDescriptor* const descriptor = [[MTLComputePipelineDescriptor alloc] init];
  id<MTLFunction> const function =
      [library newFunctionWithName:[NSString stringWithUTF8String:kernel]];
  descriptor.computeFunction = function;
  descriptor.supportIndirectCommandBuffers = indirect;
  made = [device newComputePipelineStateWithDescriptor:descriptor
                                               options:MTLPipelineOptionNone
                                            reflection:nil
                                                 error:nil];
  [function release];
  [descriptor release];
  [library release];
  return made;
}

id<MTLComputeCommandEncoder> DoubleTest::encoder(id<MTLCommandBuffer> commands, bool concurrent) {
  return [commands computeCommandEncoderWithDispatchType:concurrent ? MTLDispatchTypeConcurrent
                                                                    : MTLDispatchTypeSerial];
}

void DoubleTest::append(id<MTLComputeCommandEncoder> encoder, std::uint32_t number) {
  [encoder setComputePipelineState:pipeline("append")];
  [encoder setBuffer:log_buffer offset:0 atIndex:0];
  [encoder setBytes:&number length:sizeof number atIndex:1];
  [encoder dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
}

void DoubleTest::run(id<MTLCommandBuffer> commands) {
  [commands commit];
  [commands waitUntilCompleted];
}

std::vector<std::uint32_t> DoubleTest::journal() {
  const auto* const entries = static_cast<const std::uint32_t*>([log_buffer contents]);
  return {entries + 1, entries + 1 + entries[0]};
}

void expect_violation(const std::string& text) {
  EXPECT_THAT(take_violations(), ::testing::ElementsAre(::testing::HasSubstr(text)));
}

void expect_no_violation() { EXPECT_THAT(take_violations(), ::testing::IsEmpty()); }

}  // namespace metal_double
