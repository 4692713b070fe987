import { fc, test } from '@fast-check/vitest'
import { beforeAll, describe, expect } from 'vitest'
import { startWasm, ways } from './product.ts'
import { array, noise, twins, worst } from './twins.ts'

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })

/** Around the edges of tiles, and of the blocks of 1024 classes. */
const heads = fc.record({
  rows: fc.oneof(size(14), fc.constantFrom(61, 130)),
  d: fc.oneof(size(20), fc.constant(67)),
  classes: fc.oneof(size(20), fc.constantFrom(1023, 1024, 1025, 2051)),
  labelled: fc.constantFrom(0, 0.5, 1),
  transpose: fc.boolean(),
  biased: fc.boolean(),
  cap: fc.constantFrom(0, 3),
  slope: fc.boolean(),
  seed: fc.nat(),
})

describe.each(ways)('headLoss on WASM, $threads threads, reproducible: $reproducible', (way) => {
  beforeAll(() => startWasm(way))

  test.prop([heads], { numRuns: 120 })(
    'is its twin, at every edge, with rows without a label, and whatever those hold',
    ({ rows, d, classes, labelled, seed, ...attrs }) => {
      const chance = noise(seed + 9, rows)
      const label = (row: number): number => Math.floor(Math.abs(chance[row]! * 1e6)) % classes
      const isLabelled = (row: number): boolean => (Math.abs(chance[row]!) * 1000) % 1 < labelled
      const labels = Int32Array.from({ length: rows }, (_, row) => (isLabelled(row) ? label(row) : -7))
      const hidden = noise(seed, rows * d).map((x, i) => (labels[Math.floor(i / d)] === -7 ? NaN : x))
      const inputs = [
        array(hidden, [rows, d]),
        array(noise(seed + 1, d * classes), attrs.transpose ? [classes, d] : [d, classes]),
        ...(attrs.biased ? [array(noise(seed + 2, classes, 5))] : []),
        array(labels),
      ]
      expect(worst(twins('headLoss', inputs, { ...attrs, ignore: -7 }))).toBeLessThan(2e-5)
    },
  )

  test('is exact where one logit is far above the rest, in whichever block it comes', () => {
    const classes = 2500
    for (const at of [0, 1023, 1024, 2499]) {
      const weight = new Float32Array(classes).fill(-100)
      weight[at] = 1000
      const labels = Int32Array.of(at, (at + 1) % classes)
      const attrs = { ignore: -100, transpose: false, biased: false, cap: 0, slope: true }
      const inputs = [array(Float32Array.of(1, 1), [2, 1]), array(weight, [1, classes]), array(labels)]
      expect([...twins('headLoss', inputs, attrs).found]).toEqual([0, 1100, 0, 1100])
    }
  })

  test.each([0, 3])('is finite where whole blocks of logits are -Infinity, and NaN where one is NaN: cap %i', (cap) => {
    const [rows, d, classes] = [3, 5, 2500]
    for (const [from, to] of [
      [0, 1024],
      [0, 2499],
      [1000, 2100],
    ] as const) {
      const bias = noise(3, classes).fill(-Infinity, from, to)
      const labels = array(Int32Array.of(2499, 2499, 2499))
      const attrs = { ignore: -100, transpose: true, biased: true, cap, slope: true }
      const given = (hidden: Float32Array) => [
        array(hidden, [rows, d]),
        array(noise(2, d * classes), [classes, d]),
        array(bias),
        labels,
      ]
      const found = twins('headLoss', given(noise(1, rows * d)), attrs)
      expect(found.found.every(Number.isFinite)).toBe(true)
      expect(worst(found)).toBeLessThan(2e-5)
      const spoilt = twins('headLoss', given(noise(1, rows * d).fill(NaN, 5, 6)), attrs).found
      expect(Array.from(spoilt.slice(-3), Number.isNaN)).toEqual([false, true, false])
    }
  })
})
