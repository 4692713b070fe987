import { expect, test } from 'vitest'
import {
  constant,
  count,
  detach,
  freeze,
  leaves,
  lora,
  merge,
  nest,
  param,
  partition,
  pipe,
  relabel,
  ties,
  unfreeze,
  unsound,
  untie,
  sllm,
  key,
} from '../../src/index.ts'
import { memory, ones, release, zeros } from '../../src/ops/index.ts'
import { brief, issuesOf, messageOf, refused, tiny, tinySllm } from '../support.ts'

const shared = param('matrix', 'tokens', ones([3, 4]))
const tied = {
  embed: { weight: shared },
  head: { weight: shared },
  other: { weight: param('matrix', 'other.weight', ones([3, 4])) },
}

test('a tie is one leaf in several places', () => {
  expect(ties(tied)).toEqual({ tokens: ['embed.weight', 'head.weight'] })
  expect(ties(tinySllm())).toEqual({})
  expect(count(tied).parameters).toBe(24)
})

test('a tie survives freeze, freeze.only on one place, nest and partition', () => {
  for (const after of [freeze(tied), freeze.only({ at: 'head' })(tied), nest('m', tied), partition(tied).trainable]) {
    const m = after as typeof tied
    expect(m.embed.weight).toBe(m.head.weight)
  }
  expect(freeze.only({ at: 'head' })(tied).embed.weight.status).toBe('frozen')
  expect(freeze.only({ at: 'head' })(tied).other).toBe(tied.other)
})

test('lora on a tied place is refused: both places and the way out are named', () => {
  expect(messageOf(() => lora({ at: 'head', rank: 1 })(tied))).toMatchInlineSnapshot(`
    "TiedWeight at head.weight: expected a weight that stands in one place, found one leaf tied at embed.weight and head.weight.
      Part them first: untie(model, "head.weight")."
  `)
  expect(brief(refused(tied, lora({ at: '**', rank: 1 })))).toEqual([
    'TiedWeight embed.weight',
    'TiedWeight head.weight',
  ])
})

test('parted by untie, a place can be adapted; merge leaves the other one alone', () => {
  const tuned = pipe(tied, (m) => untie(m, 'head'), lora({ at: 'head', rank: 1 }))
  expect(tuned.head.weight.base.label).toBe('head.weight')
  expect(tuned.embed.weight).toBe(shared)
  expect(merge(tuned).embed.weight).toBe(shared)
  expect(merge(tuned).head.weight.label).toBe('head.weight')
  expect(detach(tuned).head.weight.value).toBe(shared.value)
})

test('untie shares the tensor, allocates none, and leaves what is not tied', () => {
  const before = memory().tensors
  const apart = untie(tied, '**')
  expect(memory().tensors).toBe(before)
  expect(ties(apart)).toEqual({})
  expect(apart.embed.weight.value).toBe(apart.head.weight.value)
  expect(apart.other).toBe(tied.other)
  expect(count(apart).parameters).toBe(36)
})

test('a parted place gets a label of its own even when the tie has its path for a label', () => {
  const w = param('matrix', 'a', ones([1]))
  const apart = untie({ a: w, b: w }, '**')
  expect(leaves(apart).map((l) => l.label)).toEqual(["a'", 'b'])
  expect(unsound(apart)).toEqual([])
})

test('two towers made by one initialiser clash; the message names both places and nest', () => {
  const towers = { query: tinySllm(), doc: tinySllm(1) }
  const issues = unsound(towers)
  expect(issues).toHaveLength(leaves(tinySllm()).length)
  expect(
    messageOf(() => lora({ at: 'query.out_head', rank: 1 })(towers))
      .split('\n')
      .slice(0, 2)
      .join('\n'),
  ).toMatchInlineSnapshot(`
    "LabelClash at doc.embedding_block.token_embdgs.weight: expected the label "embedding_block.token_embdgs.weight" to name one leaf, found another leaf under the same label at query.embedding_block.token_embdgs.weight.
      Give each model a name with nest("name", model), or part a tie with untie(model, path)."
  `)
  const steps = [
    freeze,
    unfreeze,
    merge,
    detach,
    freeze.only({ at: '**' }),
    lora({ at: '**', rank: 1 }),
    partition,
    (t: never) => nest('both', t),
  ]
  for (const step of steps) expect(refused(towers, step as never)[0]?._tag).toBe('LabelClash')
})

test('nest gives each tower a name, and its parameters are its own', () => {
  const towers = { query: nest('query', tinySllm()), doc: nest('doc', tinySllm(1)) }
  expect(unsound(towers)).toEqual([])
  expect(towers.query.final_norm.scale.label).toBe('query.final_norm.scale')
  expect(count(towers).parameters).toBe(2 * count(tinySllm()).parameters)
  const tuned = pipe(towers, freeze, lora({ at: 'query.**', rank: 1 }))
  expect(count(tuned.doc).trainable).toBe(0)
  expect(tuned.query.out_head.weight.a.label).toBe('query.out_head.weight.a')
})

test('the same block twice is a tie, a copied leaf of one is a clash', () => {
  const model = tinySllm()
  const twice = { ...model, transformer_blocks: [...model.transformer_blocks, ...model.transformer_blocks] }
  expect(unsound(twice)).toEqual([])
  expect(Object.keys(ties(twice))).toHaveLength(leaves(model.transformer_blocks).length)
  const copied = { ...tied, head: { weight: { ...shared } } }
  expect(brief(issuesOf(() => partition(copied)))).toEqual(['LabelClash head.weight'])
  const respelled = { ...tied, head: { weight: { ...shared, status: 'frozen' as const } } }
  expect(brief(issuesOf(() => freeze(respelled)))).toEqual(['LabelClash head.weight'])
})

test('relabel maps every label, and refuses to make two leaves one', () => {
  const model = relabel(tied, (l) => l.toUpperCase())
  expect(leaves(model).map((l) => l.label)).toEqual(['TOKENS', 'OTHER.WEIGHT'])
  expect(relabel(tied, (l) => l)).toBe(tied)
  expect(issuesOf(() => relabel(tied, () => 'one'))[0]?._tag).toBe('LabelClash')
})

test('constants have labels too', () => {
  const rope = constant('rope', zeros([2]))
  expect(ties({ a: rope, b: rope })).toEqual({ rope: ['a', 'b'] })
  expect(unsound({ a: rope, b: constant('rope', zeros([2])) })[0]?._tag).toBe('LabelClash')
})

test('a leaf whose memory was given back is named', () => {
  const model = sllm.init(tiny, key(3))
  release(model.final_norm, { keep: [] })
  expect(brief(issuesOf(() => freeze(model)))).toEqual(['Disposed final_norm.scale'])
  expect(brief(issuesOf(() => lora({ at: '**', rank: 1 })(model)))).toEqual(['Disposed final_norm.scale'])
})
