// SPDX-License-Identifier: Apache-2.0
#include "shipped_model.hpp"

#include <filesystem>
#include <string_view>

#include "base/fail.hpp"

namespace segue::tool {

namespace fs = std::filesystem;

Result<std::string> find_shipped_model() {
  constexpr std::string_view kPlaces[] = {"models", "share/segue/models"};
  std::error_code error;
  for (fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
       !error && folder != folder.root_path(); folder = folder.parent_path()) {
    for (const std::string_view place : kPlaces) {
      const fs::path model = folder / place / "tales-q8_0.gguf";
      if (fs::exists(model, error)) return model.string();
    }
  }
  return base::fail(
      ErrorCode::kNotFound,
      "The model that ships with Segue is not beside this program; name one with -m.");
}

}  // namespace segue::tool
