import { bytes, loadPart, storePart } from './lanes'
import { CONSTANTS } from './scratch'
import { drop as dropFrom, Threefry } from './threefry'

/* Passes over as many numbers as there are, each by itself. */

/** Dropout by the words from the number `index` on, see `drop` of threefry.ts. */
export function dropout(
  count: i32,
  x: usize,
  out: usize,
  index: i32,
  hi: i32,
  lo: i32,
  dropped: i32,
  factor: f32,
  scratch: usize,
): void {
  const random = changetype<Threefry>(scratch + CONSTANTS)
  random.prepare(hi, lo)
  dropFrom(random, count, x, out, index, dropped, factor, scratch)
}

/** old · kept + now · taken. */
export function blend(count: i32, kept: f32, taken: f32, old: usize, now: usize, out: usize, scratch: usize): void {
  const keeps = f32x4.splat(kept)
  const takes = f32x4.splat(taken)
  const end = old + bytes(count & ~3)
  for (; old < end; old += 16) {
    v128.store(out, f32x4.add(f32x4.mul(v128.load(old), keeps), f32x4.mul(v128.load(now), takes)))
    now += 16
    out += 16
  }
  const rest = count & 3
  if (rest == 0) return
  const blended = f32x4.add(f32x4.mul(loadPart(old, rest), keeps), f32x4.mul(loadPart(now, rest), takes))
  storePart(out, blended, rest)
}

/** old · kept + now² · taken. */
export function blendSquare(
  count: i32,
  kept: f32,
  taken: f32,
  old: usize,
  now: usize,
  out: usize,
  scratch: usize,
): void {
  const keeps = f32x4.splat(kept)
  const takes = f32x4.splat(taken)
  const end = old + bytes(count & ~3)
  for (; old < end; old += 16) {
    const value = v128.load(now)
    v128.store(out, f32x4.add(f32x4.mul(v128.load(old), keeps), f32x4.mul(f32x4.mul(value, value), takes)))
    now += 16
    out += 16
  }
  const rest = count & 3
  if (rest == 0) return
  const value = loadPart(now, rest)
  const blended = f32x4.add(f32x4.mul(loadPart(old, rest), keeps), f32x4.mul(f32x4.mul(value, value), takes))
  storePart(out, blended, rest)
}

/** mean / (√square · scale + floor), with scale and floor in memory. */
export function adamDirection(
  count: i32,
  mean: usize,
  square: usize,
  scale: usize,
  floor: usize,
  out: usize,
  scratch: usize,
): void {
  const scales = v128.load32_splat(scale)
  const floors = v128.load32_splat(floor)
  const end = mean + bytes(count & ~3)
  for (; mean < end; mean += 16) {
    const spread = f32x4.add(f32x4.mul(f32x4.sqrt(v128.load(square)), scales), floors)
    v128.store(out, f32x4.div(v128.load(mean), spread))
    square += 16
    out += 16
  }
  const rest = count & 3
  if (rest == 0) return
  const spread = f32x4.add(f32x4.mul(f32x4.sqrt(loadPart(square, rest)), scales), floors)
  storePart(out, f32x4.div(loadPart(mean, rest), spread), rest)
}
