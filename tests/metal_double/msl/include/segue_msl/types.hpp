// SPDX-License-Identifier: Apache-2.0
// Scalars, vectors, and how values of one kind become values of another.
#pragma once

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef _Float16 half;
typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;
typedef __INTPTR_TYPE__ intptr_t;
typedef __UINTPTR_TYPE__ uintptr_t;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;

#define SEGUE_MSL_VECTORS(type)                             \
  typedef type type##2 __attribute__((ext_vector_type(2))); \
  typedef type type##3 __attribute__((ext_vector_type(3))); \
  typedef type type##4 __attribute__((ext_vector_type(4))); \
  namespace metal {                                         \
  using ::type##2;                                          \
  using ::type##3;                                          \
  using ::type##4;                                          \
  }
SEGUE_MSL_VECTORS(char)
SEGUE_MSL_VECTORS(uchar)
SEGUE_MSL_VECTORS(short)
SEGUE_MSL_VECTORS(ushort)
SEGUE_MSL_VECTORS(int)
SEGUE_MSL_VECTORS(uint)
SEGUE_MSL_VECTORS(long)
SEGUE_MSL_VECTORS(ulong)
SEGUE_MSL_VECTORS(half)
SEGUE_MSL_VECTORS(float)
#undef SEGUE_MSL_VECTORS

#define SEGUE_MSL_INLINE inline __attribute__((always_inline))

#define NULL 0
#define CHAR_BIT 8
#define SCHAR_MAX 127
#define SCHAR_MIN (-128)
#define CHAR_MAX SCHAR_MAX
#define CHAR_MIN SCHAR_MIN
#define UCHAR_MAX 255
#define SHRT_MAX 32767
#define SHRT_MIN (-32768)
#define USHRT_MAX 65535
#define INT_MAX 2147483647
#define INT_MIN (-2147483647 - 1)
#define UINT_MAX 4294967295u
#define LONG_MAX __LONG_MAX__
#define LONG_MIN (-__LONG_MAX__ - 1)
#define ULONG_MAX (2ul * __LONG_MAX__ + 1)
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define HUGE_VALF INFINITY
#define MAXFLOAT 3.40282347e38f
#define FLT_MAX 3.40282347e38f
#define FLT_MIN 1.17549435e-38f
#define FLT_EPSILON 1.19209290e-7f
#define FLT_DIG 6
#define FLT_MANT_DIG 24
#define MAXHALF half(65504.0f)
#define HUGE_VALH half(INFINITY)
#define HALF_MAX half(65504.0f)
#define HALF_MIN half(6.103515625e-5f)
#define HALF_EPSILON half(9.765625e-4f)
#define M_E_F 2.71828182845904523536f
#define M_LOG2E_F 1.44269504088896340736f
#define M_LOG10E_F 0.434294481903251827651f
#define M_LN2_F 0.693147180559945309417f
#define M_LN10_F 2.30258509299404568402f
#define M_PI_F 3.14159265358979323846f
#define M_PI_2_F 1.57079632679489661923f
#define M_PI_4_F 0.785398163397448309616f
#define M_1_PI_F 0.318309886183790671538f
#define M_2_PI_F 0.636619772367581343076f
#define M_2_SQRTPI_F 1.12837916709551257390f
#define M_SQRT2_F 1.41421356237309504880f
#define M_SQRT1_2_F 0.707106781186547524401f

namespace metal {

using ::half;
using ::size_t;
using ::uchar;
using ::uint;
using ::ulong;
using ::ushort;

template <typename T, int N>
using vec = T __attribute__((ext_vector_type(N)));

/// What a value is made of.
template <typename T>
struct Traits {
  using Element = T;
  static constexpr int kSize = 1;
  static constexpr bool kVector = false;
};

template <typename T, int N>
struct Traits<T __attribute__((ext_vector_type(N)))> {
  using Element = T;
  static constexpr int kSize = N;
  static constexpr bool kVector = true;
};

template <typename T>
struct Identity {
  using Type = T;
};
/// A parameter that has the type of another one.
template <typename T>
using Same = typename Identity<T>::Type;

template <typename T>
using Element = typename Traits<T>::Element;
template <typename T>
inline constexpr bool kIsVector = Traits<T>::kVector;
template <typename T>
inline constexpr bool kIsFloat = __is_floating_point(Element<T>);

/// The result of comparing vectors, member by member. Clang's own has integers of the operands'
/// size.
template <int N>
struct BoolVector {
  bool members[N == 3 ? 4 : N];

