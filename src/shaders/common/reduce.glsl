// SPDX-License-Identifier: Apache-2.0
//
// What the threads of a group work out together. Groups are whole subgroups along x; nothing else
// depends on how large a subgroup is.
#ifndef SEGUE_COMMON_REDUCE_GLSL
#define SEGUE_COMMON_REDUCE_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

/// Subgroups that a group has at most: 1,024 threads in subgroups of 8.
const uint kMostSubgroups = 128;

/// The number of a thread in its group, such that neighbours share a subgroup.
uint thread_index() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }

shared float reduce_floats[kMostSubgroups];
shared uint reduce_uints[kMostSubgroups];

/// The sum over all threads, the same bits in each of them.
float group_sum(float value) {
  value = subgroupAdd(value);
  barrier();
  if (subgroupElect()) reduce_floats[gl_SubgroupID] = value;
  barrier();
  float sum = 0.0;
  for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
    sum += reduce_floats[i];
  return subgroupAdd(sum);
}

/// The largest value of all threads; none of them may be NaN.
float group_max(float value) {
  value = subgroupMax(value);
  barrier();
  if (subgroupElect()) reduce_floats[gl_SubgroupID] = value;
  barrier();
  for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
    value = max(value, reduce_floats[i]);
  return subgroupMax(value);
}

uint group_min(uint value) {
  value = subgroupMin(value);
  barrier();
  if (subgroupElect()) reduce_uints[gl_SubgroupID] = value;
  barrier();
  for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
    value = min(value, reduce_uints[i]);
  return subgroupMin(value);
}

uint group_max(uint value) { return ~group_min(~value); }

/// The sum over the threads before this one.
float group_sum_before(float value) {
  const float before = subgroupExclusiveAdd(value);
  const float all = subgroupAdd(value);
  barrier();
  if (subgroupElect()) reduce_floats[gl_SubgroupID] = all;
  barrier();
  float sum = 0.0;
  for (uint i = 0; i < gl_SubgroupID; ++i) sum += reduce_floats[i];
  return sum + before;
}

#endif
