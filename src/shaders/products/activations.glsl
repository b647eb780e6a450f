// SPDX-License-Identifier: Apache-2.0
//
// Activations that meet a unit of weights (products/weights.glsl), made ready once for all rows:
// floats as they are.

struct Activations {
  vec4 values[UNIT_VECTORS];
};

Activations prepare(vec4 x[UNIT_VECTORS]) { return Activations(x); }

/// `sum` and the products of a unit with its activations, column after column.
float multiply(Unit w, Activations x, float sum) {
#if defined(HAS_SCALES)
  precise float part = 0.0;
#else
  precise float part = sum;
#endif
  [[unroll]] for (uint i = 0; i < UNIT_VECTORS; ++i) {
    const vec4 four = four_columns(w, i);
    [[unroll]] for (uint j = 0; j < 4; ++j) part = fma(four[j], x.values[i][j], part);
  }
#if defined(HAS_SCALES)
  part = fma(part, scale_of(w), sum);
#endif
  return part;
}
