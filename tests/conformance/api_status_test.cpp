// SPDX-License-Identifier: Apache-2.0
//
// Whether docs/api-status.md is true of the devices that are there: each method whose row is not
// yes throughout is called, and what comes back is compared with the cell.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conformance/harness.hpp"
#include "segue/executable.hpp"
#include "segue/graph.hpp"
#include "segue/ops.hpp"
#include "support/api_status_table.hpp"

namespace segue::test {
namespace {

constexpr std::string_view kYes = "yes", kPartly = "partly", kNo = "no";
/// One of the words above: what a cell says, or what a probe finds.
using Answer = std::string_view;

constexpr std::uint32_t kCount = 64;  // one group of the conformance kernels

const StatusTable& status_table() {
  static const StatusTable table = [] {
    std::ifstream in(SEGUE_SOURCE_DIR "/docs/api-status.md");
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
    return parse_status_table(lines);
  }();
  return table;
}

/// Yes, or no if that is what the error says.
template <class T>
Answer answer_of(const Result<T>& result) {
  if (result) return kYes;
  EXPECT_EQ(to_string(result.error().code), "Unsupported") << result.error().to_string();
  return kNo;
}

/// Whether a handle is the driver's object and not the library's.
Answer answer_of(const NativeHandle& handle) {
  const bool native = handle.type == "host.pointer" || handle.type.starts_with("Vk") ||
                      handle.type.starts_with("MTL") || handle.type.starts_with("CU");
  if (native) {
    EXPECT_NE(handle.object, nullptr) << handle.type;
  }
  return native ? kYes : kNo;
}

class ApiStatusConformance : public ConformanceTest {
 public:
  // -- Memory and handles

  Answer import_host_memory() {
    const std::size_t alignment =
        std::max<std::size_t>(device_.limits().host_import_alignment, alignof(std::max_align_t));
    const std::size_t size = std::max<std::size_t>(alignment, 4 * kCount);
    const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(alignment, size),
                                                             &std::free);
    auto* const values = static_cast<std::uint32_t*>(memory.get());
    std::fill_n(values, kCount, 41U);
    ImportOptions options;
    options.writable = true;
    const std::span<std::byte> bytes(static_cast<std::byte*>(memory.get()), size);
    const Result<Buffer> buffer = device_.import_host_memory(bytes, options);
    if (buffer) {
      CommandEncoder encoder = make_encoder();
      encoder.dispatch(kernel("test_add_one"), {words(*buffer, 0, kCount)}, threads(kCount));
      expect_done(encoder.commit_and_wait());
      EXPECT_EQ(std::count(values, values + kCount, 42U), kCount) << "The import is no copy.";
    }
    return answer_of(buffer);
  }
  Answer device_handle() { return answer_of(device_.native_handle()); }
  Answer submission_handle() {
    CommandEncoder encoder = make_encoder();
    Submission work = encoder.commit().value();
    expect_done(work.wait());
    return answer_of(work.native_handle());
  }
  Answer timeline_handle() {
    return answer_of(device_.create_timeline(0, "probe")->native_handle());
  }

  Answer residency_add() {
    ResidencySet set = device_.residency();
    const Buffer buffer = make_buffer({1});
    const std::uint64_t before = set.stats().resident;
    set.add(buffer);
    commit_nothing();
    EXPECT_EQ(set.stats().resident, before + 1) << "Adds are counted on every device.";
    return set.enabled() ? kYes : kNo;
  }
  Answer residency_remove() {
    ResidencySet set = device_.residency();
    const Buffer buffer = make_buffer({1});
    const std::uint64_t before = set.stats().resident;
    set.add(buffer);
    commit_nothing();
    set.remove(buffer);
    for (int i = 0; i < 3; ++i) commit_nothing();
    EXPECT_EQ(set.stats().resident, before) << "Removes are counted on every device.";
    return set.enabled() ? kYes : kNo;
  }

