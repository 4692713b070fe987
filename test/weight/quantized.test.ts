import { createHash } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { context, fromNf4State, lookup, materialize, nf4State, project, projectT } from '../../src/index.ts'
import type { Form, QuantizedAs } from '../../src/index.ts'
import { dynamicMap, engine, memory, nf4Map, read, scope, tensor, transpose, unpack } from '../../src/ops/index.ts'
import type { EngineName } from '../../src/ops/index.ts'
import { quantizeValues } from '../../src/weight/quantized.ts'

const ctx = context()
const label = 'w'

/** Values in PyTorch's order, [out, in], as a weight of ours. */
const torch = (rows: readonly (readonly number[])[], how: QuantizedAs = {}) =>
  quantizeValues(transpose(tensor(rows.map((row) => [...row]))), { label, form: 'matrix' }, how)

const values = (n: number, salt = 1): number[] =>
  Array.from({ length: n }, (_, i) => Math.sin((i + salt) * 12.9898) * (1 + ((i * 7) % 5)))

const hex = (bytes: ArrayLike<number>): string => Buffer.from(Uint8Array.from(bytes)).toString('hex')

test('the signed dynamic map is that of bitsandbytes to the last bit', () => {
  const digest = createHash('sha256').update(new Uint8Array(dynamicMap.buffer)).digest('hex')
  expect(digest).toBe('e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c')
  expect([...nf4Map]).toEqual([...nf4Map].toSorted((a, b) => a - b))
})

describe('the golden vector of bitsandbytes', () => {
  const w = Array.from({ length: 128 }, (_, i) => (((37 * i) % 101) - 50) / 50)
  const golden = torch([w.slice(0, 64), w.slice(64).map((x) => x * 0.5)], { doubleQuant: true })
  const state = nf4State(golden)

  test('packs into the same bytes', () => {
    expect(hex(state['weight']!.data)).toBe(
      '04c16e29f3b05d17e29f3c05d18e2af4c16e18e3b05d17e29f3b05d18e2af4c16d18e3b04c17e29f3b05d17e2af4c06d18e2a04c16e29f3b05d17e29f3c05d18',
    )
    expect(state['weight']!.shape).toEqual([64, 1])
    expect([...state['weight.absmax']!.data]).toEqual([255, 0])
    expect([...state['weight.nested_absmax']!.data]).toEqual([0.25])
    const said = new TextDecoder().decode(state['weight.quant_state.bitsandbytes__nf4']!.data)
    expect(said).toBe(
      '{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [2, 64], "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.75}',
    )
  })

  test('dequantises to the same numbers', () => {
    const dense = [...read(transpose(materialize(golden, ctx)))]
    const first = [-1, -0.28444138, 0.44070983, -0.6961928]
    const second = [-0.04568507, 0.28229746, -0.34932017, 0.03993003]
    first.forEach((x, i) => expect(dense[i]).toBeCloseTo(x, 7))
    second.forEach((x, i) => expect(dense[64 + i]).toBeCloseTo(x, 7))
  })
})

const shapes: readonly (readonly [number, number])[] = [
  [1, 1],
  [3, 5],
  [2, 64],
  [64, 2],
  [7, 27],
  [33, 65],
  [96, 64],
]
const hows: readonly QuantizedAs[] = [
  {},
  { doubleQuant: true },
  { scheme: 'int8' },
  { scheme: 'bf16' },
  { scheme: 'f16' },
]
const cases = shapes.flatMap((shape) =>
  hows.flatMap((how) => (['matrix', 'table'] as const).map((form: Form) => ({ shape, how, form }))),
)
const made = ({ shape: [rows, columns], how, form }: (typeof cases)[number]) =>
  quantizeValues(tensor(values(rows * columns), [rows, columns]), { label, form }, how)

test.each(cases.filter(({ how }) => how.scheme === undefined))(
  'a state dict gives back the weight it was made of: $form $shape $how',
  (c) => {
    const weight = made(c)
    const again = fromNf4State(nf4State(weight), { label, form: c.form })
    expect(again._tag).toBe(weight._tag)
    expect([again.rows, again.columns, again.codes.standsFor]).toEqual([...c.shape, c.shape[0] * c.shape[1]])
    for (const part of ['codes', 'absmax', 'nestedAbsmax', 'offset'] as const)
      expect(again[part] && read(again[part].value)).toEqual(weight[part] && read(weight[part].value))
  },
)

