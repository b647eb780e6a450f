// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace segue::tool {

/// A bar on standard error for something that takes long. Shows nothing when standard error is no
/// terminal, and goes away when it is done.
class ProgressBar {
 public:
  explicit ProgressBar(std::string title);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();

  void show(std::size_t done, std::size_t total);

 private:
  std::string title_;
  bool terminal_;
  int shown_percent_ = -1;
};

}  // namespace segue::tool
