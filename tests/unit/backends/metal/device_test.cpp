// SPDX-License-Identifier: Apache-2.0
//
// Opening devices, what they say of themselves, imported memory, and captures.
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "unit/backends/metal/metal_fixture.hpp"

namespace segue::metal {
namespace {

using testing::Each;
using testing::HasSubstr;

class MetalDevices : public MetalTest {
 protected:
  [[nodiscard]] static std::uint64_t page() {
    return static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
};

/// Whole pages of the host.
class Pages {
 public:
  explicit Pages(std::uint64_t size_bytes)
      : size_(size_bytes),
        data_(mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0)) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { munmap(data_, size_); }
  [[nodiscard]] std::span<std::byte> bytes() const {
    return {static_cast<std::byte*>(data_), size_};
  }
  [[nodiscard]] std::uint32_t* words() const { return static_cast<std::uint32_t*>(data_); }

 private:
  std::uint64_t size_;
  void* data_;
};

TEST_F(MetalDevices, SayWhatTheyHold) {  // row H8
  metal_double::Options machine;
  machine.max_buffer_length = 123 << 20;
  machine.recommended_working_set = 77 << 20;
  machine.max_threadgroup_memory = 49152;
  use(machine);
  EXPECT_EQ(device_.backend(), "metal");
  EXPECT_EQ(device_.name(), "Metal double");
  EXPECT_FALSE(device_.clock_name().empty());
  const Limits& limits = device_.limits();
  EXPECT_EQ(limits.max_buffer_bytes, machine.max_buffer_length);
  EXPECT_EQ(limits.max_shared_memory_bytes, 49152U);
  EXPECT_EQ(limits.max_group_threads, 1024U);
  EXPECT_EQ(limits.max_arguments, 29U);
  EXPECT_GE(limits.max_inline_bytes, 4096U);
  EXPECT_EQ(limits.host_import_alignment, page());
  EXPECT_EQ(limits.view_offset_alignment, 1U);
  const Features& features = device_.features();
  EXPECT_TRUE(features.unified_memory);
  EXPECT_TRUE(features.ragged_groups);
  EXPECT_TRUE(features.indirect_dispatch);
  EXPECT_TRUE(features.shared_timelines);
  EXPECT_TRUE(features.gpu_timestamps);
}

TEST_F(MetalDevices, KnowTheirMemoryAndItsBudget) {  // row H8
  metal_double::Options machine;
  machine.recommended_working_set = 77 << 20;
  machine.memory_limit = 1 << 20;
  use(machine);
  EXPECT_EQ(device_.memory_info().budget_bytes, std::uint64_t{77} << 20);
  const std::uint64_t before = device_.memory_info().used_bytes;
  const Buffer x = buffer(1024);
  EXPECT_EQ(device_.memory_info().used_bytes, before + 4096);
  BufferDesc desc;
  desc.size_bytes = 2 << 20;
  desc.label = "weights";
  const Result<Buffer> refused = device_.create_buffer(desc);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(refused.error().message,
              HasSubstr("does not give 2097152 bytes for buffer \"weights\"; it recommends at most "
                        "80740352 bytes in all"));
  machine.recommended_working_set = 0;  // as devices that do not say
  metal_double::set_options(machine);
  EXPECT_EQ(device_.memory_info().budget_bytes, std::nullopt);
}

TEST_F(MetalDevices, ThatAreTooOldSayWhy) {  // rows H8, K4
  close();
  metal_double::Options machine;
  machine.devices = {"Old", "Older"};
  machine.families = {2001, 3001};
  metal_double::reset(machine);
  const Result<Device> refused = create_device();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(refused.error().message,
            "No Metal device can be used. Device \"Old\" is rejected: it is of no GPU family that "
            "sums over SIMD groups (Apple 7, Mac 2). Device \"Older\" is rejected: it is of no GPU "
            "family that sums over SIMD groups (Apple 7, Mac 2).");
  machine.devices = {};
  metal_double::reset(machine);
  EXPECT_EQ(create_device().error().message,
            "No Metal device can be used. The system reports none.");
}

TEST_F(MetalDevices, AreChosenByIndex) {  // rows H8, K4
  metal_double::Options machine;
  machine.devices = {"First", "Second"};
  use(machine);
  EXPECT_EQ(device_.name(), "First");
  MetalOptions options;
  options.index = 1;
  use(machine, options);
  EXPECT_EQ(device_.name(), "Second");
  options.index = 2;
  const Result<Device> beyond = create_device({}, options);
  ASSERT_FALSE(beyond.has_value());
  EXPECT_EQ(beyond.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(beyond.error().message, HasSubstr("Metal device 2 is asked for, but 2 qualify"));
}

// Memory of the host.

TEST_F(MetalDevices, ImportMemoryWithoutACopy) {  // row H6
  const Pages pages(2 * page());
  pages.words()[3] = 7;
  const Kernel add_one = kernel("add_one");
  {
    ImportOptions writable;
    writable.writable = true;
    const Buffer x = device_.import_host_memory(pages.bytes(), writable).value();
    EXPECT_EQ(log_count("newBufferWithBytesNoCopy"), 1U);
    CommandEncoder encoder = this->encoder();
    encoder.dispatch(add_one, {x.view(0, 64).value()}, threads(16));
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
  }
  EXPECT_EQ(pages.words()[3], 8U);
  EXPECT_EQ(pages.words()[16], 0U);
}

TEST_F(MetalDevices, ImportWholePagesOnly) {  // rows H6, K4
  const Pages pages(4 * page());
  for (const auto& [offset, size] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {16, page()}, {0, page() + 16}, {0, 100}}) {
    const Result<Buffer> refused =
        device_.import_host_memory(std::span<const std::byte>(pages.bytes().subspan(offset, size)));
    ASSERT_FALSE(refused.has_value()) << offset << " " << size;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(page())));
  }
}

