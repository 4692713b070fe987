import { describe, expect, test } from 'vitest'
import * as E from 'fp-ts/lib/Either.js'
import {
  bake,
  count,
  detach,
  detach as off,
  freeze,
  key,
  lora,
  merge,
  modify,
  nest,
  param,
  pipe,
  prefix,
  prompt,
  ptuning,
  sllm,
} from '../../src/index.ts'
import type { Model } from '../../src/index.ts'
import { adopt, ones, read, tensor, zeros } from '../../src/ops/index.ts'
import {
  brief,
  data,
  distance,
  equal,
  idsOf,
  issuesOf,
  loud,
  messageOf,
  numbers,
  refused,
  tensorsLeftBy,
  tiny,
  tinySllm,
} from '../support.ts'

const base = tinySllm()
// 2 layers, 3 heads of 4: 2 × 2 × 12 numbers for each virtual token.
const WIDTH = 48
const ids = idsOf([
  [1, 2, 3],
  [4, 5, 6],
])

/** Twelve layers of GPT-2's sizes, each weight of one shape the same tensor; nothing here is run. */
const gpt2 = (heads = 12, keys = 768): Model => {
  const linear = (out: number) => ({
    _tag: 'Linear',
    weight: param('matrix', `w${out}`, adopt(new Float32Array(768 * out), [768, out])),
    bias: null,
  })
  const [wide, narrow] = [linear(768), linear(keys)]
  const attention = {
    _tag: 'Attention',
    Wq: wide,
    Wk: keys === 768 ? wide : narrow,
    Wv: keys === 768 ? wide : narrow,
    heads,
  }
  const wte = { _tag: 'Embedding', weight: param('table', 'wte', zeros([1, 768])) }
  return { _tag: 'Gpt2', wte, h: Array.from({ length: 12 }, () => attention) } as Model
}

describe('counts what PEFT counts', () => {
  const added = (model: unknown): number => count(model).trainable

  test('on GPT-2, with 20 virtual tokens', () => {
    const frozen = freeze(gpt2())
    expect(added(prompt.unchecked({ at: '**', length: 20 })(frozen))).toBe(15_360)
    expect(added(prefix({ length: 20 })(frozen))).toBe(368_640)
    expect(added(prefix({ length: 20, projection: 768 })(frozen))).toBe(14_780_160)
    expect(added(bake(prefix({ length: 20, projection: 768 })(frozen)))).toBe(368_640)
    expect(added(ptuning.unchecked({ at: '**', length: 20 })(frozen))).toBe(1_787_136)
  })

  test('with fewer heads of keys than of queries', () => {
    const few = prefix({ length: 20 })(freeze(gpt2(12, 256)))
    expect(few.prefix.value.shape).toEqual([20, 12 * 2 * 256])
    expect(few.heads).toBe(4)
  })
})

describe('adds', () => {
  test('one table beside the model, and nothing else', () => {
    expect(tensorsLeftBy(() => prefix({ length: 3 })(base))).toBe(1)
    expect(tensorsLeftBy(() => prefix({ length: 3, projection: 5 })(base))).toBe(5)
    const tuned = prefix({ length: 3 })(freeze(base))
    expect(tuned.prefix.value.shape).toEqual([3, WIDTH])
    expect(tuned.prefix.label).toBe('prefix')
    expect([tuned.layers, tuned.heads]).toEqual([2, 3])
    expect(detach(tuned)).toBe(tuned.base)
  })

  test('labels that begin with the name of the model', () => {
    expect(prefix({ length: 1 })(nest('student', base)).prefix.label).toBe('student.prefix')
    const both = { teacher: nest('teacher', base), student: nest('student', base) }
    const tuned = modify(both, 'student', prefix({ length: 2 }))
    expect(count(tuned).parameters - count(both).parameters).toBe(2 * WIDTH)
  })

  test('what the key says: N(0, 0.02²), or zeros', () => {
    const rows = (options: object): readonly number[] => data(prefix({ length: 8, ...options })(base).prefix.value)
    expect(rows({ key: key(1) })).toEqual(rows({ key: key(1) }))
    expect(rows({ key: key(1) })).not.toEqual(rows({ key: key(2) }))
    const all = rows({})
    expect(Math.sqrt(all.reduce((s, v) => s + v * v, 0) / all.length)).toBeCloseTo(0.02, 2)
    expect(new Set(rows({ init: 'zeros' }))).toEqual(new Set([0]))
  })

  test('a prefix where heads and weights are wrapped in whatever way', () => {
    const tuned = pipe(base, lora({ at: '**', rank: 2 }), prompt({ length: 2 }), prefix({ length: 3 }))
    expect(tuned.prefix.value.shape).toEqual([3, WIDTH])
    expect(sllm.apply(tuned, ids).shape).toEqual([2, 5, 11])
    expect(merge(tuned).base.out_head.weight._tag).toBe('Param')
    expect(equal(off(tuned), base)).toBe(true)
  })
})

