// SPDX-License-Identifier: Apache-2.0
// Numbers in [0, 1] or [-1, 1] as bytes and shorts of one word.
#pragma once

namespace metal {

template <typename V>
SEGUE_MSL_INLINE V unpack_scaled(uint word, float scale, bool is_signed) {
  constexpr int kWidth = 32 / Traits<V>::kSize;
  V result{};
  for (int i = 0; i < Traits<V>::kSize; ++i) {
    const uint bits = extract_bits(word, uint(i) * kWidth, uint(kWidth));
    const float value =
        is_signed
            ? max(float(extract_bits(int(word), uint(i) * kWidth, uint(kWidth))) / scale, -1.0f)
            : float(bits) / scale;
    result[i] = Element<V>(value);
  }
  return result;
}

template <typename V>
SEGUE_MSL_INLINE uint pack_scaled(V value, float scale, float low) {
  constexpr int kWidth = 32 / Traits<V>::kSize;
  uint word = 0;
  for (int i = 0; i < Traits<V>::kSize; ++i) {
    const int bits = int(rint(clamp(float(value[i]), low, 1.0f) * scale));
    word = insert_bits(word, uint(bits), uint(i) * kWidth, uint(kWidth));
  }
  return word;
}

SEGUE_MSL_INLINE float4 unpack_unorm4x8_to_float(uint x) {
  return unpack_scaled<float4>(x, 255.0f, false);
}
SEGUE_MSL_INLINE float4 unpack_snorm4x8_to_float(uint x) {
  return unpack_scaled<float4>(x, 127.0f, true);
}
SEGUE_MSL_INLINE float2 unpack_unorm2x16_to_float(uint x) {
  return unpack_scaled<float2>(x, 65535.0f, false);
}
SEGUE_MSL_INLINE float2 unpack_snorm2x16_to_float(uint x) {
  return unpack_scaled<float2>(x, 32767.0f, true);
}
SEGUE_MSL_INLINE uint pack_float_to_unorm4x8(float4 x) { return pack_scaled(x, 255.0f, 0.0f); }
SEGUE_MSL_INLINE uint pack_float_to_snorm4x8(float4 x) { return pack_scaled(x, 127.0f, -1.0f); }
SEGUE_MSL_INLINE uint pack_float_to_unorm2x16(float2 x) { return pack_scaled(x, 65535.0f, 0.0f); }
SEGUE_MSL_INLINE uint pack_float_to_snorm2x16(float2 x) { return pack_scaled(x, 32767.0f, -1.0f); }

}  // namespace metal
