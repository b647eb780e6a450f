// SPDX-License-Identifier: Apache-2.0
#include "backends/metal/kernels/translator/msl.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <numeric>
#include <utility>

#include <spirv_cross_c.h>

#include "base/fail.hpp"
#include "spirv/signature.hpp"

namespace segue::metal::translator {
namespace {

constexpr std::string_view kEntryPoint = "main";
constexpr std::uint32_t kMostBuffers = 31;
constexpr std::uint64_t kMostSharedBytes = 32 << 10;
constexpr std::uint64_t kMostThreads = 1024;
/// An MSL uint3 has the size of four words, a packed one of three.
constexpr std::uint32_t kGridBytes = 16;

/// Contraction would make the same expression round differently in two kernels. Compilers before
/// MSL 3.2 know Clang's own form only.
constexpr std::string_view kPreamble = R"(#if defined(__METAL_VERSION__) && __METAL_VERSION__ >= 320
#pragma METAL fp contract(off)
#else
#pragma clang fp contract(off)
#endif
)";

template <class... Args>
std::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return base::fail(ErrorCode::kCompileFailed, format, std::forward<Args>(args)...);
}

struct DestroyContext {
  void operator()(spvc_context_s* context) const { spvc_context_destroy(context); }
};

/// SPIRV-Cross on one module.
class Cross {
 public:
  Result<> open(std::span<const std::uint32_t> words) {
    spvc_context created = nullptr;
    if (spvc_context_create(&created) != SPVC_SUCCESS) return refuse("SPIRV-Cross does not start.");
    context_.reset(created);
    spvc_parsed_ir parsed = nullptr;
    SEGUE_TRY(check(spvc_context_parse_spirv(created, words.data(), words.size(), &parsed)));
    return check(spvc_context_create_compiler(created, SPVC_BACKEND_MSL, parsed,
                                              SPVC_CAPTURE_MODE_TAKE_OWNERSHIP, &compiler_));
  }

  /// @param view_sizes  [[buffer(n)]] of the sizes of views.
  Result<> set_options(unsigned view_sizes) {
    spvc_compiler_options options = nullptr;
    SEGUE_TRY(check(spvc_compiler_create_compiler_options(compiler_, &options)));
    const std::pair<spvc_compiler_option, unsigned> values[]{
        {SPVC_COMPILER_OPTION_MSL_VERSION, SPVC_MAKE_MSL_VERSION(2, 3, 0)},
        {SPVC_COMPILER_OPTION_MSL_PLATFORM, SPVC_MSL_PLATFORM_MACOS},
        {SPVC_COMPILER_OPTION_MSL_BUFFER_SIZE_BUFFER_INDEX, view_sizes},
        {SPVC_COMPILER_OPTION_MSL_FIXED_SUBGROUP_SIZE, kSimdWidth},
    };
    for (const auto& [option, value] : values)
      SEGUE_TRY(check(spvc_compiler_options_set_uint(options, option, value)));
    SEGUE_TRY(check(
        spvc_compiler_options_set_bool(options, SPVC_COMPILER_OPTION_MSL_ARGUMENT_BUFFERS, 0)));
    return check(spvc_compiler_install_compiler_options(compiler_, options));
  }

  /// Binding n of set 0 is [[buffer(n)]]. Several blocks at one binding become one parameter.
  Result<> bind(unsigned binding) {
    spvc_msl_resource_binding place;
    spvc_msl_resource_binding_init(&place);
    place.stage = SpvExecutionModelGLCompute;
    place.desc_set = 0;
    place.binding = binding;
    place.msl_buffer = binding;
    return check(spvc_compiler_msl_add_resource_binding(compiler_, &place));
  }

  Result<> rename_entry_point(const std::string& name) {
    return check(spvc_compiler_rename_entry_point(compiler_, std::string(kEntryPoint).c_str(),
                                                  name.c_str(), SpvExecutionModelGLCompute));
  }

  Result<std::string> compile() {
    const char* text = nullptr;
    SEGUE_TRY(check(spvc_compiler_compile(compiler_, &text)));
    return std::string(text);
  }

