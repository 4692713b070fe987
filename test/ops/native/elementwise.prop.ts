import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { allOps } from '../../../src/ops/defs/all.ts'
import { custom } from '../../../src/ops/native/custom.ts'
import type { Array_ } from '../../../src/ops/op.ts'
import { tf } from '../../../src/ops/tf.ts'
import { computed, has, noise, onNative, opOf, restrict, there } from './twins.ts'

onNative()

/** The instructions, the names of our ops that they are, and how many units in the last place they may be off. */
const instructions: readonly (readonly [name: string, op: string, sources: number, ulps: number])[] = [
  ['add', 'add', 2, 0],
  ['sub', 'sub', 2, 0],
  ['mul', 'mul', 2, 0],
  ['div', 'div', 2, 0],
  ['min', 'minimum', 2, 0],
  ['max', 'maximum', 2, 0],
  ['equal', 'equal', 2, 0],
  ['less', 'less', 2, 0],
  ['greater', 'greater', 2, 0],
  ['where', 'where', 3, 0],
  ['neg', 'neg', 1, 0],
  ['abs', 'abs', 1, 0],
  ['square', 'square', 1, 0],
  ['relu', 'relu', 1, 0],
  ['sqrt', 'sqrt', 1, 0],
  ['rsqrt', 'rsqrt', 1, 1],
  ['exp', 'exp', 1, 4],
  ['expm1', 'expm1', 1, 4],
  ['log', 'log', 1, 4],
  ['tanh', 'tanh', 1, 4],
  ['sigmoid', 'sigmoid', 1, 4],
  ['erf', 'erf', 1, 4],
  ['softplus', 'softplus', 1, 4],
  ['silu', 'silu', 1, 4],
  ['gelu', 'gelu', 1, 8],
  ['geluTanh', 'geluTanh', 1, 8],
  // These cross 0, or are periodic: what counts is their distance.
  ['geluSlope', 'geluSlope', 1, Number.NaN],
  ['sin', 'sin', 1, Number.NaN],
  ['cos', 'cos', 1, Number.NaN],
]
const absolute = 3e-7

// Below 2^-126 a factor may be 0: that of silu is at most 89 of them.
const smallest = 2 ** -119

/** How far off a result is, in units in the last place of the expected one. */
const ulps = (found: number, expected: number): number => {
  if (Object.is(found, expected) || found === expected) return 0
  if (Number.isNaN(expected) || Number.isNaN(found) || !Number.isFinite(expected)) return Infinity
  if (Math.abs(expected) <= smallest) return Math.abs(found) <= smallest ? 0 : Infinity
  return Math.abs(found - expected) / 2 ** (Math.floor(Math.log2(Math.abs(expected))) - 23)
}

const special = [0, -0, 1, -1, Infinity, -Infinity, Number.NaN, 3e38, -3e38, 88.8, -88.8, 1e-30, -1e-30, 0.5, 9e3]

/** Special values, and others of every size and sign. */
const values = (size: number, seed: number): Array_ => {
  const { data } = noise([size], seed)
  const one = (x: number, i: number): number => {
    const pick = (seed + i * 7) >>> 0
    if (pick % 3 === 0) return special[((pick / 3) % special.length) | 0]!
    return pick % 3 === 1 ? x * 8 : Math.sign(x) * 2 ** (x * 40)
  }
  return { shape: [size], data: Float32Array.from(data, one) }
}

const program = (inputs: readonly Array_[], text: string, size = inputs[0]!.data.length): Float32Array =>
  computed(inputs, [size], (...x) =>
    custom('EspalierElementwise', x, { N: x.length, program: text, outputs: 1 }, { shape: [size] }),
  )

