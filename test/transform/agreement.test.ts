import { expect, test } from 'vitest'
import { constant, freeze, leaves, lora, param, pipe, prompt, sllm, key } from '../../src/index.ts'
import type { Lora, Matrix } from '../../src/index.ts'
import { zeros } from '../../src/ops/index.ts'

/*
 * What the type of a transformed model says of each weight, and what the run time did: each line below is checked by the
 * compiler (through `Says`) and at run time (through `does`), from the same two words.
 */
type Says<T> = [T] extends [Lora<Matrix>] ? 'adapted' : [T] extends [Matrix] ? 'bare' : 'either'
const agrees = <W>(weight: W, said: Says<W>): void => {
  const does = (weight as { _tag: string })._tag === 'Lora' ? 'adapted' : 'bare'
  expect(said === 'either' ? 'either' : does).toBe(said)
}

const w = (label: string): Matrix<'trainable'> => param('matrix', label, zeros([2, 2]))
const linear = (label: string) =>
  ({ _tag: 'Linear', weight: w(`${label}.weight`), bias: param('vector', `${label}.bias`, zeros([2])) }) as const
const model = {
  _tag: 'Model',
  left: { up: linear('left.up'), down: linear('left.down') },
  right: { up: linear('right.up'), gate: { up: linear('right.gate.up') } },
  pair: [linear('pair.0'), linear('pair.1')],
  rope: constant('rope', zeros([2, 2])),
} as const

test('one name', () => {
  const m = pipe(model, lora({ at: 'left.up', rank: 1 }))
  agrees(m.left.up.weight, 'adapted')
  agrees(m.left.down.weight, 'bare')
  agrees(m.right.up.weight, 'bare')
})

test('a star is one segment', () => {
  const m = pipe(model, lora({ at: '*.up', rank: 1 }))
  agrees(m.left.up.weight, 'adapted')
  agrees(m.right.up.weight, 'adapted')
  agrees(m.right.gate.up.weight, 'bare')
})

test('two stars are any number of segments, none included', () => {
  const m = pipe(model, lora({ at: '**.up', rank: 1 }))
  agrees(m.left.up.weight, 'adapted')
  agrees(m.left.down.weight, 'bare')
  agrees(m.right.gate.up.weight, 'adapted')
  const top = pipe({ up: linear('up'), down: linear('down') }, lora({ at: '**.up', rank: 1 }))
  agrees(top.up.weight, 'adapted')
  agrees(top.down.weight, 'bare')
})

test('two stars in the middle', () => {
  const m = pipe(model, lora({ at: 'right.**.up', rank: 1 }))
  agrees(m.left.up.weight, 'bare')
  agrees(m.right.up.weight, 'adapted')
  agrees(m.right.gate.up.weight, 'adapted')
})

test('everything', () => {
  const m = pipe(model, lora({ at: '**', rank: 1 }))
  for (const weight of [
    m.left.up.weight,
    m.left.down.weight,
    m.right.up.weight,
    m.right.gate.up.weight,
    m.pair[0].weight,
  ])
    agrees(weight, 'adapted')
  expect(m.left.up.bias).toBe(model.left.up.bias)
  expect(m.rope).toBe(model.rope)
})

test('alternatives, with and without spaces', () => {
  const m = pipe(model, lora({ at: 'left.{up, down}', rank: 1 }))
  agrees(m.left.up.weight, 'adapted')
  agrees(m.left.down.weight, 'adapted')
  agrees(m.right.up.weight, 'bare')
  const n = pipe(model, lora({ at: '{left,right}.up', rank: 1 }))
  agrees(n.left.down.weight, 'bare')
  agrees(n.right.up.weight, 'adapted')
})

test('several patterns, one inside the other', () => {
  const m = pipe(model, lora({ at: ['left', '**.up'], rank: 1 }))
  agrees(m.left.down.weight, 'adapted')
  agrees(m.right.gate.up.weight, 'adapted')
  agrees(m.pair[0].weight, 'bare')
})

test('an element of a tuple is known by its index; by a range it may be, says the type', () => {
  const one = pipe(model, lora({ at: 'pair.1', rank: 1 }))
  agrees(one.pair[0].weight, 'bare')
  agrees(one.pair[1].weight, 'adapted')
  const star = pipe(model, lora({ at: 'pair.*', rank: 1 }))
  agrees(star.pair[0].weight, 'adapted')
  const range = pipe(model, lora({ at: 'pair.{-1..-1}' as const, rank: 1 }))
  agrees(range.pair[0].weight, 'either')
  agrees(range.pair[1].weight, 'either')
  expect(range.pair.map((l) => l.weight._tag)).toEqual(['Param', 'Lora'])
})

test('in a list an index says "may be", a star says "is"', () => {
  const base = sllm.init({ ...sllm.config.seed, d_model: 4, d_head: 2, vocab_size: 5, n_layers: 3 }, key(0))
  const one = pipe(base, lora({ at: 'transformer_blocks.{1..1}.mlp', rank: 1 }))
  for (const block of one.transformer_blocks) agrees(block.mlp.ln_1.weight, 'either')
  expect(one.transformer_blocks.map((b) => b.mlp.ln_1.weight._tag)).toEqual(['Param', 'Lora', 'Param'])
  const each = pipe(base, lora({ at: 'transformer_blocks.*.mlp', rank: 1 }))
  for (const block of each.transformer_blocks) {
    agrees(block.mlp.ln_1.weight, 'adapted')
    agrees(block.mha.Wq.weight, 'bare')
  }
})

test('what is wrapped keeps its path, in the type as at run time', () => {
  const base = sllm.init({ ...sllm.config.seed, d_model: 4, d_head: 2, vocab_size: 5 }, key(0))
  const m = pipe(
    base,
    prompt({ length: 2 }),
    lora({ at: '**.Wq', rank: 1 }),
    freeze.only({ at: '**.token_embdgs.weight' }),
  )
  const status: 'frozen' = m.embedding_block.token_embdgs.base.weight.status
  expect(status).toBe(m.embedding_block.token_embdgs.base.weight.status)
  expect(m.embedding_block.token_embdgs.prompt.status).toBe('trainable')
  for (const block of m.transformer_blocks) agrees(block.mha.Wq.weight, 'adapted')
})

test('the inside of an adapter is no target, says the type and the run time', () => {
  const tuned = pipe(model, lora({ at: 'left.up', rank: 1 }))
  // @ts-expect-error an adapter is not adapted
  expect(() => pipe(tuned, lora({ at: 'left.up.weight.a', rank: 1 }))).toThrow(/AlreadyAdapted at left.up.weight/)
  const again = pipe(tuned, lora({ at: '**.down', rank: 1 }))
  agrees(again.left.down.weight, 'adapted')
  expect(leaves(again).filter((l) => l.label.endsWith('.a'))).toHaveLength(2)
})
