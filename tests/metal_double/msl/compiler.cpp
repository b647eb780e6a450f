// SPDX-License-Identifier: Apache-2.0
#include "metal_double/msl/compiler.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "metal_double/msl/translator.hpp"
#include "msl_runner_version.hpp"

namespace metal_double::msl {
namespace {

namespace fs = std::filesystem;
using Result = std::expected<void, std::string>;

/// The name under which compilers know the text, as Metal's does.
constexpr std::string_view kTextName = "program_source";

std::vector<std::string> architecture() {
#if defined(__x86_64__)
  // fma() without an instruction for it is a slow call, and so are conversions of half.
  if (__builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2")) return {"-march=x86-64-v3"};
#endif
  return {};
}

std::vector<std::string> preprocessor_flags() {
  return {"-x",
          "c++",
          "-std=c++20",
          "-E",
          "-nostdinc",
          "-fno-caret-diagnostics",
          "-D__METAL__=1",
          "-D__METAL_MACOS__=1",
          "-D__METAL_VERSION__=230",
          std::string("-I") + SEGUE_MSL_INCLUDE_DIR + "/preprocess"};
}

std::vector<std::string> compiler_flags() {
  std::vector<std::string> flags = {
      "-x", "c++", "-std=c++20", "-O2", "-fPIC", "-shared", "-Wno-everything",
      "-Werror=vla-extension", "-Werror=return-type", "-nostdinc", "-nostdlib++",
      "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-fdeclspec", "-fsigned-char",
      // Views of one buffer may have different types, and integers wrap.
      "-fno-strict-aliasing", "-fwrapv", "-fno-strict-float-cast-overflow",
      // As IEEE says, so that results can be compared with those of other processors.
      "-ffp-contract=off", "-fno-math-errno", "-Xclang", "-ffloat16-excess-precision=none",
      "-fno-caret-diagnostics", std::string("-I") + SEGUE_MSL_INCLUDE_DIR};
  for (std::string& flag : architecture()) flags.push_back(std::move(flag));
  for (const char* flag : {SEGUE_MSL_SANITIZER_FLAGS}) {
    if (*flag != '\0') flags.emplace_back(flag);
  }
  return flags;
}

/// FNV-1a with two starts.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) add_byte(static_cast<unsigned char>(c));
    add_byte(0xff);
  }
  std::string text() const { return fmt::format("{:016x}{:016x}", values_[0], values_[1]); }

 private:
  void add_byte(unsigned char byte) {
    for (std::uint64_t& value : values_) value = (value ^ byte) * 0x100000001b3u;
  }
  std::uint64_t values_[2] = {0xcbf29ce484222325u, 0x9e3779b97f4a7c15u};
};

std::string key_of(std::string_view source, const std::map<std::string, std::string>& macros) {
  Hash hash;
  hash.add(kRunnerVersion);
  hash.add(SEGUE_MSL_COMPILER);
  for (const std::string& flag : compiler_flags()) hash.add(flag);
  for (const auto& [name, value] : macros) {
    hash.add(name);
    hash.add(value);
  }
  hash.add(source);
  return hash.text();
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Result write_file(const fs::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (file) return {};
  return std::unexpected(fmt::format("The file \"{}\" cannot be written.", path.string()));
}

/// Files of one compilation. They are gone at its end.
class ScratchFiles {
 public:
  ScratchFiles(const fs::path& folder, const std::string& key) {
    static std::atomic<unsigned> count = 0;
    base_ = folder / fmt::format("{}.{}.{}", key, ::getpid(), count.fetch_add(1));
  }
  ScratchFiles(const ScratchFiles&) = delete;
  ScratchFiles& operator=(const ScratchFiles&) = delete;
  ~ScratchFiles() {
    std::error_code ignored;
    for (const fs::path& path : paths_) fs::remove(path, ignored);
  }
  fs::path operator()(std::string_view suffix) {
    paths_.emplace_back(base_.string() + std::string(suffix));
    return paths_.back();
  }

 private:
  fs::path base_;
  std::vector<fs::path> paths_;
};

/// Runs the compiler; its log is the error.
Result run_compiler(std::vector<std::string> arguments, const fs::path& log) {
  arguments.insert(arguments.begin(), SEGUE_MSL_COMPILER);
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0644);
  pid_t child = 0;
  const int error =
      posix_spawn(&child, SEGUE_MSL_COMPILER, &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return std::unexpected(fmt::format("The compiler \"{}\" does not start: {}.",
                                       SEGUE_MSL_COMPILER, std::strerror(error)));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return std::unexpected(read_file(log));
}

std::string with_macros(std::string_view source, const std::map<std::string, std::string>& macros) {
  std::string text;
  for (const auto& [name, value] : macros) text += fmt::format("#define {} {}\n", name, value);
  return text + fmt::format("#line 1 \"{}\"\n{}\n", kTextName, source);
}

Result compile_new(std::string_view source, const std::map<std::string, std::string>& macros,
                   ScratchFiles& files, const fs::path& library) {
  const fs::path text = files(".metal");
  const fs::path preprocessed = files(".ii");
  const fs::path translated = files(".cpp");
  const fs::path log = files(".log");
  if (auto done = write_file(text, with_macros(source, macros)); !done) return done;
  std::vector<std::string> arguments = preprocessor_flags();
  arguments.insert(arguments.end(), {text.string(), "-o", preprocessed.string()});
  if (auto done = run_compiler(arguments, log); !done) return done;

  const auto translation = translate(read_file(preprocessed));
  if (!translation) {
    return std::unexpected(fmt::format("{}: error: {}\n", kTextName, translation.error()));
  }
  if (auto done = write_file(translated, *translation); !done) return done;
  arguments = compiler_flags();
  arguments.insert(arguments.end(), {translated.string(), "-lm", "-o", library.string()});
  return run_compiler(arguments, log);
}

}  // namespace

std::expected<fs::path, std::string> compile_to_library(
    std::string_view source, const std::map<std::string, std::string>& macros) {
  const fs::path folder = SEGUE_MSL_CACHE_DIR;
  std::error_code error;
  fs::create_directories(folder, error);
  const std::string key = key_of(source, macros);
  fs::path library = folder / (key + ".so");
  if (fs::exists(library, error)) return library;

  ScratchFiles files(folder, key);
  const fs::path unfinished = files(".so");
  if (auto done = compile_new(source, macros, files, unfinished); !done) {
    return std::unexpected(done.error());
  }
  // Whoever compiles the same text at the same time has written the same library.
  fs::rename(unfinished, library, error);
  if (error) {
    return std::unexpected(
        fmt::format("The library \"{}\" cannot be kept: {}.", library.string(), error.message()));
  }
  return library;
}

}  // namespace metal_double::msl
