import { expect, test } from 'vitest'
import {
  buffer,
  constant,
  context,
  count,
  get,
  key,
  lookup,
  materialize,
  param,
  project,
  projectT,
  set,
  sllm,
  tokens,
  fourierft,
  ia3,
  loha,
  lokr,
  miss,
  vera,
} from '../../src/index.ts'
import type { Constant, Kind, Packed, Tensor, Weight } from '../../src/index.ts'
import { remaining } from '../../src/weight/left-out.ts'
import { cast, full, gather, matmul, mul, normal, record, replay, tensor, zeros } from '../../src/ops/index.ts'
import { data, loud, tinySllm } from '../support.ts'

const base = tinySllm()
const tuned = (step: unknown): unknown =>
  loud((step as (m: typeof base) => typeof base)(base), (l) => l.includes('ln_1.weight.'))

const at = '**.ln_1'
const cases = [
  ['loha', loha({ at, rank: 2 })],
  ['lokr', lokr({ at, rank: 1 })],
  ['lokr, both thin', lokr({ at, rank: 1, decomposeBoth: true, decomposeFactor: 3 })],
  ['vera', vera({ at, rank: 4 })],
  ['ia3', ia3({ at })],
  ['ia3.inputs', ia3.inputs({ at })],
  ['fourierft', fourierft({ at, frequencies: 7 })],
  ['miss', miss({ at, rank: 4 })],
] as const

// What is recorded sees shapes only, so an operation that read a value back, or baked one in, would show.
test.each(cases)('%s: its operations can be recorded, and run again on other inputs', (_, step) => {
  const weight = get(tuned(step) as typeof base, 'transformer_blocks.0.mlp.ln_1.weight') as Weight
  const ctx = context()
  const x = [normal(key(1), [3, 6]), normal(key(2), [3, 6])]
  for (const f of [project, projectT]) {
    const graph = record((t) => f(t, weight, ctx), { shape: [3, 6], dtype: 'float32' })
    for (const t of x) expect(data(replay(graph, [t])[0]!)).toEqual(data(f(t, weight, ctx)))
  }
  const graph = record((ids) => lookup(ids, weight, ctx), { shape: [2], dtype: 'int32' })
  for (const ids of [
    [0, 5],
    [3, 1],
  ]) {
    const t = tensor(Int32Array.from(ids), [2], 'int32')
    expect(data(replay(graph, [t])[0]!)).toEqual(data(lookup(t, weight, ctx)))
  }
})

test('tokens: which tokens are asked for is no constant of a recording', () => {
  const table = loud(tokens({ ids: [4, 2] })(base), (l) => l.endsWith('.rows')).embedding_block.token_embdgs.weight
  const ctx = context()
  const graph = record((ids) => lookup(ids, table, ctx), { shape: [3], dtype: 'int32' })
  for (const ids of [
    [4, 0, 2],
    [1, 2, 2],
  ]) {
    const t = tensor(Int32Array.from(ids), [3], 'int32')
    expect(data(replay(graph, [t])[0]!)).toEqual(data(lookup(t, table, ctx)))
  }
})

test('tokens: a row of infinities stays one, and does not spread', () => {
  const rows = Float32Array.from({ length: 66 }, (_, i) => (i < 6 ? Infinity : i))
  const weight = param('table', 'w', tensor(rows, [11, 6]))
  const model = set(base, 'embedding_block.token_embdgs.weight', weight)
  const table = tokens({ ids: [0, 3] })(model).embedding_block.token_embdgs.weight
  expect(data(materialize(table, context()))).toEqual([...rows])
  expect(sllm.apply(tokens({ ids: [0] })(model), tensor([[1]], undefined, 'int32')).shape).toEqual([1, 1, 11])
})

test('vera: nothing of the size of the weight is built to multiply with it', () => {
  const weight = vera({ at: '**.ln_1', rank: 2 })(base).transformer_blocks[0]!.mlp.ln_1.weight
  const graph = record((t) => project(t, weight, context()), { shape: [1, 6], dtype: 'float32' })
  expect(graph.nodes.some(({ spec }) => spec.shape.join() === '6,6')).toBe(false)
})