  BoolVector() = default;
  SEGUE_MSL_INLINE BoolVector(bool all) {
    for (int i = 0; i < N; ++i) members[i] = all;
  }
  template <typename T>
  SEGUE_MSL_INLINE BoolVector(vec<T, N> mask) {
    for (int i = 0; i < N; ++i) members[i] = mask[i] != T(0);
  }
  template <typename... T>
    requires(sizeof...(T) == N && sizeof...(T) > 1)
  SEGUE_MSL_INLINE BoolVector(T... each) : members{bool(each)...} {}

  SEGUE_MSL_INLINE bool& operator[](size_t i) { return members[i]; }
  SEGUE_MSL_INLINE bool operator[](size_t i) const { return members[i]; }
  __declspec(property(get = get0, put = put0)) bool x;
  __declspec(property(get = get1, put = put1)) bool y;
  __declspec(property(get = get2, put = put2)) bool z;
  __declspec(property(get = get3, put = put3)) bool w;
  SEGUE_MSL_INLINE bool get0() const { return members[0]; }
  SEGUE_MSL_INLINE bool get1() const { return members[1]; }
  SEGUE_MSL_INLINE bool get2() const { return members[2]; }
  SEGUE_MSL_INLINE bool get3() const { return members[3]; }
  SEGUE_MSL_INLINE void put0(bool value) { members[0] = value; }
  SEGUE_MSL_INLINE void put1(bool value) { members[1] = value; }
  SEGUE_MSL_INLINE void put2(bool value) { members[2] = value; }
  SEGUE_MSL_INLINE void put3(bool value) { members[3] = value; }
};

#define SEGUE_MSL_BOOL_OPERATOR(symbol)                                                    \
  template <int N>                                                                         \
  SEGUE_MSL_INLINE BoolVector<N> operator symbol(BoolVector<N> a, Same<BoolVector<N>> b) { \
    BoolVector<N> result;                                                                  \
    for (int i = 0; i < N; ++i) result[i] = a[i] symbol b[i];                              \
    return result;                                                                         \
  }
SEGUE_MSL_BOOL_OPERATOR(&&)
SEGUE_MSL_BOOL_OPERATOR(||)
SEGUE_MSL_BOOL_OPERATOR(&)
SEGUE_MSL_BOOL_OPERATOR(|)
SEGUE_MSL_BOOL_OPERATOR(^)
SEGUE_MSL_BOOL_OPERATOR(==)
SEGUE_MSL_BOOL_OPERATOR(!=)
#undef SEGUE_MSL_BOOL_OPERATOR

template <int N>
SEGUE_MSL_INLINE BoolVector<N> operator!(BoolVector<N> a) {
  for (int i = 0; i < N; ++i) a[i] = !a[i];
  return a;
}

template <int N>
struct Traits<BoolVector<N>> {
  using Element = bool;
  static constexpr int kSize = N;
  static constexpr bool kVector = true;
};

using bool2 = BoolVector<2>;
using bool3 = BoolVector<3>;
using bool4 = BoolVector<4>;

/// A vector without padding and with the alignment of its elements.
template <typename T, int N>
struct packed_vec {
  T members[N];

  packed_vec() = default;
  SEGUE_MSL_INLINE packed_vec(T all) {
    for (int i = 0; i < N; ++i) members[i] = all;
  }
  SEGUE_MSL_INLINE packed_vec(vec<T, N> vector) {
    for (int i = 0; i < N; ++i) members[i] = vector[i];
  }
  template <typename... A>
    requires(sizeof...(A) == N && sizeof...(A) > 1)
  SEGUE_MSL_INLINE packed_vec(A... each) : members{T(each)...} {}

