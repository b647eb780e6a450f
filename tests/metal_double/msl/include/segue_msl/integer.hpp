// SPDX-License-Identifier: Apache-2.0
// Functions of integers and their vectors.
#pragma once

namespace metal {

template <typename T>
using Unsigned = __make_unsigned(T);

template <typename T>
inline constexpr int kBits = 8 * sizeof(Element<T>);

template <typename T>
SEGUE_MSL_INLINE T popcount(T x) {
  return map(x, [](Element<T> each) {
    return Element<T>(__builtin_popcountg(Unsigned<Element<T>>(each)));
  });
}

/// Zero has as many leading, and trailing, zeros as it has bits.
template <typename T>
SEGUE_MSL_INLINE T clz(T x) {
  return map(x, [](Element<T> each) {
    return Element<T>(__builtin_clzg(Unsigned<Element<T>>(each), kBits<T>));
  });
}
template <typename T>
SEGUE_MSL_INLINE T ctz(T x) {
  return map(x, [](Element<T> each) {
    return Element<T>(__builtin_ctzg(Unsigned<Element<T>>(each), kBits<T>));
  });
}

template <typename T>
SEGUE_MSL_INLINE T reverse_bits(T x) {
  return __builtin_elementwise_bitreverse(x);
}

/// `bits` bits from `offset` on; those of signed numbers are extended by their sign.
template <typename T>
SEGUE_MSL_INLINE T extract_bits(T x, uint offset, uint bits) {
  return map(x, [=](Element<T> each) {
    if (bits == 0) return Element<T>(0);
    const Unsigned<Element<T>> top = Unsigned<Element<T>>(each) << (kBits<T> - offset - bits);
    return Element<T>(Element<T>(top) >> (kBits<T> - bits));
  });
}

template <typename T>
SEGUE_MSL_INLINE T insert_bits(T base, Same<T> insert, uint offset, uint bits) {
  return map(base, insert, [=](Element<T> into, Element<T> what) {
    using U = Unsigned<Element<T>>;
    if (bits == 0) return into;
    const U mask = U(U(~U(0)) >> (kBits<T> - bits)) << offset;
    return Element<T>((U(into) & U(~mask)) | (U(U(what) << offset) & mask));
  });
}

template <typename T>
SEGUE_MSL_INLINE T mulhi(T a, Same<T> b) {
  return map(a, b, [](Element<T> x, Element<T> y) {
    if constexpr (sizeof(Element<T>) == 8) {
      if constexpr (__is_unsigned(Element<T>)) {
        return Element<T>((static_cast<unsigned __int128>(x) * y) >> 64);
      } else {
        return Element<T>((static_cast<__int128>(x) * y) >> 64);
      }
    } else if constexpr (__is_unsigned(Element<T>)) {
      return Element<T>((ulong(x) * ulong(y)) >> kBits<T>);
    } else {
      return Element<T>((long(x) * long(y)) >> kBits<T>);
    }
  });
}
template <typename T>
SEGUE_MSL_INLINE T madhi(T a, Same<T> b, Same<T> c) {
  return mulhi(a, b) + c;
}
template <typename T>
SEGUE_MSL_INLINE T mul24(T a, Same<T> b) {
  return a * b;
}
template <typename T>
SEGUE_MSL_INLINE T mad24(T a, Same<T> b, Same<T> c) {
  return a * b + c;
}
template <typename T>
SEGUE_MSL_INLINE T addsat(T a, Same<T> b) {
  return __builtin_elementwise_add_sat(a, b);
}
template <typename T>
SEGUE_MSL_INLINE T subsat(T a, Same<T> b) {
  return __builtin_elementwise_sub_sat(a, b);
}
template <typename T>
SEGUE_MSL_INLINE T absdiff(T a, Same<T> b) {
  return map(a, b, [](Element<T> x, Element<T> y) {
    return x > y ? Element<T>(x - y) : Element<T>(y - x);
  });
}
template <typename T>
SEGUE_MSL_INLINE T hadd(T a, Same<T> b) {
  return (a & b) + ((a ^ b) >> T(1));
}
template <typename T>
SEGUE_MSL_INLINE T rhadd(T a, Same<T> b) {
  return (a | b) - ((a ^ b) >> T(1));
}
template <typename T>
SEGUE_MSL_INLINE T rotate(T a, Same<T> count) {
  return map(a, count, [](Element<T> x, Element<T> by) {
    using U = Unsigned<Element<T>>;
    const uint left = uint(by) % kBits<T>;
    return left == 0 ? x : Element<T>(U(U(x) << left) | U(U(x) >> (kBits<T> - left)));
  });
}

}  // namespace metal
