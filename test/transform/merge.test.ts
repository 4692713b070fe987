import { expect, test } from 'vitest'
import { count, freeze, get, key, leaves, lora, merge, pipe, prompt, select, sllm } from '../../src/index.ts'
import { add, matmul, memory, mul } from '../../src/ops/index.ts'
import { brief, data, distance, idsOf, loud, refused, tensorsLeftBy, tinySllm } from '../support.ts'

const base = tinySllm()
const ids = idsOf([[1, 2, 3]])
const tuned = loud(pipe(base, freeze, lora({ at: ['**.ln_1', 'out_head'], rank: 2, alpha: 3, key: key(1) })), (l) =>
  l.endsWith('.b'),
)
const at = 'transformer_blocks.1.mlp.ln_1.weight'

test('a merged weight is W + s·A·B, with the label and status of W', () => {
  const w = get(tuned, at)
  const merged = get(merge(tuned), at)
  expect(distance(merged.value, add(w.base.value, mul(matmul(w.a.value, w.b.value), 3)))).toBeLessThan(1e-6)
  expect(data(merged.value)).not.toEqual(data(w.base.value))
  expect({ ...merged, value: 0 }).toEqual({ ...w.base, value: 0 })
})

test('the merged model computes the same, and is the base in structure', () => {
  const merged = merge(tuned)
  expect(distance(sllm.apply(merged, ids), sllm.apply(tuned, ids))).toBeLessThan(1e-5)
  expect(distance(sllm.apply(merged, ids), sllm.apply(base, ids))).toBeGreaterThan(1e-2)
  expect(count(merged)).toEqual(count(freeze(base)))
  expect(leaves(merged).map((l) => l.label)).toEqual(leaves(base).map((l) => l.label))
})

test('allocates one tensor for each merged place, frees none of others, and the adapted model goes on', () => {
  const before = data(sllm.apply(tuned, ids))
  expect(tensorsLeftBy(() => merge(tuned))).toBe(3)
  expect(leaves(tuned).every((l) => !l.value.isDisposed)).toBe(true)
  expect(data(sllm.apply(tuned, ids))).toEqual(before)
})

test('a model without adapters comes back as it is', () => {
  const live = memory().tensors
  expect(merge(base)).toBe(base)
  expect(memory().tensors).toBe(live)
  const prompted = prompt({ length: 2 })(base)
  expect(merge(prompted)).toBe(prompted)
})

test('what was not adapted is the same object', () => {
  const merged = merge(tuned)
  expect(merged.transformer_blocks[0]?.mha).toBe(tuned.transformer_blocks[0]?.mha)
  expect(merged.out_head.bias).toBe(tuned.out_head.bias)
})

test('one place, and its mistakes', () => {
  const one = merge.only({ at: 'out_head' })(tuned)
  expect(one.out_head.weight._tag).toBe('Param')
  expect(select(one, { kind: 'Lora' }).paths).toHaveLength(2)
  expect(one.transformer_blocks).toBe(tuned.transformer_blocks)
  expect(brief(refused(tuned, merge.only({ at: '**.c_proj' })))).toEqual(['NotATarget transformer_blocks.0.mlp.c_proj'])
  expect(brief(refused(tuned, merge.only({ at: '**.nope' })))).toEqual(['NoMatch **.nope'])
  expect(brief(refused(base, merge.only({ at: '**' }) as never))).toEqual(['NotATarget '])
})

test('a weight adapted twice over, by hand, merges all of it', () => {
  const w = get(tuned, at)
  const twice = { weight: { ...w, a: { ...w.a, label: 'a2' }, b: { ...w.b, label: 'b2' }, base: w } }
  const change = matmul(w.a.value, w.b.value)
  expect(distance(merge(twice).weight.value, add(w.base.value, mul(change, 6)))).toBeLessThan(1e-6)
})
