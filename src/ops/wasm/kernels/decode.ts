import { CONSTANTS } from './scratch'

/*
 * Weights held in 4, 8 or 16 bits as float32, a run of them at a time, bit by bit what the scalar twin in
 * src/ops/codebooks.ts gives: one rounding a weight, that of its product with the scale.
 */

/** How the codes are to be read; the order of `schemes` in src/ops/wasm/packed.ts. */
const NF4: i32 = 0
const INT8: i32 = 1
const BF16: i32 = 2
const F16: i32 = 3

/** In the constants of the scratch memory: the 16 values of NF4, then their four bytes apart, 16 lowest bytes first. */
const VALUES: usize = CONSTANTS
const PLANES: usize = CONSTANTS + 64

/** Must come before `decode`, in each call of a kernel. */
export function prepareDecode(scheme: i32, scratch: usize): void {
  if (scheme != NF4) return
  const to = scratch + VALUES
  store<f32>(to, -1, 0)
  store<f32>(to, -0.6961928009986877, 4)
  store<f32>(to, -0.5250730514526367, 8)
  store<f32>(to, -0.39491748809814453, 12)
  store<f32>(to, -0.28444138169288635, 16)
  store<f32>(to, -0.18477343022823334, 20)
  store<f32>(to, -0.09105003625154495, 24)
  store<f32>(to, 0, 28)
  store<f32>(to, 0.07958029955625534, 32)
  store<f32>(to, 0.16093020141124725, 36)
  store<f32>(to, 0.24611230194568634, 40)
  store<f32>(to, 0.33791524171829224, 44)
  store<f32>(to, 0.44070982933044434, 48)
  store<f32>(to, 0.5626170039176941, 52)
  store<f32>(to, 0.7229568362236023, 56)
  store<f32>(to, 1, 60)
  for (let i: usize = 0; i < 16; i++) {
    for (let byte: usize = 0; byte < 4; byte++) {
      store<u8>(scratch + PLANES + 16 * byte + i, load<u8>(to + 4 * i + byte))
    }
  }
}

/**
 * `count` weights from number `from` on, in the order they are held in. `scales` is one float32 for each 64 weights (NF4) or
 * for each row of `columns` weights (int8).
 */
export function decode(
  scheme: i32,
  codes: usize,
  scales: usize,
  columns: u32,
  from: u32,
  count: u32,
  to: usize,
  scratch: usize,
): void {
  if (scheme == NF4) decodeNf4(codes, scales, from, count, to, scratch)
  else if (scheme == INT8) decodeInt8(codes, scales, columns, from, count, to)
  else if (scheme == BF16) decodeBf16(codes + (from as usize) * 2, count, to)
  else decodeF16(codes + (from as usize) * 2, count, to)
}