  using Vector = vec<T, N>;
  SEGUE_MSL_INLINE operator Vector() const {
    Vector vector{};
    for (int i = 0; i < N; ++i) vector[i] = members[i];
    return vector;
  }
  SEGUE_MSL_INLINE T& operator[](size_t i) { return members[i]; }
  SEGUE_MSL_INLINE const T& operator[](size_t i) const { return members[i]; }
  __declspec(property(get = get0, put = put0)) T x;
  __declspec(property(get = get1, put = put1)) T y;
  __declspec(property(get = get2, put = put2)) T z;
  __declspec(property(get = get3, put = put3)) T w;
  SEGUE_MSL_INLINE T get0() const { return members[0]; }
  SEGUE_MSL_INLINE T get1() const { return members[1]; }
  SEGUE_MSL_INLINE T get2() const { return members[2]; }
  SEGUE_MSL_INLINE T get3() const { return members[3]; }
  SEGUE_MSL_INLINE void put0(T value) { members[0] = value; }
  SEGUE_MSL_INLINE void put1(T value) { members[1] = value; }
  SEGUE_MSL_INLINE void put2(T value) { members[2] = value; }
  SEGUE_MSL_INLINE void put3(T value) { members[3] = value; }
};

template <typename T, int N>
struct Traits<packed_vec<T, N>> : Traits<T __attribute__((ext_vector_type(N)))> {};

#define SEGUE_MSL_PACKED_OPERATOR(symbol)                                                         \
  template <typename T, int N>                                                                    \
  SEGUE_MSL_INLINE vec<T, N> operator symbol(packed_vec<T, N> a, packed_vec<T, N> b) {            \
    return vec<T, N>(a) symbol vec<T, N>(b);                                                      \
  }                                                                                               \
  template <typename T, int N>                                                                    \
  SEGUE_MSL_INLINE vec<T, N> operator symbol(packed_vec<T, N> a, Same<vec<T, N>> b) {             \
    return vec<T, N>(a) symbol b;                                                                 \
  }                                                                                               \
  template <typename T, int N>                                                                    \
  SEGUE_MSL_INLINE vec<T, N> operator symbol(vec<T, N> a, packed_vec<T, N> b) {                   \
    return a symbol vec<T, N>(b);                                                                 \
  }                                                                                               \
  template <typename T, int N>                                                                    \
  SEGUE_MSL_INLINE packed_vec<T, N>& operator symbol##=(packed_vec<T, N>& a, Same<vec<T, N>> b) { \
    return a = vec<T, N>(a) symbol b;                                                             \
  }
SEGUE_MSL_PACKED_OPERATOR(+)
SEGUE_MSL_PACKED_OPERATOR(-)
SEGUE_MSL_PACKED_OPERATOR(*)
SEGUE_MSL_PACKED_OPERATOR(/)
#undef SEGUE_MSL_PACKED_OPERATOR

#define SEGUE_MSL_PACKED(type)                  \
  using packed_##type##2 = packed_vec<type, 2>; \
  using packed_##type##3 = packed_vec<type, 3>; \
  using packed_##type##4 = packed_vec<type, 4>;
SEGUE_MSL_PACKED(char)
SEGUE_MSL_PACKED(uchar)
SEGUE_MSL_PACKED(short)
SEGUE_MSL_PACKED(ushort)
SEGUE_MSL_PACKED(int)
SEGUE_MSL_PACKED(uint)
SEGUE_MSL_PACKED(long)
SEGUE_MSL_PACKED(ulong)
SEGUE_MSL_PACKED(half)
SEGUE_MSL_PACKED(float)
#undef SEGUE_MSL_PACKED

