// SPDX-License-Identifier: Apache-2.0
//
// The declaration audit: differential testing of one command at a time, with noise in place of
// whatever the command says that it does not use.
//
// Run A sees noise s in every byte that is not declared as read, run B its complement. A byte that
// nobody wrote still holds s in A and ~s in B, so writing is not mistaken for not writing: a value
// that happens to equal s in A differs from ~s in B. A byte that was written and differs between
// the runs can only come from the noise. Noise that is copied goes unseen in one byte of 256, where
// it equals what was there.
#include <algorithm>
#include <utility>

#include "base/fail.hpp"
#include "segue/verify.hpp"
#include "verify/numbers.hpp"
#include "verify/rerecord.hpp"
#include "verify/scratch.hpp"
#include "verify/shadow.hpp"

namespace segue::verify {
namespace {

using Bytes = std::vector<std::byte>;

Bytes noise(std::uint64_t seed, std::uint64_t size_bytes) {
  Bytes bytes(size_bytes);
  std::uint64_t word = 0;
  for (std::uint64_t i = 0; i < size_bytes; ++i, word >>= 8) {
    if (i % 8 == 0) word = mix(seed + i);
    bytes[i] = static_cast<std::byte>(word);
  }
  return bytes;
}

struct Images {
  Bytes a, b;
};

class Auditor {
 public:
  Auditor(const Device& device, const AuditOptions& options, CommandEncoder encoder)
      : device_(device), options_(options), encoder_(std::move(encoder)) {}

  Result<> audit(std::uint32_t index, const GraphNode& node);
  AuditReport take_report() { return std::move(report_); }

 private:
  Result<> load_content(const GraphNode& node, ScratchLayout& layout);
  [[nodiscard]] Images make_images(std::uint32_t index, const ScratchLayout& layout) const;
  Result<bool> run(std::uint32_t index, const GraphNode& node, const ScratchLayout& layout,
                   Bytes& image);
  Result<BufferView> scratch(std::uint64_t size_bytes);
  void compare(std::uint32_t index, const GraphNode& node, Window& window, const Images& before,
               const Images& after);
  void carry(const GraphNode& node, const ScratchLayout& layout);

  const Device& device_;
  const AuditOptions& options_;
  CommandEncoder encoder_;
  Buffer scratch_;
  Shadow shadow_;
  AuditReport report_;
};

/// The first `size_bytes` of scratch memory, which grows as needed.
Result<BufferView> Auditor::scratch(std::uint64_t size_bytes) {
  if (scratch_.size_bytes() < size_bytes) {
    BufferDesc desc;
    desc.size_bytes = size_bytes;
    desc.uninitialised = true;
    desc.label = "audit scratch";
    SEGUE_TRY_ASSIGN(scratch_, device_.create_buffer(desc));
  }
  return scratch_.view(0, size_bytes);
}

/// What memory would hold before this command, had all before it run in place.
Result<> Auditor::load_content(const GraphNode& node, ScratchLayout& layout) {
  for (Window& window : layout.windows) {
    window.content.resize(window.size());
    fill_with_small_numbers(options_.seed, window.begin, window.content);
  }
  for (const BufferView& view : named_views(node)) {
    if (view.size_bytes() == 0 || view.buffer().is_transient() || !view.buffer().is_backed())
      continue;
    const AccessRange range = view.range(Access::kRead);
    for (Window& window : layout.windows) {
      if (window.memory != range.memory || range.begin < window.begin || range.end > window.end)
        continue;
      const auto part =
          std::span(window.content).subspan(range.begin - window.begin, view.size_bytes());
      SEGUE_TRY(device_.download(view, part));
    }
  }
  for (Window& window : layout.windows)
    shadow_.overlay(window.memory, window.begin, window.content);
  return {};
}

Images Auditor::make_images(std::uint32_t index, const ScratchLayout& layout) const {
  Images images;
  images.a = noise(mix(options_.seed) + mix(index), layout.size_bytes);
  images.b.resize(images.a.size());
  std::ranges::transform(images.a, images.b.begin(), [](std::byte byte) { return ~byte; });
  for (const Window& window : layout.windows) {
    for (std::uint64_t i = 0; i < window.size(); ++i) {
      if ((window.declared[i] & static_cast<unsigned>(Access::kRead)) == 0) continue;
      images.a[window.place + i] = images.b[window.place + i] = window.content[i];
    }
  }
  return images;
}

/// Runs the command on `image`, which becomes what it leaves. False if it failed, which is
/// reported.
Result<bool> Auditor::run(std::uint32_t index, const GraphNode& node, const ScratchLayout& layout,
                          Bytes& image) {
  SEGUE_TRY_ASSIGN(const BufferView memory, scratch(image.size()));
  SEGUE_TRY(device_.upload(memory, image));
  SEGUE_TRY(encoder_.begin());
  SEGUE_TRY(rerecord(encoder_, node, [&layout, &memory](const BufferView& view) {
    return memory.subview(layout.place_of(view), view.size_bytes());
  }));
  SEGUE_TRY_ASSIGN(Submission submission, encoder_.commit("audit"));
  if (const Result<> done = submission.wait(); !done) {
    if (done.error().code == ErrorCode::kDeviceLost) return std::unexpected(done.error());
    AuditFinding& finding = report_.findings.emplace_back();
    finding.kind = AuditFindingKind::kFailsOnScrambles;
    finding.node = index;
    finding.label = node.label;
    finding.failure = done.error().to_string();
    return false;
  }
  SEGUE_TRY(device_.download(memory, image));
  return true;
}

/// Bytes of one kind in one window, in coordinates of its memory; guards before it may come before
/// zero.
struct Tally {
  std::int64_t begin = 0, end = 0;
  std::uint64_t bytes = 0;

