// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace segue::base {

/// Base of objects that count their own references, so that a handle is one pointer and a recording
/// can keep an object alive without allocating. Starts with no reference. Thread-safe.
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  [[nodiscard]] std::uint32_t reference_count() const noexcept {
    return references_.load(std::memory_order_relaxed);
  }

 protected:
  virtual ~RefCounted() = default;
  /// release() for objects that decide themselves what happens then. True: that was the last
  /// reference, and destroy() was not called.
  [[nodiscard]] bool release_undestroyed() noexcept {
    return references_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  /// Called when the last reference goes. Recycled objects override it.
  virtual void destroy() noexcept { delete this; }

 private:
  std::atomic<std::uint32_t> references_{0};
};

/// Owning pointer to a RefCounted object.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) noexcept : object_(object) {
    if (object_ != nullptr) object_->retain();
  }
  Ref(const Ref& other) noexcept : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->release();
  }

  [[nodiscard]] T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  friend bool operator==(const Ref&, const Ref&) = default;

 private:
  T* object_ = nullptr;
};

}  // namespace segue::base
