import { Exp } from './exp'
import { bytes, firstLanes, largestOf, loadPart, storePart, sumOf } from './lanes'

/* What kernels do to one row of numbers. */

export function highestOf(row: usize, count: i32): f32 {
  const end = row + bytes(count & ~3)
  let highest = f32x4.splat(-Infinity)
  for (; row < end; row += 16) highest = f32x4.pmax(highest, v128.load(row))
  const rest = count & 3
  if (rest) highest = f32x4.pmax(highest, v128.bitselect(loadPart(row, rest), highest, firstLanes(rest)))
  return largestOf(highest)
}

/** Writes e^(x - highest) of each x to the same place of `to`, which may be the row; gives their sum. */
export function exponentials(exp: Exp, row: usize, to: usize, count: i32, highest: f32): f32 {
  const end = row + bytes(count & ~3)
  const shift = f32x4.splat(highest)
  let sums = f32x4.splat(0)
  for (; row < end; row += 16) {
    const power = exp.exp(f32x4.sub(v128.load(row), shift))
    v128.store(to, power)
    to += 16
    sums = f32x4.add(sums, power)
  }
  const rest = count & 3
  if (rest) {
    const power = exp.exp(f32x4.sub(loadPart(row, rest), shift))
    storePart(to, power, rest)
    sums = f32x4.add(sums, v128.and(power, firstLanes(rest)))
  }
  return sumOf(sums)
}

/** Σ e^(x - highest); the row stays as it is. */
export function sumOfExponentials(exp: Exp, row: usize, count: i32, highest: f32): f32 {
  const end = row + bytes(count & ~3)
  const shift = f32x4.splat(highest)
  let sums = f32x4.splat(0)
  for (; row < end; row += 16) sums = f32x4.add(sums, exp.exp(f32x4.sub(v128.load(row), shift)))
  const rest = count & 3
  if (rest) sums = f32x4.add(sums, v128.and(exp.exp(f32x4.sub(loadPart(row, rest), shift)), firstLanes(rest)))
  return sumOf(sums)
}

export function multiplyRowBy(row: usize, count: i32, factor: f32): void {
  const end = row + bytes(count & ~3)
  const factors = f32x4.splat(factor)
  for (; row < end; row += 16) v128.store(row, f32x4.mul(v128.load(row), factors))
  const rest = count & 3
  if (rest) storePart(row, f32x4.mul(loadPart(row, rest), factors), rest)
}
