// SPDX-License-Identifier: Apache-2.0
//
// segue_translate_msl <kernel> <words of SPIR-V> <include file>
//
// Part of the build: makes the MSL of a kernel, and what the Metal backend needs to know of it.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "backends/metal/kernels/translator/include_file.hpp"
#include "base/fail.hpp"

namespace {

using segue::Result;
namespace translator = segue::metal::translator;

Result<> run(const std::string& kernel, const std::string& input, const std::string& output) {
  std::ifstream in(input, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return segue::base::fail(segue::ErrorCode::kIo, "File \"{}\" cannot be read.", input);
  SEGUE_TRY_ASSIGN(const auto words, translator::read_words(std::move(text).str()));
  SEGUE_TRY_ASSIGN(const auto translation, translator::translate(kernel, words));
  std::ofstream out(output, std::ios::binary | std::ios::trunc);
  out << translator::include_file(translation);
  out.close();
  if (!out)
    return segue::base::fail(segue::ErrorCode::kIo, "File \"{}\" cannot be written.", output);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "Usage: {} <kernel> <words of SPIR-V> <include file>\n", argv[0]);
    return 2;
  }
  const auto result = run(argv[1], argv[2], argv[3]);
  if (result) return 0;
  fmt::print(stderr, "Kernel {}: {}\n", argv[1], result.error().message);
  return 1;
}
