// SPDX-License-Identifier: Apache-2.0
//
// The root mean square of a row, added up in one order by every kernel that normalises, whatever
// its group size: lane l of 256 sums the squares of columns 4 (l + 256 k) to 4 (l + 256 k) + 3 for
// k = 0, 1, ...; each subgroup's worth of neighbouring lanes is added up by subgroupAdd(), and
// these sums in their order.
//
//   float squares = 0.0;                                  // for each lane of mine, see next_lane
//   for (uint quad = lane; quad < columns / 4; quad += kNormLanes)
//     squares = add_squares(squares, x of the quad);
//   keep_squares(lane, squares); ...                      // of each lane
//   const float scale = rms_norm_scale(columns, epsilon); // once, by all threads
#ifndef SEGUE_COMMON_RMS_NORM_GLSL
#define SEGUE_COMMON_RMS_NORM_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

/// Lanes that add up squares, threads of a norm kernel's own group.
const uint kNormLanes = 256;

/// For subgroups of at least 4 threads.
shared float norm_sums[kNormLanes / 4];

/// squares + x.x^2 + ... + x.w^2
float add_squares(float squares, vec4 x) {
  precise float sum = squares + x.x * x.x;
  sum += x.y * x.y;
  sum += x.z * x.z;
  sum += x.w * x.w;
  return sum;
}

/// For the last columns that are no whole quad, one after the other.
float add_square(float squares, float x) {
  precise const float sum = squares + x * x;
  return sum;
}

/// Takes the sum of lane `lane`. All threads of a subgroup call it, with neighbouring lanes in
/// order, the first a multiple of the subgroup size.
void keep_squares(uint lane, float squares) {
  const float sum = subgroupAdd(squares);
  if (subgroupElect()) norm_sums[lane / gl_SubgroupSize] = sum;
}

/// 1 / sqrt(mean of the squares + epsilon), from their sum.
float rms_norm_scale_of(float sum, uint columns, float epsilon) {
  precise const float mean = sum / float(columns);
  precise const float scale = inversesqrt(mean + epsilon);
  return scale;
}

/// 1 / sqrt(mean of the squares + epsilon), after all lanes were kept. Has a barrier before it
/// reads, none after.
float rms_norm_scale(uint columns, float epsilon) {
  barrier();
  precise float sum = norm_sums[0];
  const uint count = kNormLanes / gl_SubgroupSize;
  for (uint i = 1; i < count; ++i) sum += norm_sums[i];
  return rms_norm_scale_of(sum, columns, epsilon);
}

#endif
