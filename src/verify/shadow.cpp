// SPDX-License-Identifier: Apache-2.0
#include "verify/shadow.hpp"

#include <algorithm>
#include <utility>

namespace segue::verify {

namespace {

/// The first piece that may reach `begin`.
template <class Pieces>
auto first_at(Pieces& pieces, std::uint64_t begin) {
  auto piece = pieces.upper_bound(begin);
  return piece == pieces.begin() ? piece : std::prev(piece);
}

}  // namespace

/// Makes room: no piece has a byte of `[begin, end)` afterwards.
void Shadow::cut(Pieces& pieces, std::uint64_t begin, std::uint64_t end) {
  for (auto piece = first_at(pieces, begin); piece != pieces.end() && piece->first < end;) {
    const std::uint64_t piece_begin = piece->first;
    const std::uint64_t piece_end = piece_begin + piece->second.size();
    if (!overlaps(begin, end, piece_begin, piece_end)) {
      ++piece;
      continue;
    }
    std::vector<std::byte> bytes = std::move(piece->second);
    piece = pieces.erase(piece);
    if (piece_end > end) {
      const auto tail = bytes.begin() + static_cast<std::ptrdiff_t>(end - piece_begin);
      pieces.emplace(end, std::vector<std::byte>(tail, bytes.end()));
    }
    if (piece_begin < begin) {
      bytes.resize(begin - piece_begin);
      pieces.emplace(piece_begin, std::move(bytes));
    }
  }
}

void Shadow::write(MemoryId memory, std::uint64_t begin, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  Pieces& pieces = memories_[memory];
  cut(pieces, begin, begin + bytes.size());
  pieces.emplace(begin, std::vector<std::byte>(bytes.begin(), bytes.end()));
}

void Shadow::overlay(MemoryId memory, std::uint64_t begin, std::span<std::byte> bytes) const {
  const auto known = memories_.find(memory);
  if (known == memories_.end()) return;
  const Pieces& pieces = known->second;
  const std::uint64_t end = begin + bytes.size();
  for (auto piece = first_at(pieces, begin); piece != pieces.end() && piece->first < end; ++piece) {
    const std::uint64_t from = std::max(begin, piece->first);
    const std::uint64_t to = std::min(end, piece->first + piece->second.size());
    if (from >= to) continue;
    const auto source = std::span(piece->second).subspan(from - piece->first, to - from);
    std::ranges::copy(source, bytes.subspan(from - begin).begin());
  }
}

}  // namespace segue::verify
