// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "unit/architecture/source_tree.hpp"

namespace segue::architecture {

/// A method or free function that users may call. Overloads are one.
struct ApiMethod {
  std::string header;  ///< File name, such as "device.hpp".
  std::string name;    ///< Below namespace segue, such as "Device::name" or "ops::Ops::add".

  friend auto operator<=>(const ApiMethod&, const ApiMethod&) = default;
};

/// The names of the public methods and free functions that a header declares, sorted, each once.
///
/// Left out are constructors, destructors, operators, friends, what is private or protected, what a
/// comment marks as "For the library itself", and the namespaces that are rooms of the library
/// (base, ir, runtime) or named detail. It knows as much C++ as our headers use.
std::vector<std::string> public_methods(std::string_view text);

/// Those of all headers of include/segue but the backends' own.
std::vector<ApiMethod> public_api(const std::vector<SourceFile>& tree);

}  // namespace segue::architecture
