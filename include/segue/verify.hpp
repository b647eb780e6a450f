// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "segue/certificate.hpp"
#include "segue/device.hpp"
#include "segue/error.hpp"
#include "segue/graph.hpp"
#include "segue/schedule.hpp"

/// Finds what makes a plan wrong: a kernel that does other than it declares, an order that changes
/// results, a barrier that is missing. Links `segue::verify`.
namespace segue::verify {

struct AuditOptions {
  std::uint64_t seed = 1;  ///< Of the scrambles, and of what transient buffers start with.
  /// Before and behind each window; what a dispatch does further away is not seen.
  std::uint64_t guard_bytes = 4096;
  /// A dispatch with more bytes of arguments is skipped.
  std::uint64_t max_dispatch_bytes = std::uint64_t{256} << 20;
};

enum class AuditFindingKind : std::uint8_t {
  kStrayWrite,        ///< It changed bytes that it does not declare as written.
  kUndeclaredInput,   ///< What it wrote depends on bytes that it does not declare as read.
  kFailsOnScrambles,  ///< It fails when such bytes are scrambled.
};

/// What one dispatch does against its declaration.
struct AuditFinding {
  AuditFindingKind kind = AuditFindingKind::kStrayWrite;
  std::uint32_t node = 0;  ///< In the graph.
  std::string label;       ///< With its scopes.
  std::string buffer_label;
  /// Hull of the bytes, from the start of the buffer. Outside it where a kernel leaves the buffer.
  std::int64_t begin = 0, end = 0;
  std::uint64_t bytes = 0;  ///< How many in the hull.
  std::string failure;      ///< kFailsOnScrambles: the device's words.
  [[nodiscard]] std::string to_string() const;
};

struct SkippedNode {
  std::uint32_t node = 0;
  std::string label;
  std::string reason;
};

struct AuditReport {
  std::uint32_t audited = 0;
  std::vector<SkippedNode> skipped;
  std::vector<AuditFinding> findings;

  [[nodiscard]] bool clean() const { return findings.empty(); }
  /// A sentence, and one line for each finding and each skipped dispatch.
  [[nodiscard]] std::string to_string() const;
};

/// Runs each command of a graph alone, in memory of its own, and compares what it does with what it
/// declares (by its kernel's signature, or by explicit ranges).
///
/// Each command runs twice. Declared reads hold real data: the buffers' content, carried along from
/// command to command; transient buffers and those without memory start as small numbers.
/// Everything else holds noise in one run and its complement in the other, so that a byte that
/// nobody writes is known by differing, and a result that depends on noise by disagreeing. The
/// graph's buffers are read and left as they are. Views of one memory that touch stay together, so
/// aliasing is kept.
///
/// It tests one input and proves nothing: a path not taken, a branch on a value, memory further
/// away than the guards are not seen. Commands whose result is not repeatable are reported as
/// depending on undeclared bytes. A kernel that takes undeclared bytes as an index may reach
/// memory that nobody gave it. Native callbacks, and commands with explicit ranges of memory that
/// no argument names, cannot be moved and are skipped; what they would write then is what was there
/// before.
///
/// @error  Those of recording and of Device::create_buffer; kDeviceLost.
[[nodiscard]] Result<AuditReport> audit(const Device& device, const Graph& graph,
                                        const AuditOptions& options = {});

/// Gives buffers of the graph that have no memory yet the small numbers that an audit starts with,
/// instead of zeros, of which most kernels make zeros again. For graphs from Graph::from_json().
///
/// @error  Those of Device::upload and BufferView::map_write.
Result<> fill_unbacked(const Device& device, const Graph& graph, std::uint64_t seed = 1);

struct FuzzOptions {
  std::uint32_t orders = 50;  ///< Random ones, besides the other schedules.
  std::uint64_t seed = 1;     ///< Of the first; the others follow.
};

/// A run whose results are not those of serial execution.
struct FuzzFinding {
  bool serial = false;  ///< Serial execution, repeated: some kernel is not repeatable.
  Schedule schedule = Schedule::kRecorded;
  std::uint64_t seed = 0;          ///< Of Schedule::kRandom.
  bool transients_placed = false;  ///< CompileOptions::place_transients
  std::string buffer_label;
  std::uint64_t first_byte = 0;  ///< That differs, from the start of the buffer.
  std::uint64_t bytes = 0;       ///< How many differ in that buffer.
  std::uint32_t node = 0;        ///< The last to write the first byte in this order.
  std::string label;
  [[nodiscard]] std::string to_string() const;
};

struct FuzzReport {
  std::uint32_t runs = 0;             ///< Besides the serial ones.
  std::uint64_t compared_bytes = 0;   ///< Of each run.
  std::vector<FuzzFinding> findings;  ///< One for each buffer of each run.

  [[nodiscard]] bool clean() const { return findings.empty(); }
  /// A sentence, and one line for each of the first findings.
  [[nodiscard]] std::string to_string() const;
};

/// Runs a graph under every schedule and under random orders, with and without placed transient
/// buffers, and compares everything it leaves behind with serial execution, bit for bit. The
/// graph's buffers are as before when it returns, whatever it returns.
///
/// Whether a wrong order changes results depends on the device: a GPU may never show it; the host
/// with HostOptions::reverse_groups does.
///
/// @error  Those of Device::download, and of recording, compiling and running the graph.
[[nodiscard]] Result<FuzzReport> fuzz_schedules(const Device& device, const Graph& graph,
                                                const FuzzOptions& options = {});

struct CheckOptions {
  AuditOptions audit;
  FuzzOptions fuzz;
};

/// The certificate of one plan.
struct CheckedPlan {
  Schedule schedule = Schedule::kRecorded;
  bool compiled = false;  ///< Of the executable, with placed memory; otherwise of the graph.
  Certificate certificate;
};

struct Verdict {
  std::vector<CheckedPlan> plans;
  AuditReport audit;
  FuzzReport fuzz;

  /// Whether every plan is valid, and neither audit nor fuzzing found anything.
  [[nodiscard]] bool good() const;
  /// What was found, and a verdict as its last line.
  [[nodiscard]] std::string to_string() const;
};

/// Certifies the plan of every schedule, audits declarations and fuzzes schedules.
///
/// @error  Those of audit(), fuzz_schedules() and Graph::compile().
[[nodiscard]] Result<Verdict> check(const Device& device, const Graph& graph,
                                    const CheckOptions& options = {});

}  // namespace segue::verify
