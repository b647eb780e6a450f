// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fail.hpp"
#include "segue/error.hpp"

namespace segue::runtime::json {

using Document = nlohmann::json;

/// Parses untrusted text. Its size, depth and number of values are bounded before any of it is
/// kept, and no object has a key twice.
///
/// @error kInvalidArgument  It is no JSON, or beyond the bounds.
[[nodiscard]] Result<Document> parse(std::string_view text);

/// A value of an untrusted document and the way to it, for messages: every access checks, and says
/// what stands where. Borrows the document and the values on the way, so each is kept in a variable
/// as long as what was taken from it.
class Value {
 public:
  explicit Value(const Document& document) : json_(&document) {}

  /// An error that says of this value what `format` says: "In the graph, nodes[3] …".
  template <class... Args>
  [[nodiscard]] std::unexpected<Error> fail(fmt::format_string<Args...> format,
                                            Args&&... args) const {
    return fail_as(ErrorCode::kInvalidArgument, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  [[nodiscard]] std::unexpected<Error> fail_as(ErrorCode code, fmt::format_string<Args...> format,
                                               Args&&... args) const {
    return base::fail(code, "In the graph, {} {}", path(),
                      fmt::format(format, std::forward<Args>(args)...));
  }
  /// The same error, as one that this value is the cause of.
  [[nodiscard]] std::unexpected<Error> blame(Error error) const;
  [[nodiscard]] std::string path() const;

  /// @name Members of an object. A key that is missing or of another type is an error.
  /// @{
  /// Refuses other keys than these, and all that is no object.
  [[nodiscard]] Result<> allow(std::initializer_list<std::string_view> keys) const;
  [[nodiscard]] bool has(std::string_view key) const { return json_->contains(key); }
  [[nodiscard]] Result<Value> member(std::string_view key) const;
  [[nodiscard]] Result<Value> list(std::string_view key, std::uint64_t most) const;
  /// From 0 to `most`.
  [[nodiscard]] Result<std::uint64_t> number(std::string_view key, std::uint64_t most) const;
  [[nodiscard]] Result<std::uint32_t> number32(std::string_view key) const;
  /// The place of one of `count` things, counted from 0.
  [[nodiscard]] Result<std::size_t> index(std::string_view key, std::size_t count) const;
  [[nodiscard]] Result<bool> flag(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> name(std::string_view key) const;
  /// Bytes in hexadecimal.
  [[nodiscard]] Result<std::vector<std::byte>> bytes(std::string_view key) const;
  template <class T, std::size_t kCount>
  [[nodiscard]] Result<T> choice(std::string_view key,
                                 const std::pair<std::string_view, T> (&table)[kCount]) const {
    SEGUE_TRY_ASSIGN(const std::string_view text, name(key));
    const auto found = std::ranges::find(table, text, &std::pair<std::string_view, T>::first);
    if (found != std::end(table)) return found->second;
    return unknown_choice(key, text);
  }
  /// @}

  /// @name Elements of a list.
  /// @{
  [[nodiscard]] std::size_t size() const { return json_->size(); }
  [[nodiscard]] Value operator[](std::size_t i) const { return Value((*json_)[i], this, {}, i); }
  [[nodiscard]] Result<std::uint64_t> as_number(std::uint64_t most) const;
  /// @}

 private:
  Value(const Document& json, const Value* parent, std::string_view key, std::size_t position)
      : json_(&json), parent_(parent), key_(key), position_(position) {}
  [[nodiscard]] std::unexpected<Error> unknown_choice(std::string_view key,
                                                      std::string_view text) const;

  const Document* json_;
  const Value* parent_ = nullptr;
  std::string_view key_;  // of a member
  std::size_t position_ = 0;
};

}  // namespace segue::runtime::json
