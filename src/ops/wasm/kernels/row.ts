import { madd } from './madd'

/*
 * Few rows, as in generation, where one token meets a weight: packing B costs more than multiplying it, so B is read where
 * it lies. Every element of C is summed in the very order of the packed way (depth after depth from zero, block after
 * block), so that a row has the same bits alone and among others.
 */

/** One row of C = or += a row of A times B, over one block of depths; steps in bytes. */
export function multiplyRow(
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
  if (bColumnStep == 4) {
    for (; column + 32 <= columns; column += 32) {
      wideNeighbours(depth, a, aDepthStep, b, bDepthStep, c, accumulate)
      b += 128
      c += 128
    }
    for (; column + 4 <= columns; column += 4) {
      fourNeighbours(depth, a, aDepthStep, b, bDepthStep, c, accumulate)
      b += 16
      c += 16
    }
  } else if (bDepthStep == 4) {
    for (; column + 8 <= columns; column += 8) {
      eightColumns(depth, a, aDepthStep, b, bColumnStep, c, accumulate)
      b += 8 * bColumnStep
      c += 32
    }
  }
  for (; column < columns; column++) {
    oneColumn(depth, a, aDepthStep, b, bDepthStep, c, accumulate)
    b += bColumnStep
    c += 4
  }
}

/** B untransposed: 32 columns are two cache lines at each depth. */
function wideNeighbours(
  depth: i32,
  a: usize,
  aDepthStep: usize,
  b: usize,
  bDepthStep: usize,
  c: usize,
  accumulate: bool,
): void {
  let sum0 = f32x4.splat(0)
  let sum1 = f32x4.splat(0)
  let sum2 = f32x4.splat(0)
  let sum3 = f32x4.splat(0)
  let sum4 = f32x4.splat(0)
  let sum5 = f32x4.splat(0)
  let sum6 = f32x4.splat(0)
  let sum7 = f32x4.splat(0)
  for (let k = 0; k < depth; k++) {
    const value = v128.load32_splat(a)
    sum0 = madd(value, v128.load(b), sum0)
    sum1 = madd(value, v128.load(b, 16), sum1)
    sum2 = madd(value, v128.load(b, 32), sum2)
    sum3 = madd(value, v128.load(b, 48), sum3)
    sum4 = madd(value, v128.load(b, 64), sum4)
    sum5 = madd(value, v128.load(b, 80), sum5)
    sum6 = madd(value, v128.load(b, 96), sum6)
    sum7 = madd(value, v128.load(b, 112), sum7)
    a += aDepthStep
    b += bDepthStep
  }
  write(c, sum0, accumulate)
  write(c + 16, sum1, accumulate)
  write(c + 32, sum2, accumulate)
  write(c + 48, sum3, accumulate)
  write(c + 64, sum4, accumulate)
  write(c + 80, sum5, accumulate)
  write(c + 96, sum6, accumulate)
  write(c + 112, sum7, accumulate)
}

function fourNeighbours(
  depth: i32,
  a: usize,
  aDepthStep: usize,
  b: usize,
  bDepthStep: usize,
  c: usize,
  accumulate: bool,
): void {
  let sum = f32x4.splat(0)
  for (let k = 0; k < depth; k++) {
    sum = madd(v128.load32_splat(a), v128.load(b), sum)
    a += aDepthStep
    b += bDepthStep
  }
  write(c, sum, accumulate)
}

/** B transposed: each column is contiguous; 4 x 4 values at a time are turned in registers. */
function eightColumns(
  depth: i32,
  a: usize,
  aDepthStep: usize,
  b: usize,
  bColumnStep: usize,
  c: usize,
  accumulate: bool,
): void {
  let low = f32x4.splat(0)
  let high = f32x4.splat(0)
  const highColumns = b + 4 * bColumnStep
  let offset: usize = 0
  let k = 0
  for (; k + 4 <= depth; k += 4) {
    low = addFourDepths(low, a, aDepthStep, b + offset, bColumnStep)
    high = addFourDepths(high, a, aDepthStep, highColumns + offset, bColumnStep)
    a += 4 * aDepthStep
    offset += 16
  }
  for (; k < depth; k++) {
    const value = v128.load32_splat(a)
    low = madd(value, fourApart(b + offset, bColumnStep), low)
    high = madd(value, fourApart(highColumns + offset, bColumnStep), high)
    a += aDepthStep
    offset += 4
  }
  write(c, low, accumulate)
  write(c + 16, high, accumulate)
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
