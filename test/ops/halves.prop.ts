import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import { fromHalves, toHalves } from '../../src/ops/index.ts'
import type { Half } from '../../src/ops/index.ts'

const forms: readonly Half[] = ['bf16', 'f16']
const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length)
const ofBits = (...bits: number[]): Float32Array => new Float32Array(Uint32Array.from(bits).buffer)
const all = Uint16Array.from({ length: 65536 }, (_, i) => i)

/** What the bits of a half stand for, by the words of the standard. */
const valueOf = (code: number, half: Half): number => {
  const [width, bias] = half === 'bf16' ? [7, 127] : [10, 15]
  const [sign, exponent, fraction] = [code >> 15 ? -1 : 1, (code & 0x7fff) >> width, code & (2 ** width - 1)]
  if (exponent === 2 * bias + 1) return fraction === 0 ? sign * Infinity : Number.NaN
  const [whole, power] = exponent === 0 ? [0, 1 - bias] : [1, exponent - bias]
  return sign * (whole + fraction / 2 ** width) * 2 ** power
}

describe.each(forms)('%s', (half) => {
  test('every one of the 65,536 stands for what the standard says, and comes back bit for bit', () => {
    const wide = fromHalves(all, half)
    expect(all.filter((code) => !Object.is(wide[code], valueOf(code, half)))).toEqual(new Uint16Array(0))
    const again = toHalves(wide, half)
    expect(all.filter((code) => again[code] !== code)).toEqual(new Uint16Array(0))
  })

  const anyBits = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  // Close to a half, or to the middle between two, where a rule of rounding shows.
  const near = fc.tuple(fc.nat(65535), fc.integer({ min: -2, max: 2 }), fc.boolean()).map(([code, by, middle]) => {
    const [low, high] = [valueOf(code & 0x7ffe, half), valueOf((code & 0x7ffe) + 1, half)]
    return (bitsOf(Float32Array.of(middle ? (low + high) / 2 : low))[0]! + by + 2 ** 32) % 2 ** 32
  })

  test.prop([fc.oneof(anyBits, near)], { numRuns: 2000 })('rounds to the nearest, a tie to the even code', (bits) => {
    const x = ofBits(bits)
    const [code] = toHalves(x, half)
    const value = x[0]!
    expect(Number.isNaN(valueOf(code!, half))).toBe(Number.isNaN(value))
    if (Number.isNaN(value)) return
    expect(code! >> 15).toBe(bits >>> 31)
    const magnitude = code! & 0x7fff
    const infinity = half === 'bf16' ? 0x7f80 : 0x7c00
    // Beyond the largest the distance is to the power of two that would come next.
    const reach = (m: number): number =>
      m === infinity ? 2 * valueOf(infinity - 1, half) - valueOf(infinity - 2, half) : valueOf(m, half)
    const distance = (m: number): number => Math.abs(reach(m) - Math.min(Math.abs(value), reach(infinity)))
    for (const other of [magnitude - 1, magnitude + 1].filter((m) => m >= 0 && m <= infinity)) {
      expect(distance(magnitude)).toBeLessThanOrEqual(distance(other))
      if (distance(magnitude) === distance(other)) expect(magnitude % 2).toBe(0)
    }
  })
})

test('known bits', () => {
  const values = Float32Array.of(1, -2, 65504, 65519.99, 65520, 2 ** -25, 2 ** -25 * 1.0001, 0.1, -0, 3.4e38)
  expect(toHalves(values, 'f16')).toEqual(
    Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x7bff, 0x7c00, 0, 1, 0x2e66, 0x8000, 0x7c00),
  )
  expect(toHalves(Float32Array.of(1, 0.1, 3.4e38, -3.4028235e38, 2 ** -134, -0), 'bf16')).toEqual(
    Uint16Array.of(0x3f80, 0x3dcd, 0x7f80, 0xff80, 0, 0x8000),
  )
  // NaNs: what is left of the payload, or the quiet bit.
  expect(toHalves(ofBits(0x7f80_0001, 0xffc1_0000), 'bf16')).toEqual(Uint16Array.of(0x7fc0, 0xffc1))
  expect(toHalves(ofBits(0x7f80_0001, 0xff80_2000), 'f16')).toEqual(Uint16Array.of(0x7e00, 0xfc01))
})
