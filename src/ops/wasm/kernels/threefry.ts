import { bytes } from './lanes'
import { TILE } from './scratch'

/** The words of src/tree/key.ts, those of four counters at a time. A view of memory, as exp.ts says. */
@unmanaged
export class Threefry {
  key0: v128
  key1: v128
  key2: v128

  prepare(hi: i32, lo: i32): void {
    this.key0 = i32x4.splat(hi)
    this.key1 = i32x4.splat(lo)
    this.key2 = i32x4.splat(hi ^ lo ^ 0x1bd11bda)
  }

  /** Writes the eight words with the numbers from 2 `counter` on. */
  words(counter: i32, to: usize): void {
    let a = i32x4.add(i32x4.add(i32x4.splat(counter), i32x4(0, 1, 2, 3)), this.key0)
    let b = this.key1
    a = i32x4.add(a, b)
    b = turned(b, 13, a)
    a = i32x4.add(a, b)
    b = turned(b, 15, a)
    a = i32x4.add(a, b)
    b = turned(b, 26, a)
    a = i32x4.add(a, b)
    b = turned(b, 6, a)
    a = i32x4.add(a, this.key1)
    b = i32x4.add(b, i32x4.add(this.key2, i32x4.splat(1)))
    a = i32x4.add(a, b)
    b = turned(b, 17, a)
    a = i32x4.add(a, b)
    b = turned(b, 29, a)
    a = i32x4.add(a, b)
    b = turned(b, 16, a)
    a = i32x4.add(a, b)
    b = turned(b, 24, a)
    a = i32x4.add(a, this.key2)
    b = i32x4.add(b, i32x4.add(this.key0, i32x4.splat(2)))
    a = i32x4.add(a, b)
    b = turned(b, 13, a)
    a = i32x4.add(a, b)
    b = turned(b, 15, a)
    a = i32x4.add(a, b)
    b = turned(b, 26, a)
    a = i32x4.add(a, b)
    b = turned(b, 6, a)
    a = i32x4.add(a, this.key0)
    b = i32x4.add(b, i32x4.add(this.key1, i32x4.splat(3)))
    a = i32x4.add(a, b)
    b = turned(b, 17, a)
    a = i32x4.add(a, b)
    b = turned(b, 29, a)
    a = i32x4.add(a, b)
    b = turned(b, 16, a)
    a = i32x4.add(a, b)
    b = turned(b, 24, a)
    a = i32x4.add(a, this.key1)
    b = i32x4.add(b, i32x4.add(this.key2, i32x4.splat(4)))
    a = i32x4.add(a, b)
    b = turned(b, 13, a)
    a = i32x4.add(a, b)
    b = turned(b, 15, a)
    a = i32x4.add(a, b)
    b = turned(b, 26, a)
    a = i32x4.add(a, b)
    b = turned(b, 6, a)
    a = i32x4.add(a, this.key2)
    b = i32x4.add(b, i32x4.add(this.key0, i32x4.splat(5)))
    v128.store(to, v128.shuffle<i32>(a, b, 0, 4, 1, 5))
    v128.store(to, v128.shuffle<i32>(a, b, 2, 6, 3, 7), 16)
  }
}

function turned(b: v128, bits: i32, a: v128): v128 {
  return v128.xor(v128.or(i32x4.shl(b, bits), i32x4.shr_u(b, 32 - bits)), a)
}

/**
 * Dropout of `count` numbers, of which the first draws the word with number `index`: kept and multiplied by `factor` where the
 * word is at least `dropped`, else 0. `to` may be `from`.
 */
export function drop(
  random: Threefry,
  count: i32,
  from: usize,
  to: usize,
  index: i32,
  dropped: i32,
  factor: f32,
  scratch: usize,
): void {
  const words = scratch + TILE
  const limits = i32x4.splat(dropped)
  const factors = f32x4.splat(factor)
  // Words come in pairs, so the first eight may begin one before the first number.
  for (let i = -(index & 1); i < count; i += 8) {
    random.words(((index + i) as u32) >>> 1, words)
    if (i >= 0 && i + 8 <= count) {
      const low = v128.load(from + bytes(i))
      const high = v128.load(from + bytes(i), 16)
      const keepsLow = i32x4.ge_u(v128.load(words), limits)
      const keepsHigh = i32x4.ge_u(v128.load(words, 16), limits)
      v128.store(to + bytes(i), v128.and(f32x4.mul(low, factors), keepsLow))
      v128.store(to + bytes(i), v128.and(f32x4.mul(high, factors), keepsHigh), 16)
    } else {
      for (let j = max(i, 0); j < min(i + 8, count); j++) {
        const kept = load<u32>(words + bytes(j - i)) >= (dropped as u32)
        store<f32>(to + bytes(j), kept ? load<f32>(from + bytes(j)) * factor : 0)
      }
    }
  }
}
