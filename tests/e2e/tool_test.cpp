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
#include <nlohmann/json.hpp>
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
  for (const char* figure : {"160 tokens", "tok/s", "34 dispatches", "33 barriers", "elision"}) {
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
  for (const char* command : {"generate", "synth", "graph", "check", "profile", "devices"}) {
    EXPECT_NE(ended.out.find(command), std::string::npos) << command;
  }
}

TEST_F(Tool, DevicesListsTheHost) {
  const Ended ended = run("devices");
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_NE(ended.out.find("host"), std::string::npos);
}

TEST_F(Tool, GraphReportsEachScheduleOfAModelsStep) {  // row E1
  const Ended ended = run("graph --no-fuse" + model("q8_0") + "--device host");
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  for (const char* part : {"recorded", "lookahead", "critical_path", "elided", "transient"})
    EXPECT_NE(ended.out.find(part), std::string::npos) << part << " in " << ended.out;
  EXPECT_EQ(ended.out.find("fusion"), std::string::npos);
  EXPECT_NE(run("graph" + model("q8_0") + "--device host").out.find("fusion"), std::string::npos);
}

TEST_F(Tool, GraphShowsAModelOfWhichOnlyTheShapeIsKnown) {  // row E1
  const Ended ended = run("graph --shape llama-3-8b --type q4_0 --no-fuse --json --device host");
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["graph"]["nodes"], 32 * 19 + 6);
  EXPECT_EQ(json["graph"]["unannotated"], 0);
  ASSERT_EQ(json["schedules"].size(), 3U);
  for (const auto& schedule : json["schedules"]) {
    EXPECT_EQ(schedule["dispatches"], 32 * 19 + 6);
    EXPECT_EQ(schedule["critical_path"].get<int>() - 1, schedule["bound"].get<int>());
    EXPECT_GE(schedule["barriers"], schedule["bound"]);
  }
  EXPECT_EQ(json["schedules"][2]["schedule"], "critical_path");
  EXPECT_EQ(json["schedules"][2]["barriers"], json["schedules"][2]["bound"]);
  EXPECT_TRUE(json["fusion"].is_null());
  EXPECT_GT(json["placement"]["buffers"], 0);
}

TEST_F(Tool, GraphSavesWhatItReportsOfAgain) {  // row E1
  const std::string file = (folder_ / "step.json").string();
  const std::string flags = " --no-fuse --json --device host";
  const Ended saved = run("graph" + model("q4_0") + flags + " --save " + file);
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  const Ended loaded = run("graph " + file + flags + " --save " + file + "2");
  ASSERT_EQ(loaded.exit_code, 0) << loaded.err;
  EXPECT_EQ(loaded.out, saved.out);
  EXPECT_EQ(read_file(file + "2"), read_file(file));
  EXPECT_FALSE(read_file(file).empty());
  const Ended dot = run("graph " + file + " --dot --device host");
  EXPECT_EQ(dot.out.rfind("digraph segue {", 0), 0U);
}

TEST_F(Tool, GraphSaysWhatIsWrongWithAFile) {  // row E1
  const std::string file = (folder_ / "noise.json").string();
  std::ofstream(file) << "{\"segue_graph\": 7}";
  for (const std::string& arguments : std::vector<std::string>{
           file, folder_.string() + "/missing.json", folder_.string(), "--shape llama-9",
           "--shape llama-3-8b --type q9_9", "--shape llama-3.2-1b --save /nowhere/at/all"}) {
    const Ended ended = run("graph --device host " + arguments);
    EXPECT_EQ(ended.exit_code, 1) << arguments;
    EXPECT_TRUE(ended.out.empty()) << ended.out;
    EXPECT_EQ(ended.err.rfind("segue: ", 0), 0U) << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  }
  EXPECT_EQ(run("graph --json --dot").exit_code, 2);
  EXPECT_EQ(run("graph " + file + " --shape llama-3-8b").exit_code, 2);
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

TEST_F(Tool, CheckFindsNothingWrongWithADecodingStep) {  // row L4
  const Ended ended = run("check" + model("q8_0") + "--orders 3 --device host");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("As recorded, 120 dispatches:"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("0 skipped, 0 findings"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("\nGood: "), std::string::npos) << ended.out;
  EXPECT_EQ(ended.out.find("Bad: "), std::string::npos) << ended.out;
  EXPECT_TRUE(ended.err.empty()) << ended.err;
}

TEST_F(Tool, CheckFindsNothingWrongOnVulkan) {  // row L4
  if (!has_device("vulkan")) GTEST_SKIP() << "vulkan is missing.";
  const Ended ended = run("check" + model("q8_0") + "--orders 2 --device vulkan");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("0 skipped, 0 findings"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("\nGood: "), std::string::npos) << ended.out;
}

TEST_F(Tool, ProfileNamesEachKernelOfAToken) {  // row J5
  const Ended ended = run("profile" + model("q8_0") + "-n 3 --prompt 20 --device host");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("34 dispatches, 33 barriers, 34 levels a token"), std::string::npos)
      << ended.out;
  for (const char* text :
       {"attention_f16", "sample", "GB/s", "the device idles", "prompt of 20 tokens"}) {
    EXPECT_NE(ended.out.find(text), std::string::npos) << text << " in " << ended.out;
  }
  const Ended beyond = run("profile" + model("q8_0") + "-n 3 --position 100000 --device host");
  EXPECT_EQ(beyond.exit_code, 1);
  EXPECT_NE(beyond.err.find("100000"), std::string::npos) << beyond.err;
}

TEST_F(Tool, CheckTakesASavedGraph) {  // row L4
  const std::string file = (folder_ / "step.json").string();
  const Ended saved = run("graph" + model("q8_0") + "--no-fuse --device host --save " + file);
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  const Ended ended = run("check " + file + " --orders 3 --no-fuse --device host");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("\nGood: "), std::string::npos) << ended.out;
  const Ended missing = run("check " + folder_.string() + "/missing.json --device host");
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_EQ(missing.err.rfind("segue: ", 0), 0U) << missing.err;
  EXPECT_EQ(run("check " + file + model("q8_0")).exit_code, 2) << "a file or a model";
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
