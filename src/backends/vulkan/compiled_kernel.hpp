// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/vulkan/vulkan_kernel.hpp"
#include "spirv/values.hpp"

namespace segue::vulkan {

inline constexpr std::size_t kBindingModes = 2;

/// What a kernel makes its pipelines from, and those that it has made.
struct CompiledKernel::Impl {
  struct Entry {
    PipelineKey key;
    Pipeline pipeline;
  };
  struct Layouts {
    VkDescriptorSetLayout set = VK_NULL_HANDLE;
    VkPipelineLayout pipeline = VK_NULL_HANDLE;
  };
  /// How a shared parameter's size becomes a specialisation constant.
  struct SharedCount {
    std::uint32_t count_id = 0;
    std::uint32_t element_bytes = 0;
    bool by_launch = false;
  };

  ContextPointer context;
  std::string name;
  std::string entry_point;
  std::shared_ptr<const void> source;   ///< Keeps `words` where they are in a source.
  std::vector<std::uint32_t> compiled;  ///< Or they are these, from GLSL.
  std::span<const std::uint32_t> words;
  spirv::Specialisation constants;  ///< Given, and those that the device sets.
  Extent3 group_size;               ///< That the code has under `constants`.
  std::array<std::optional<std::uint32_t>, 3> group_size_ids;
  std::vector<SharedCount> shared;  ///< By shared parameter.
  std::vector<Binding> bindings;    ///< With that of the exact thread count.
  VkShaderModule module = VK_NULL_HANDLE;

  std::mutex mutex;  // guards what follows, but for `latest`
  std::array<Layouts, kBindingModes> layouts;
  std::deque<Entry> entries;  // never moves one
  std::array<std::atomic<const Entry*>, kBindingModes> latest{};

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();

  /// The pipeline of a key, made if it is new.
  [[nodiscard]] Result<const Entry*> find_or_make(PipelineKey key);

 private:
  [[nodiscard]] Result<spirv::Specialisation> specialise(const PipelineKey& key) const;
  [[nodiscard]] Result<> check_shared_memory(const spirv::Specialisation& specialisation) const;
  [[nodiscard]] Result<> make_module();
  [[nodiscard]] Result<> make_layouts(BindingMode mode, Layouts& made) const;
  [[nodiscard]] Result<VkPipeline> make_pipeline(const PipelineKey& key,
                                                 VkPipelineLayout layout) const;
};

/// Adds the kernel's name to an error. What the driver refuses is a failed compilation, unless
/// memory ran out or the device is lost.
[[nodiscard]] std::unexpected<Error> compile_error(const std::string& kernel, Error error);

}  // namespace segue::vulkan