  // -- Timelines

  Answer export_timeline() {
    const Timeline timeline = device_.create_timeline(0, "probe").value();
    const Result<NativeHandle> handle = timeline.export_handle();
    if (handle) {  // which is ours then
      EXPECT_TRUE(device_.import_timeline(*handle).has_value());
    }
    return answer_of(handle);
  }
  Answer import_timeline() {
    const Timeline timeline = device_.create_timeline(3, "probe").value();
    const NativeHandle handle = timeline.export_handle().value_or(NativeHandle{"none", nullptr, 0});
    const Result<Timeline> import = device_.import_timeline(handle, "import");
    if (import) {
      EXPECT_EQ(import->value().value(), 3U);
      expect_done(timeline.signal(5));
      expect_done(import->wait(5));
    }
    return answer_of(import);
  }

  // -- Times

  Answer gpu_time() {
    const Submission work = run_profiled();
    return is_time(work.gpu_time()) ? kYes : kNo;
  }
  Answer commit_wait_with_gpu_time() {
    CommandEncoder encoder = make_encoder();
    encoder.dispatch(kernel("test_add_one"), {make_buffer(Words(kCount)).view()}, threads(kCount));
    return is_time(encoder.commit_wait_with_gpu_time()) ? kYes : kNo;
  }
  Answer dispatch_times() {
    const Submission work = run_profiled();
    const Result<std::vector<DispatchTime>> times = work.dispatch_times();
    EXPECT_TRUE(times.has_value());
    return times && times->size() == 1 ? kYes : kNo;
  }
  Answer label_times() {
    device_.reset_label_times();
    static_cast<void>(run_profiled());
    return device_.label_times().empty() ? kNo : kYes;
  }

  // -- Dispatches

  Answer dispatch() {
    const auto ragged = [](CommandEncoder& encoder, const Kernel& kernel,
                           std::span<const KernelArg> args, Extent3 grid) {
      encoder.dispatch(kernel, args, threads(grid.x, grid.y, grid.z));
    };
    const auto view = [](CommandEncoder& encoder, const Kernel& kernel, const BufferView& x,
                         const DispatchOptions& options) {
      encoder.dispatch(kernel, {x}, threads(kCount), options);
    };
    return all_of(takes_ragged_grids(ragged), takes_views_anywhere(view));
  }
  Answer dispatch_threads() {
    const auto ragged = [](CommandEncoder& encoder, const Kernel& kernel,
                           std::span<const KernelArg> args, Extent3 grid) {
      encoder.set_kernel(kernel);
      for (std::uint32_t i = 0; i < args.size(); ++i) encoder.set_argument(i, args[i]);
      encoder.dispatch_threads(grid);
    };
    return all_of(takes_ragged_grids(ragged),
                  takes_views_anywhere([](CommandEncoder& encoder, const Kernel& kernel,
                                          const BufferView& x, const DispatchOptions& options) {
                    prepare_stateful(encoder, kernel, x, options);
                    encoder.dispatch_threads({kCount, 1, 1});
                  }));
  }
  Answer dispatch_groups() {
    return takes_views_anywhere([](CommandEncoder& encoder, const Kernel& kernel,
                                   const BufferView& x, const DispatchOptions& options) {
      prepare_stateful(encoder, kernel, x, options);
      encoder.dispatch_groups({1, 1, 1});
    });
  }
  Answer dispatch_indirect() {
    const Buffer counts = make_buffer({1, 1, 1});
    return takes_views_anywhere([&counts](CommandEncoder& encoder, const Kernel& kernel,
                                          const BufferView& x, const DispatchOptions& options) {
      encoder.dispatch_indirect(kernel, std::array<KernelArg, 1>{x}, counts.view(), {1, 1, 1},
                                options);
    });
  }
  Answer native() {
    const Buffer x = make_buffer({1});
    const std::array views{x.view()};
    int calls = 0;
    bool with_object = false;
    CommandEncoder encoder = make_encoder();
    encoder.native(views, views, [&](void* object) {
      ++calls;
      with_object = object != nullptr;
    });
    expect_done(encoder.commit_and_wait());
    EXPECT_EQ(calls, 1);
    return with_object ? kYes : kPartly;
  }

