// SPDX-License-Identifier: Apache-2.0
//
// The text is scanned once before anything is built from it: a document takes up to fifty times the
// bytes of its text, and the scan stops where that would be too much.
#include "runtime/graph_json_value.hpp"

namespace segue::runtime::json {
namespace {

constexpr std::size_t kMostTextBytes = std::size_t{256} << 20;
constexpr std::size_t kMostValues = std::size_t{4} << 20;
constexpr std::size_t kMostDepth = 8;
constexpr std::size_t kMostKeys = 32;
constexpr std::size_t kMostNameBytes = 4096;

/// Counts, and says what is too much.
class Scan final : public nlohmann::json_sax<Document> {
 public:
  std::string problem;

  bool null() override { return count(); }
  bool boolean(bool) override { return count(); }
  bool number_integer(number_integer_t) override { return count(); }
  bool number_unsigned(number_unsigned_t) override { return count(); }
  bool number_float(number_float_t, const string_t&) override { return count(); }
  bool string(string_t&) override { return count(); }
  bool binary(binary_t&) override { return count(); }
  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& key) override {
    std::vector<std::string>& known = keys_.back();
    if (std::ranges::find(known, key) != known.end())
      return refuse(fmt::format("has an object with the key \"{}\" twice", key.substr(0, 64)));
    if (known.size() == kMostKeys)
      return refuse(fmt::format("has an object of more than {} keys", kMostKeys));
    known.push_back(key);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return refuse(fmt::format("is no JSON from byte {} on", position));
  }

 private:
  bool refuse(std::string why) {
    problem = std::move(why);
    return false;
  }
  bool count() {
    return ++values_ <= kMostValues ||
           refuse(fmt::format("has more than {} values, which is the most", kMostValues));
  }
  bool open() {
    keys_.emplace_back();
    if (keys_.size() > kMostDepth)
      return refuse(fmt::format("nests deeper than {} levels, which is the most", kMostDepth));
    return count();
  }
  bool close() {
    keys_.pop_back();
    return true;
  }

  std::size_t values_ = 0;
  std::vector<std::vector<std::string>> keys_;  // of each open list and object
};

/// What a value is, for messages: short, whatever it holds.
std::string describe(const Document& json) {
  switch (json.type()) {
    case Document::value_t::object: return "an object";
    case Document::value_t::array: return fmt::format("a list of {}", json.size());
    case Document::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      return text.size() <= 64 ? fmt::format("\"{}\"", text)
                               : fmt::format("a text of {} bytes", text.size());
    }
    default: return json.dump();
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Result<Document> parse(std::string_view text) {
  if (text.size() > kMostTextBytes) {
    return base::fail(ErrorCode::kInvalidArgument,
                      "The text of the graph has {} bytes; it has at most {}.", text.size(),
                      kMostTextBytes);
  }
  Scan scan;
  if (!Document::sax_parse(text, &scan)) {
    return base::fail(ErrorCode::kInvalidArgument, "The text of the graph {}.", scan.problem);
  }
  Document document = Document::parse(text, nullptr, false);
  if (document.is_discarded())
    return base::fail(ErrorCode::kInvalidArgument, "The text of the graph is no JSON.");
  return document;
}

std::unexpected<Error> Value::blame(Error error) const {
  error.message = fmt::format("In the graph, {} is refused: {}", path(), error.message);
  return std::unexpected(std::move(error));
}

std::string Value::path() const {
  if (parent_ == nullptr) return "the document";
  const std::string before = parent_->parent_ == nullptr ? std::string() : parent_->path();
  if (key_.empty()) return fmt::format("{}[{}]", before, position_);
  return fmt::format("{}{}{}", before, before.empty() ? "" : ".", key_);
}

Result<> Value::allow(std::initializer_list<std::string_view> keys) const {
  if (!json_->is_object()) return fail("is {}; it is an object.", describe(*json_));
  for (const auto& entry : json_->items()) {
    if (std::ranges::find(keys, entry.key()) == keys.end()) {
      return fail("has the key \"{}\"; it may have {}.", entry.key().substr(0, 64),
                  fmt::join(keys, ", "));
    }
  }
  return {};
}

Result<Value> Value::member(std::string_view key) const {
  const auto found = json_->find(key);
  if (found == json_->end()) return fail("lacks \"{}\".", key);
  return Value(*found, this, key, 0);
}

Result<Value> Value::list(std::string_view key, std::uint64_t most) const {
  SEGUE_TRY_ASSIGN(const Value value, member(key));
  if (!value.json_->is_array()) return value.fail("is {}; it is a list.", describe(*value.json_));
  if (value.size() > most)
    return value.fail("has {} elements; it has at most {}.", value.size(), most);
  return value;
}

Result<std::uint64_t> Value::as_number(std::uint64_t most) const {
  const auto* number = json_->get_ptr<const Document::number_unsigned_t*>();
  if (number == nullptr || *number > most)
    return fail("is {}; it is a whole number from 0 to {}.", describe(*json_), most);
  return *number;
}

Result<std::uint64_t> Value::number(std::string_view key, std::uint64_t most) const {
  SEGUE_TRY_ASSIGN(const Value value, member(key));
  return value.as_number(most);
}

Result<std::uint32_t> Value::number32(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const std::uint64_t value, number(key, UINT32_MAX));
  return static_cast<std::uint32_t>(value);
}

Result<std::size_t> Value::index(std::string_view key, std::size_t count) const {
  SEGUE_TRY_ASSIGN(const Value value, member(key));
  SEGUE_TRY_ASSIGN(const std::uint64_t index, value.as_number(UINT64_MAX));
  if (index >= count) return value.fail("is {}, but there are {}, counted from 0.", index, count);
  return static_cast<std::size_t>(index);
}

Result<bool> Value::flag(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const Value value, member(key));
  if (!value.json_->is_boolean())
    return value.fail("is {}; it is true or false.", describe(*value.json_));
  return value.json_->get<bool>();
}

Result<std::string_view> Value::name(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const Value value, member(key));
  const auto* text = value.json_->get_ptr<const std::string*>();
  if (text == nullptr || text->size() > kMostNameBytes) {
    return value.fail("is {}; it is a text of at most {} bytes.", describe(*value.json_),
                      kMostNameBytes);
  }
  return std::string_view(*text);
}

Result<std::vector<std::byte>> Value::bytes(std::string_view key) const {
  SEGUE_TRY_ASSIGN(const Value value, member(key));
  const auto* text = value.json_->get_ptr<const std::string*>();
  if (text == nullptr || text->size() % 2 != 0)
    return value.fail("is {}; it is a text of two digits a byte.", describe(*value.json_));
  std::vector<std::byte> bytes(text->size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = hex_digit((*text)[2 * i]), low = hex_digit((*text)[2 * i + 1]);
    if (high < 0 || low < 0) return value.fail("has no two digits from 0 to f for byte {}.", i);
    bytes[i] = static_cast<std::byte>(16 * high + low);
  }
  return bytes;
}

std::unexpected<Error> Value::unknown_choice(std::string_view key, std::string_view text) const {
  return fail("says \"{}\" as \"{}\", which is none of the words that stand there.",
              text.substr(0, 64), key);
}

}  // namespace segue::runtime::json