describe.runIf(has).each(there)('with %s', (isa) => {
  test.prop([fc.constantFrom(...instructions), fc.integer({ min: 1, max: 2100 }), fc.integer()], { numRuns: 300 })(
    'an instruction is the op of its name',
    ([name, op, sources, most], size, seed) => {
      restrict(isa)
      const inputs = Array.from({ length: sources }, (_, i) => values(size, seed + i))
      const dtype = ['equal', 'less', 'greater'].includes(name) ? 'bool' : 'float32'
      const expected = opOf(allOps, op).reference(inputs, {}, { shape: [size], dtype })
      const found = program(inputs, `o0 ${name} ${inputs.map((_, i) => `i${i}`).join(' ')}`)
      for (let i = 0; i < size; i++) {
        const off = ulps(found[i]!, expected[i]!)
        const near = Math.abs(found[i]! - expected[i]!) <= absolute * (name === 'geluSlope' ? 2 : 1)
        const right = Number.isNaN(most) ? off === 0 || near : off <= most || (name.startsWith('gelu') && near)
        expect(
          right,
          `${name} of ${inputs.map(({ data }) => data[i]).join(', ')}: ${found[i]}, not ${expected[i]}`,
        ).toBe(true)
      }
    },
  )

  it('every instruction is the op of its name around special values', () => {
    restrict(isa)
    for (const [name, op, sources, most] of instructions) {
      const pairs = special.flatMap((a) => special.map((b) => [a, b, a + 1] as const))
      const inputs = Array.from({ length: sources }, (_, s) => ({
        shape: [pairs.length],
        data: Float32Array.from(pairs, (pair) => pair[s]!),
      }))
      const expected = opOf(allOps, op).reference(inputs, {}, { shape: [pairs.length], dtype: 'float32' })
      const found = program(inputs, `o0 ${name} ${inputs.map((_, i) => `i${i}`).join(' ')}`)
      pairs.forEach((pair, i) => {
        const near = !(most >= 0 && most < 8) && Math.abs(found[i]! - expected[i]!) <= absolute
        const right = near || ulps(found[i]!, expected[i]!) <= (most >= 0 ? most : 0)
        expect(right, `${name} of ${pair.slice(0, sources).join(', ')}: ${found[i]}, not ${expected[i]}`).toBe(true)
      })
    }
  })

  it('the slopes without an op of their own are those of their functions', () => {
    restrict(isa)
    const x: Array_ = { shape: [4001], data: Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 150) }
    const sigmoid = (u: number): number => 1 / (1 + Math.exp(-u))
    const steepness = 2 * Math.sqrt(2 / Math.PI)
    const slopes = {
      siluSlope: (v: number) => sigmoid(v) * (1 + v * (1 - sigmoid(v))),
      geluTanhSlope: (v: number) => {
        const gate = sigmoid(steepness * (v + 0.044715 * v ** 3))
        return gate * (1 + v * (1 - gate) * steepness * (1 + 3 * 0.044715 * v * v))
      },
    }
    for (const [name, slope] of Object.entries(slopes)) {
      const found = program([x], `o0 ${name} i0`)
      x.data.forEach((v, i) => expect(Math.abs(found[i]! - slope(v))).toBeLessThan(1e-6))
      const ends = program([{ shape: [2], data: Float32Array.of(Infinity, -Infinity) }], `o0 ${name} i0`)
      expect([...ends]).toEqual([1, 0])
    }
  })

  test.prop([fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 200 }), fc.integer()])(
    'rows, columns and single values are spread over all elements',
    (rows, width, seed) => {
      restrict(isa)
      const size = rows * width
      const [full, row, column, one] = [[size], [width], [rows], [1]].map((shape, i) => noise(shape, seed + i)) as [
        Array_,
        Array_,
        Array_,
        Array_,
      ]
      const found = computed([full, row, column, one], [rows, width], (...x) =>
        custom(
          'EspalierElementwise',
          x,
          {
            N: 4,
            outputs: 1,
            shape: [rows, width],
            kinds: [0, 2, 3, 1],
            program: 'r0 mul i0 i1; r0 add r0 i2; o0 sub r0 i3',
          },
          { shape: [rows, width] },
        ),
      )
      for (let i = 0; i < size; i++) {
        const product = Math.fround(full.data[i]! * row.data[i % width]!)
        const sum = Math.fround(product + column.data[Math.floor(i / width)]!)
        expect(found[i]).toBe(Math.fround(sum - one.data[0]!))
      }
    },
  )

  it('many threads and blocks leave no element out, and registers do not mix', () => {
    restrict(isa)
    const size = 100_003
    const [a, b] = [noise([size], 3), noise([size], 4)]
    const text =
      'r0 mul i0 i1; r1 add i0 c0.5; r2 sub r0 r1; r3 mul r2 r2; r4 add r0 r3; r5 max r4 r1; r6 = r5; o0 add r6 r2'
    const found = program([a, b], text)
    const { fround } = Math
    const expected = a.data.map((x, i) => {
      const r0 = fround(x * b.data[i]!)
      const r1 = fround(x + 0.5)
      const r2 = fround(r0 - r1)
      const r4 = fround(r0 + fround(r2 * r2))
      return fround(Math.max(r4, r1) + r2)
    })
    expect(found).toEqual(expected)
  })
})

describe.runIf(has)('the register machine', () => {
  it('writes a result that is read again, and an input, to outputs', () => {
    const x = noise([50], 8)
    expect([...program([x], 'r0 square i0; o0 = r0; r1 add r0 c1')]).toEqual([...x.data].map((v) => Math.fround(v * v)))
    expect(program([x], 'o0 = i0')).toEqual(x.data)
    expect([...program([x], 'o0 = c-2.5')]).toEqual(Array(50).fill(-2.5))
  })

  it('says what is wrong with a program, and reads nothing behind an end', () => {
    const run =
      (text: string, attrs: Parameters<typeof custom>[2] = {}) =>
      () =>
        tf.tidy(() =>
          custom(
            'EspalierElementwise',
            [tf.zeros([6]), tf.zeros([4])],
            { N: 2, outputs: 1, program: text, ...attrs },
            { shape: [6] },
          ),
        )
    expect(run('o0 add i0 i2')).toThrow(/no "i2" to read/)
    expect(run('o0 add i0 r1')).toThrow(/no "r1" to read/)
    expect(run('o0 add i0 cx')).toThrow(/no "cx" to read/)
    expect(run('o0 add i0')).toThrow(/"o0 add i0" is no instruction/)
    expect(run('o0 pow i0 i0')).toThrow(/is no instruction/)
    expect(run('i0 neg i0')).toThrow(/not to be written/)
    expect(run('o1 neg i0')).toThrow(/not to be written/)
    expect(run('r0 neg i0')).toThrow(/no instruction writes output 0/)
    expect(run('o0 neg i0')).toThrow(/input 1 of 4 elements for 6/)
    expect(run('o0 neg i0', { kinds: [0, 7] })).toThrow(/no kind 7/)
    expect(run('o0 neg i0', { kinds: [0, 0] })).toThrow(/input 1 of 4 elements for 6/)
  })
})
