import { describe, expect, test } from 'vitest'
import {
  adapterOf,
  bytesAtRest,
  count,
  freeze,
  get,
  key,
  leaves,
  lora,
  pipe,
  prompt,
  show,
  sllm,
  unfreeze,
  wear,
  wearEach,
} from '../../src/index.ts'
import type { Adapter } from '../../src/index.ts'
import { brief, data, idsOf, loud, refused, tensorsLeftBy, tiny, tinySllm } from '../support.ts'

const base = freeze(tinySllm())
const ids = idsOf([[1, 2, 3]])
const made = (seed: number) =>
  loud(pipe(base, lora({ at: '**.ln_1', rank: 2, key: key(seed) })), (l) => l.endsWith('.b'))
const tuned = made(1)
const french = adapterOf(tuned)

describe('an adapter', () => {
  test('holds what was put on and nothing of the base', () => {
    expect(french.parts.map(({ path }) => path.join('.'))).toEqual([
      'transformer_blocks.0.mlp.ln_1.weight',
      'transformer_blocks.1.mlp.ln_1.weight',
    ])
    expect(leaves(french).map((l) => l.label)).toEqual(
      [0, 1].flatMap((i) => ['a', 'b'].map((x) => `transformer_blocks.${i}.mlp.ln_1.weight.${x}`)),
    )
    expect(count(french)).toEqual(count({ ...french, outline: {} }))
    expect(count(french).parameters).toBe(count(tuned).parameters - count(base).parameters)
    expect(bytesAtRest(french)).toBe(bytesAtRest(tuned) - bytesAtRest(base))
  })

  test('of a model with nothing on it is nothing, and wearing it freezes', () => {
    const none = adapterOf(base)
    expect(none.parts).toEqual([])
    expect(wear(none)(base)).toBe(base)
    expect(count(wear(none)(tinySllm())).trainable).toBe(0)
  })

  test('of a model that is trainable throughout holds all of it, in and under what was put on', () => {
    const whole = lora({ at: '**.ln_1', rank: 2 })(tinySllm())
    const worn = wear(adapterOf(whole))(tinySllm(5))
    expect(leaves(worn)).toEqual(leaves(whole))
    expect(leaves(worn).every((l, i) => l === leaves(whole)[i])).toBe(true)
  })

  test('with a head trained in full carries the head, and leaves the head of the base alone', () => {
    const head = loud(pipe(base, unfreeze.only({ at: 'out_head' }), prompt({ length: 2 })), (l) =>
      l.startsWith('out_head'),
    )
    const worn = wear(adapterOf(head))(base)
    expect(worn.out_head.weight).toBe(head.out_head.weight)
    expect(worn.out_head.weight).not.toBe(base.out_head.weight)
    expect(data(sllm.apply(worn, ids))).toEqual(data(sllm.apply(head, ids)))
    expect(wear(french)(base).out_head).toBe(base.out_head)
  })

  test('put on another base of the same shape is beside the values of that base', () => {
    const other = freeze(tinySllm(7))
    const worn = wear(french)(other)
    expect(get(worn, 'transformer_blocks.0.mlp.ln_1.weight').base).toBe(other.transformer_blocks[0]!.mlp.ln_1.weight)
    expect(get(worn, 'transformer_blocks.0.mlp.ln_1.weight').a).toBe(tuned.transformer_blocks[0]!.mlp.ln_1.weight.a)
  })

  test('shows as a tree', () => {
    expect(show(french)).toContain('Lora')
  })
})

describe('putting an adapter on', () => {
  test('allocates nothing, and switching is putting another on the same base', () => {
    const german = adapterOf(made(2))
    expect(tensorsLeftBy(() => wear(german)(base))).toBe(0)
    expect(data(sllm.apply(wear(german)(base), ids))).not.toEqual(data(sllm.apply(wear(french)(base), ids)))
  })

  test('says all that does not fit about another base', () => {
    const shallow = freeze(sllm.init({ ...tiny, n_layers: 1, vocab_size: 12 }, key(0)))
    const found = brief(refused(shallow, wear(french)))
    expect(found).toContain('ShapeMismatch embedding_block.token_embdgs.weight')
    expect(found).toContain('ShapeMismatch out_head.weight')
    expect(found).toContain('MissingTensor transformer_blocks.1.mlp.ln_1.weight')
    const deep = freeze(sllm.init({ ...tiny, n_layers: 3 }, key(0)))
    const more = brief(refused(deep, wear(french)))
    expect(new Set(more.map((line) => line.split(' ')[0]))).toEqual(new Set(['ExtraTensor']))
    expect(more.every((line) => line.includes('transformer_blocks.2.'))).toBe(true)
  })

  test('refuses what has an adapter already, naming each place', () => {
    expect(brief(refused(tuned, wear(french)))).toEqual([
      'AlreadyAdapted transformer_blocks.0.mlp.ln_1.weight',
      'AlreadyAdapted transformer_blocks.1.mlp.ln_1.weight',
    ])
  })

  test('refuses a base that is built alike under other labels', () => {
    const renamed = { ...base, final_norm: { ...base.final_norm, scale: { ...base.final_norm.scale, label: 'other' } } }
    expect(brief(refused(renamed, wear(french)))).toEqual(['LeafMismatch final_norm.scale'])
    expect(wear.either(french)(renamed)._tag).toBe('Left')
  })
})

describe('named adapters', () => {
  const adapters: Readonly<Record<string, Adapter>> = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [`a${i}`, adapterOf<unknown>(made(i))]),
  )

  test('stand on one base, which is there once however many they are', () => {
    const own = Object.values(adapters).reduce((n, adapter) => n + bytesAtRest(adapter), 0)
    expect(tensorsLeftBy(() => wearEach(base, adapters))).toBe(0)
    expect(bytesAtRest(wearEach(base, adapters))).toBe(bytesAtRest(base) + own)
    expect(own).toBe(20 * 2 * 2 * (6 + 6) * 4)
  })

  test('are one tree that can be trained and counted', () => {
    const models = wearEach(base, { fr: french, de: adapterOf(made(2)) })
    expect(count(models)).toEqual({
      parameters: count(base).parameters + 2 * count(french).parameters,
      trainable: 2 * count(french).parameters,
      frozen: count(base).parameters,
    })
  })
})
