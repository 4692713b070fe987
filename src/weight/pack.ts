import { dynamicMap, nf4Map } from '../ops/index.ts'

/*
 * Numbers to codes. All of it is float32 arithmetic in the order of bitsandbytes' CUDA kernels, so that the codes are the
 * same to the last bit.
 */

/** Weights that share one scale in NF4, and scales that share one when they are quantised themselves. */
export const BLOCK = 64
export const NESTED_BLOCK = 256

const f = Math.fround

/** The points halfway between neighbours, above which the upper one is nearer. */
const midpoints = (map: Float32Array): Float32Array =>
  Float32Array.from({ length: map.length - 1 }, (_, i) => (map[i]! + map[i + 1]!) / 2)

/** The nearest code to a number in [-1, 1]: how many midpoints lie below it, so that a tie goes to the lower one. */
type Coder = (x: number) => number

/** By halving; there are 2^n - 1 midpoints. */
const byHalving =
  (points: Float32Array): Coder =>
  (x) => {
    let code = 0
    for (let step = (points.length + 1) / 2; step >= 1; step /= 2) if (x > points[code + step - 1]!) code += step
    return code
  }

const BINS = 128

/** By a table of bins so narrow that none holds two midpoints: one look-up and one comparison, four times as fast. */
const byBins = (points: Float32Array): Coder => {
  const binOf = (x: number): number => Math.floor((x + 1) * BINS)
  const below = Uint8Array.from({ length: 2 * BINS + 1 }, (_, bin) => points.filter((p) => binOf(p) < bin).length)
  // What may come after the last midpoint is above none.
  const next = Float32Array.of(...points, Infinity)
  return (x) => {
    const code = below[Math.floor((x + 1) * BINS)]!
    return x > next[code]! ? code + 1 : code
  }
}

const nf4Code = byBins(midpoints(nf4Map))
const dynamicCode = byHalving(midpoints(dynamicMap))
const zeroCode = 7

const largest = (values: Float32Array, from: number, to: number): number => {
  let most = 0
  for (let i = from; i < to; i++) most = Math.max(most, Math.abs(values[i]!))
  return most
}

/**
 * One code for each number, of blocks that are each scaled to [-1, 1] by their largest.
 *
 * A block of zeros has the scale 0. Where the reciprocal of a subnormal scale overflows, the numbers are divided instead.
 */
const blockwise = (values: Float32Array, length: number, coder: Coder): { codes: Uint8Array; absmax: Float32Array } => {
  const codes = new Uint8Array(values.length)
  const absmax = new Float32Array(Math.ceil(values.length / length))
  for (let block = 0; block < absmax.length; block++) {
    const [from, to] = [block * length, Math.min(values.length, (block + 1) * length)]
    const most = largest(values, from, to)
    absmax[block] = most
    const factor = most === 0 ? 0 : f(1 / most)
    if (Number.isFinite(factor)) for (let i = from; i < to; i++) codes[i] = coder(f(values[i]! * factor))
    else for (let i = from; i < to; i++) codes[i] = coder(f(values[i]! / most))
  }
  return { codes, absmax }
}

const wordsFor = (bytes: number): Int32Array => new Int32Array(Math.ceil(bytes / 4))
const bytesOf = (words: Int32Array): Uint8Array => new Uint8Array(words.buffer)

/** Codes in int32 words from the lowest byte up, and what they are to be multiplied by. */
export interface Codes {
  readonly codes: Int32Array
  readonly absmax: Float32Array
}

/** NF4 in blocks of 64, the earlier of two codes in the upper half of their byte; what fills the last word decodes to 0. */
export const packNf4 = (values: Float32Array): Codes => {
  const words = wordsFor(Math.ceil(values.length / 2))
  const bytes = bytesOf(words).fill((zeroCode << 4) | zeroCode)
  const { codes, absmax } = blockwise(values, BLOCK, nf4Code)
  for (let i = 0; i < codes.length; i += 2) bytes[i >>> 1] = (codes[i]! << 4) | (codes[i + 1] ?? zeroCode)
  return { codes: words, absmax }
}

/** The scales of NF4 in 8 bits, as they differ from their mean, in blocks of 256. */
export const packScales = (scales: Float32Array): Codes & { readonly offset: number } => {
  const offset = f(scales.reduce((sum, x) => sum + x, 0) / scales.length)
  const words = wordsFor(scales.length)
  const { codes, absmax } = blockwise(
    scales.map((x) => x - offset),
    NESTED_BLOCK,
    dynamicCode,
  )
  bytesOf(words).set(codes)
  return { codes: words, absmax, offset }
}

const LEVELS = 127
// Added and taken off again, it rounds a float32 to a whole number, ties to even.
const rounder = 1.5 * 2 ** 23

/** Eight bits with one scale for each row, linear: -127 to 127 times the scale. */
export const packInt8 = (values: Float32Array, columns: number): Codes => {
  const codes = wordsFor(values.length)
  const bytes = new Int8Array(codes.buffer)
  const rows = values.length / columns
  const absmax = new Float32Array(rows)
  for (let row = 0; row < rows; row++) {
    const [from, to] = [row * columns, (row + 1) * columns]
    const most = largest(values, from, to)
    absmax[row] = most / LEVELS
    if (most === 0) continue
    for (let i = from; i < to; i++) bytes[i] = f(f(f(values[i]! / most) * LEVELS) + rounder) - rounder
  }
  return { codes, absmax }
}

/** Halves two to a word, the earlier in the lower half; where they lie so already, nothing is copied. */
export const packHalves = (codes: Uint16Array): Int32Array => {
  if (codes.length % 2 === 0 && codes.byteOffset % 4 === 0)
    return new Int32Array(codes.buffer as ArrayBuffer, codes.byteOffset, codes.length / 2)
  const words = wordsFor(codes.byteLength)
  new Uint16Array(words.buffer).set(codes)
  return words
}
