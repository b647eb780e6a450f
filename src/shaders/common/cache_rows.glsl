// SPDX-License-Identifier: Apache-2.0
//
// A position comes with the inline bytes of a dispatch, which a replay may change; the view of a
// cache does not move with it. These keep kernels inside the view. They divide only where it lacks
// rows: a division is a tenth of the time that such a kernel takes.
#ifndef SEGUE_COMMON_CACHE_ROWS_GLSL
#define SEGUE_COMMON_CACHE_ROWS_GLSL

/// Whether `elements` elements in rows of `columns` have row position + token, whose number may
/// exceed 32 bits.
bool has_row(uint elements, uint columns, uint position, uint token) {
  uint carry;
  const uint row = uaddCarry(position, token, carry);
  uint high;
  uint end;
  umulExtended(row + 1u, columns, high, end);
  return carry == 0u && row != 0xFFFFFFFFu && high == 0u && end <= elements;
}

/// How many of the rows 0 to position + token there are.
uint rows_up_to(uint elements, uint columns, uint position, uint token) {
  if (has_row(elements, columns, position, token)) return position + token + 1u;
  return elements / columns;
}

#endif
