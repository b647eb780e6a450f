// SPDX-License-Identifier: Apache-2.0
// Functions of vectors in space.
#pragma once

namespace metal {

template <typename T>
  requires kIsVector<T>
SEGUE_MSL_INLINE Element<T> dot(T a, Same<T> b) {
  Element<T> sum = a[0] * b[0];
  for (int i = 1; i < Traits<T>::kSize; ++i) sum += a[i] * b[i];
  return sum;
}
template <typename T>
  requires kIsVector<T>
SEGUE_MSL_INLINE Element<T> length_squared(T x) {
  return dot(x, x);
}
template <typename T>
  requires kIsVector<T>
SEGUE_MSL_INLINE Element<T> length(T x) {
  return sqrt(dot(x, x));
}
template <typename T>
  requires kIsVector<T>
SEGUE_MSL_INLINE Element<T> distance(T a, Same<T> b) {
  return length(T(a - b));
}
template <typename T>
  requires kIsVector<T>
SEGUE_MSL_INLINE Element<T> distance_squared(T a, Same<T> b) {
  return length_squared(T(a - b));
}
template <typename T>
  requires kIsVector<T>
SEGUE_MSL_INLINE T normalize(T x) {
  return x * rsqrt(dot(x, x));
}
template <typename T>
SEGUE_MSL_INLINE vec<T, 3> cross(vec<T, 3> a, vec<T, 3> b) {
  return a.yzx * b.zxy - a.zxy * b.yzx;
}

}  // namespace metal
