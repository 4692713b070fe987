import { FUSED, madd } from './madd'

/** Rows and columns of C that one call of the micro-kernel computes. */
export const TILE_ROWS: i32 = FUSED ? 6 : 5
export const TILE_COLUMNS: i32 = 8

/** Bytes of one step along the depth in a packed panel of A and of B. */
export const A_STEP: usize = TILE_ROWS * 4
export const B_STEP: usize = 32

/**
 * C[rows,8] = or += A[rows,depth] B[depth,8], with A and B packed: at each depth the values of A, or the eight of B, are
 * neighbours.
 *
 * Why 5 x 8: ten accumulators, two vectors of B, one of A and one product are 14 of the 15 vector registers that V8 has on
 * x64; a fused multiplication has no product to keep, so six rows fit. A row more spills; a row less loads B more often for
 * the same work. Why no unrolling: V8 then moves all loads of the block to its start and spills the accumulators, which
 * costs a quarter of the speed. Why B is what the loop counts: one pointer compared with its end needs no counter.
 */
export function multiplyTile(depth: i32, a: usize, b: usize, c: usize, rowStep: usize, accumulate: bool): void {
  let left0 = f32x4.splat(0)
  let right0 = f32x4.splat(0)
  let left1 = f32x4.splat(0)
  let right1 = f32x4.splat(0)
  let left2 = f32x4.splat(0)
  let right2 = f32x4.splat(0)
  let left3 = f32x4.splat(0)
  let right3 = f32x4.splat(0)
  let left4 = f32x4.splat(0)
  let right4 = f32x4.splat(0)
  let left5 = f32x4.splat(0)
  let right5 = f32x4.splat(0)

  const end = b + (depth as usize) * B_STEP
  while (b != end) {
    const left = v128.load(b)
    const right = v128.load(b, 16)
    const a0 = v128.load32_splat(a)
    left0 = madd(a0, left, left0)
    right0 = madd(a0, right, right0)
    const a1 = v128.load32_splat(a, 4)
    left1 = madd(a1, left, left1)
    right1 = madd(a1, right, right1)
    const a2 = v128.load32_splat(a, 8)
    left2 = madd(a2, left, left2)
    right2 = madd(a2, right, right2)
    const a3 = v128.load32_splat(a, 12)
    left3 = madd(a3, left, left3)
    right3 = madd(a3, right, right3)
    const a4 = v128.load32_splat(a, 16)
    left4 = madd(a4, left, left4)
    right4 = madd(a4, right, right4)
    if (FUSED) {
      const a5 = v128.load32_splat(a, 20)
      left5 = madd(a5, left, left5)
      right5 = madd(a5, right, right5)
    }
    a += A_STEP
    b += B_STEP
  }

  // One branch for the whole tile: one for each row makes V8 spill accumulators inside the loop above.
  if (accumulate) {
    c = addRow(c, rowStep, left0, right0)
    c = addRow(c, rowStep, left1, right1)
    c = addRow(c, rowStep, left2, right2)
    c = addRow(c, rowStep, left3, right3)
    c = addRow(c, rowStep, left4, right4)
    if (FUSED) addRow(c, rowStep, left5, right5)
  } else {
    c = storeRow(c, rowStep, left0, right0)
    c = storeRow(c, rowStep, left1, right1)
    c = storeRow(c, rowStep, left2, right2)
    c = storeRow(c, rowStep, left3, right3)
    c = storeRow(c, rowStep, left4, right4)
    if (FUSED) storeRow(c, rowStep, left5, right5)
  }
}

/** Both return the address of the next row. */
function storeRow(c: usize, rowStep: usize, left: v128, right: v128): usize {
  v128.store(c, left)
  v128.store(c, right, 16)
  return c + rowStep
}

function addRow(c: usize, rowStep: usize, left: v128, right: v128): usize {
  v128.store(c, f32x4.add(v128.load(c), left))
  v128.store(c, f32x4.add(v128.load(c, 16), right), 16)
  return c + rowStep
}
