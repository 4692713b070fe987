import { fc, test } from '@fast-check/vitest'
import { beforeAll, describe, expect } from 'vitest'
import { startWasm, ways } from './product.ts'
import { array, noise, twins, worst } from './twins.ts'

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })

const calls = fc
  .record({
    batch: size(3),
    groups: size(3),
    shared: size(3),
    queries: fc.oneof(size(7), fc.constantFrom(61, 250)),
    keys: fc.oneof(size(9), fc.constantFrom(66, 301)),
    width: size(9),
    depth: size(9),
    mask: fc.constantFrom('none', 'bool', 'int32', 'float32'),
    /** Which axes of the mask are 1, and how many it lacks. */
    alike: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean()),
    lost: fc.nat(3),
    cap: fc.constantFrom(0, 0, 2),
    rate: fc.constantFrom(0, 0, 0.3),
    seeded: fc.boolean(),
    seed: fc.nat(),
  })
  .filter(({ batch, groups, shared, queries, keys }) => batch * groups * shared * queries * keys < 200_000)
type Call = typeof calls extends fc.Arbitrary<infer T> ? T : never

const maskOf = ({ batch, groups, shared, queries, keys, mask, alike, lost, seed }: Call) => {
  const shape = [batch, groups * shared, queries, keys].map((length, axis) => (alike[axis] ? 1 : length)).slice(lost)
  const chosen = noise(
    seed + 7,
    shape.reduce((product, length) => product * length, 1),
  )
  const kinds = { bool: Uint8Array, int32: Int32Array, float32: Float32Array }
  // A shown key is any number but 0, of either sign.
  const shown = mask === 'bool' ? 1 : mask === 'int32' ? -2147483648 : 0.25
  return mask === 'none'
    ? []
    : [
        array(
          kinds[mask as 'bool'].from(chosen, (x) => (x > 0.3 ? 0 : shown)),
          shape,
        ),
      ]
}

const inputsOf = (call: Call) => {
  const { batch, groups, shared, queries, keys, width, depth, rate, seeded, cap, seed } = call
  const tensor = (which: number, ...shape: readonly number[]) =>
    array(
      noise(
        seed + which,
        shape.reduce((product, length) => product * length, 1),
        1.5,
      ),
      shape,
    )
  const heads = groups * shared
  const mask = maskOf(call)
  const drops = seeded && rate > 0
  return {
    main: [
      tensor(1, batch, heads, queries, width),
      tensor(2, batch, groups, keys, width),
      tensor(3, batch, groups, keys, depth),
    ],
    dy: tensor(4, batch, heads, queries, depth),
    extra: [...mask, ...(drops ? [array(Int32Array.of(seed | 0, 77))] : [])],
    attrs: { scale: 0.7, cap, rate, hi: seed >>> 0, lo: 0xfedcba98, masked: mask.length > 0, seeded: drops },
  }
}

describe.each(ways)('attention on WASM, $threads threads, reproducible: $reproducible', (way) => {
  beforeAll(() => startWasm(way))

  test.prop([calls], { numRuns: 60 })('is its twin, for every mask, group, cap and dropout', (call) => {
    const { main, extra, attrs } = inputsOf(call)
    expect(worst(twins('attention', [...main, ...extra], attrs))).toBeLessThan(2e-5)
  })

  test.prop([calls], { numRuns: 60 })('its slopes are their twin', (call) => {
    const { main, dy, extra, attrs } = inputsOf(call)
    const { expected, found } = twins('attention', [...main, ...extra], attrs)
    const read = array(Float32Array.from(expected), [...dy.shape])
    expect(found.length).toBe(read.data.length)
    expect(worst(twins('attentionSlope', [...main, read, dy, ...extra], attrs))).toBeLessThan(1e-4)
  })

  test.prop([calls, fc.constantFrom(0, 1), fc.nat()], { numRuns: 60 })(
    'a NaN in a query or a key gives NaN where its twin does, and nowhere else',
    (call, which, place) => {
      // A weight that is dropped is 0 here, whatever it was.
      const { main, extra, attrs } = inputsOf({ ...call, rate: 0 })
      const { data } = main[which]!
      data[place % data.length] = NaN
      const { found, expected } = twins('attention', [...main, ...extra], attrs)
      expect(Array.from(found).findIndex((x, i) => Number.isNaN(x) !== Number.isNaN(expected[i]))).toBe(-1)
    },
  )

  test('a NaN in what a query may see is not lost, even where that is all it may see', () => {
    const attrs = { scale: 1, cap: 0, rate: 0, hi: 0, lo: 0, masked: true, seeded: false }
    const one = (x: number) => array(Float32Array.of(x), [1, 1, 1, 1])
    const read = (q: number, shown: number) => [
      ...twins('attention', [one(q), one(1), one(1), one(shown)], attrs).found,
    ]
    expect([read(NaN, 1), read(NaN, 0), read(5, 0)]).toEqual([[NaN], [0], [0]])
  })
})
