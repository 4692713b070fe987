import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { dropoutOps } from '../../../src/ops/defs/dropout.ts'
import type { Array_ } from '../../../src/ops/op.ts'
import { both, has, noise, onNative, opOf, restrict, there } from './twins.ts'

onNative()

const dropout = opOf(dropoutOps, 'dropout')
const word = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const sizes = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(1023, 1024, 1025, 50_001))

describe.runIf(has).each(there)('with %s', (isa) => {
  test.prop([sizes, word, word, fc.constantFrom(0, 0.1, 0.5, 0.999), fc.option(fc.tuple(fc.integer(), fc.integer()))])(
    'EspalierDropout drops the same elements as its twin',
    (size, hi, lo, rate, words) => {
      restrict(isa)
      const seed: readonly Array_[] = words === null ? [] : [{ shape: [2], data: Int32Array.from(words) }]
      const { found, expected } = both(dropout, [noise([size], hi), ...seed], { rate, hi, lo })
      const kept = (data: Float32Array) => data.map((x) => +(x !== 0))
      expect(kept(found)).toEqual(kept(expected))
      found.forEach((x, i) => expect(Math.abs(x - expected[i]!)).toBeLessThanOrEqual(2e-7 * Math.abs(expected[i]!)))
    },
  )

  it('makes 0 of what is dropped, whatever it was', () => {
    restrict(isa)
    const x: Array_ = { shape: [64], data: new Float32Array(64).fill(Infinity) }
    const { found, expected } = both(dropout, [x], { rate: 0.5, hi: 1, lo: 2 })
    expect(found).toEqual(expected)
    expect(found).toContain(0)
  })
})