TEST_F(MetalDevices, SayWhatMemoryTheyDoNotImport) {  // rows H6, K4
  metal_double::Options machine;
  machine.max_buffer_length = page();
  use(machine);
  const Pages pages(2 * page());
  const auto refused = hal_->import_host(pages.bytes().data(), 2 * page(), true);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message,
              HasSubstr("does not import " + std::to_string(2 * page()) + " bytes of memory"));
}

TEST_F(MetalDevices, OrderWorkOnMemoryThatWasImportedTwice) {  // row C3
  use(machine_with(metal_double::Order::kReversed));
  struct Line {
    std::uint32_t factor, summand;
  };
  const Pages pages(page());
  const Kernel line = kernel("line");
  {
    ImportOptions writable;
    writable.writable = true;
    const Buffer x = device_.import_host_memory(pages.bytes(), writable).value();
    const Buffer y = device_.import_host_memory(pages.bytes(), writable).value();
    CommandEncoder encoder = this->encoder();
    encoder.dispatch(line, {x.view(0, 64).value(), KernelArg::bytes(Line{1, 5})}, threads(16));
    encoder.dispatch(line, {y.view(0, 64).value(), KernelArg::bytes(Line{3, 0})}, threads(16));
    EXPECT_EQ(encoder.stats().barriers_inferred, 1U);
    ASSERT_TRUE(encoder.commit_and_wait().has_value());
  }
  EXPECT_EQ(pages.words()[0], 15U);
}

TEST_F(MetalDevices, ZeroWhatTheyAllocate) {  // row H3
  for (const bool unified : {true, false}) {
    metal_double::Options machine;
    machine.unified_memory = unified;
    use(machine);
    for (const HostAccess access : {HostAccess::kNone, HostAccess::kReadWrite}) {
      BufferDesc desc;
      desc.size_bytes = 4 * 99;
      desc.host_access = access;
      EXPECT_THAT(words(device_.create_buffer(desc).value()), Each(0));
    }
  }
}

// Captures.

class MetalCaptures : public MetalTest {
 protected:
  void SetUp() override {
    MetalTest::SetUp();
    path_ = std::filesystem::temp_directory_path() /
            ("segue_capture_" + std::to_string(getpid()) + ".gputrace");
    std::filesystem::remove(path_);
  }
  void TearDown() override {
    MetalTest::TearDown();
    std::filesystem::remove(path_);
  }
  std::filesystem::path path_;
};

TEST_F(MetalCaptures, AreWrittenFromStartToStop) {  // row G8
  ASSERT_TRUE(start_capture(device_, path_.string()).has_value());
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_TRUE(stop_capture().has_value());
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(MetalCaptures, AreOneAtATime) {  // row K4
  EXPECT_EQ(stop_capture().error().code, ErrorCode::kInvalidState);
  ASSERT_TRUE(start_capture(device_, path_.string()).has_value());
  const Result<> second = start_capture(device_, path_.string() + "2");
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(second.error().message, "A capture of this process is under way.");
  ASSERT_TRUE(stop_capture().has_value());
  EXPECT_EQ(stop_capture().error().message, "No capture of this process is under way.");
}

TEST_F(MetalCaptures, NeedAProcessThatMay) {  // row K4
  metal_double::Options machine;
  machine.capture_to_file = false;
  use(machine);
  const Result<> refused = start_capture(device_, path_.string());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("MTL_CAPTURE_ENABLED=1"));
}

TEST_F(MetalCaptures, NeedAFileThatIsNotThere) {  // row K4
  ASSERT_TRUE(start_capture(device_, path_.string()).has_value());
  ASSERT_TRUE(stop_capture().has_value());
  const Result<> refused = start_capture(device_, path_.string());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  EXPECT_THAT(refused.error().message, HasSubstr(path_.string()));
  ASSERT_TRUE(refused.error().native.has_value());
  EXPECT_THAT(refused.error().native->text, HasSubstr("MTLCaptureErrorDomain"));
}

}  // namespace
}  // namespace segue::metal
