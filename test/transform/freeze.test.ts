import { expect, test } from 'vitest'
import {
  constant,
  count,
  freeze,
  leafPlaces,
  lora,
  param,
  pipe,
  prompt,
  select,
  showPath,
  trainableOf,
  unfreeze,
} from '../../src/index.ts'
import { zeros } from '../../src/ops/index.ts'
import { brief, refused, tensorsLeftBy, tinySllm } from '../support.ts'

const base = tinySllm()
const total = count(base).parameters
const trainable = (model: unknown): readonly string[] => Object.keys(trainableOf(model))

test('freeze leaves nothing to train, copies no tensor and keeps the model it was given', () => {
  let frozen = base as unknown
  expect(tensorsLeftBy(() => (frozen = freeze(base)))).toBe(0)
  expect(count(frozen)).toEqual({ parameters: total, trainable: 0, frozen: total })
  expect(count(base).trainable).toBe(total)
  expect(leafPlaces(frozen).map((p) => p.node.value)).toEqual(leafPlaces(base).map((p) => p.node.value))
})

test('to freeze what is frozen, or unfreeze what is trainable, is the same object', () => {
  const frozen = freeze(base)
  expect(freeze(frozen)).toBe(frozen)
  expect(unfreeze(base)).toBe(base)
  expect(freeze.only({ at: 'out_head' })(frozen)).toBe(frozen)
})

test('freeze.only and unfreeze.only change what they name and share the rest', () => {
  const part = freeze.only({ at: ['embedding_block', 'transformer_blocks.{0..0}', '**.ln_1'] as string[] })(base)
  expect(trainable(part)).toEqual([
    ...['ln1.scale', 'mha.Wq.weight', 'mha.Wk.weight', 'mha.Wv.weight', 'mha.projection_out.weight'].map(
      (l) => `transformer_blocks.1.${l}`,
    ),
    ...['mha.projection_out.bias', 'ln2.scale', 'mlp.c_proj.weight'].map((l) => `transformer_blocks.1.${l}`),
    'final_norm.scale',
    'out_head.weight',
    'out_head.bias',
  ])
  expect(part.final_norm).toBe(base.final_norm)
  expect(trainable(pipe(base, freeze, unfreeze.only({ at: 'out_head' })))).toEqual(['out_head.weight', 'out_head.bias'])
})

test('a leaf, a predicate, a query and a selection name parts too', () => {
  const frozen = freeze(base)
  expect(trainable(unfreeze.only({ at: 'out_head.bias' })(frozen))).toEqual(['out_head.bias'])
  expect(trainable(unfreeze.only({ at: (path) => path.endsWith('.bias') })(frozen))).toHaveLength(3)
  expect(trainable(unfreeze.only({ at: { kind: 'LayerNorm' } })(frozen))).toHaveLength(5)
  expect(trainable(unfreeze.only({ at: select(base, '**.Wq') })(frozen))).toHaveLength(2)
})

test('the leaves of an adapter and a prompt are parameters like others', () => {
  const tuned = pipe(base, lora({ at: '**.ln_1', rank: 2 }), prompt({ length: 2 }))
  expect(count(freeze(tuned)).trainable).toBe(0)
  expect(trainable(pipe(tuned, freeze, unfreeze.only({ at: '**.a' })))).toEqual([
    'transformer_blocks.0.mlp.ln_1.weight.a',
    'transformer_blocks.1.mlp.ln_1.weight.a',
  ])
  expect(trainable(pipe(tuned, freeze, unfreeze.only({ at: '**.prompt' })))).toEqual([
    'embedding_block.token_embdgs.prompt',
  ])
})

test('one place of a tie freezes the parameter, wherever it stands', () => {
  const w = param('table', 'tokens', zeros([2, 2]))
  const after = freeze.only({ at: 'embed' })({ embed: w, head: w, other: param('vector', 'o', zeros([2])) })
  expect(after.head.status).toBe('frozen')
  expect(after.head).toBe(after.embed)
  expect(after.other.status).toBe('trainable')
})

test('constants have no status and stay the same object', () => {
  const tree = { rope: constant('rope', zeros([2])), w: param('vector', 'w', zeros([2])) }
  expect(freeze(tree).rope).toBe(tree.rope)
  expect(brief(refused(tree, freeze.only({ at: 'rope' }) as never))).toEqual(['NotATarget rope'])
})

test('a pattern that hits nothing is refused, and all such are named', () => {
  expect(brief(refused(base, freeze.only({ at: ['out_haed'] as string[] })))).toEqual(['NoMatch out_haed'])
  expect(freeze.only.either({ at: ['nope'] as string[] })(base)).toMatchObject({
    _tag: 'Left',
    left: [{ _tag: 'NoMatch' }],
  })
})

test('order does not matter between freeze and lora on what they leave: the adapter is trained', () => {
  const names = (m: unknown): readonly string[] => leafPlaces(m).map((p) => showPath(p.path))
  const before = pipe(base, freeze, lora({ at: '**.ln_1', rank: 2 }))
  const after = pipe(base, lora({ at: '**.ln_1', rank: 2 }), freeze)
  expect(names(before)).toEqual(names(after))
  expect([count(before).trainable, count(after).trainable]).toEqual([48, 0])
})

test('options in place of a model, and options that there are not, are refused', () => {
  expect(() => unfreeze({ at: 'out_head' } as never)).toThrow('unfreeze.only({ at: … })')
  expect(() => freeze.only({ at: '**', except: '**.bias' } as never)(base)).toThrow('BadOption at freeze.only.except')
})
