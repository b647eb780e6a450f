// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "segue/host.hpp"
#include "support/weights.hpp"

namespace segue::test {
namespace {

constexpr std::uint64_t kLastingBytes = 512;
constexpr std::uint64_t kTransientBytes = 256;
constexpr std::uint64_t kSharedBytes = 1024;

template <class T>
T expect(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return *std::move(result);
}

/// Order of reading and writing matters to every byte.
void mix_bytes(std::span<const std::byte> in, std::span<std::byte> out, std::uint32_t salt) {
  std::uint32_t state = salt * 2654435761U + 1;
  for (const std::byte byte : in)
    state = (state ^ std::to_integer<std::uint32_t>(byte)) * 16777619U;
  for (std::byte& byte : out) {
    state = (state ^ std::to_integer<std::uint32_t>(byte)) * 16777619U;
    byte = static_cast<std::byte>(state >> 24);
  }
}

}  // namespace

World::World(std::uint64_t seed) : shared_memory_(kSharedBytes) {
  std::mt19937_64 random(seed);
  host::HostOptions options;
  options.parallelism = host::Parallelism::kNever;
  options.reverse_groups = true;  // so that order inside a group never helps
  device_ = expect(host::create_device({}, options));
  ops_ = expect(ops::Ops::create(device_));
  add_buffers();
  add_tensors();
  add_weights(random);
  add_mix();
}

Buffer World::create(std::uint64_t size_bytes, bool is_transient) const {
  BufferDesc desc;
  desc.size_bytes = size_bytes;
  desc.transient = is_transient;
  desc.label = is_transient ? "transient" : "lasting";
  return expect(device_.create_buffer(desc));
}

Tensor World::create_tensor(DType type, std::uint32_t rows, std::uint32_t columns,
                            bool is_transient) const {
  const Buffer buffer = create(row_bytes(type, columns) * rows, is_transient);
  return expect(Tensor::create(buffer.view(), type, rows, columns));
}

void World::add_buffers() {
  for (int i = 0; i < 3; ++i) {
    lasting.push_back(create(kLastingBytes, false));
    written_.push_back(lasting.back().view());
  }
  // Three buffers over one piece of memory, each overlapping the next.
  for (const std::size_t begin : {std::size_t{0}, std::size_t{256}, std::size_t{448}}) {
    ImportOptions import;
    import.label = "import";
    import.writable = true;
    const std::span<std::byte> part = std::span(shared_memory_).subspan(begin, 512);
    lasting.push_back(expect(device_.import_host_memory(part, import)));
    written_.push_back(lasting.back().view());
  }
  for (int i = 0; i < 5; ++i) transient.push_back(create(kTransientBytes, true));
}

void World::add_tensors() {
  for (int i = 0; i < 8; ++i) {
    narrow.push_back(create_tensor(DType::kF32, 1, kWidth, true));
    wide.push_back(create_tensor(DType::kF32, 1, kHidden, true));
  }
  for (int i = 0; i < 3; ++i) {
    kept_narrow.push_back(create_tensor(DType::kF32, 1, kWidth, false));
    kept_wide.push_back(create_tensor(DType::kF32, 1, kHidden, false));
    written_.push_back(kept_narrow.back().view);
    written_.push_back(kept_wide.back().view);
  }
  for (Tensor* each : {&cache, &value_cache}) {
    *each = create_tensor(DType::kF16, kContext, kWidth, false);
    written_.push_back(each->view);
  }
}

void World::add_matrix(std::vector<WeightMatrix>& matrices, DType type, std::uint32_t rows,
                       std::uint32_t columns, std::mt19937_64& random) {
  // Numbers near 1, so that chains of operations neither overflow nor vanish.
  std::vector<std::byte> bytes(row_bytes(type, columns) * rows);
  std::uniform_real_distribution<float> values(-0.3F, 0.3F);
  if (type == DType::kF32) {
    for (std::size_t i = 0; i < bytes.size(); i += sizeof(float)) {
      const float value = values(random);
      std::memcpy(bytes.data() + i, &value, sizeof(value));
    }
  } else {  // kQ8_0: a scale of 2^-9, then 32 bytes
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(random());
    for (std::size_t i = 0; i < bytes.size(); i += block_bytes(type)) {
      constexpr std::uint16_t kScale = 0x1800;
      std::memcpy(bytes.data() + i, &kScale, sizeof(kScale));
    }
  }
  WeightMatrix matrix{create_tensor(type, rows, columns, false), WeightLayout::kRowMajor};
  EXPECT_TRUE(device_.upload(matrix.tensor.view, bytes));
  matrices.push_back(matrix);
}

void World::add_weights(std::mt19937_64& random) {
  for (const DType type : {DType::kF32, DType::kQ8_0}) {
    for (int i = 0; i < 4; ++i) {
      add_matrix(square, type, kWidth, kWidth, random);
      add_matrix(up, type, kHidden, kWidth, random);
    }
  }
  for (int i = 0; i < 4; ++i) add_matrix(down, DType::kF32, kWidth, kHidden, random);
  norm_weight = create_tensor(DType::kF32, 1, kWidth, false);
  std::vector<float> ones(kWidth);
  for (std::size_t i = 0; i < ones.size(); ++i) ones[i] = 0.5F + 0.03F * static_cast<float>(i);
  EXPECT_TRUE(device_.upload(norm_weight.view, std::as_bytes(std::span(ones))));
}

void World::add_mix() {
  KernelSource source = host::kernel(
      "fuzz_mix", {"in", "out", "salt"},
      [](const host::KernelContext&, host::In<std::byte> in, host::InOut<std::byte> out,
         const std::uint32_t& salt) { mix_bytes(in, out, salt); });
  EXPECT_TRUE(device_.kernels().add(std::move(source)));
  mix = expect(device_.kernels().get("fuzz_mix"));
}

std::vector<std::byte> World::content() const {
  std::vector<std::byte> bytes;
  for (const BufferView& view : written_) {
    const std::size_t begin = bytes.size();
    bytes.resize(begin + view.size_bytes());
    EXPECT_TRUE(device_.download(view, std::span(bytes).subspan(begin)));
  }
  return bytes;
}

void World::restore(const std::vector<std::byte>& content) const {
  std::size_t begin = 0;
  for (const BufferView& view : written_) {
    EXPECT_TRUE(device_.upload(view, std::span(content).subspan(begin, view.size_bytes())));
    begin += view.size_bytes();
  }
}

}  // namespace segue::test