  // -- Operations

  Answer mat_mul() {
    const ops::Ops ops = ops::Ops::create(device_).value();
    const Tensor x = tensor(DType::kF32, 1, 32), y = tensor(DType::kF32, 1, 16);
    return layouts({WeightLayout::kRowMajor, WeightLayout::kRowTile16, WeightLayout::kPlanes},
                   [&](CommandEncoder& encoder, const WeightMatrix& weights) {
                     ops.mat_mul(encoder, weights, x, y);
                   });
  }
  Answer repack() {
    const ops::Ops ops = ops::Ops::create(device_).value();
    const WeightMatrix source{tensor(DType::kQ8_0, 16, 32), WeightLayout::kRowMajor};
    return layouts({WeightLayout::kRowTile16, WeightLayout::kPlanes},
                   [&](CommandEncoder& encoder, const WeightMatrix& weights) {
                     ops.repack(encoder, source, weights);
                   });
  }

 protected:
  static void expect_done(const Result<>& result) {
    EXPECT_TRUE(result.has_value()) << result.error().to_string();
  }
  static Answer all_of(bool one, Answer other) { return one ? other : kPartly; }
  void commit_nothing() const {
    CommandEncoder encoder = make_encoder();
    expect_done(encoder.commit_and_wait());
  }

  static bool is_time(const Result<GpuTime>& time) {
    EXPECT_TRUE(time.has_value());
    return time && time->start_seconds > 0 && time->end_seconds >= time->start_seconds;
  }
  Submission run_profiled() const {
    const Buffer x = make_buffer(Words(kCount));
    CommandEncoder encoder = make_encoder();
    encoder.start_capture();
    encoder.dispatch(kernel("test_add_one"), {x.view()}, threads(kCount));
    Executable executable = encoder.take_capture()->compile(device_).value();
    executable.set_profiling(true);
    Submission work = executable.submit().value();
    expect_done(work.wait());
    return work;
  }

  /// A kernel that does not say that it guards ragged edges: one of ours where signatures are
  /// declared, and one that is built in where they are read off the code.
  [[nodiscard]] std::optional<Kernel> unguarded_kernel() const {
    for (KernelSource& source : GetParam().kernels()) {
      if (source.name != "test_add_one" || device_.kernels().contains("test_unguarded")) continue;
      source.name = "test_unguarded";
      source.signature.guards_ragged_edges = false;
      EXPECT_TRUE(device_.kernels().add(std::move(source)).has_value());
    }
    for (const std::string& name : device_.kernels().names()) {
      Result<Kernel> found = device_.kernels().get(name);
      if (!found) continue;
      if (!found->signature().guards_ragged_edges && found->signature().group_size.x > 1)
        return *std::move(found);
    }
    return std::nullopt;
  }
  /// Whether such a kernel may get a grid that its groups do not divide. Nothing runs.
  template <class Record>
  bool takes_ragged_grids(Record&& record) const {
    const std::optional<Kernel> kernel = unguarded_kernel();
    EXPECT_TRUE(kernel.has_value()) << "Every kernel guards ragged edges.";
    if (!kernel) return false;
    const std::vector<std::byte> bytes(4096);
    const Buffer x = make_buffer(Words(kCount));
    std::vector<KernelArg> args;
    for (const Parameter& parameter : kernel->signature().parameters) {
      const std::size_t size = parameter.size_bytes == 0 ? 4 : parameter.size_bytes;
      if (parameter.kind == ParameterKind::kBuffer)
        args.emplace_back(x.view());
      else if (parameter.kind == ParameterKind::kBytes)
        args.push_back(KernelArg::bytes(std::span(bytes).first(size)));
    }
    const Extent3 group = kernel->signature().group_size;
    const Extent3 ragged{group.x + 1, group.y, group.z};
    CommandEncoder encoder = make_encoder();
    record(encoder, *kernel, args, group);
    expect_done(encoder.status());
    record(encoder, *kernel, args, ragged);
    const Result<> status = encoder.status();
    if (status) return true;
    EXPECT_EQ(to_string(status.error().code), "InvalidArgument") << status.error().to_string();
    return false;
  }

