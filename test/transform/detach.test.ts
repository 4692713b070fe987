import { expect, test } from 'vitest'
import {
  attach,
  detach,
  freeze,
  leaves,
  lora,
  materialize,
  pipe,
  prompt,
  select,
  sllm,
  variant,
  vector,
  allOnes,
} from '../../src/index.ts'
import { mul } from '../../src/ops/index.ts'
import { brief, data, idsOf, loud, refused, tensorsLeftBy, tinySllm } from '../support.ts'

const base = tinySllm()
const frozen = freeze(base)
const tuned = loud(pipe(frozen, lora({ at: '**', rank: 2 }), prompt({ length: 2 })), (l) => /\.(b|prompt)$/.test(l))

test('everything comes off, whatever the method and the order; every leaf is the one it was', () => {
  const bare = detach(tuned)
  expect(bare).toStrictEqual(frozen)
  expect(leaves(bare).every((l, i) => l === leaves(frozen)[i])).toBe(true)
  const other = pipe(frozen, prompt({ length: 2 }), lora({ at: '**', rank: 2 }), detach)
  expect(leaves(other).every((l, i) => l === leaves(frozen)[i])).toBe(true)
  expect(data(sllm.apply(bare, idsOf([[1, 2]])))).toEqual(data(sllm.apply(base, idsOf([[1, 2]]))))
})

test('a subtree that had nothing attached is the same object', () => {
  const part = pipe(frozen, lora({ at: '**.ln_1', rank: 1 }))
  const bare = detach(part)
  expect(bare.out_head).toBe(frozen.out_head)
  expect(bare.transformer_blocks[0]?.mha).toBe(frozen.transformer_blocks[0]?.mha)
  expect(detach(frozen)).toBe(frozen)
})

test('allocates and frees nothing; what is taken off lives on', () => {
  expect(tensorsLeftBy(() => detach(tuned))).toBe(0)
  expect(leaves(tuned).every((l) => !l.value.isDisposed)).toBe(true)
})

test('some places', () => {
  const some = detach.only({ at: ['embedding_block', 'transformer_blocks.*.mlp'] })(tuned)
  expect(select(some, { kind: 'Lora' }).paths).toHaveLength(9)
  expect(some.embedding_block).toStrictEqual(frozen.embedding_block)
  expect(some.out_head).toBe(tuned.out_head)
  expect(brief(refused(base, detach.only({ at: '**' }) as never))).toEqual(['NotATarget '])
  expect(brief(refused(tuned, detach.only({ at: 'final_norm' }) as never))).toEqual(['NotATarget final_norm'])
})

test('a variant of one’s own comes off as ours does, and its kind need not be known', () => {
  const Scaled = variant('Scaled', {
    fields: { scale: vector('out', allOnes) },
    materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
  })
  expect(detach(attach(Scaled)({ at: '**' })(frozen))).toStrictEqual(frozen)
})

test('an untagged record with a child called base is a container, not a wrapper', () => {
  const pair = { base: frozen, tuned: lora({ at: '**.ln_1', rank: 1 })(frozen) }
  expect(detach(pair).base).toBe(frozen)
  expect(Object.keys(detach(pair))).toEqual(['base', 'tuned'])
})
