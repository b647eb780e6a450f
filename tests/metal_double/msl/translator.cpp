// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/translator.hpp"

#include "metal_double/msl/constants.hpp"
#include "metal_double/msl/declarations.hpp"
#include "metal_double/msl/entries.hpp"
#include "metal_double/msl/kernels.hpp"
#include "metal_double/msl/words.hpp"

namespace metal_double::msl {

std::expected<std::string, std::string> translate(std::string_view preprocessed) {
  Tokens tokens(preprocessed);
  const Declarations declarations = read_declarations(tokens);
  translate_words(tokens);
  const auto constants = translate_constants(tokens, declarations.constants);
  if (!constants) return std::unexpected(constants.error());
  const auto kernels = translate_kernels(tokens, declarations.functions);
  if (!kernels) return std::unexpected(kernels.error());
  erase_address_space_overloads(tokens, declarations.functions);
  return "#include <metal_stdlib>\n#include <segue_msl/kernel_support>\n" + tokens.output() +
         "\n# 1 \"kernel_entries\"\n" + write_entries(tokens, declarations, *constants, *kernels);
}

}  // namespace metal_double::msl
