import { fail } from './error.ts'

/**
 * An explicit, splittable random key: two 32-bit words, never a global generator.
 *
 * Made by `key`, `split` and `fold`; equal keys give equal numbers on every engine.
 */
export interface Key {
  readonly _tag: 'Key'
  readonly hi: number
  readonly lo: number
}

// The second word of a counter tells what a block is for, so that no two uses of one key ever share a block.
const forWords = 0
const forSplit = 1
const forFoldNumber = 2
const forFoldString = 3
const forSeedString = 4

/**
 * Makes a key of a seed: a whole number between ±2^53, or any string. Errors: `InvalidSeed`.
 *
 * @example
 * ```ts
 * import { key } from 'espalier'
 *
 * key(7) // => { _tag: 'Key', hi: 0, lo: 7 }
 * ```
 */
export const key = (seed: number | string): Key => {
  if (typeof seed === 'string') return absorb(toKey([0, 0]), forSeedString, seed)
  checkWhole('key', seed)
  return toKey(wordsOf(seed))
}

/**
 * Gives `n` keys whose numbers have nothing to do with each other's, nor with those of the key itself.
 *
 * Errors: `InvalidCount`.
 *
 * @example
 * ```ts
 * import { key, split } from 'espalier'
 *
 * const [first, second] = split(key(0), 2)
 * first!.lo === second!.lo // => false
 * ```
 */
export const split = (k: Key, n: number): readonly Key[] => {
  checkCount('split', n)
  return Array.from({ length: n }, (_, i) => toKey(threefry(k.hi, k.lo, i, forSplit)))
}

/**
 * Gives the key that belongs to a number or a name under this key: the same each time, unlike any other's.
 *
 * Errors: `InvalidSeed` for a number that is not whole.
 *
 * @example
 * ```ts
 * import { fold, key } from 'espalier'
 *
 * fold(key(0), 'blocks.0') // => fold(key(0), 'blocks.0')
 * ```
 */
export const fold = (k: Key, data: string | number): Key => {
  if (typeof data === 'string') return absorb(k, forFoldString, data)
  checkWhole('fold', data)
  const [low, high] = wordsOf(data)
  const { hi, lo } = toKey(threefry(k.hi, k.lo, 0, forFoldNumber))
  return toKey(threefry(hi, lo, low, high))
}

/**
 * Gives the first `count` random 32-bit words of a key; word i does not depend on how many are asked for.
 *
 * Errors: `InvalidCount`.
 *
 * @example
 * ```ts
 * import { key } from 'espalier'
 * import { words } from 'espalier/ops'
 *
 * words(key(0), 2) // => new Uint32Array([0x6b200159, 0x99ba4efe])
 * ```
 */
export const words = (k: Key, count: number): Uint32Array => {
  checkCount('words', count)
  const all = new Uint32Array(count + (count % 2))
  for (let i = 0; i < all.length; i += 2) threefryInto(all, i, k.hi, k.lo, i >>> 1, forWords)
  return all.length === count ? all : all.subarray(0, count)
}

/**
 * The Threefry-2x32 block function with 20 rounds: a key and a counter of two words each give two random words.
 *
 * @source Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", §4.2; checked against Random123's answers.
 * @example
 * ```ts
 * import { threefry } from 'espalier/ops'
 *
 * threefry(0, 0, 0, 0) // => [0x6b200159, 0x99ba4efe]
 * ```
 */
export const threefry = (k0: number, k1: number, x0: number, x1: number): readonly [number, number] => {
  const block = new Uint32Array(2)
  threefryInto(block, 0, k0, k1, x0, x1)
  return [block[0]!, block[1]!]
}

/**
 * Writes the two words of a Threefry block to `out[at]` and `out[at + 1]`, for loops that must not allocate.
 *
 * @example
 * ```ts
 * import { threefryInto } from 'espalier/ops'
 *
 * const out = new Uint32Array(2)
 * threefryInto(out, 0, 0, 0, 0, 0)
 * out // => new Uint32Array([0x6b200159, 0x99ba4efe])
 * ```
 */
