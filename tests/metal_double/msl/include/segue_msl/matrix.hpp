// SPDX-License-Identifier: Apache-2.0
// Matrices of C columns with R rows each.
#pragma once

namespace metal {

template <typename T, int C, int R>
struct matrix {
  using Column = T __attribute__((ext_vector_type(R)));
  Column columns[C];

  matrix() = default;
  SEGUE_MSL_INLINE explicit matrix(T diagonal) : columns{} {
    for (int i = 0; i < (C < R ? C : R); ++i) columns[i][i] = diagonal;
  }
  template <typename... A>
    requires(sizeof...(A) == C && sizeof...(A) > 1)
  SEGUE_MSL_INLINE matrix(A... each) : columns{each...} {}
  SEGUE_MSL_INLINE Column& operator[](size_t i) { return columns[i]; }
  SEGUE_MSL_INLINE const Column& operator[](size_t i) const { return columns[i]; }
};

template <typename T, int C, int R>
SEGUE_MSL_INLINE vec<T, R> operator*(const matrix<T, C, R>& m, Same<vec<T, C>> v) {
  vec<T, R> sum = m[0] * v[0];
  for (int i = 1; i < C; ++i) sum += m[i] * v[i];
  return sum;
}
template <typename T, int C, int R>
SEGUE_MSL_INLINE vec<T, C> operator*(Same<vec<T, R>> v, const matrix<T, C, R>& m) {
  vec<T, C> result{};
  for (int i = 0; i < C; ++i) result[i] = dot(v, m[i]);
  return result;
}
template <typename T, int C, int R, int K>
SEGUE_MSL_INLINE matrix<T, C, R> operator*(const matrix<T, K, R>& a, const matrix<T, C, K>& b) {
  matrix<T, C, R> result;
  for (int i = 0; i < C; ++i) result[i] = a * b[i];
  return result;
}
template <typename T, int C, int R>
SEGUE_MSL_INLINE matrix<T, R, C> transpose(const matrix<T, C, R>& m) {
  matrix<T, R, C> result;
  for (int i = 0; i < C; ++i) {
    for (int j = 0; j < R; ++j) result[j][i] = m[i][j];
  }
  return result;
}

#define SEGUE_MSL_MATRICES(type)               \
  using type##2x2 = metal::matrix<type, 2, 2>; \
  using type##2x3 = metal::matrix<type, 2, 3>; \
  using type##2x4 = metal::matrix<type, 2, 4>; \
  using type##3x2 = metal::matrix<type, 3, 2>; \
  using type##3x3 = metal::matrix<type, 3, 3>; \
  using type##3x4 = metal::matrix<type, 3, 4>; \
  using type##4x2 = metal::matrix<type, 4, 2>; \
  using type##4x3 = metal::matrix<type, 4, 3>; \
  using type##4x4 = metal::matrix<type, 4, 4>;
SEGUE_MSL_MATRICES(float)
SEGUE_MSL_MATRICES(half)

}  // namespace metal

SEGUE_MSL_MATRICES(float)
SEGUE_MSL_MATRICES(half)
#undef SEGUE_MSL_MATRICES