test('a state dict of another make is refused', () => {
  const state = nf4State(torch([values(64)]))
  const wrong = (change: object) => () => fromNf4State({ ...state, ...change }, { label, form: 'matrix' })
  expect(wrong({ 'weight.quant_map': { shape: [16], data: nf4Map.map((x) => x / 2) } })).toThrow('code book')
  expect(wrong({ weight: { shape: [3, 1], data: new Uint8Array(3) } })).toThrow('32 bytes')
  expect(wrong({ 'weight.absmax': undefined })).toThrow('"weight.absmax"')
  for (const scheme of ['int8', 'bf16'] as const)
    expect(() => nf4State(torch([values(8)], { scheme }))).toThrow('a weight in NF4')
})

test('a tie between two codes goes to the lower one', () => {
  const middle = Math.fround((nf4Map[9]! + nf4Map[10]!) / 2)
  const row = [1, middle, Math.fround(middle * (1 + 2 ** -23))]
  expect(hex(nf4State(torch([row]))['weight']!.data)).toBe('f9a7')
})

test('the last of an odd count is kept, and what fills its byte is zero', () => {
  const weight = torch([values(65)])
  const bytes = nf4State(weight)['weight']!.data
  expect(bytes.length).toBe(33)
  expect(bytes[32]! & 15).toBe(7)
  expect(read(materialize(weight, ctx))[64]).toBeCloseTo(values(65)[64]!, 6)
})

const tiny = 2 ** -149

test.each(hows)('zeros, and scales whose reciprocal overflows, make no NaN: %o', (how) => {
  const zero = torch([Array.from({ length: 70 }, () => 0)], how)
  expect(read(materialize(zero, ctx)).every((x) => x === 0)).toBe(true)
  const small = torch([[tiny, -tiny * 3, 0, 2 * tiny]], how)
  const back = [...read(materialize(small, ctx))]
  expect(back.every(Number.isFinite)).toBe(true)
  expect(Math.max(...back.map(Math.abs))).toBeLessThanOrEqual(4 * tiny)
})

test('subnormal numbers get the nearest codes', () => {
  const row = [tiny, -tiny * 3, 0, 2 * tiny]
  expect([...read(materialize(torch([row]), ctx))]).toEqual(row)
})

test('zeros pack into the code of zero', () => {
  expect(hex(nf4State(torch([[0, 0, 0]]))['weight']!.data)).toBe('7777')
})

test.each([Number.NaN, Infinity, -Infinity])('%d has no code, and the weight is named', (bad) => {
  for (const how of hows)
    expect(() =>
      torch(
        [
          [1, 2],
          [bad, 3],
        ],
        how,
      ),
    ).toThrow('NonFinite')
})

const available: EngineName[] = []
for (const name of ['wasm', 'native'] as const)
  await engine({ prefer: name, quiet: true }).then(
    () => available.push(name),
    () => undefined,
  )
afterAll(() => engine({ prefer: 'js', quiet: true }))

test.each(available)(
  '%s gives the dense weight that plain JavaScript gives, bit by bit, and leaves nothing',
  async (name) => {
    await engine({ prefer: 'js', quiet: true })
    const all = cases.map(made)
    const dense = () => all.map((w) => scope(() => read(materialize(w, ctx))))
    const rows = () => all.map((w) => scope(() => read(lookup(tensor([0, w.rows - 1, 0], undefined, 'int32'), w, ctx))))
    const expected = [dense(), rows()]
    await engine({ prefer: name, quiet: true })
    dense()
    const before = memory()
    expect([dense(), rows()]).toEqual(expected)
    scope(() => {
      all.forEach((w) => {
        project(tensor(values(2 * w.rows), [2, w.rows]), w, ctx)
        projectT(tensor(values(2 * w.columns), [2, w.columns]), w, ctx)
      })
      return null
    })
    expect(memory()).toEqual(before)
  },
)

test('large weights are dequantised at a rate that a training step can bear', () => {
  const weight = quantizeValues(tensor(values(2 ** 20), [2 ** 10, 2 ** 10]), { label, form: 'table' })
  const { codes, absmax } = weight
  const once = (): number => {
    const start = performance.now()
    unpack({ scheme: 'nf4', shape: [2 ** 10, 2 ** 10], codes: codes.value, scales: [absmax!.value] })
    return performance.now() - start
  }
  // Some 3 ns a weight, with room for a machine that does other things; a look-up through objects takes 100.
  expect(Math.min(...Array.from({ length: 5 }, once))).toBeLessThan(50)
})
