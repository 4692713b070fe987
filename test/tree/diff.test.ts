import { expect, test } from 'vitest'
import { detach, diff, freeze, lora, merge, nest, param, pipe, prompt, set } from '../../src/index.ts'
import { zeros } from '../../src/ops/index.ts'
import { tinySllm } from '../support.ts'

const base = tinySllm()
const tuned = pipe(base, lora({ at: '**.ln_1', rank: 2, alpha: 4 }), prompt({ length: 3 }))

test('an adapter is one change at its place, and everything else is shared', () => {
  expect(String(diff(base, tuned))).toMatchInlineSnapshot(`
    "~ embedding_block.token_embdgs  Embedding → Prompted
    ~ transformer_blocks.0.mlp.ln_1.weight  trainable Param 6×6 → Lora alpha=4 scaling=alpha dropout=0
    ~ transformer_blocks.1.mlp.ln_1.weight  trainable Param 6×6 → Lora alpha=4 scaling=alpha dropout=0
    3 places changed; 23 tensors shared by reference, 5 new"
  `)
  expect(diff(base, tuned)).toMatchObject({ sharedLeaves: 23, sharedTensors: 23, newTensors: 5 })
})

test('nothing changed', () => {
  expect(diff(base, base).changes).toEqual([])
  expect(diff(base, detach(tuned)).changes).toEqual([])
})

test('freeze makes new leaves on the same tensors', () => {
  const d = diff(base, freeze(base))
  expect(d.changes).toHaveLength(23)
  expect(d).toMatchObject({ sharedLeaves: 0, sharedTensors: 23, newTensors: 0 })
  expect(d.changes.at(-1)).toEqual({
    path: 'out_head.bias',
    change: 'replaced',
    from: 'trainable Param 11',
    to: 'frozen Param 11',
  })
})

test('merge replaces the adapters', () => {
  const d = diff(lora({ at: '**.ln_1', rank: 2 })(base), merge(lora({ at: '**.ln_1', rank: 2 })(base)))
  expect(d.changes.map((c) => [c.path, c.change, c.to])).toEqual([
    ['transformer_blocks.0.mlp.ln_1.weight', 'replaced', 'trainable Param 6×6'],
    ['transformer_blocks.1.mlp.ln_1.weight', 'replaced', 'trainable Param 6×6'],
  ])
})

test('plain data that changed is seen: another alpha, another epsilon', () => {
  const [quiet, louder] = [4, 5].map((alpha) => lora({ at: '**.ln_1', rank: 2, alpha })(base))
  expect(diff(quiet, louder).changes[0]).toEqual({
    path: 'transformer_blocks.0.mlp.ln_1.weight',
    change: 'replaced',
    from: 'Lora alpha=4 scaling=alpha dropout=0',
    to: 'Lora alpha=5 scaling=alpha dropout=0',
  })
  expect(diff(base, { ...base, final_norm: { ...base.final_norm, eps: 1 } }).changes.map((c) => c.path)).toEqual([
    'final_norm',
  ])
})

test('added and removed', () => {
  const w = param('matrix', 'w', zeros([2, 2]))
  expect(diff({ a: w }, { b: w }).changes).toEqual([
    { path: 'b', change: 'added', to: 'trainable Param 2×2' },
    { path: 'a', change: 'removed', from: 'trainable Param 2×2' },
  ])
})

test('one leaf set anew is one change', () => {
  const after = set(base, 'final_norm.scale', param('vector', 'final_norm.scale', zeros([6])))
  expect(diff(base, after).changes.map((c) => c.path)).toEqual(['final_norm.scale'])
  expect(diff(base, nest('m', base)).sharedTensors).toBe(23)
})
