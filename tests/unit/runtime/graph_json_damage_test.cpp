// SPDX-License-Identifier: Apache-2.0
//
// Texts that are no graph: each is refused with a sentence that says where and why, or is a graph
// after all, with which everything can be done.
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "support/test_seed.hpp"
#include "unit/runtime/graph_json_fixture.hpp"

namespace segue::test {
namespace {

using Json = nlohmann::json;

class GraphJsonDamageTest : public GraphJsonTest {
 protected:
  GraphJsonDamageTest() : text_(everything().to_json().value()), json_(Json::parse(text_)) {}

  [[nodiscard]] Result<Graph> load(const std::string& text) const {
    return Graph::from_json(device(), text);
  }
  [[nodiscard]] Result<Graph> load(const Json& json) const { return load(json.dump()); }

  /// Whether the text was refused; everything that was not must be a graph.
  bool refused(const std::string& text) const {
    const Result<Graph> graph = load(text);
    if (!graph) {
      EXPECT_FALSE(graph.error().message.empty());
      EXPECT_EQ(graph.error().message.back(), '.') << graph.error().message;
      return true;
    }
    EXPECT_EQ(graph->report().dispatches, graph->dispatch_count());
    EXPECT_TRUE(graph->certify().valid());
    EXPECT_FALSE(graph->to_string().empty());
    EXPECT_TRUE(graph->to_json().has_value());
    return false;
  }

