import { fc, test } from '@fast-check/vitest'
import { beforeAll, describe, expect } from 'vitest'
import { startWasm, ways } from './product.ts'
import { array, noise, twins, worst } from './twins.ts'

const functions = [
  'exp',
  'log',
  'tanh',
  'erf',
  'sigmoid',
  'silu',
  'siluSlope',
  'gelu',
  'geluSlope',
  'geluTanh',
  'geluTanhSlope',
] as const

/** Units in the last place that the float32 next to the exact value may be missed by. */
const allowed = { exp: 2, log: 1, tanh: 7, erf: 7, sigmoid: 3, silu: 4 } as const

/** About a million floats of both signs, from 2⁻¹⁴⁹ on: every 3001st bit pattern. */
const scan = (): Float32Array => {
  const bits = new Uint32Array(2 * Math.floor(0x7f800000 / 3001))
  for (let i = 0; i < bits.length; i += 2) {
    bits[i] = (i / 2) * 3001
    bits[i + 1] = bits[i]! | 0x80000000
  }
  return new Float32Array(bits.buffer)
}

const bitsOf = new Int32Array(1)
const floatOf = new Float32Array(bitsOf.buffer)
/** Floats in between; two of different sign count from 0 on. */
const order = (x: number): number => {
  floatOf[0] = x
  return bitsOf[0]! < 0 ? -(bitsOf[0]! & 0x7fffffff) : bitsOf[0]!
}

describe.each(ways)('functions of a number on WASM, $threads threads, reproducible: $reproducible', (way) => {
  beforeAll(() => startWasm(way))

  test.each(Object.entries(allowed))('%s is right to %d units in the last place', (name, units) => {
    const x = scan()
    const { found, expected } = twins(name, [array(x)])
    let largest = 0
    let at = NaN
    for (let i = 0; i < x.length; i++) {
      // Close to 2⁻¹²⁶ what the result is made of is no normal number any more.
      if (Math.abs(expected[i]!) < 1e-35 && Math.abs(found[i]!) < 1e-35) continue
      if (Number.isNaN(expected[i]!) && Number.isNaN(found[i]!)) continue
      const distance = Math.abs(order(found[i]!) - order(expected[i]!))
      if (!(distance <= largest)) [largest, at] = [distance, x[i]!]
    }
    expect({ largest, at }).toEqual({ largest: expect.toSatisfy((value: number) => value <= units), at })
  })

  const inputs = fc.record({
    length: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(30_001, 65_537)),
    seed: fc.nat(),
    spread: fc.constantFrom(1, 5, 30),
  })
  describe.each(functions)('%s', (name) => {
    test.prop([inputs], { numRuns: 30 })('is its twin for any number of numbers', ({ length, seed, spread }) => {
      const x = noise(seed, length, spread)
      const given = array(name === 'log' ? x.map(Math.abs) : name === 'exp' ? x.map((each) => Math.min(each, 80)) : x)
      expect(worst(twins(name, [given]))).toBeLessThan(5e-7)
    })
  })

  test.each([
    ['exp', [0, -Infinity, Infinity, 89, -104, NaN], [1, 0, Infinity, Infinity, 0, NaN]],
    ['log', [1, 0, -0, -1, Infinity, -Infinity, NaN], [0, -Infinity, -Infinity, NaN, Infinity, NaN, NaN]],
    ['tanh', [0, 100, -100, Infinity, NaN], [0, 1, -1, 1, NaN]],
    ['erf', [0, 4, -4, -Infinity, NaN], [0, 1, -1, -1, NaN]],
    ['sigmoid', [0, 100, -100, Infinity, -Infinity, NaN], [0.5, 1, 0, 1, 0, NaN]],
    ['gelu', [0, 100, -100, Infinity, NaN], [0, 100, 0, Infinity, NaN]],
    ['geluSlope', [100, -100, NaN], [1, 0, NaN]],
    ['geluTanh', [0, 100, -100, NaN], [0, 100, 0, NaN]],
    ['silu', [0, 100, -100, NaN], [0, 100, 0, NaN]],
  ])('%s at the ends', (name, x, expected) => {
    // Of either sign, if 0.
    expect(Array.from(twins(name, [array(Float32Array.from(x))]).found, (each) => each + 0)).toEqual(expected)
  })
})
