import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { attentionOps } from '../../../src/ops/defs/attention.ts'
import { add, attention, compile, gradients, mul, ones, read, sum, zeros } from '../../../src/ops/index.ts'
import type { Tensor } from '../../../src/ops/index.ts'
import { custom } from '../../../src/ops/native/custom.ts'
import type { Array_, Attrs } from '../../../src/ops/op.ts'
import { tf } from '../../../src/ops/tf.ts'
import { both, distance, has, noise, onNative, opOf, restrict, sizeOf, there } from './twins.ts'

onNative()

const attentionOp = opOf(attentionOps, 'attention')
const slope = opOf(attentionOps, 'attentionSlope')

type Mask = 'none' | 'causal' | 'padding' | 'window' | 'holes' | 'rows' | 'nothing'

const cases = fc
  .record({
    batch: fc.integer({ min: 1, max: 3 }),
    groups: fc.integer({ min: 1, max: 2 }),
    shared: fc.integer({ min: 1, max: 3 }),
    queries: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(1, 2, 3, 4, 5, 48, 53, 130, 140)),
    keys: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(63, 64, 70, 129)),
    width: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(32, 64, 80, 100)),
    depth: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(48, 64, 128, 130)),
    mask: fc.constantFrom<Mask>('none', 'causal', 'padding', 'window', 'holes', 'rows', 'nothing'),
    cap: fc.constantFrom(0, 0, 0.7),
    rate: fc.constantFrom(0, 0, 0.3),
    seeded: fc.boolean(),
    seed: fc.integer(),
  })
  .filter(
    ({ batch, groups, shared, queries, keys, width, depth }) =>
      batch * groups * shared * queries * keys * (width + depth) < 4e6,
  )

interface Case {
  readonly batch: number
  readonly groups: number
  readonly shared: number
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly depth: number
  readonly mask: Mask
  readonly cap: number
  readonly rate: number
  readonly seeded: boolean
  readonly seed: number
}

const maskOf = ({ mask, batch, groups, shared, queries, keys, seed }: Case): readonly Array_[] => {
  const heads = groups * shared
  const filled = (shape: readonly number[], shown: (i: number) => boolean): readonly Array_[] => [
    { shape, data: Float32Array.from({ length: sizeOf(shape) }, (_, i) => +shown(i)) },
  ]
  const [row, column] = [(i: number) => Math.floor(i / keys) % queries, (i: number) => i % keys]
  const drawn = noise([batch * heads * queries * keys], seed).data
  return {
    none: () => [],
    causal: () => filled([queries, keys], (i) => column(i) <= row(i) + keys - queries),
    padding: () => filled([batch, 1, 1, keys], (i) => column(i) >= (Math.floor(i / keys) * 7) % keys),
    window: () => filled([1, 1, queries, keys], (i) => Math.abs(row(i) - column(i)) < 4),
    holes: () => filled([batch, heads, queries, keys], (i) => drawn[i]! > 0),
    rows: () => filled([batch, 1, queries, 1], (i) => i % 3 > 0),
    nothing: () => filled([1], () => false),
  }[mask]()
}

const inputsOf = (
  c: Case,
): { readonly attrs: Attrs; readonly given: readonly Array_[]; readonly rest: readonly Array_[] } => {
  const heads = c.groups * c.shared
  const seeded = c.seeded && c.rate > 0
  const masks = maskOf(c)
  return {
    attrs: {
      scale: 2 / Math.sqrt(c.width),
      cap: c.cap,
      rate: c.rate,
      hi: c.seed >>> 0,
      lo: 9,
      masked: masks.length > 0,
      seeded,
    },
    given: [
      noise([c.batch, heads, c.queries, c.width], c.seed + 1),
      noise([c.batch, c.groups, c.keys, c.width], c.seed + 2),
      noise([c.batch, c.groups, c.keys, c.depth], c.seed + 3),
    ],
    rest: [...masks, ...(seeded ? [{ shape: [2], data: Int32Array.of(c.seed, -5) }] : [])],
  }
}

