// SPDX-License-Identifier: Apache-2.0
// Questions about numbers, and choices by their answers.
#pragma once

namespace metal {

template <int N>
struct Answer {
  using Type = BoolVector<N>;
};
template <>
struct Answer<1> {
  using Type = bool;
};

#define SEGUE_MSL_QUESTION(name, expression)                             \
  template <typename T>                                                  \
    requires kIsFloat<T>                                                 \
  SEGUE_MSL_INLINE typename Answer<Traits<T>::kSize>::Type name(T x) {   \
    const auto ask = [](Element<T> each) -> bool { return expression; }; \
    if constexpr (kIsVector<T>) {                                        \
      BoolVector<Traits<T>::kSize> result;                               \
      for (int i = 0; i < Traits<T>::kSize; ++i) result[i] = ask(x[i]);  \
      return result;                                                     \
    } else {                                                             \
      return ask(x);                                                     \
    }                                                                    \
  }
SEGUE_MSL_QUESTION(isnan, each != each)
SEGUE_MSL_QUESTION(isinf, __builtin_isinf(each))
SEGUE_MSL_QUESTION(isfinite, __builtin_isfinite(each))
SEGUE_MSL_QUESTION(isnormal, __builtin_isnormal(each))
SEGUE_MSL_QUESTION(signbit, __builtin_signbit(each) != 0)
#undef SEGUE_MSL_QUESTION

SEGUE_MSL_INLINE bool isordered(float a, float b) { return a == a && b == b; }
SEGUE_MSL_INLINE bool isunordered(float a, float b) { return !isordered(a, b); }

template <int N>
SEGUE_MSL_INLINE bool all(BoolVector<N> each) {
  bool result = true;
  for (int i = 0; i < N; ++i) result &= each[i];
  return result;
}
template <int N>
SEGUE_MSL_INLINE bool any(BoolVector<N> each) {
  bool result = false;
  for (int i = 0; i < N; ++i) result |= each[i];
  return result;
}
template <typename T, int N>
SEGUE_MSL_INLINE bool all(vec<T, N> mask) {
  return all(BoolVector<N>(mask));
}
template <typename T, int N>
SEGUE_MSL_INLINE bool any(vec<T, N> mask) {
  return any(BoolVector<N>(mask));
}
SEGUE_MSL_INLINE bool all(bool value) { return value; }
SEGUE_MSL_INLINE bool any(bool value) { return value; }

/// `b` where `choose` is true, else `a`.
template <typename T>
  requires(!kIsVector<T>)
SEGUE_MSL_INLINE T select(T a, Same<T> b, bool choose) {
  return choose ? b : a;
}
template <typename T>
  requires kIsVector<T>
SEGUE_MSL_INLINE T select(T a, Same<T> b, BoolVector<Traits<T>::kSize> choose) {
  for (int i = 0; i < Traits<T>::kSize; ++i) a[i] = choose[i] ? b[i] : a[i];
  return a;
}

}  // namespace metal
