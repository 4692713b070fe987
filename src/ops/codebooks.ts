import { halfReader, widenInto } from './halves.ts'
import type { Half } from './halves.ts'
import type { Array_ } from './op.ts'

/** How the numbers of a packed weight are coded: 4 bits of a normal-float codebook, 8 bits of a linear one, or halves as they are. */
export type PackedScheme = 'nf4' | 'int8' | Half

/** How many codes one int32 holds. */
export const codesPerWord: Readonly<Record<PackedScheme, number>> = { nf4: 8, int8: 4, bf16: 2, f16: 2 }

/** Whether the codes are numbers in 16 bits, which have no scale. */
export const isHalf = (scheme: PackedScheme): scheme is Half => scheme === 'bf16' || scheme === 'f16'

/** Weights that share one scale in NF4, and scales that share one when they are quantised themselves. */
export const BLOCK = 64
export const NESTED_BLOCK = 256

/**
 * The 16 values of NF4: quantiles of a normal distribution scaled to [-1, 1], with an exact zero.
 *
 * @example
 * ```ts
 * import { nf4Map } from 'espalier/ops'
 * nf4Map[7] // => 0
 * nf4Map.length // => 16
 * ```
 * @source Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", Appendix E.
 */
export const nf4Map: Float32Array = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
)

const f = Math.fround

/** As PyTorch spaces float32 numbers from 0.1 to 1: counted from the nearer end, multiplied and added in one rounding. */
const tenthToOne = (count: number): readonly number[] => {
  const [from, half] = [f(0.1), Math.floor(count / 2)]
  const step = f(f(1 - from) / (count - 1))
  return Array.from({ length: count }, (_, i) => f(i < half ? from + step * i : 1 - step * (count - 1 - i)))
}

const exponents = 7

/**
 * The 256 values in which NF4's scales are quantised: seven decades, each with twice the steps of the one below; signed,
 * with 1 but without -1.
 *
 * @example
 * ```ts
 * import { dynamicMap } from 'espalier/ops'
 * dynamicMap[127] // => 0
 * dynamicMap[255] // => 1
 * ```
 * @source Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization", §2.1.
 */
export const dynamicMap: Float32Array = Float32Array.from(
  [
    0,
    1,
    ...Array.from({ length: exponents }, (_, i) => {
      const edges = tenthToOne(2 ** i + 1)
      const decade = f(10 ** (i - exponents + 1))
      return edges.slice(1).flatMap((edge, j) => {
        const middle = f(f(f(edge + edges[j]!) / 2) * decade)
        return [middle, -middle]
      })
    }).flat(),
  ].toSorted((a, b) => a - b),
)

/** What a kernel must know of a packed weight besides its tensors: how it is coded, and the shape it is held in. */
export type PackedAttrs = { readonly scheme: PackedScheme; readonly shape: readonly [rows: number, columns: number] }

type Reader = (block: number) => number

const halvesIn = ({ data }: Array_): Uint16Array => new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
const bytesOf = ({ data }: Array_): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** The scale of each block: held as it is, or itself in 8 bits around an offset. */
const scaleReader = (scales: readonly Array_[]): Reader => {
  const [first, nested, offset] = scales.map(({ data }) => data)
  if (nested === undefined || offset === undefined) return (block) => first![block]!
  const [codes, shift] = [bytesOf(scales[0]!), offset[0]!]
  return (block) => f(f(dynamicMap[codes[block]!]! * nested[block >>> 8]!) + shift)
}

/**
 * Writes the weights from `from` to `to`, counted in the order they are held in, to `out` from `at` on.
 *
 * @internal
 */
export const decodeInto = (
  { scheme, shape }: PackedAttrs,
  [codes, ...scales]: readonly Array_[],
  out: Float32Array,
  [from, to]: readonly [from: number, to: number] = [0, shape[0] * shape[1]],
  at = 0,
): void => {
  if (isHalf(scheme)) widenInto(halvesIn(codes!), scheme, out, [from, to], at)
  else if (scheme === 'int8') decodeInt8(shape[1], codes!, scales[0]!, out, from, to, at)
  else decodeNf4(bytesOf(codes!), scaleReader(scales), out, from, to, at)
}

const decodeInt8 = (
  width: number,
  { data }: Array_,
  { data: scales }: Array_,
  out: Float32Array,
  from: number,
  to: number,
  start: number,
): void => {
  let at = start
  const codes = new Int8Array(data.buffer, data.byteOffset, data.byteLength)
  for (let i = from; i < to;) {
    const row = Math.floor(i / width)
    const scale = scales[row]!
    for (const end = Math.min(to, (row + 1) * width); i < end; i++) out[at++] = codes[i]! * scale
  }
}

const decodeNf4 = (
  bytes: Uint8Array,
  scaleOf: Reader,
  out: Float32Array,
  from: number,
  to: number,
  start: number,
): void => {
  let at = start
  // The 16 values of a block are multiplied out once; then each byte is two look-ups.
  const values = new Float32Array(16)
  for (let i = from; i < to;) {
    const block = Math.floor(i / BLOCK)
    const scale = scaleOf(block)
    for (let code = 0; code < 16; code++) values[code] = nf4Map[code]! * scale
    const end = Math.min(to, (block + 1) * BLOCK)
    if (i % 2 === 1) out[at++] = values[bytes[i++ >>> 1]! & 15]!
    for (; i + 1 < end; i += 2, at += 2) {
      const byte = bytes[i >>> 1]!
      out[at] = values[byte >>> 4]!
      out[at + 1] = values[byte & 15]!
    }
    if (i < end) out[at++] = values[bytes[i++ >>> 1]! >>> 4]!
  }
}

/** One weight, counted in the order it is held in. @internal */
export const decoder = ({ scheme, shape }: PackedAttrs, [codes, ...scales]: readonly Array_[]): Reader => {
  if (isHalf(scheme)) return halfReader(halvesIn(codes!), scheme)
  const bytes = bytesOf(codes!)
  if (scheme === 'int8') return (i) => f(((bytes[i]! << 24) >> 24) * scales[0]!.data[Math.floor(i / shape[1])]!)
  const scaleOf = scaleReader(scales)
  return (i) => f(nf4Map[(bytes[i >>> 1]! >>> (i % 2 === 0 ? 4 : 0)) & 15]! * scaleOf(Math.floor(i / BLOCK)))
}
