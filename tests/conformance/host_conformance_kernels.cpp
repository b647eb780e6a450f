// SPDX-License-Identifier: Apache-2.0
#include "conformance/host_conformance_kernels.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "segue/host.hpp"

namespace segue::test {
namespace {

using Word = std::uint32_t;
using host::In;
using host::InOut;
using host::KernelContext;
using host::Out;
using host::Shared;

/// Calls `element(i)` for the threads of this part of a one-dimensional grid.
template <class Element>
void for_each_thread(const KernelContext& work, Element&& element) {
  const std::uint64_t size = work.group_size.x;
  const std::uint64_t end = std::min<std::uint64_t>(work.group_end * size, work.thread_count.x);
  for (std::uint64_t i = work.group_begin * size; i < end; ++i) element(i);
}

struct Extent2 {
  Word width, height;
};

void mark_threads(const KernelContext& work, Out<Word> marks, const Extent2& extent) {
  const Extent3 size = work.group_size;
  for (std::uint64_t group = work.group_begin; group < work.group_end; ++group) {
    const auto x0 = static_cast<Word>(group % work.group_count.x) * size.x;
    const auto y0 = static_cast<Word>(group / work.group_count.x % work.group_count.y) * size.y;
    const auto z0 = static_cast<Word>(group / work.group_count.x / work.group_count.y) * size.z;
    for (Word z = z0; z < std::min(z0 + size.z, work.thread_count.z); ++z) {
      for (Word y = y0; y < std::min(y0 + size.y, work.thread_count.y); ++y) {
        for (Word x = x0; x < std::min(x0 + size.x, work.thread_count.x); ++x)
          marks[(std::size_t{z} * extent.height + y) * extent.width + x] = 1;
      }
    }
  }
}

void reverse(const KernelContext& work, In<Word> x, Out<Word> y, Shared<Word> shared) {
  const std::uint64_t size = work.group_size.x;
  for (std::uint64_t group = work.group_begin; group < work.group_end; ++group) {
    for (std::uint64_t i = 0; i < size; ++i) shared[i] = x[group * size + i];
    for (std::uint64_t i = 0; i < size; ++i) y[group * size + i] = shared[size - 1 - i];
  }
}

KernelSource unknown_access() {
  Parameter parameter;
  parameter.name = "x";
  parameter.access_known = false;
  parameter.alignment = alignof(Word);
  Signature signature;
  signature.parameters = {parameter};
  signature.group_size = {64, 1, 1};
  signature.guards_ragged_edges = true;
  return host::raw_kernel("test_unknown_access", signature, [](const KernelContext& work) {
    for_each_thread(work, [data = work.arguments[0].data](std::uint64_t i) {
      Word value = 0;
      std::memcpy(&value, data + 4 * i, sizeof(value));
      ++value;
      std::memcpy(data + 4 * i, &value, sizeof(value));
    });
  });
}

KernelSource store() {
  Parameter data;
  data.name = "data";
  data.kind = ParameterKind::kBytes;
  Parameter target;
  target.name = "y";
  target.access = Access::kWrite;
  target.alignment = alignof(Word);
  Signature signature;
  signature.parameters = {data, target};
  signature.group_size = {64, 1, 1};
  signature.guards_ragged_edges = true;
  return host::raw_kernel("test_store", signature, [](const KernelContext& work) {
    for_each_thread(work, [&work](std::uint64_t i) {
      std::memcpy(work.arguments[1].data + 4 * i, work.arguments[0].data + 4 * i, 4);
    });
  });
}

}  // namespace

std::vector<KernelSource> host_conformance_kernels() {
  const host::KernelOptions line{
      .group_size = {64, 1, 1}, .guards_ragged_edges = true, .items_per_group = 64};
  const host::KernelOptions box{.group_size = {4, 4, 2}, .guards_ragged_edges = true};
  std::vector<KernelSource> sources;
  sources.push_back(host::kernel(
      "test_add_one", {"x"},
      [](const KernelContext& work, InOut<Word> x) {
        for_each_thread(work, [x](std::uint64_t i) { ++x[i]; });
      },
      line));
  sources.push_back(host::kernel(
      "test_add", {"x", "y", "a"},
      [](const KernelContext& work, In<Word> x, InOut<Word> y, const Word& a) {
        for_each_thread(work, [x, y, a](std::uint64_t i) { y[i] += a * x[i]; });
      },
      line));
  sources.push_back(host::kernel(
      "test_saxpy", {"x", "y", "a"},
      [](const KernelContext& work, In<float> x, InOut<float> y, const float& a) {
        for_each_thread(work, [x, y, a](std::uint64_t i) { y[i] += a * x[i]; });
      },
      line));
  sources.push_back(host::kernel(
      "test_copy", {"x", "y"},
      [](const KernelContext& work, In<Word> x, Out<Word> y) {
        for_each_thread(work, [x, y](std::uint64_t i) { y[i] = x[i]; });
      },
      line));
  sources.push_back(host::kernel("test_mark_threads", {"y", "extent"}, &mark_threads, box));
  sources.push_back(host::kernel("test_reverse", {"x", "y", "s"}, &reverse, line));
  sources.push_back(store());
  sources.push_back(unknown_access());
  return sources;
}

}  // namespace segue::test