describe('what runs after it', () => {
  const tuned = loud(prefix({ length: 4 })(base), (l) => l === 'prefix')

  test('logits are those of the text alone, and differ', () => {
    expect(sllm.apply(tuned, ids).shape).toEqual([2, 3, 11])
    expect(sllm.nextLogits(tuned, ids).shape).toEqual([2, 11])
    expect(numbers(() => sllm.apply(tuned, ids))).not.toEqual(numbers(() => sllm.apply(base, ids)))
  })

  test('zeros are no nothing: zero keys still take their share of attention', () => {
    const zero = prefix({ length: 4, init: 'zeros' })(base)
    expect(distance(sllm.apply(zero, ids), sllm.apply(base, ids))).toBeGreaterThan(1e-3)
  })

  test('the context window counts it', () => {
    expect(sllm.apply(tuned, zeros([1, 5], 'int32')).shape).toEqual([1, 5, 11])
    expect(issuesOf(() => sllm.apply(tuned, zeros([1, 6], 'int32')))[0]).toMatchObject({
      _tag: 'ContextOverflow',
      found: '10, soft prompts and prefixes included',
    })
  })

  test('the labels of a loss lie beside the text, and the mask too', () => {
    const mask = tensor([
      [1, 1, 0],
      [1, 1, 1],
    ])
    const labels = idsOf([
      [1, 2, -100],
      [4, 5, 6],
    ])
    expect(sllm.loss(tuned, { ids, mask, labels }).shape).toEqual([])
    expect(sllm.hidden(tuned, { ids, mask }).mask?.shape).toEqual([2, 3])
  })

  test('a past of the caller’s own comes after the prefix', () => {
    const layers = [1, 2].map(() => ({ keys: ones([1, 3, 2, 4]), values: ones([1, 3, 2, 4]) }))
    const past = { length: 2, layers }
    const written = data(tuned.prefix.value)
    // The same as a prefix of six rows, of which the last two are ones.
    const six = {
      ...tuned,
      prefix: param('table', 'prefix', tensor([...written, ...Array(2 * WIDTH).fill(1)], [6, WIDTH])),
    }
    expect(numbers(() => sllm.apply(tuned, ids, { past }))).toEqual(numbers(() => sllm.apply(six, ids)))
  })

  test('baked rows are the same prefix, to the bit', () => {
    const projected = prefix({ length: 3, projection: 5 })(base)
    const baked = bake(projected)
    expect(baked.prefix.value.shape).toEqual([3, WIDTH])
    expect(baked.prefix.label).toBe('prefix')
    expect(baked.base).toBe(projected.base)
    expect(numbers(() => sllm.apply(baked, ids))).toEqual(numbers(() => sllm.apply(projected, ids)))
  })
})

describe('is refused, the model untouched and no tensor left over', () => {
  const step = (options: object) => prefix({ length: 2, ...options } as never) as (m: never) => unknown

  test.each([0, -1, 1.5, Number.NaN, Infinity, 2 ** 40, '3', null])('length %j', (length) => {
    const [first] = brief(refused(base, step({ length })))
    expect(['BadDimension prefix.length', 'ContextOverflow prefix.length']).toContain(first)
  })

  test('options that there are not, or that do not go together', () => {
    expect(brief(refused(base, step({ at: '**' })))).toEqual(['BadOption prefix.at'])
    expect(brief(refused(base, step({ projection: 0 })))).toEqual(['BadDimension prefix.projection'])
    expect(brief(refused(base, step({ projection: 2 ** 40 })))).toEqual(['BadDimension prefix.projection'])
    expect(brief(refused(base, step({ projection: 2, init: 'zeros' })))).toEqual(['BadOption prefix.init'])
  })

  test('one that leaves no room for a token of text, other prompts counted', () => {
    expect(brief(refused(base, step({ length: 9 })))).toEqual(['ContextOverflow prefix.length'])
    expect(sllm.apply(prefix({ length: 8 })(base), zeros([1, 1], 'int32')).shape).toEqual([1, 1, 11])
    expect(brief(refused(prompt({ length: 5 })(base), step({ length: 4 })))).toEqual(['ContextOverflow prefix.length'])
  })

  test('a second one', () => {
    const once = prefix({ length: 2 })(base)
    expect(brief(refused(once, step({})))).toEqual(['AlreadyAdapted '])
    const { left } = prefix.either({ length: 2 })(once as unknown as typeof base) as E.Left<readonly unknown[]>
    expect(left).toHaveLength(1)
    expect(E.isRight(prefix.either({ length: 2 })(base))).toBe(true)
  })

  test('what has no attention, several models, and layers that differ', () => {
    expect(messageOf(() => step({})({ a: base } as never))).toMatchInlineSnapshot(`
      "NotATarget at the root: expected a model with attention layers, found a container.
        A prefix wraps a model as a whole; of a model inside a larger tree, use modify(tree, path, prefix(…))."
    `)
    expect(messageOf(() => step({})(base.out_head as never))).toMatchInlineSnapshot(`
      "NotATarget at the root: expected a model with attention layers, found Linear, which has none.
        A prefix wraps a model as a whole; of a model inside a larger tree, use modify(tree, path, prefix(…))."
    `)
    const [first, second] = base.transformer_blocks
    const other = sllm.init({ ...tiny, d_head: 5 }, key(1)).transformer_blocks[0]!
    const odd = { ...base, transformer_blocks: [first!, { ...second!, mha: nest('odd', other.mha) }] }
    expect(messageOf(() => step({})(odd as never))).toMatchInlineSnapshot(`
      "ShapeMismatch at the root: expected attention layers that all have 3 heads and keys and values 12 wide, found one of 3 heads, keys 15 and values 15 wide.
        One table holds the keys and values of all layers, so these must be alike."
    `)
    expect(read(base.out_head.weight.value).length).toBe(66)
  })
})