  static void prepare_stateful(CommandEncoder& encoder, const Kernel& kernel, const BufferView& x,
                               const DispatchOptions& options) {
    encoder.set_kernel(kernel);
    encoder.set_argument(0, x);
    if (options.writes) encoder.set_pending_ranges(*options.writes, *options.writes);
  }
  /// Whether a kernel may write a view that begins anywhere and declare its own ranges. `record`
  /// adds one to the words of a view.
  template <class Record>
  Answer takes_views_anywhere(Record&& record) const {
    const Buffer buffer = make_buffer(counting(kCount + 1));
    const BufferView x = words(buffer, 1, kCount);
    const std::array ranges{x};
    DispatchOptions explicit_ranges;
    explicit_ranges.reads = explicit_ranges.writes = ranges;
    CommandEncoder encoder = make_encoder();
    record(encoder, kernel("test_add_one"), x, kPlainDispatch);
    expect_done(encoder.commit_and_wait());
    expect_done(encoder.begin());
    record(encoder, kernel("test_add_one"), x, explicit_ranges);
    const Answer answer = answer_of(encoder.commit_and_wait()) == kYes ? kYes : kPartly;
    EXPECT_EQ(read(x), counting(kCount, answer == kYes ? 3 : 2));
    return answer;
  }

  Tensor tensor(DType type, std::uint32_t rows, std::uint32_t columns) const {
    return Tensor::create(memory(row_bytes(type, columns) * rows), type, rows, columns).value();
  }
  BufferView memory(std::uint64_t size_bytes) const {
    BufferDesc desc;
    desc.size_bytes = size_bytes;
    return device_.create_buffer(desc)->view();
  }
  /// Whether weights in all of these layouts can be used, or only in some.
  template <class Record>
  Answer layouts(std::initializer_list<WeightLayout> all, Record&& record) const {
    std::size_t good = 0;
    for (const WeightLayout layout : all) {
      const BufferView view = memory(weight_bytes(DType::kQ8_0, layout, 16, 32));
      CommandEncoder encoder = make_encoder();
      record(encoder, WeightMatrix{{view, DType::kQ8_0, 16, 32}, layout});
      const Result<> status = encoder.status();
      if (status) {
        ++good;
      } else {
        EXPECT_EQ(to_string(status.error().code), "InvalidArgument") << status.error().to_string();
      }
    }
    return good == all.size() ? kYes : good == 0 ? kNo : kPartly;
  }
};

/// What the device says of itself; nothing where it does not say.
using Promise = std::optional<Answer> (*)(const Device&);

std::optional<Answer> yes_if(bool condition) { return condition ? kYes : kNo; }
std::optional<Answer> unsaid(const Device&) { return std::nullopt; }
std::optional<Answer> unified(const Device& device) {
  return yes_if(device.features().unified_memory);
}
std::optional<Answer> shared(const Device& device) {
  return yes_if(device.features().shared_timelines);
}
std::optional<Answer> resident(const Device& device) {
  return yes_if(device.features().residency_sets);
}
std::optional<Answer> timed(const Device& device) {
  return yes_if(device.features().gpu_timestamps);
}
bool binds_words(const Device& device) { return device.limits().direct_view_alignment <= 4; }
std::optional<Answer> any_view(const Device& device) {
  return binds_words(device) ? kYes : kPartly;
}
std::optional<Answer> any_dispatch(const Device& device) {
  return binds_words(device) && device.features().ragged_groups ? kYes : kPartly;
}

struct Probe {
  std::string_view method;
  Answer (ApiStatusConformance::*ask)();
  Promise promise = &unsaid;
  /// Backends whose devices do not say all of it: both answers may come.
  std::string_view silent = {};
};

using Status = ApiStatusConformance;
constexpr std::array kProbes{
    Probe{"CommandEncoder::commit_wait_with_gpu_time", &Status::commit_wait_with_gpu_time, &timed},
    Probe{"CommandEncoder::dispatch", &Status::dispatch, &any_dispatch},
    Probe{"CommandEncoder::dispatch_groups", &Status::dispatch_groups, &any_view},
    Probe{"CommandEncoder::dispatch_indirect", &Status::dispatch_indirect, &any_view},
    Probe{"CommandEncoder::dispatch_threads", &Status::dispatch_threads, &any_dispatch},
    Probe{"CommandEncoder::native", &Status::native},
    Probe{"Device::import_host_memory", &Status::import_host_memory, &unified},
    Probe{"Device::import_timeline", &Status::import_timeline, &shared},
    Probe{"Device::label_times", &Status::label_times, &timed, "metal"},
    Probe{"Device::native_handle", &Status::device_handle},
    Probe{"Executable::set_profiling", &Status::dispatch_times, &timed, "metal"},
    Probe{"ResidencySet::add", &Status::residency_add, &resident},
    Probe{"ResidencySet::remove", &Status::residency_remove, &resident},
    Probe{"Submission::dispatch_times", &Status::dispatch_times, &timed, "metal"},
    Probe{"Submission::gpu_time", &Status::gpu_time, &timed},
    Probe{"Submission::native_handle", &Status::submission_handle},
    Probe{"Timeline::export_handle", &Status::export_timeline, &shared},
    Probe{"Timeline::native_handle", &Status::timeline_handle},
    Probe{"ops::Ops::mat_mul", &Status::mat_mul},
    Probe{"ops::Ops::repack", &Status::repack},
};

TEST_P(ApiStatusConformance, TheTableIsTrue) {  // row H8
  const auto column = std::ranges::find(kStatusBackends, device_.backend());
  ASSERT_NE(column, kStatusBackends.end()) << device_.backend() << " has no column.";
  for (const Probe& probe : kProbes) {
    const auto row = std::ranges::find(status_table().rows, probe.method, &StatusRow::method);
    ASSERT_NE(row, status_table().rows.end()) << probe.method << " has no row.";
    const Answer says = row->cells[static_cast<std::size_t>(column - kStatusBackends.begin())].says;
    const Answer answer = (this->*probe.ask)();
    const std::optional<Answer> promise =
        probe.silent == device_.backend() ? answer : probe.promise(device_);
    if (promise) {
      EXPECT_EQ(answer, *promise) << probe.method << " against features and limits";
    }
    // What depends on the device may be either there; what does not is the same on all, and the
    // host is one device.
    if (says != kPartly || !promise || device_.backend() == "host") {
      EXPECT_EQ(answer, says) << probe.method << " against the table";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, ApiStatusConformance, testing::ValuesIn(conformance_devices()),
                         [](const auto& device) { return device.param.name; });

TEST(ApiStatusProbes, AreThereForEveryRowThatIsNotYesThroughout) {
  std::set<std::string_view> probed, wanted;
  for (const Probe& probe : kProbes) probed.insert(probe.method);
  for (const StatusRow& row : status_table().rows) {
    const bool yes_throughout = std::ranges::all_of(
        row.cells, [](const StatusCell& cell) { return cell.says == kYes || cell.says == "-"; });
    if (!yes_throughout) wanted.insert(row.method);
  }
  EXPECT_EQ(probed, wanted);
}

}  // namespace
}  // namespace segue::test
