import { expect, test } from 'vitest'
import {
  context,
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
  vera,
} from '../../src/index.ts'
import type { Weight } from '../../src/index.ts'
import { normal, record, replay, tensor } from '../../src/ops/index.ts'
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
