/** A number in 16 bits: `bf16` has float32's range and 8 bits of precision, `f16` (IEEE binary16) 11 bits, to 65504. */
export type Half = 'bf16' | 'f16'

const infinity = 0x7f80_0000
// 2^16, beyond every number of f16, and 2^-14, its least normal one, as bits of a float32.
const [f16Overflow, f16Normal] = [0x4780_0000, 0x3880_0000]
// Added and taken off again, it rounds a float64 to a whole number, ties to even.
const rounder = 2 ** 52

/** Without the last `shift` bits, to nearest, ties to even. */
const dropped = (bits: number, shift: number): number =>
  (bits + 2 ** (shift - 1) - 1 + ((bits >>> shift) & 1)) >>> shift

/** A NaN keeps as much of its payload as there is room for, and stays one. */
const nan = (fraction: number, quiet: number): number => (fraction === 0 ? quiet : fraction)

const bf16Of = (bits: number): number => {
  const magnitude = bits & 0x7fff_ffff
  if (magnitude > infinity) return ((bits >>> 16) & 0xff80) | nan((bits >>> 16) & 0x7f, 0x40)
  return dropped(bits, 16)
}

const f16Of = (bits: number, value: number): number => {
  const [sign, magnitude] = [(bits >>> 16) & 0x8000, bits & 0x7fff_ffff]
  if (magnitude > infinity) return sign | 0x7c00 | nan((magnitude >>> 13) & 0x3ff, 0x200)
  if (magnitude >= f16Overflow) return sign | 0x7c00
  if (magnitude < f16Normal) return sign | (Math.abs(value) * 2 ** 24 + rounder - rounder)
  return sign | dropped(magnitude - 0x3800_0000, 13)
}

/**
 * Float32 numbers as the bits of halves, each rounded to the nearest, ties to even; what is too large is an infinity.
 *
 * @example
 * ```ts
 * import { fromHalves, toHalves } from 'espalier/ops'
 * toHalves(Float32Array.of(1, -2, 1e39), 'bf16') // => new Uint16Array([0x3f80, 0xc000, 0x7f80])
 * fromHalves(toHalves(Float32Array.of(0.1), 'f16'), 'f16') // => new Float32Array([0.0999755859375])
 * ```
 * @source IEEE 754-2019, §4.3.1 and §5.4.2.
 */
export const toHalves = (values: Float32Array, half: Half): Uint16Array<ArrayBuffer> => {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const codes = new Uint16Array(values.length)
  if (half === 'bf16') for (let i = 0; i < codes.length; i++) codes[i] = bf16Of(bits[i]!)
  else for (let i = 0; i < codes.length; i++) codes[i] = f16Of(bits[i]!, values[i]!)
  return codes
}

/** The bits of a float32 that is equal to a half of f16. */
const wideBits = (code: number): number => {
  const [sign, exponent, fraction] = [(code & 0x8000) << 16, code & 0x7c00, code & 0x3ff]
  if (exponent === 0x7c00) return sign | infinity | (fraction << 13)
  if (exponent !== 0) return sign | ((exponent << 13) + 0x3800_0000 + (fraction << 13))
  if (fraction === 0) return sign
  // What is subnormal here is none there: its first one is shifted to where it need not be written.
  const shift = Math.clz32(fraction) - 21
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)
}

/** Writes the halves from `from` to `to` as float32 to `out` from `start` on. @internal */
export const widenInto = (
  codes: Uint16Array,
  half: Half,
  out: Float32Array,
  [from, to]: readonly [from: number, to: number] = [0, codes.length],
  start = 0,
): void => {
  // As bits, so that a NaN keeps its payload.
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length)
  const by = start - from
  if (half === 'bf16') for (let i = from; i < to; i++) bits[i + by] = codes[i]! << 16
  else for (let i = from; i < to; i++) bits[i + by] = wideBits(codes[i]!)
}

/** One half after another as a number. @internal */
export const halfReader = (codes: Uint16Array, half: Half): ((i: number) => number) => {
  const one = new Float32Array(1)
  const bits = new Uint32Array(one.buffer)
  return (i) => {
    bits[0] = half === 'bf16' ? codes[i]! << 16 : wideBits(codes[i]!)
    return one[0]!
  }
}

/**
 * Halves as float32, exactly.
 *
 * @example
 * ```ts
 * import { fromHalves } from 'espalier/ops'
 * fromHalves(Uint16Array.of(0x3c00, 0x8001, 0x7c00), 'f16') // => new Float32Array([1, -(2 ** -24), Infinity])
 * ```
 */
export const fromHalves = (codes: Uint16Array, half: Half): Float32Array<ArrayBuffer> => {
  const out = new Float32Array(codes.length)
  widenInto(codes, half, out)
  return out
}
