import { expect, test } from 'vitest'
import {
  combine,
  constant,
  count,
  freeze,
  isHole,
  leafPlaces,
  lora,
  param,
  partition,
  pipe,
  showPath,
  trainableOf,
  unfreeze,
  withValues,
} from '../../src/index.ts'
import { ones, zeros } from '../../src/ops/index.ts'
import { places } from '../../src/tree/walk.ts'
import { brief, issuesOf, messageOf, tinySllm } from '../support.ts'

const tuned = pipe(tinySllm(), freeze, lora({ at: '**.ln_1', rank: 2 }), unfreeze.only({ at: 'out_head.bias' }))

test('every leaf stands in one half, as the same object, and a hole in the other', () => {
  const { trainable, frozen } = partition(tuned)
  const at = (tree: unknown): readonly string[] => leafPlaces(tree).map((p) => showPath(p.path))
  expect(at(trainable)).toEqual([
    'transformer_blocks.0.mlp.ln_1.weight.a',
    'transformer_blocks.0.mlp.ln_1.weight.b',
    'transformer_blocks.1.mlp.ln_1.weight.a',
    'transformer_blocks.1.mlp.ln_1.weight.b',
    'out_head.bias',
  ])
  expect(at(trainable).length + at(frozen).length).toBe(leafPlaces(tuned).length)
  expect(isHole(frozen.out_head.bias)).toBe(true)
  expect(frozen.out_head.weight).toBe(tuned.out_head.weight)
  expect(isHole(trainable.out_head.weight)).toBe(true)
  expect([...places(frozen)].filter((p) => isHole(p.node))).toHaveLength(5)
})

test('combine puts the halves together again', () => {
  const again = combine(partition(tuned))
  expect(again).toStrictEqual(tuned)
  expect(leafPlaces(again).every((p, i) => p.node === leafPlaces(tuned)[i]?.node)).toBe(true)
})

test('constants stand in the frozen half', () => {
  const { trainable, frozen } = partition({ rope: constant('rope', zeros([2])), w: param('matrix', 'w', ones([1])) })
  expect(isHole(trainable.rope)).toBe(true)
  expect(isHole(frozen.rope)).toBe(false)
})

test('a wholly frozen and a wholly trainable model have an empty half', () => {
  expect(count(partition(freeze(tinySllm())).trainable)).toEqual({ parameters: 0, trainable: 0, frozen: 0 })
  expect(count(partition(tinySllm()).frozen)).toEqual({ parameters: 0, trainable: 0, frozen: 0 })
})

test('halves that do not belong together are refused, with the place', () => {
  const { trainable, frozen } = partition(tuned)
  const unfit = combine as (parts: unknown) => unknown
  expect(messageOf(() => unfit({ trainable, frozen: trainable }))).toMatchInlineSnapshot(`
    "Mismatch at embedding_block.token_embdgs.weight: expected a leaf in exactly one half, found neither half.
      Combine the two halves of one partition; put new values into a half without changing its structure."
  `)
  expect(brief(issuesOf(() => unfit({ trainable: frozen, frozen })))).toEqual([
    'Mismatch embedding_block.token_embdgs.weight',
  ])
  expect(brief(issuesOf(() => unfit({ trainable, frozen: partition(tinySllm()).frozen })))[0]).toMatch(/^Mismatch/)
  const w = param('matrix', 'w', ones([1]))
  for (const other of [
    { w: { x: 1 } },
    { w: [1] },
    { w: 5 },
    { v: w },
    {},
    null,
    { w: { ...w, _tag: 'Hole', label: 'v' } },
  ])
    expect(brief(issuesOf(() => combine({ trainable: { w }, frozen: other } as never)))[0]).toMatch(/^Mismatch/)
})

test('trainableOf is a record by label, a tie once', () => {
  const w = param('matrix', 'tie', ones([1]))
  expect(trainableOf({ a: w, b: w, c: freeze(param('vector', 'c', ones([1]))) })).toEqual({ tie: w })
  expect(Object.keys(trainableOf(tuned))).toHaveLength(5)
})

test('withValues changes what it names, every place of a tie, and nothing else', () => {
  const w = param('matrix', 'tie', ones([1]))
  const tree = { a: w, b: [w], c: param('matrix', 'toString', ones([1])) }
  const value = zeros([1])
  const after = withValues(tree, { tie: value, unknown: zeros([9]) })
  expect(after.a.value).toBe(value)
  expect(after.b[0]).toBe(after.a)
  expect(after.c).toBe(tree.c)
  expect(withValues(tree, {})).toBe(tree)
  expect(withValues(tree, { tie: w.value })).toBe(tree)
})
