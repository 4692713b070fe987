import { expect, test } from 'vitest'
import { context, define, diff, freeze, key, lora, merge, pipe, prompt, sllm } from '../../src/index.ts'
import { layer, linear } from '../../src/index.ts'
import { mul, ones, tensor } from '../../src/ops/index.ts'
import { messageOf } from '../support.ts'

const scaling = (by: number) => define('Cell', { fc: linear('d', 'd') }, (n, x, ctx) => mul(layer(n.fc, x, ctx), by))

test('two kinds under one tag are refused, since each would run the nodes of the other', () => {
  const [two, hundred] = [scaling(2), scaling(100)]
  const both = { a: two.field({ d: 'd' }), b: hundred.field({ d: 'd' }) }
  expect(messageOf(() => define('Both', both, (n, x, ctx) => layer(n.b, layer(n.a, x, ctx), ctx)))).toMatch(
    /two kinds with the tag "Cell"/,
  )
  const cell = two.init({ d: 2 }, key(0))
  expect(messageOf(() => two.apply(cell, ones([1, 2]), { kinds: { Cell: hundred } }))).toMatch(/two kinds with the tag/)
  expect(context({ kinds: { Cell: two } }).kinds['Cell']).toBe(two)
})

test('a block of a user does not replace the blocks of SLLM', () => {
  const Block = define('Block', { fc: linear('d', 'd') }, (n, x, ctx) => layer(n.fc, x, ctx))
  const model = sllm.init({ ...sllm.config.seed, d_model: 8, d_head: 4, vocab_size: 11 }, key(0))
  const ids = tensor([[1, 2]], undefined, 'int32')
  expect(messageOf(() => sllm.apply(model, ids, { kinds: { Block } }))).toMatch(/two kinds with the tag "Block"/)
})

test('diff sees what changed under a wrapper, and whether values did', () => {
  const base = sllm.init({ ...sllm.config.seed, d_model: 8, d_head: 4, vocab_size: 11 }, key(0))
  const tuned = lora({ at: 'out_head', rank: 1 })(base)
  const changes = diff(tuned, freeze(tuned)).changes.filter((c) => c.path.startsWith('out_head.weight'))
  expect(changes.map((c) => c.to)).toEqual(['frozen Param 8×11', 'frozen Param 8×1', 'frozen Param 1×11'])
  expect(diff(base, { ...base, final_norm: { ...base.final_norm, eps: 1 } }).changes[0]?.to).toContain('eps=1')
  const loud = { ...base.out_head.bias!, value: ones([11]) }
  const after = { ...base, out_head: { ...base.out_head, bias: loud } }
  expect(diff(base, after).changes).toEqual([
    { path: 'out_head.bias', change: 'replaced', from: 'trainable Param 11', to: 'trainable Param 11, new values' },
  ])
})

test('a transform gives a sound tree or refuses', () => {
  const base = sllm.init({ ...sllm.config.seed, d_model: 8, d_head: 4, vocab_size: 11 }, key(0))
  expect(messageOf(() => merge({ teacher: base, student: lora({ at: 'out_head', rank: 1 })(base) }))).toMatch(
    /LabelClash/,
  )
  expect(messageOf(() => prompt({ length: 2, init: 'zeros' as 'random' })(base))).toMatch(/BadOption/)
  expect(messageOf(() => pipe(base, lora({ at: { glob: ['**.ln_1', '**.ln1'] }, rank: 2 })))).toMatch(/NotATarget/)
})