describe.runIf(has).each(there)('with %s', (isa) => {
  test.prop([cases], { numRuns: 150 })('EspalierAttention is its twin', (c) => {
    restrict(isa)
    const { attrs, given, rest } = inputsOf(c)
    const { found, expected } = both(attentionOp, [...given, ...rest], attrs)
    expect(distance(found, expected)).toBeLessThan(5e-6)
  })

  test.prop([cases, fc.constantFrom(0, 1, 2), fc.nat()], { numRuns: 100 })(
    'a NaN in a query, a key or a value gives NaN where its twin does, and nowhere else',
    (c, which, place) => {
      restrict(isa)
      // A hidden value must be a number.
      const { attrs, given, rest } = inputsOf(which < 2 ? c : { ...c, mask: 'none' })
      const { data } = given[which]!
      data[place % data.length] = NaN
      const { found, expected } = both(attentionOp, [...given, ...rest], attrs)
      expect(found.findIndex((x, i) => Number.isNaN(x) !== Number.isNaN(expected[i]))).toBe(-1)
      const numbers = (all: Float32Array) => all.map((x) => (Number.isNaN(x) ? 0 : x))
      expect(distance(numbers(found), numbers(expected))).toBeLessThan(5e-6)
    },
  )

  test.prop([cases], { numRuns: 150 })('EspalierAttentionSlope is its twin', (c) => {
    restrict(isa)
    const { attrs, given, rest } = inputsOf(c)
    const shape = [c.batch, c.groups * c.shared, c.queries, c.depth]
    const output: Array_ = {
      shape,
      data: attentionOp.reference([...given, ...rest], attrs, { shape, dtype: 'float32' }),
    }
    const { found, expected } = both(slope, [...given, output, noise(shape, c.seed + 4), ...rest], attrs)
    expect(distance(found, expected)).toBeLessThan(1e-5)
  })
})

describe.runIf(has)('the kernels of attention', () => {
  it('refuse what does not fit', () => {
    const run = (q: readonly number[], k: readonly number[], v: readonly number[], mask?: readonly number[]) => () =>
      tf.tidy(() =>
        custom(
          'EspalierAttention',
          [q, k, v, ...(mask ? [mask] : [])].map((shape) => tf.zeros([...shape])),
          { NM: mask ? 1 : 0, NS: 0, scale: { float: 1 } },
          { shape: [1, 1, 2, 5] },
        ),
      )
    expect(run([1, 1, 2, 3], [1, 1, 4, 3], [1, 1, 4, 5])).not.toThrow()
    expect(run([1, 1, 2, 3], [1, 1, 4, 2], [1, 1, 4, 5])).toThrow(/do not fit/)
    expect(run([1, 3, 2, 3], [1, 2, 4, 3], [1, 2, 4, 5])).toThrow(/do not fit/)
    expect(run([1, 2, 3], [1, 1, 4, 3], [1, 1, 4, 5])).toThrow(/do not fit/)
    expect(run([1, 1, 2, 3], [1, 1, 4, 3], [1, 1, 4, 5], [3, 4])).toThrow(/mask does not fit/)
    expect(run([1, 1, 2, 3], [1, 1, 4, 3], [1, 1, 4, 5], [1, 1, 1, 2, 4])).toThrow(/four axes/)
  })

  it.each([
    ['no mask', undefined],
    ['a mask of no element', [1, 1, 2, 0]],
    ['a mask for all', [1]],
  ])('read zeros where there is no key, in graphs too, and pass nothing back: %s', (_, shape) => {
    const mask = shape && ones(shape)
    const run = (q: Tensor, k: Tensor, v: Tensor) => {
      const { value, grads } = gradients(() => {
        const output = attention(q, k, v, mask && { mask })
        return sum(mul(output, add(output, 1)))
      }, [q, k, v])
      return [attention(q, k, v, mask && { mask }), value, ...grads]
    }
    const inputs = [ones([1, 2, 2, 3]), zeros([1, 1, 0, 3]), zeros([1, 1, 0, 4])] as const
    const compiled = compile(run)
    for (const results of [run(...inputs), compiled(...inputs)]) {
      expect(results.map((x) => x!.shape)).toEqual([[1, 2, 2, 4], [], [1, 2, 2, 3], [1, 1, 0, 3], [1, 1, 0, 4]])
      for (const result of results) expect([...read(result!)]).toEqual(Array(result!.size).fill(0))
    }
    expect(compiled.report()).toEqual({ graphs: 1, direct: [] })
  })
})
