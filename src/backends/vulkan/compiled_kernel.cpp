// SPDX-License-Identifier: Apache-2.0
#include "backends/vulkan/compiled_kernel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/fail.hpp"
#include "spirv/reflection.hpp"

namespace segue::vulkan {
namespace {

std::size_t index_of(BindingMode mode) { return static_cast<std::size_t>(mode); }

bool matches(const PipelineKey& key, Extent3 group_size,
             std::span<const std::uint32_t> shared_sizes) {
  return key.group_size == group_size && std::ranges::equal(key.shared_sizes, shared_sizes);
}

}  // namespace

std::unexpected<Error> compile_error(const std::string& kernel, Error error) {
  if (error.code == ErrorCode::kBackend) error.code = ErrorCode::kCompileFailed;
  error.message = fmt::format("Kernel \"{}\" does not compile. {}", kernel, error.message);
  return std::unexpected(std::move(error));
}

CompiledKernel::CompiledKernel(std::shared_ptr<base::IndexAllocator> indices)
    : impl_(std::make_unique<Impl>()), indices_(std::move(indices)) {
  index = indices_->take();
}

CompiledKernel::~CompiledKernel() { indices_->give_back(index); }

Result<const Pipeline*> CompiledKernel::pipeline(Extent3 group_size,
                                                 std::span<const std::uint32_t> shared_sizes,
                                                 BindingMode mode) {
  // Most kernels have one pipeline in each mode: no lock, no allocation.
  const Impl::Entry* const latest = impl_->latest[index_of(mode)].load(std::memory_order_acquire);
  if (latest != nullptr && matches(latest->key, group_size, shared_sizes)) [[likely]]
    return &latest->pipeline;
  auto made = impl_->find_or_make({group_size, {shared_sizes.begin(), shared_sizes.end()}, mode});
  if (!made) return compile_error(name, std::move(made).error());
  return &(*made)->pipeline;
}

CompiledKernel::Impl::~Impl() {
  if (!context) return;
  const Api& api = context->api;
  for (const Entry& entry : entries)
    api.DestroyPipeline(context->device, entry.pipeline.handle, nullptr);
  for (const Layouts& layout : layouts) {
    if (layout.pipeline != VK_NULL_HANDLE)
      api.DestroyPipelineLayout(context->device, layout.pipeline, nullptr);
    if (layout.set != VK_NULL_HANDLE)
      api.DestroyDescriptorSetLayout(context->device, layout.set, nullptr);
  }
  if (module != VK_NULL_HANDLE) api.DestroyShaderModule(context->device, module, nullptr);
}

Result<const CompiledKernel::Impl::Entry*> CompiledKernel::Impl::find_or_make(PipelineKey key) {
  const std::lock_guard lock(mutex);
  const std::size_t mode = index_of(key.mode);
  const auto known = std::ranges::find(entries, key, &Entry::key);
  if (known != entries.end()) {
    latest[mode].store(&*known, std::memory_order_release);
    return &*known;
  }
  if (module == VK_NULL_HANDLE) SEGUE_TRY(make_module());
  if (layouts[mode].pipeline == VK_NULL_HANDLE) SEGUE_TRY(make_layouts(key.mode, layouts[mode]));
  SEGUE_TRY_ASSIGN(const VkPipeline handle, make_pipeline(key, layouts[mode].pipeline));
  entries.push_back({std::move(key), {handle, layouts[mode].pipeline, layouts[mode].set}});
  const Entry* const entry = &entries.back();
  latest[mode].store(entry, std::memory_order_release);
  return entry;
}

Result<> CompiledKernel::Impl::make_module() {
  VkShaderModuleCreateInfo info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  info.codeSize = words.size_bytes();
  info.pCode = words.data();
  VkShaderModule created = VK_NULL_HANDLE;
  SEGUE_VK_TRY(*context, CreateShaderModule, context->device, &info, nullptr, &created);
  module = created;
  context->set_name(VK_OBJECT_TYPE_SHADER_MODULE, module, name);
  return {};
}

/// All constants of a pipeline: the kernel's own, the group size, the lengths of shared arrays.
Result<spirv::Specialisation> CompiledKernel::Impl::specialise(const PipelineKey& key) const {
  spirv::Specialisation all = constants;
  const std::array<std::uint32_t, 3> wanted{key.group_size.x, key.group_size.y, key.group_size.z};
  const std::array<std::uint32_t, 3> usual{group_size.x, group_size.y, group_size.z};
  for (std::size_t i = 0; i < 3; ++i) {
    if (group_size_ids[i]) {
      all[*group_size_ids[i]] = wanted[i];
    } else if (wanted[i] != usual[i]) {
      return base::fail(ErrorCode::kCompileFailed,
                        "A group size of {} x {} x {} is asked for, but the code has {} x {} x {}.",
                        wanted[0], wanted[1], wanted[2], usual[0], usual[1], usual[2]);
    }
  }
  for (std::size_t i = 0; i < std::min(shared.size(), key.shared_sizes.size()); ++i) {
    if (!shared[i].by_launch) continue;
    const std::uint32_t element = std::max(shared[i].element_bytes, 1U);
    const std::uint32_t bytes = std::max(key.shared_sizes[i], 1U);
    all[shared[i].count_id] = bytes / element + (bytes % element != 0 ? 1 : 0);
  }
  return all;
}

Result<> CompiledKernel::Impl::check_shared_memory(
    const spirv::Specialisation& specialisation) const {
  SEGUE_TRY_ASSIGN(const spirv::Module code, spirv::Module::parse(words));
  SEGUE_TRY_ASSIGN(const spirv::ShaderReflection reflection,
                   spirv::reflect(code, entry_point, specialisation));
  if (reflection.shared_bytes > context->limits.max_shared_memory_bytes) {
    return base::fail(ErrorCode::kCompileFailed,
                      "A group uses {} bytes of shared memory; at most {} are allowed.",
                      reflection.shared_bytes, context->limits.max_shared_memory_bytes);
  }
  return {};
}

Result<> CompiledKernel::Impl::make_layouts(BindingMode mode, Layouts& made) const {
  std::vector<VkDescriptorSetLayoutBinding> slots(bindings.size());
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    slots[i].binding = i;
    slots[i].descriptorType = bindings[i].type;
    slots[i].descriptorCount = 1;
    slots[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  }
  VkDescriptorSetLayoutCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  info.bindingCount = static_cast<std::uint32_t>(slots.size());
  info.pBindings = slots.data();
  const std::vector<VkDescriptorBindingFlags> flags(slots.size(),
                                                    VK_DESCRIPTOR_BINDING_UPDATE_AFTER_BIND_BIT);
  VkDescriptorSetLayoutBindingFlagsCreateInfo flags_info{
      VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_BINDING_FLAGS_CREATE_INFO};
  flags_info.bindingCount = info.bindingCount;
  flags_info.pBindingFlags = flags.data();
  if (mode == BindingMode::kPush) {
    info.flags = VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR;
  } else if (context->traits.update_after_bind) {
    info.flags = VK_DESCRIPTOR_SET_LAYOUT_CREATE_UPDATE_AFTER_BIND_POOL_BIT;
    info.pNext = &flags_info;
  }
  // A layout left by an earlier failure is used again.
  if (made.set == VK_NULL_HANDLE) {
    VkDescriptorSetLayout set = VK_NULL_HANDLE;
    SEGUE_VK_TRY(*context, CreateDescriptorSetLayout, context->device, &info, nullptr, &set);
    made.set = set;
    context->set_name(VK_OBJECT_TYPE_DESCRIPTOR_SET_LAYOUT, made.set, name);
  }
  VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &made.set;
  VkPipelineLayout pipeline = VK_NULL_HANDLE;
  SEGUE_VK_TRY(*context, CreatePipelineLayout, context->device, &layout, nullptr, &pipeline);
  made.pipeline = pipeline;
  context->set_name(VK_OBJECT_TYPE_PIPELINE_LAYOUT, made.pipeline, name);
  return {};
}

Result<VkPipeline> CompiledKernel::Impl::make_pipeline(const PipelineKey& key,
                                                       VkPipelineLayout layout) const {
  SEGUE_TRY_ASSIGN(const spirv::Specialisation all, specialise(key));
  if (key.group_size != group_size || !key.shared_sizes.empty())
    SEGUE_TRY(check_shared_memory(all));
  std::vector<VkSpecializationMapEntry> map;
  std::vector<std::uint32_t> values;
  for (const auto& [id, bits] : all) {
    map.push_back({id, static_cast<std::uint32_t>(values.size() * sizeof(bits)), sizeof(bits)});
    values.push_back(bits);
  }
  const VkSpecializationInfo specialisation{static_cast<std::uint32_t>(map.size()), map.data(),
                                            values.size() * sizeof(values[0]), values.data()};
  const DeviceTraits& traits = context->traits;
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup{
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO};
  subgroup.requiredSubgroupSize = traits.subgroup_size;

  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO};
  if (traits.subgroup_size_control) info.stage.pNext = &subgroup;
  if (traits.full_subgroups && key.group_size.x % traits.subgroup_size == 0)
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = entry_point.c_str();
  info.stage.pSpecializationInfo = &specialisation;
  info.layout = layout;
  VkPipeline pipeline = VK_NULL_HANDLE;
  SEGUE_VK_TRY(*context, CreateComputePipelines, context->device, context->pipeline_cache, 1, &info,
               nullptr, &pipeline);
  context->set_name(VK_OBJECT_TYPE_PIPELINE, pipeline, name);
  return pipeline;
}

}  // namespace segue::vulkan
