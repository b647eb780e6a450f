// SPDX-License-Identifier: Apache-2.0
//
// The segue tool as a person or a script meets it: what goes where, and how it ends.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "e2e/golden.hpp"

namespace segue::e2e {
namespace {

namespace fs = std::filesystem;

struct Ended {
  int exit_code = -1;
  std::string out;
  std::string err;
};

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

class Tool : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() /
        ("segue-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) +
         std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Ended run(const std::string& arguments) const {
    const fs::path out = folder_ / "out", err = folder_ / "err";
    const std::string command = std::string(SEGUE_TOOL) + " " + arguments + " >" + out.string() +
                                " 2>" + err.string() + " </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
  }

  fs::path folder_;
};

std::string model(const std::string& format) { return " -m " + tales_model(format) + " "; }

TEST_F(Tool, GenerateStreamsTheTextAndOnlyTheText) {
  const GoldenPrompt golden = golden_prompts("f16")[0];
  const Ended ended =
      run("generate" + model("f16") + "-p '" + golden.prompt + "' -n 160 --temp 0 --device host");
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_EQ(ended.out, " " + golden.greedy_text);
  EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1);
  for (const char* figure : {"160 tokens", "tok/s", "119 dispatches", "88 barriers", "elision"}) {
    EXPECT_NE(ended.err.find(figure), std::string::npos) << figure << " in " << ended.err;
  }
}

TEST_F(Tool, EchoPutsThePromptFirst) {
  const Ended ended =
      run("generate" + model("q8_0") + "-p 'Once upon a time' -n 5 --temp 0 --echo --device host");
  EXPECT_EQ(ended.out.rfind("Once upon a time there lived", 0), 0U) << ended.out;
}

TEST_F(Tool, AnEmptyPromptStartsFromTheFirstTokenAlone) {
  const Ended ended = run("generate" + model("q8_0") + "-p '' -n 12 --temp 0 --device host");
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_FALSE(ended.out.empty());
}

TEST_F(Tool, ASeedMakesSamplingRepeatable) {
  const std::string arguments =
      "generate" + model("q8_0") + "-n 40 --temp 1 --top-k 50 --top-p 0.9 --device host --seed ";
  const Ended first = run(arguments + "5");
  EXPECT_EQ(first.exit_code, 0);
  EXPECT_EQ(run(arguments + "5").out, first.out);
  EXPECT_NE(run(arguments + "6").out, first.out);
}

TEST_F(Tool, WrongUsageEndsWithTwo) {
  EXPECT_EQ(run("").exit_code, 2);
  EXPECT_EQ(run("generate --no-such-option").exit_code, 2);
  EXPECT_EQ(run("generate -n many").exit_code, 2);
  EXPECT_EQ(run("generate --temp -1").exit_code, 2);
  EXPECT_EQ(run("synth --shape llama-3.2-1b").exit_code, 2);
  EXPECT_EQ(run("dance").exit_code, 2);
}

TEST_F(Tool, HelpNamesTheCommands) {
  const Ended ended = run("--help");
  EXPECT_EQ(ended.exit_code, 0);
  for (const char* command : {"generate", "synth", "devices"}) {
    EXPECT_NE(ended.out.find(command), std::string::npos) << command;
  }
}

TEST_F(Tool, DevicesListsTheHost) {
  const Ended ended = run("devices");
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_NE(ended.out.find("host"), std::string::npos);
}

TEST_F(Tool, FailuresAreOneSentenceAndEndWithOne) {
  std::ofstream(folder_ / "noise.gguf") << "this is no model at all, whatever its name says";
  const std::string whole = read_file(tales_model("q4_0"));
  std::ofstream(folder_ / "cut.gguf", std::ios::binary) << whole.substr(0, whole.size() / 2);
  const std::string folder = folder_.string();
  const std::string long_prompt(6000, 'x');
  for (const std::string& arguments : std::vector<std::string>{
           "-m " + folder + "/missing.gguf", "-m " + folder, "-m " + folder + "/noise.gguf",
           "-m " + folder + "/cut.gguf", model("q8_0") + "--device teapot",
           model("q8_0") + "--device host:x", model("q8_0") + "-p " + long_prompt}) {
    const Ended ended = run("generate -n 4 " + arguments);
    EXPECT_EQ(ended.exit_code, 1) << arguments.substr(0, 80);
    EXPECT_TRUE(ended.out.empty()) << ended.out;
    EXPECT_EQ(ended.err.rfind("segue: ", 0), 0U) << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  }
}

TEST_F(Tool, SynthWritesAModelThatGenerateRuns) {
  const std::string file = (folder_ / "own.gguf").string();
  const Ended synth =
      run("synth --layers 2 --width 64 --heads 4 --kv-heads 2 --head-size 32 --ffn 96 "
          "--vocab 300 --context 64 --type q4_0 --tied -o " +
          file);
  EXPECT_EQ(synth.exit_code, 0) << synth.err;
  EXPECT_TRUE(synth.out.empty());
  const Ended generate = run("generate -m " + file + " -p hello -n 20 --temp 0 --device host");
  EXPECT_EQ(generate.exit_code, 0) << generate.err;
  const Ended refused = run("synth --shape llama-9 -o " + file);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("llama-3.2-1b"), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace segue::e2e