  [[nodiscard]] std::string entry_point(const std::string& name) const {
    return spvc_compiler_get_cleansed_entry_point_name(compiler_, name.c_str(),
                                                       SpvExecutionModelGLCompute);
  }
  [[nodiscard]] bool needs_view_sizes() const {
    return spvc_compiler_msl_needs_buffer_size_buffer(compiler_) != 0;
  }

 private:
  [[nodiscard]] Result<> check(spvc_result result) const {
    if (result == SPVC_SUCCESS) return {};
    return refuse("SPIRV-Cross says: {}", spvc_context_get_last_error_string(context_.get()));
  }

  std::unique_ptr<spvc_context_s, DestroyContext> context_;
  spvc_compiler compiler_ = nullptr;  // belongs to the context
};

Result<> check_size(const Translation& translation) {
  const Extent3 size = translation.signature.group_size;
  if (size.count() > kMostThreads) {
    return refuse("Its group size is {} x {} x {}; at most {} threads are allowed.", size.x, size.y,
                  size.z, kMostThreads);
  }
  if (translation.shared_bytes > kMostSharedBytes) {
    return refuse("A group uses {} bytes of threadgroup memory; at most {} are allowed.",
                  translation.shared_bytes, kMostSharedBytes);
  }
  return {};
}

/// The text takes each argument once, at the index that the table says.
Result<> check_indices(const Translation& translation, unsigned blocks) {
  std::vector<unsigned> found = buffer_indices(translation.text);
  std::ranges::sort(found);
  std::vector<unsigned> expected(blocks);
  std::iota(expected.begin(), expected.end(), 0U);
  if (translation.view_sizes_index >= 0)
    expected.push_back(static_cast<unsigned>(translation.view_sizes_index));
  if (found == expected) return {};
  return refuse("The MSL has buffers {}; the code has {}.", fmt::join(found, ", "),
                fmt::join(expected, ", "));
}

}  // namespace

std::vector<unsigned> buffer_indices(std::string_view text) {
  constexpr std::string_view kAttribute = "[[buffer(";
  std::vector<unsigned> indices;
  for (std::size_t at = text.find(kAttribute); at != std::string_view::npos;
       at = text.find(kAttribute, at)) {
    at += kAttribute.size();
    unsigned index = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), index);
    indices.push_back(index);
  }
  return indices;
}

Result<Translation> translate(std::string_view name, std::span<const std::uint32_t> words) {
  SEGUE_TRY_ASSIGN(const spirv::Module module, spirv::Module::parse(words));
  SEGUE_TRY_ASSIGN(const spirv::ShaderReflection reflection,
                   spirv::reflect(module, kEntryPoint, metal_constants(module)));
  const auto blocks = static_cast<unsigned>(reflection.blocks.size());
  // Behind the last of them there may be the sizes of views.
  if (blocks >= kMostBuffers)
    return refuse("It takes {} buffers; at most {} are allowed.", blocks, kMostBuffers - 1);
  SEGUE_TRY_ASSIGN(Prepared prepared, prepare(words));

  Translation result;
  result.name = name;
  result.signature = spirv::signature_of(reflection, {});
  result.shared_bytes =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(reflection.shared_bytes, UINT32_MAX));
  result.frozen = std::move(prepared.frozen);
  result.function_constants = std::move(prepared.remaining);
  if (reflection.wants_grid()) {
    result.grid_index = static_cast<int>(blocks) - 1;
    result.grid_size_bytes = kGridBytes;
  }

  Cross cross;
  SEGUE_TRY(cross.open(prepared.words));
  SEGUE_TRY(cross.set_options(blocks));
  for (unsigned i = 0; i < blocks; ++i) SEGUE_TRY(cross.bind(i));
  const std::string entry_point = fmt::format("segue_{}", name);
  SEGUE_TRY(cross.rename_entry_point(entry_point));
  SEGUE_TRY_ASSIGN(const std::string text, cross.compile());
  result.text = std::string(kPreamble) + text;
  result.entry_point = cross.entry_point(entry_point);
  if (cross.needs_view_sizes()) {
    result.view_sizes_index = static_cast<int>(blocks);
    result.view_sizes_count = blocks;
  }
  SEGUE_TRY(check_size(result));
  SEGUE_TRY(check_indices(result, blocks));
  return result;
}

}  // namespace segue::metal::translator