template <typename V, typename A>
SEGUE_MSL_INLINE void append(V& vector, int& at, A value) {
  if constexpr (kIsVector<A>) {
    for (int i = 0; i < Traits<A>::kSize; ++i) vector[at++] = Element<V>(value[i]);
  } else {
    vector[at++] = Element<V>(value);
  }
}

/// A vector of the members of all arguments in turn, or with every member the same.
template <typename V, typename... A>
SEGUE_MSL_INLINE V make(A... each) {
  constexpr int kMembers = (0 + ... + Traits<A>::kSize);
  if constexpr (kMembers == 0) {
    return V{};
  } else if constexpr (sizeof...(A) == 1 && kMembers == 1) {
    V vector = (Element<V>(each), ...);
    return vector;
  } else {
    static_assert(kMembers == Traits<V>::kSize, "a vector is made of as many members as it has");
    V vector{};
    int at = 0;
    (append(vector, at, each), ...);
    return vector;
  }
}

/// `(V)x`, see the translation of casts.
template <typename V>
struct Cast {};

template <typename V, typename A>
SEGUE_MSL_INLINE V operator->*(Cast<V>, A value) {
  return make<V>(value);
}

template <typename To, typename From>
SEGUE_MSL_INLINE To as_type(From value) {
  static_assert(sizeof(To) == sizeof(From), "as_type needs types of one size");
  return __builtin_bit_cast(To, value);
}

/// Applies a function of scalars to each member.
template <typename T, typename F>
SEGUE_MSL_INLINE T map(T value, F function) {
  if constexpr (kIsVector<T>) {
    for (int i = 0; i < Traits<T>::kSize; ++i) value[i] = function(value[i]);
    return value;
  } else {
    return function(value);
  }
}

template <typename T, typename F>
SEGUE_MSL_INLINE T map(T a, T b, F function) {
  if constexpr (kIsVector<T>) {
    for (int i = 0; i < Traits<T>::kSize; ++i) a[i] = function(a[i], b[i]);
    return a;
  } else {
    return function(a, b);
  }
}

template <typename A, typename B>
struct is_same {
  static constexpr bool value = __is_same(A, B);
};
template <typename A, typename B>
inline constexpr bool is_same_v = __is_same(A, B);
template <bool kCondition, typename T = void>
struct enable_if {};
template <typename T>
struct enable_if<true, T> {
  using type = T;
};
template <bool kCondition, typename T = void>
using enable_if_t = typename enable_if<kCondition, T>::type;
template <bool kCondition, typename A, typename B>
struct conditional {
  using type = A;
};
template <typename A, typename B>
struct conditional<false, A, B> {
  using type = B;
};
template <bool kCondition, typename A, typename B>
using conditional_t = typename conditional<kCondition, A, B>::type;
template <typename T>
inline constexpr bool is_floating_point_v = __is_floating_point(T);
template <typename T>
inline constexpr bool is_integral_v = __is_integral(T);
template <typename T>
inline constexpr bool is_signed_v = __is_signed(T);
template <typename T>
inline constexpr bool is_unsigned_v = __is_unsigned(T);

template <typename T, size_t N>
struct array {
  T elements[N];
  SEGUE_MSL_INLINE T& operator[](size_t i) { return elements[i]; }
  SEGUE_MSL_INLINE const T& operator[](size_t i) const { return elements[i]; }
  static constexpr size_t size() { return N; }
};

}  // namespace metal

using metal::as_type;
using metal::bool2;
using metal::bool3;
using metal::bool4;
#define SEGUE_MSL_PACKED(type)   \
  using metal::packed_##type##2; \
  using metal::packed_##type##3; \
  using metal::packed_##type##4;
SEGUE_MSL_PACKED(char)
SEGUE_MSL_PACKED(uchar)
SEGUE_MSL_PACKED(short)
SEGUE_MSL_PACKED(ushort)
SEGUE_MSL_PACKED(int)
SEGUE_MSL_PACKED(uint)
SEGUE_MSL_PACKED(half)
SEGUE_MSL_PACKED(float)
#undef SEGUE_MSL_PACKED
