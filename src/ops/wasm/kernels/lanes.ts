/** Of the four numbers of a vector. */
export function sumOf(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
}

export function largestOf(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  )
}

/** The bytes of so many numbers. */
export function bytes(elements: i32): usize {
  return (elements as usize) << 2
}

/** The bytes of the whole vectors among them. */
export function wholeVectors(elements: i32): usize {
  return bytes(elements & ~3)
}
