import { describe, expect, test } from 'vitest'
import {
  bake,
  count,
  detach,
  freeze,
  get,
  key,
  leaves,
  lora,
  materialize,
  merge,
  param,
  pipe,
  prompt,
  ptuning,
  sllm,
  variant,
  context,
} from '../../src/index.ts'
import type { PtuningOptions } from '../../src/index.ts'
import { mul, zeros } from '../../src/ops/index.ts'
import { brief, data, equal, idsOf, issuesOf, numbers, refused, tensorsLeftBy, tinySllm } from '../support.ts'

const base = tinySllm()
const ids = idsOf([[1, 2, 3]])
const rowsOf = (model: ReturnType<typeof tuned>): readonly number[] =>
  data(materialize(model.embedding_block.token_embdgs.prompt, context()))
const tuned = (options: Partial<PtuningOptions> = {}) => ptuning({ length: 3, hidden: 4, ...options })(base)

describe('adds a table and an encoder', () => {
  test('and nothing else', () => {
    expect(tensorsLeftBy(() => tuned())).toBe(7)
    expect(tensorsLeftBy(() => tuned({ encoder: 'lstm' }))).toBe(1 + 2 * 8 + 4)
    expect(tensorsLeftBy(() => tuned({ encoder: 'lstm', layers: 1 }))).toBe(1 + 8 + 4)
    expect(detach(tuned())).toStrictEqual(base)
    expect(leaves(tuned()).filter((l) => l.label.startsWith('embedding_block.token_embdgs.prompt'))).toHaveLength(7)
  })

  test('as wide as the model, unless told otherwise', () => {
    expect(count(ptuning({ length: 3 })(freeze(base))).trainable).toBe(3 * 6 + 3 * (6 * 6 + 6))
  })

  test('by the key alone', () => {
    expect(rowsOf(tuned({ key: key(1) }))).toEqual(rowsOf(tuned({ key: key(1) })))
    expect(rowsOf(tuned({ key: key(1) }))).not.toEqual(rowsOf(tuned({ key: key(2) })))
  })
})

describe.each(['mlp', 'lstm'] as const)('an encoder: %s', (encoder) => {
  const model = tuned({ encoder })

  test('gives rows before the text', () => {
    expect(sllm.apply(model, ids).shape).toEqual([1, 6, 11])
    expect(new Set(rowsOf(model)).size).toBeGreaterThan(6)
  })

  test('is baked into plain rows, with the same outputs to the bit', () => {
    const baked = bake(model)
    const { prompt: rows } = baked.embedding_block.token_embdgs
    expect([rows._tag, rows.label, rows.status]).toEqual(['Param', 'embedding_block.token_embdgs.prompt', 'trainable'])
    expect(data(rows.value)).toEqual(rowsOf(model))
    expect(numbers(() => sllm.apply(baked, ids))).toEqual(numbers(() => sllm.apply(model, ids)))
    expect(equal(merge(model), baked)).toBe(true)
  })
})

describe('bake', () => {
  test('leaves LoRA alone, and a model without an encoder the same object', () => {
    const both = pipe(base, lora({ at: '**.mlp', rank: 2 }), ptuning({ length: 2, hidden: 3 }))
    const baked = bake(both)
    expect(baked.transformer_blocks).toBe(both.transformer_blocks)
    expect(get(baked, 'transformer_blocks.0.mlp.ln_1.weight')._tag).toBe('Lora')
    expect(bake(baked)).toBe(baked)
    const prompted = prompt({ length: 2 })(base)
    expect(bake(prompted)).toBe(prompted)
  })

  test('bakes an encoder of one’s own, if it knows it', () => {
    const Doubled = variant('Doubled', { fields: {}, materialize: (w, ctx) => mul(materialize(w.base, ctx), 2) })
    const { prompt: rows, ...rest } = prompt({ length: 2 })(base).embedding_block.token_embdgs
    const own = { ...rest, prompt: { _tag: 'Doubled', base: rows } }
    expect(brief(issuesOf(() => bake(own)))).toEqual(['UnknownKind prompt'])
    const baked = bake.knowing({ Doubled })(own) as unknown as { readonly prompt: typeof rows }
    expect(data(baked.prompt.value)).toEqual(data(rows.value).map((x) => 2 * x))
  })

  test('refuses a tree that is not sound, with or without an encoder', () => {
    const twice = { a: param('vector', 'x', zeros([1])), b: param('vector', 'x', zeros([1])) }
    expect(brief(issuesOf(() => bake(twice)))[0]).toMatch(/^LabelClash/)
  })
})

describe('is refused, the model untouched and no tensor left over', () => {
  const step = (options: object) => ptuning({ length: 2, ...options } as never) as (m: never) => unknown

  test.each([0, -1, 1.5, Number.NaN, '3', null])('length, hidden and layers of %j', (size) => {
    expect(brief(refused(base, step({ length: size })))).toEqual(['BadDimension ptuning.length'])
    expect(brief(refused(base, step({ hidden: size })))).toEqual(['BadDimension ptuning.hidden'])
    expect(brief(refused(base, step({ encoder: 'lstm', layers: size })))).toEqual(['BadDimension ptuning.layers'])
  })

  test('what no engine could hold, an unknown encoder, layers of an MLP', () => {
    expect(brief(refused(base, step({ hidden: 2 ** 20 })))).toEqual(['BadDimension ptuning.hidden'])
    expect(brief(refused(base, step({ encoder: 'gru' })))).toEqual(['BadOption ptuning.encoder'])
    expect(brief(refused(base, step({ layers: 1 })))).toEqual(['BadOption ptuning.layers'])
  })

  test('rows that leave no room, a second time, a prompt that is there', () => {
    expect(brief(refused(base, step({ length: 9 })))).toEqual(['ContextOverflow ptuning.length'])
    expect(brief(refused(tuned(), step({})))).toEqual(['AlreadyAdapted embedding_block.token_embdgs'])
    expect(brief(refused(prompt({ length: 2 })(base), step({})))).toEqual([
      'AlreadyAdapted embedding_block.token_embdgs',
    ])
  })
})
