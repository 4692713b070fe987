import { madd } from './madd'

/* A row of A times columns that are contiguous in memory, as those of a transposed B are: part of row.ts. */

/** One row of C = or += a row of A times B, each of whose columns is contiguous; steps in bytes. */
export function multiplyColumns(
  columns: i32,
  depth: i32,
  a: usize,
  aDepthStep: usize,
  b: usize,
  bDepthStep: usize,
  bColumnStep: usize,
  c: usize,
  accumulate: bool,
): void {
  let column = 0
  if (bDepthStep == 4) {
    for (; column + 16 <= columns; column += 16) {
      sixteenColumns(depth, a, aDepthStep, b, bColumnStep, c, accumulate)
      b += 16 * bColumnStep
      c += 64
    }
  }
  for (; column < columns; column++) {
    oneColumn(depth, a, aDepthStep, b, bDepthStep, c, accumulate)
    b += bColumnStep
    c += 4
  }
}

/** 4 x 4 values at a time are turned in registers; four sums at once, for each waits for itself. */
function sixteenColumns(
  depth: i32,
  a: usize,
  aDepthStep: usize,
  b: usize,
  bColumnStep: usize,
  c: usize,
  accumulate: bool,
): void {
  let sum0 = f32x4.splat(0)
  let sum1 = f32x4.splat(0)
  let sum2 = f32x4.splat(0)
  let sum3 = f32x4.splat(0)
  let b1 = b + 4 * bColumnStep
  let b2 = b1 + 4 * bColumnStep
  let b3 = b2 + 4 * bColumnStep
  let k = 0
  for (; k + 4 <= depth; k += 4) {
    sum0 = addFourDepths(sum0, a, aDepthStep, b, bColumnStep)
    sum1 = addFourDepths(sum1, a, aDepthStep, b1, bColumnStep)
    sum2 = addFourDepths(sum2, a, aDepthStep, b2, bColumnStep)
    sum3 = addFourDepths(sum3, a, aDepthStep, b3, bColumnStep)
    a += 4 * aDepthStep
    b += 16
    b1 += 16
    b2 += 16
    b3 += 16
  }
  for (; k < depth; k++) {
    const value = v128.load32_splat(a)
    sum0 = madd(value, fourApart(b, bColumnStep), sum0)
    sum1 = madd(value, fourApart(b1, bColumnStep), sum1)
    sum2 = madd(value, fourApart(b2, bColumnStep), sum2)
    sum3 = madd(value, fourApart(b3, bColumnStep), sum3)
    a += aDepthStep
    b += 4
    b1 += 4
    b2 += 4
    b3 += 4
  }
  write(c, sum0, accumulate)
  write(c + 16, sum1, accumulate)
  write(c + 32, sum2, accumulate)
  write(c + 48, sum3, accumulate)
}

/** Four columns, four depths: turned so that a vector holds one depth, then added one depth after the other. */
function addFourDepths(sum: v128, a: usize, aDepthStep: usize, b: usize, bColumnStep: usize): v128 {
  const column0 = v128.load(b)
  const column1 = v128.load(b + bColumnStep)
  const column2 = v128.load(b + 2 * bColumnStep)
  const column3 = v128.load(b + 3 * bColumnStep)
  const low01 = v128.shuffle<f32>(column0, column1, 0, 4, 1, 5)
  const low23 = v128.shuffle<f32>(column2, column3, 0, 4, 1, 5)
  const high01 = v128.shuffle<f32>(column0, column1, 2, 6, 3, 7)
  const high23 = v128.shuffle<f32>(column2, column3, 2, 6, 3, 7)
  sum = madd(v128.load32_splat(a), v128.shuffle<f64>(low01, low23, 0, 2), sum)
  a += aDepthStep
  sum = madd(v128.load32_splat(a), v128.shuffle<f64>(low01, low23, 1, 3), sum)
  a += aDepthStep
  sum = madd(v128.load32_splat(a), v128.shuffle<f64>(high01, high23, 0, 2), sum)
  a += aDepthStep
  return madd(v128.load32_splat(a), v128.shuffle<f64>(high01, high23, 1, 3), sum)
}

function fourApart(from: usize, step: usize): v128 {
  let values = v128.load32_zero(from)
  values = v128.load_lane<f32>(from + step, values, 1)
  values = v128.load_lane<f32>(from + 2 * step, values, 2)
  return v128.load_lane<f32>(from + 3 * step, values, 3)
}

function oneColumn(
  depth: i32,
  a: usize,
  aDepthStep: usize,
  b: usize,
  bDepthStep: usize,
  c: usize,
  accumulate: bool,
): void {
  // In a vector, because only there a product is fused with its sum.
  let lanes = f32x4.splat(0)
  for (let k = 0; k < depth; k++) {
    lanes = madd(v128.load32_splat(a), v128.load32_splat(b), lanes)
    a += aDepthStep
    b += bDepthStep
  }
  const sum = f32x4.extract_lane(lanes, 0)
  store<f32>(c, accumulate ? load<f32>(c) + sum : sum)
}

function write(c: usize, sum: v128, accumulate: bool): void {
  v128.store(c, accumulate ? f32x4.add(v128.load(c), sum) : sum)
}