/** Two codes a byte, the first in the upper half. */
function decodeNf4(codes: usize, scales: usize, from: u32, count: u32, to: usize, scratch: usize): void {
  const plane0 = v128.load(scratch + PLANES)
  const plane1 = v128.load(scratch + PLANES, 16)
  const plane2 = v128.load(scratch + PLANES, 32)
  const plane3 = v128.load(scratch + PLANES, 48)
  const end = from + count
  let at = from
  while (at < end) {
    const blockEnd = min(end, (at | 63) + 1)
    const scaleAt = scales + (((at >> 6) as usize) << 2)
    const scale = load<f32>(scaleAt)
    if (at & 1) {
      store<f32>(to, valueOf(load<u8>(codes + (at >> 1)) & 15, scratch) * scale)
      to += 4
      at++
    }
    const scale4 = v128.load32_splat(scaleAt)
    for (; at + 32 <= blockEnd; at += 32) {
      const bytes = v128.load(codes + (at >> 1))
      const upper = i8x16.shr_u(bytes, 4)
      const lower = v128.and(bytes, i8x16.splat(15))
      const first = v128.shuffle<i8>(upper, lower, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
      const last = v128.shuffle<i8>(upper, lower, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
      lookUp(first, plane0, plane1, plane2, plane3, scale4, to)
      lookUp(last, plane0, plane1, plane2, plane3, scale4, to + 64)
      to += 128
    }
    for (; at < blockEnd; at++) {
      const byte = load<u8>(codes + (at >> 1))
      store<f32>(to, valueOf(at & 1 ? byte & 15 : byte >> 4, scratch) * scale)
      to += 4
    }
  }
}

function valueOf(code: u8, scratch: usize): f32 {
  return load<f32>(scratch + VALUES + ((code as usize) << 2))
}

/** Sixteen codes: each byte of their values is one look-up, the bytes are put together, the scale multiplied in. */
function lookUp(codes: v128, plane0: v128, plane1: v128, plane2: v128, plane3: v128, scale: v128, to: usize): void {
  const byte0 = i8x16.swizzle(plane0, codes)
  const byte1 = i8x16.swizzle(plane1, codes)
  const byte2 = i8x16.swizzle(plane2, codes)
  const byte3 = i8x16.swizzle(plane3, codes)
  const low = v128.shuffle<i8>(byte0, byte1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
  const low8 = v128.shuffle<i8>(byte0, byte1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
  const high = v128.shuffle<i8>(byte2, byte3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
  const high8 = v128.shuffle<i8>(byte2, byte3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
  v128.store(to, f32x4.mul(scale, v128.shuffle<i16>(low, high, 0, 8, 1, 9, 2, 10, 3, 11)))
  v128.store(to, f32x4.mul(scale, v128.shuffle<i16>(low, high, 4, 12, 5, 13, 6, 14, 7, 15)), 16)
  v128.store(to, f32x4.mul(scale, v128.shuffle<i16>(low8, high8, 0, 8, 1, 9, 2, 10, 3, 11)), 32)
  v128.store(to, f32x4.mul(scale, v128.shuffle<i16>(low8, high8, 4, 12, 5, 13, 6, 14, 7, 15)), 48)
}

function decodeInt8(codes: usize, scales: usize, columns: u32, from: u32, count: u32, to: usize): void {
  const end = from + count
  let at = from
  while (at < end) {
    const row = at / columns
    const rowEnd = min(end, (row + 1) * columns)
    const scaleAt = scales + ((row as usize) << 2)
    const scale = load<f32>(scaleAt)
    const scale4 = v128.load32_splat(scaleAt)
    for (; at + 8 <= rowEnd; at += 8) {
      const wide = v128.load_ext<i8>(codes + at)
      v128.store(to, f32x4.mul(scale4, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(wide))))
      v128.store(to, f32x4.mul(scale4, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(wide))), 16)
      to += 32
    }
    for (; at < rowEnd; at++) {
      store<f32>(to, (load<i8>(codes + at) as f32) * scale)
      to += 4
    }
  }
}

/** The upper half of a float32. */
function decodeBf16(codes: usize, count: u32, to: usize): void {
  let i: u32 = 0
  for (; i + 8 <= count; i += 8) {
    const halves = v128.load(codes)
    v128.store(to, i32x4.shl(i32x4.extend_low_i16x8_u(halves), 16))
    v128.store(to, i32x4.shl(i32x4.extend_high_i16x8_u(halves), 16), 16)
    codes += 16
    to += 32
  }
  for (; i < count; i++) {
    store<u32>(to, (load<u16>(codes) as u32) << 16)
    codes += 2
    to += 4
  }
}

function decodeF16(codes: usize, count: u32, to: usize): void {
  let i: u32 = 0
  for (; i + 8 <= count; i += 8) {
    const halves = v128.load(codes)
    v128.store(to, widenF16(i32x4.extend_low_i16x8_u(halves)))
    v128.store(to, widenF16(i32x4.extend_high_i16x8_u(halves)), 16)
    codes += 16
    to += 32
  }
  for (; i < count; i++) {
    v128.store_lane<u32>(to, widenF16(i32x4.splat(load<u16>(codes))), 0)
    codes += 2
    to += 4
  }
}

/** The exponents of float32 and f16 differ by 112 in what they count from; what is subnormal in f16 is a count of 2^-24. */
function widenF16(half: v128): v128 {
  const magnitude = v128.and(half, i32x4.splat(0x7fff))
  const moved = i32x4.shl(magnitude, 13)
  const normal = i32x4.add(moved, i32x4.splat(112 << 23))
  const special = v128.or(moved, i32x4.splat(0x7f80_0000))
  const subnormal = f32x4.mul(f32x4.convert_i32x4_s(magnitude), f32x4.splat(5.960464477539063e-8))
  const finite = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x400)))
  const value = v128.bitselect(special, finite, i32x4.gt_s(magnitude, i32x4.splat(0x7bff)))
  return v128.or(value, i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16))
}
