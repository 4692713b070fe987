import { expect, test } from 'vitest'
import {
  adapterOf,
  byRow,
  freeze,
  key,
  lora,
  merge,
  mixed,
  pipe,
  prompt,
  sllm,
  wear,
  wearEach,
} from '../../src/index.ts'
import type { Tensor } from '../../src/index.ts'
import { slice, tensor } from '../../src/ops/index.ts'
import { brief, data, distance, idsOf, issuesOf, loud, tensorsLeftBy, tinySllm } from '../support.ts'

const base = freeze(tinySllm())
const ids = idsOf([
  [1, 2, 3],
  [4, 5, 6],
  [7, 8, 9],
  [1, 1, 2],
])
const of = (rank: number) =>
  adapterOf(
    loud(
      pipe(base, lora({ at: ['**.ln_1', 'out_head'], rank, alpha: 3, scaling: 'alpha/rank', key: key(rank) })),
      (l) => l.endsWith('.b'),
    ),
  )
const prompted = adapterOf(loud(pipe(base, prompt({ length: 2 })), (l) => l.endsWith('prompt')))
const models = { none: base, ...wearEach(base, { fr: of(1), de: of(3), soft: prompted }) }
const names = ['de', 'none', 'fr', 'de'] as const

const row = (t: Tensor, i: number): readonly number[] => {
  const width = t.size / t.shape[0]!
  return data(t).slice(i * width, (i + 1) * width)
}

test('each row is what its own model alone gives it', () => {
  const out = mixed(sllm.apply)(models, names, ids)
  names.forEach((name, i) => expect(row(out, i)).toEqual(row(sllm.apply(models[name], ids), i)))
  expect(tensorsLeftBy(() => mixed(sllm.apply)(models, names, ids))).toBe(1)
})

test('masks go with their rows', () => {
  const mask = tensor([1, 1, 1, 1, 1, 0, 1, 0, 0, 1, 1, 1], [4, 3])
  const out = mixed(sllm.nextLogits)(models, names, { ids, mask })
  names.forEach((name, i) => expect(row(out, i)).toEqual(row(sllm.nextLogits(models[name], { ids, mask }), i)))
})

test('a soft prompt gives more rows: refused with the way out, which works', () => {
  const withPrompt = ['fr', 'soft', 'fr', 'none'] as const
  expect(brief(issuesOf(() => mixed(sllm.apply)(models, withPrompt, ids)))).toEqual(['MixedLengths soft'])
  const next = mixed(sllm.nextLogits)(models, withPrompt, ids)
  withPrompt.forEach((name, i) => expect(row(next, i)).toEqual(row(sllm.nextLogits(models[name], ids), i)))
  const tokens: typeof sllm.apply = (model, input, ctx) => {
    const out = sllm.apply(model, input, ctx)
    const [batch = 0, length = 0, vocabulary = 0] = out.shape
    return slice(out, [0, length - 3, 0], [batch, 3, vocabulary])
  }
  expect(mixed(tokens)(models, withPrompt, ids).shape).toEqual([4, 3, 11])
})

test('names that are none, and names too few, are said together', () => {
  expect(brief(issuesOf(() => mixed(sllm.apply)(models, ['fr', 'dee' as 'de', 'xx' as 'de'], ids)))).toEqual([
    'UnknownAdapter names.1',
    'UnknownAdapter names.2',
    'ShapeMismatch input',
  ])
  expect(brief(issuesOf(() => mixed(sllm.apply)(models, [], ids)))).toContain('ShapeMismatch names')
})

test('a mean over the batch has no rows to put back', () => {
  const loss = (model: Parameters<typeof sllm.apply>[0], t: Tensor): Tensor => sllm.loss(model, { ids: t, labels: t })
  expect(brief(issuesOf(() => mixed(loss)(models, names, ids)))).toContain('ShapeMismatch de')
})

const rows = names.map((name) => (name === 'none' ? null : name))
const all = byRow({ fr: of(1), de: of(3) })(base)

test('beside one base the rows are the same, in one run', () => {
  expect(distance(sllm.apply(all, ids, { rows }), mixed(sllm.apply)(models, names, ids))).toBeLessThan(1e-6)
  expect(data(sllm.apply(all, ids, { rows: [null, null, null, null] }))).toEqual(data(sllm.apply(base, ids)))
})

test('in training each row has the dropout of its own adapter', () => {
  const dropping = adapterOf(loud(pipe(base, lora({ at: 'out_head', rank: 2, dropout: 0.5 })), (l) => l.endsWith('.b')))
  const some = byRow({ fr: dropping, de: of(3) })(base)
  const run = (train: boolean) => sllm.apply(some, ids, { rows, train, key: key(1) })
  expect(row(run(true), 2)).not.toEqual(row(run(false), 2))
  expect(row(run(true), 0)).toEqual(row(run(false), 0))
})

test('what cannot stand beside one base says so', () => {
  expect(brief(issuesOf(() => byRow({ soft: prompted, fr: of(1) })))).toEqual([
    'NotAdditive embedding_block.token_embdgs',
  ])
  const two = of(2)
  const nan = { ...two, parts: two.parts.map((p) => ({ ...p, node: withNaN(p.node) })) }
  expect(brief(issuesOf(() => byRow({ nan })))).toContain('NonFinite nan.transformer_blocks.0.mlp.ln_1.weight.b')
  expect(brief(issuesOf(() => byRow({})))).toEqual(['BadOption '])
  expect(brief(issuesOf(() => sllm.apply(all, ids)))).toEqual(['NoRows rows'])
  expect(brief(issuesOf(() => sllm.apply(all, ids, { rows: ['fr'] })))).toEqual(['ShapeMismatch rows'])
  expect(brief(issuesOf(() => sllm.apply(all, ids, { rows: ['fr', 'en', 'de', null] })))).toEqual([
    'UnknownAdapter rows',
  ])
  expect(brief(issuesOf(() => merge(all)))).toEqual(['NoRows transformer_blocks.0.mlp.ln_1.weight'])
})

const withNaN = (node: unknown): unknown => {
  const { b } = node as { readonly b: { readonly value: Tensor } }
  return { ...(node as object), b: { ...b, value: tensor(new Float32Array(b.value.size).fill(NaN), b.value.shape) } }
}

test('one adapter on its own is what byRow gives all its rows', () => {
  const out = sllm.apply(all, ids, { rows: ['de', 'de', 'de', 'de'] })
  expect(distance(out, sllm.apply(wear(of(3))(base), ids))).toBeLessThan(1e-6)
})
