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

/** The first `rest` of four numbers, 1 to 3; the other lanes are 0. */
export function loadPart(from: usize, rest: i32): v128 {
  if (rest == 1) return v128.load32_zero(from)
  const two = v128.load64_zero(from)
  return rest == 2 ? two : v128.load_lane<f32>(from + 8, two, 2)
}

export function storePart(to: usize, v: v128, rest: i32): void {
  if (rest == 1) {
    v128.store_lane<f32>(to, v, 0)
    return
  }
  v128.store_lane<f64>(to, v, 0)
  if (rest == 3) v128.store_lane<f32>(to + 8, v, 2)
}

/** All bits set in the first `rest` lanes. */
export function firstLanes(rest: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(rest))
}

/** The bytes of so many numbers. */
export function bytes(elements: i32): usize {
  return (elements as usize) << 2
}

/** The bytes of the whole vectors among them. */
export function wholeVectors(elements: i32): usize {
  return bytes(elements & ~3)
}
