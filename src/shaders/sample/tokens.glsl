// SPDX-License-Identifier: Apache-2.0
//
// What a token is worth, and which tokens a cut keeps.
#ifndef SEGUE_SAMPLE_TOKENS_GLSL
#define SEGUE_SAMPLE_TOKENS_GLSL

#include "common/logits.glsl"

/// What weights are relative to: the largest logit of the row and log2(e) / temperature.
float weight_top;
float weight_scale;

/// Proportional to the probability of a token: exp((logit - largest) / temperature), 0 for NaN.
float weight_of(float logit) {
  const bool is_number = (floatBitsToUint(logit) & 0x7FFFFFFFu) <= 0x7F800000u;
  const float power = exp2((logit - weight_top) * weight_scale);
  const float weight = logit == weight_top ? 1.0 : power;
  return is_number ? weight : 0.0;
}

/// Orders as logits do, -0 as 0; NaN has key 0.
uint key_of(float logit) {
  uint bits = floatBitsToUint(logit);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return 0u;
  if (bits == 0x80000000u) bits = 0u;
  return bits ^ (uint(int(bits) >> 31) | 0x80000000u);
}

/// The logit with a key; NaN for 0.
float logit_of(uint key) {
  return uintBitsToFloat((key & 0x80000000u) != 0u ? key ^ 0x80000000u : ~key);
}

/// Keeps a token with a greater key than `key`, or this key and at most number `token`.
struct Cut {
  uint key;
  uint token;
};

const Cut kKeepAll = Cut(0u, kNoToken);

bool keeps(Cut cut, uint key, uint token) {
  return key > cut.key || (key == cut.key && token <= cut.token);
}

/// The weight of a token, 0 if it is not kept.
float kept_weight(Cut cut, uint token, float logit) {
  if (cut != kKeepAll && !keeps(cut, key_of(logit), token)) return 0.0;
  return weight_of(logit);
}

#endif
