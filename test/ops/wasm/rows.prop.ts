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

  test.prop([norms], { numRuns: 80 })('layerNorm is its twin', ({ rows, width, seed, scaled, shifted, eps }) => {
    const row = (which: number) => array(noise(seed + which, width))
    const x = array(noise(seed, rows * width, 3), [rows, width])
    const inputs = [x, ...(scaled ? [row(1)] : []), ...(shifted ? [row(2)] : [])]
    expect(worst(twins('layerNorm', inputs, { eps, scaled, shifted }))).toBeLessThan(2e-5)
  })

  test.prop([norms], { numRuns: 80 })('layerNormSlope is its twin', ({ rows, width, seed, eps }) => {
    const x = array(noise(seed, rows * width, 3), [rows, width])
    const g = array(noise(seed + 1, rows * width), [rows, width])
    // What is left of g where its row of x hardly varies is small beside what it is multiplied by, up to 1 / √eps.
    expect(worst(twins('layerNormSlope', [x, g], { eps }))).toBeLessThan(2e-5 + 2e-6 / Math.sqrt(eps))
  })

  const ranks = fc.record({
    shape: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
    width: sizes.width,
    seed: fc.nat(),
    mask: fc.constantFrom('none', 'bool', 'int32', 'float32'),
    lost: fc.nat(5),
    alike: fc.integer({ min: 0, max: 31 }),
  })
  test.prop([ranks], { numRuns: 80 })('softmax is its twin, of any rank and mask', (call) => {
    const shape = [...call.shape, call.width]
    const size = shape.reduce((product, length) => product * length, 1)
    const x = array(noise(call.seed, size, 20), shape)
    const of = shape.map((length, axis) => ((call.alike >> axis) & 1 ? 1 : length)).slice(call.lost)
    const chosen = noise(
      call.seed + 1,
      of.reduce((product, length) => product * length, 1),
    )
    const kinds = { bool: Uint8Array, int32: Int32Array, float32: Float32Array }
    const mask =
      call.mask === 'none'
        ? []
        : [
            array(
              kinds[call.mask as 'bool'].from(chosen, (c) => +(c > -0.5)),
              of,
            ),
          ]
    expect(worst(twins('softmax', [x, ...mask], { masked: mask.length > 0 }))).toBeLessThan(2e-6)
  })

  const losses = fc
    .record({ ...sizes, width: fc.oneof(sizes.width, fc.constant(5001)), labelled: fc.constantFrom(0, 0.5, 1) })
    .filter(({ rows, width }) => rows * width < 50_000)
  test.prop([losses], { numRuns: 100 })(
    'crossEntropyRows and crossEntropySlope are their twins, and read no row without a label',
    ({ rows, width, seed, labelled }) => {
      const chance = noise(seed + 1, rows).map((x) => Math.abs(x * 1000) % 1)
      const labels = Int32Array.from(chance, (x) => (x < labelled ? Math.floor(x * 997) % width : -1))
      const logits = noise(seed, rows * width, 9).map((x, i) => (labels[Math.floor(i / width)] === -1 ? NaN : x))
      const inputs = [array(logits, [rows, width]), array(labels)]
      expect(worst(twins('crossEntropyRows', inputs, { ignore: -1 }))).toBeLessThan(2e-6)
      const dy = array(noise(seed + 2, rows))
      expect(worst(twins('crossEntropySlope', [...inputs, dy], { ignore: -1 }))).toBeLessThan(2e-6)
    },
  )
})

describe.each(ways)('passes on WASM, $threads threads, reproducible: $reproducible', (way) => {
  beforeAll(() => startWasm(way))
  const length = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(9_999, 65_537))

  test.prop([length, fc.nat(), fc.constantFrom(0, 0.1, 0.5, 0.999), fc.boolean()], { numRuns: 40 })(
    'dropout drops what its twin drops, and what it drops is 0 whatever it was',
    (count, seed, rate, seeded) => {
      const x = noise(seed, count).map((each, i) => (i % 97 === 5 ? NaN : each))
      const inputs = [array(x), ...(seeded ? [array(Int32Array.of(seed | 0, -3))] : [])]
      const result = twins('dropout', inputs, { rate, hi: 0x9e3779b9, lo: seed >>> 0 })
      expect(worst(result)).toBeLessThan(1e-6)
      expect(result.found.map((each) => +(each === 0))).toEqual(
        Float32Array.from(result.expected, (each) => +(each === 0)),
      )
    },
  )

  test.prop([length, fc.nat(), fc.constantFrom(0, 0.9, 0.999)])(
    'those of Adam are their twins',
    (count, seed, kept) => {
      const [old, now] = [array(noise(seed, count)), array(noise(seed + 1, count))]
      for (const name of ['blend', 'blendSquare']) expect(worst(twins(name, [old, now], { kept }))).toBeLessThan(1e-6)
      const square = array(noise(seed + 2, count).map(Math.abs))
      const scalars = [0.7, 1e-3].map((value) => array(Float32Array.of(value), []))
      expect(worst(twins('adamDirection', [old, square, ...scalars]))).toBeLessThan(1e-6)
    },
  )

  const axis = fc
    .oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(60, 131))
    .chain((of) =>
      fc
        .integer({ min: 1, max: of })
        .chain((size) => fc.record({ of: fc.constant(of), size: fc.constant(size), from: fc.nat(of - size) })),
    )
  test.prop([
    fc.array(axis, { maxLength: 5 }).filter((all) => all.reduce((n, { of }) => n * of, 1) < 50_000),
    fc.nat(),
  ])('slice is its twin', (axes, seed) => {
    const shape = axes.map(({ of }) => of)
    const x = array(
      noise(
        seed,
        shape.reduce((n, of) => n * of, 1),
      ),
      shape,
    )
    const attrs = { begin: axes.map(({ from }) => from), size: axes.map(({ size }) => size) }
    expect(worst(twins('slice', [x], attrs))).toBe(0)
  })
})
