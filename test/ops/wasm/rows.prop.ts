import { fc, test } from '@fast-check/vitest'
import { beforeAll, describe, expect } from 'vitest'
import { startWasm, ways } from './product.ts'
import { array, noise, twins, worst } from './twins.ts'

const sizes = {
  rows: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(513)),
  width: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(127, 128, 769)),
  seed: fc.nat(),
}

describe.each(ways)('kernels over rows on WASM, $threads threads, reproducible: $reproducible', (way) => {
  beforeAll(() => startWasm(way))

  const norms = fc.record({
    ...sizes,
    scaled: fc.boolean(),
    shifted: fc.boolean(),
    eps: fc.constantFrom(1e-5, 1e-12, 1),
  })

  test.prop([norms], { numRuns: 150 })('layerNorm is its twin', ({ rows, width, seed, scaled, shifted, eps }) => {
    const row = (which: number) => array(noise(seed + which, width))
    const x = array(noise(seed, rows * width, 3), [rows, width])
    const inputs = [x, ...(scaled ? [row(1)] : []), ...(shifted ? [row(2)] : [])]
    expect(worst(twins('layerNorm', inputs, { eps, scaled, shifted }))).toBeLessThan(2e-5)
  })

  test.prop([norms], { numRuns: 150 })('layerNormSlope is its twin', ({ rows, width, seed, eps }) => {
    const x = array(noise(seed, rows * width, 3), [rows, width])
    const g = array(noise(seed + 1, rows * width), [rows, width])
    // What is left of g where its row of x hardly varies is small beside what it is multiplied by, up to 1 / √eps.
    expect(worst(twins('layerNormSlope', [x, g], { eps }))).toBeLessThan(2e-5 + 2e-6 / Math.sqrt(eps))
  })
})