  std::string text_;
  Json json_;
};

/// The way to each value of a document.
std::vector<Json::json_pointer> pointers(const Json& json,
                                         const Json::json_pointer& at = Json::json_pointer()) {
  std::vector<Json::json_pointer> all{at};
  if (!json.is_structured()) return all;
  for (const auto& [key, value] : json.items()) {
    const Json::json_pointer child =
        json.is_array() ? at / static_cast<std::size_t>(std::stoul(key)) : at / key;
    for (Json::json_pointer& pointer : pointers(value, child)) all.push_back(std::move(pointer));
  }
  return all;
}

TEST_F(GraphJsonDamageTest, TheTextItselfIsAGraph) {  // row E1
  EXPECT_FALSE(refused(text_));
  EXPECT_FALSE(refused(json_.dump())) << "The order of keys is free.";
}

TEST_F(GraphJsonDamageTest, EachMissingKeyIsRefusedOrOptional) {  // row E1
  const std::set<std::string> optional{"constants", "label",  "scope",    "parent",
                                       "max",       "slot",   "slots",    "unannotated",
                                       "reads",     "writes", "grid_slot"};
  std::size_t removed = 0;
  for (const Json::json_pointer& pointer : pointers(json_)) {
    if (pointer.empty() || !json_[pointer.parent_pointer()].is_object()) continue;
    Json damaged = json_;
    damaged[pointer.parent_pointer()].erase(pointer.back());
    const bool is_refused = refused(damaged.dump());
    const bool required = !optional.contains(pointer.back()) || pointer.parent_pointer().empty();
    EXPECT_TRUE(is_refused || !required) << pointer.to_string();
    ++removed;
  }
  EXPECT_GT(removed, 150u);
}

TEST_F(GraphJsonDamageTest, EachValueOfAnotherKindIsRefused) {  // row E1
  const Json others[] = {-1,   1e300,     1.5, Json(nullptr), "text", Json::array(), Json::object(),
                         true, UINT64_MAX};
  for (const Json::json_pointer& pointer : pointers(json_)) {
    if (pointer.empty()) continue;
    for (const Json& other : others) {
      const Json& value = json_[pointer];
      Json damaged = json_;
      damaged[pointer] = other;
      const bool is_refused = refused(damaged.dump());
      const bool same_kind = other.type() == value.type() ||
                             (other.is_number_unsigned() && value.is_number_unsigned());
      EXPECT_TRUE(is_refused || same_kind) << pointer.to_string() << " as " << other.dump();
    }
  }
}

TEST_F(GraphJsonDamageTest, NumbersNearTheirLimitsNeverCrash) {  // row E1
  for (const Json::json_pointer& pointer : pointers(json_)) {
    const Json& value = json_[pointer];
    if (!value.is_number()) continue;
    const auto number = value.get<std::uint64_t>();
    for (const std::uint64_t other :
         {std::uint64_t{0}, number + 1, number - 1, 2 * number, std::uint64_t{UINT32_MAX},
          std::uint64_t{UINT32_MAX} + 1, std::uint64_t{1} << 63, UINT64_MAX - 1}) {
      Json damaged = json_;
      damaged[pointer] = other;
      refused(damaged.dump());
    }
  }
}

TEST_F(GraphJsonDamageTest, RandomDamageNeverCrashes) {  // row E1
  std::mt19937_64 random(test_seed());
  const std::string letters = "{}[]\",:0123456789-eE.truefalsenull \\\xff\n";
  std::size_t graphs = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = text_;
    const std::size_t changes = 1 + random() % 3;
    for (std::size_t change = 0; change < changes; ++change) {
      const std::size_t at = random() % damaged.size();
      switch (random() % 4) {
        case 0: damaged[at] = static_cast<char>(random()); break;
        case 1: damaged[at] = letters[random() % letters.size()]; break;
        case 2: damaged.erase(at, 1 + random() % 8); break;
        default: damaged.insert(at, 1, letters[random() % letters.size()]); break;
      }
      if (damaged.empty()) damaged = "x";
    }
    graphs += refused(damaged) ? 0 : 1;
  }
  EXPECT_GT(graphs, 0u) << "Some damage is in labels only.";
}

TEST_F(GraphJsonDamageTest, EachCutTextIsRefused) {  // row E1
  for (std::size_t size = 0; size + 2 < text_.size(); size += 7)
    EXPECT_TRUE(refused(text_.substr(0, size))) << size;
}

TEST_F(GraphJsonDamageTest, TheMessageSaysWhereAndWhy) {  // row E1
  const auto message_of = [&](const char* pointer, const Json& value,
                              std::initializer_list<std::string_view> parts) {
    Json damaged = json_;
    damaged[Json::json_pointer(pointer)] = value;
    expect_failure(load(damaged), ErrorCode::kInvalidArgument, parts);
  };
  message_of("/segue_graph", 2, {"version 2", "version 1"});
  message_of("/device", "vulkan", {"\"vulkan\"", "\"fake\""});
  message_of("/barriers", "some", {"\"some\"", "barriers"});
  message_of("/buffers/0/size", 0, {"buffers[0]", "0 bytes", "at least 1"});
  message_of("/buffers/1/size", std::uint64_t{1} << 40, {"buffers[1].size", "1099511627776"});
  message_of("/buffers/1/memory_offset", std::uint64_t{1} << 30, {"buffers[1].memory_offset"});
  message_of("/buffers/0/memory", 99, {"buffers[0].memory", "99"});
  message_of("/kernels/0/signature", "r w", {"kernels[0]", "\"r w\"", "\"r rw b8\""});
  message_of("/nodes/0/kernel", 77, {"nodes[0].kernel", "77"});
  message_of("/nodes/0/colour", "red", {"nodes[0]", "colour"});
  message_of("/nodes/0/kind", "native", {"nodes[0]", "native"});
  message_of("/nodes/0/op", "Dance", {"nodes[0]", "Dance"});
  message_of("/nodes/0/arguments/0/offset", 1, {"nodes[0].arguments[0]", "65", "64"});
  message_of("/nodes/0/arguments/0/offset", UINT64_MAX, {"nodes[0].arguments[0]"});
  message_of("/nodes/0/arguments/2/bytes", "00", {"nodes[0]", "1 inline bytes", "8"});
  message_of("/nodes/0/arguments/2/bytes", "0x00", {"nodes[0].arguments[2].bytes", "byte 0"});
  message_of("/nodes/0/arguments/2", json_["nodes"][0]["arguments"][0], {"nodes[0]", "settings"});
  message_of("/nodes/0/grid", Json{{"threads", {1, 2}}}, {"nodes[0].grid.threads", "3"});
  message_of("/nodes/0/grid/threads/0", UINT32_MAX, {"nodes[0]", "65535"});
  message_of("/nodes/0/group_size/0", 5000, {"nodes[0]", "5000", "1024"});
  message_of("/slots/0/name", "all", {"slots[", "twice"});
  message_of("/scopes/0/parent", 0, {"scopes[0].parent"});
}

TEST_F(GraphJsonDamageTest, AKernelThatIsNotThereIsNotFound) {  // row E1
  Json damaged = json_;
  damaged["kernels"][0]["name"] = "missing";
  expect_failure(load(damaged), ErrorCode::kNotFound, {"kernels[0]", "\"missing\""});
}

TEST_F(GraphJsonDamageTest, TextsBeyondAllBoundsAreRefusedBeforeTheyAreKept) {  // row E1
  expect_failure(load(std::string(100000, '[')), ErrorCode::kInvalidArgument, {"deeper"});
  std::string many = "{\"segue_graph\":[0";
  for (int i = 0; i < 5000000; ++i) many += ",0";
  expect_failure(load(many + "]}"), ErrorCode::kInvalidArgument, {"values"});
  expect_failure(load(std::string((std::size_t{256} << 20) + 1, ' ')), ErrorCode::kInvalidArgument,
                 {"268435457", "268435456"});
  expect_failure(load(std::string("{\"a\":1,\"a\":2}")), ErrorCode::kInvalidArgument,
                 {"\"a\" twice"});
  Json damaged = json_;
  for (std::size_t i = 0; i < 300; ++i) {
    damaged["scopes"].push_back({{"name", "inner"}, {"parent", damaged["scopes"].size() - 1}});
  }
  expect_failure(load(damaged), ErrorCode::kInvalidArgument, {"scopes[", "256"});
}

}  // namespace
}  // namespace segue::test