/** How many rows of a matrix are no sum of others, by elimination. */
const rankOf = (rows: readonly (readonly number[])[]): number => {
  const left = rows.map((r) => [...r])
  let rank = 0
  for (let column = 0; column < (left[0]?.length ?? 0); column += 1) {
    const pivot = left
      .slice(rank)
      .reduce((best, r, i) => (Math.abs(r[column]!) > Math.abs(left[best]![column]!) ? i + rank : best), rank)
    const row = left[pivot]
    if (row === undefined || Math.abs(row[column]!) < 1e-4) continue
    left[pivot] = left[rank]!
    left[rank] = row
    for (const r of left.slice(rank + 1)) {
      const factor = r[column]! / row[column]!
      row.forEach((x, j) => (r[j]! -= factor * x))
    }
    rank += 1
  }
  return rank
}

test('loha: its change has rank rank², and no more', () => {
  const nothing = param('matrix', 'w', tensor(new Float32Array(144), [12, 12]))
  const model = { fc: { _tag: 'Linear', weight: nothing, bias: null } } as const
  const rank = (r: number): number => {
    const { weight } = loud(loha({ at: 'fc', rank: r })(model), (l) => l.startsWith('w.')).fc
    const all = data(materialize(weight, context()))
    return rankOf(Array.from({ length: 12 }, (_, i) => all.slice(12 * i, 12 * i + 12)))
  }
  expect([rank(1), rank(2), rank(3)]).toEqual([1, 4, 9])
})

/** A weight of int32 halves that cannot be made dense, so that whoever tries is found out. */
const Halves: Kind<Packed & { readonly codes: Constant }, 'weight'> = {
  tag: 'Halves',
  role: 'weight',
  fields: { codes: buffer(['in', 'out'], (_, shape) => zeros(shape, 'int32')) },
  ops: {
    project: (x, w) => matmul(x, halved(w.codes)),
    projectT: (x, w) => matmul(x, halved(w.codes), { transposeB: true }),
    lookup: (ids, w) => gather(halved(w.codes), ids),
    shape: (w) => [w.rows, w.columns],
    materialize: () => {
      throw new Error('made dense')
    },
  },
}
const halved = (codes: Constant): Tensor => mul(cast(codes.value, 'float32'), 0.5)

test.each(cases)('%s: a packed base stays packed, and is counted as frozen', (_, step) => {
  const codes = Int32Array.from({ length: 24 }, (__, i) => (i % 7) - 3)
  const weight = {
    _tag: 'Halves',
    form: 'matrix',
    rows: 6,
    columns: 4,
    codes: constant('ln_1.weight.codes', tensor(codes, [6, 4], 'int32'), 24),
  } as const
  const model = { ln_1: { _tag: 'Linear', weight, bias: null } } as const
  const adapted = loud(
    (step as unknown as (m: typeof model) => typeof model)(model),
    (l) => l.includes('weight.') && !l.endsWith('codes'),
  )
  const dense = {
    ...(adapted.ln_1.weight as object),
    base: param('matrix', 'ln_1.weight', halved(weight.codes)),
  } as never
  const [ctx, x, y] = [context({ kinds: { Halves } }), normal(key(1), [2, 6]), normal(key(2), [2, 4])]
  expect(data(project(x, adapted.ln_1.weight, ctx))).toEqual(data(project(x, dense, ctx)))
  expect(data(projectT(y, adapted.ln_1.weight, ctx))).toEqual(data(projectT(y, dense, ctx)))
  expect(count(adapted).frozen).toBe(24)
  expect(() => materialize(adapted.ln_1.weight, ctx)).toThrow('made dense')
})

test('rank dropout that keeps the mean changes nothing where it leaves out every output, and never gives NaN', () => {
  const rate = 0.6
  const left = { rankDropout: rate, moduleDropout: 0, rescaled: true }
  const x = full([2, 4], 3)
  const passes = Array.from({ length: 50 }, (_, i) =>
    data(remaining(x, left, 'w', { ...context(), train: true, key: key(i) })),
  )
  const means = passes.map((row) => row.reduce((a, b) => a + b, 0) / row.length)
  expect(passes.filter((row) => row.every((value) => value === 0)).length).toBeGreaterThan(0)
  for (const mean of means) expect([0, 3].some((m) => Math.abs(mean - m) < 1e-5)).toBe(true)
})