export const threefryInto = (out: Uint32Array, at: number, k0: number, k1: number, x0: number, x1: number): void => {
  // Unrolled: as an inner loop over a table of rotations it runs three times slower.
  const k2 = k0 ^ k1 ^ 0x1bd11bda
  let a = (x0 + k0) | 0
  let b = (x1 + k1) | 0
  a = (a + b) | 0
  b = ((b << 13) | (b >>> 19)) ^ a
  a = (a + b) | 0
  b = ((b << 15) | (b >>> 17)) ^ a
  a = (a + b) | 0
  b = ((b << 26) | (b >>> 6)) ^ a
  a = (a + b) | 0
  b = ((b << 6) | (b >>> 26)) ^ a
  a = (a + k1) | 0
  b = (b + k2 + 1) | 0
  a = (a + b) | 0
  b = ((b << 17) | (b >>> 15)) ^ a
  a = (a + b) | 0
  b = ((b << 29) | (b >>> 3)) ^ a
  a = (a + b) | 0
  b = ((b << 16) | (b >>> 16)) ^ a
  a = (a + b) | 0
  b = ((b << 24) | (b >>> 8)) ^ a
  a = (a + k2) | 0
  b = (b + k0 + 2) | 0
  a = (a + b) | 0
  b = ((b << 13) | (b >>> 19)) ^ a
  a = (a + b) | 0
  b = ((b << 15) | (b >>> 17)) ^ a
  a = (a + b) | 0
  b = ((b << 26) | (b >>> 6)) ^ a
  a = (a + b) | 0
  b = ((b << 6) | (b >>> 26)) ^ a
  a = (a + k0) | 0
  b = (b + k1 + 3) | 0
  a = (a + b) | 0
  b = ((b << 17) | (b >>> 15)) ^ a
  a = (a + b) | 0
  b = ((b << 29) | (b >>> 3)) ^ a
  a = (a + b) | 0
  b = ((b << 16) | (b >>> 16)) ^ a
  a = (a + b) | 0
  b = ((b << 24) | (b >>> 8)) ^ a
  a = (a + k1) | 0
  b = (b + k2 + 4) | 0
  a = (a + b) | 0
  b = ((b << 13) | (b >>> 19)) ^ a
  a = (a + b) | 0
  b = ((b << 15) | (b >>> 17)) ^ a
  a = (a + b) | 0
  b = ((b << 26) | (b >>> 6)) ^ a
  a = (a + b) | 0
  b = ((b << 6) | (b >>> 26)) ^ a
  out[at] = a + k2
  out[at + 1] = b + k0 + 5
}

const toKey = ([hi, lo]: readonly [number, number]): Key => ({ _tag: 'Key', hi: hi >>> 0, lo: lo >>> 0 })

const wordsOf = (whole: number): readonly [number, number] => [Math.floor(whole / 2 ** 32) >>> 0, whole >>> 0]

// Four UTF-16 units a block, the length last: no string is the beginning of another one.
const absorb = (k: Key, purpose: number, text: string): Key => {
  let state = toKey(threefry(k.hi, k.lo, 0, purpose))
  const pair = (i: number): number => (text.charCodeAt(i) || 0) | ((text.charCodeAt(i + 1) || 0) << 16)
  for (let i = 0; i < text.length; i += 4) state = toKey(threefry(state.hi, state.lo, pair(i), pair(i + 2)))
  return toKey(threefry(state.hi, state.lo, text.length, purpose))
}

const checkWhole = (what: string, value: number): void => {
  if (Number.isSafeInteger(value)) return
  fail({
    _tag: 'InvalidSeed',
    path: what,
    expected: 'a whole number between ±2^53, or a string',
    found: String(value),
    hint: 'Random numbers depend on nothing but the seed, so it must be exact.',
  })
}

const checkCount = (what: string, count: number): void => {
  if (Number.isSafeInteger(count) && count >= 0 && count < 2 ** 32) return
  fail({
    _tag: 'InvalidCount',
    path: what,
    expected: 'a whole number between 0 and 2^32',
    found: String(count),
    hint: 'Ask for as many as there are elements.',
  })
}