  void add(std::int64_t position) {
    if (bytes++ == 0) begin = position;
    end = position + 1;
  }
};

/// The named view that is next to a byte of its memory, to say where that is in a buffer.
BufferView nearest_view(const GraphNode& node, MemoryId memory, std::int64_t position) {
  BufferView nearest;
  std::int64_t least = INT64_MAX;
  for (const BufferView& view : named_views(node)) {
    const AccessRange range = view.range(Access::kRead);
    if (range.memory != memory || view.size_bytes() == 0) continue;
    const auto begin = static_cast<std::int64_t>(range.begin);
    const auto last = static_cast<std::int64_t>(range.end) - 1;
    const std::int64_t distance = std::max({begin - position, position - last, std::int64_t{0}});
    if (distance >= least) continue;
    least = distance;
    nearest = view;
  }
  return nearest;
}

AuditFinding describe(AuditFindingKind kind, std::uint32_t index, const GraphNode& node,
                      const Window& window, const Tally& tally) {
  AuditFinding finding;
  finding.kind = kind;
  finding.node = index;
  finding.label = node.label;
  finding.bytes = tally.bytes;
  const Buffer buffer = nearest_view(node, window.memory, tally.begin).buffer();
  finding.buffer_label = buffer.label();
  const auto base = static_cast<std::int64_t>(buffer.view().range(Access::kRead).begin);
  finding.begin = tally.begin - base;
  finding.end = tally.end - base;
  return finding;
}

/// Looks at a window and its guards, and puts what was written into the window's content.
void Auditor::compare(std::uint32_t index, const GraphNode& node, Window& window,
                      const Images& before, const Images& after) {
  Tally stray, dependent;
  const auto shift = static_cast<std::int64_t>(window.begin - window.place);
  for (std::uint64_t i = window.region_begin; i < window.region_end; ++i) {
    if (after.a[i] == before.a[i] && after.b[i] == before.b[i]) continue;
    const std::int64_t position = static_cast<std::int64_t>(i) + shift;
    if ((window.declared_at(i) & static_cast<unsigned>(Access::kWrite)) == 0) {
      stray.add(position);
      continue;
    }
    if (after.a[i] != after.b[i]) dependent.add(position);
    window.content[i - window.place] = after.a[i];
  }
  if (stray.bytes != 0) {
    report_.findings.push_back(describe(AuditFindingKind::kStrayWrite, index, node, window, stray));
  }
  if (dependent.bytes != 0) {
    report_.findings.push_back(
        describe(AuditFindingKind::kUndeclaredInput, index, node, window, dependent));
  }
}

/// The commands behind this one see what it wrote where it may write.
void Auditor::carry(const GraphNode& node, const ScratchLayout& layout) {
  for (const AccessRange& range : node.writes) {
    const Window* window = layout.find(range);
    if (window == nullptr) continue;
    const std::span content(window->content);
    shadow_.write(range.memory, range.begin,
                  content.subspan(range.begin - window->begin, range.end - range.begin));
  }
}

Result<> Auditor::audit(std::uint32_t index, const GraphNode& node) {
  const auto skip = [&](std::string reason) {
    report_.skipped.push_back({index, node.label, std::move(reason)});
    return Result<>();
  };
  if (std::string reason = obstacle(node); !reason.empty()) return skip(std::move(reason));
  ScratchLayout layout =
      lay_out(node, options_.guard_bytes, device_.limits().view_offset_alignment);
  if (layout.size_bytes > options_.max_dispatch_bytes) {
    return skip(
        fmt::format("It needs {} bytes with guards; AuditOptions::max_dispatch_bytes is {}.",
                    layout.size_bytes, options_.max_dispatch_bytes));
  }
  declare_bytes(node, layout);
  SEGUE_TRY(load_content(node, layout));
  const Images before = make_images(index, layout);
  Images after = before;
  ++report_.audited;
  SEGUE_TRY_ASSIGN(const bool ran_a, run(index, node, layout, after.a));
  if (!ran_a) return {};
  SEGUE_TRY_ASSIGN(const bool ran_b, run(index, node, layout, after.b));
  if (!ran_b) return {};
  for (Window& window : layout.windows) compare(index, node, window, before, after);
  carry(node, layout);
  return {};
}

}  // namespace

Result<AuditReport> audit(const Device& device, const Graph& graph, const AuditOptions& options) {
  EncoderOptions encoder_options;
  encoder_options.label = "audit";
  SEGUE_TRY_ASSIGN(CommandEncoder encoder, device.create_encoder(encoder_options));
  Auditor auditor(device, options, std::move(encoder));
  for (std::uint32_t index = 0; index < graph.node_count(); ++index) {
    const GraphNode node = graph.node(index);
    if (node.kind != NodeKind::kBarrier) SEGUE_TRY(auditor.audit(index, node));
  }
  return auditor.take_report();
}

}  // namespace segue::verify
