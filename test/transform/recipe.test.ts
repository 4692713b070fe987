import { describe, expect, test } from 'vitest'
import * as E from 'fp-ts/lib/Either.js'
import {
  applyRecipe,
  count,
  decodeRecipe,
  detach,
  equal,
  fold,
  formatIssues,
  freeze,
  key,
  lora,
  merge,
  pipe,
  prompt,
  unfreeze,
} from '../../src/index.ts'
import type { Recipe } from '../../src/index.ts'
import { brief, loud, messageOf, refused, tinySllm } from '../support.ts'

const base = tinySllm()
const mistakes = (json: unknown): readonly string[] => {
  const decoded = decodeRecipe(json)
  return E.isLeft(decoded) ? brief(decoded.left) : []
}

describe('decoding', () => {
  test('every method with every option', () => {
    const recipe = [
      { freeze: {} },
      { freeze: { at: '**.mha' } },
      { unfreeze: { at: ['out_head', '**.ln1'] } },
      {
        lora: {
          at: { glob: '**', except: '**.mha', kind: 'Linear' },
          rank: 4,
          alpha: 8,
          scaling: 'alpha/rank',
          dropout: 0.1,
        },
      },
      { prompt: { length: 4, at: '**.token_embdgs', init: { ids: [1, 2] } } },
      { prompt: { length: 4, init: 'random' } },
      { prefix: { length: 4, projection: 8, init: 'random' } },
      { ptuning: { length: 4, at: '**.token_embdgs', encoder: 'lstm', hidden: 8, layers: 1 } },
      { bake: {} },
      { merge: {} },
      { detach: { at: 'embedding_block' } },
    ]
    expect(decodeRecipe(recipe)).toEqual(E.right(recipe))
    expect(decodeRecipe(JSON.parse(JSON.stringify(recipe)))).toEqual(E.right(recipe))
    expect(decodeRecipe([])).toEqual(E.right([]))
  })

  test('every mistake is listed, with its path', () => {
    const wrong = decodeRecipe([
      { frezze: {} },
      { lora: { at: '**.ln_1', rnak: 4, alpha: '30' } },
      { lora: { at: 5, rank: 0.5, scaling: 'rank', dropout: 1 } },
      { prompt: { length: -1, init: 'zeros' } },
      { freeze: null },
      { freeze: {}, lora: {} },
      'freeze',
      {},
    ])
    expect(E.isLeft(wrong) && formatIssues(wrong.left)).toMatchInlineSnapshot(`
      "BadRecipe at [0]: expected a method, found "frezze".
        Did you mean "freeze", "unfreeze"?
      BadRecipe at [1].lora.rnak: expected an option of lora, found "rnak".
        Did you mean "rank"?
      BadRecipe at [1].lora.rank: expected a positive whole number, found nothing.
        lora needs "rank".
      BadRecipe at [1].lora.alpha: expected a finite number, found "30".
        See the options of lora.
      BadRecipe at [2].lora.at: expected a pattern, a list of patterns, or { glob, except, kind }, found 5.
        See the options of lora.
      BadRecipe at [2].lora.rank: expected a positive whole number, found 0.5.
        See the options of lora.
      BadRecipe at [2].lora.scaling: expected 'alpha', 'alpha/rank' or 'alpha/sqrt(rank)', found "rank".
        See the options of lora.
      BadRecipe at [2].lora.dropout: expected a number in [0, 1), found 1.
        See the options of lora.
      BadRecipe at [3].prompt.length: expected a positive whole number, found -1.
        See the options of prompt.
      BadRecipe at [3].prompt.init: expected 'random', 'vocabulary' or { ids }, found "zeros".
        See the options of prompt.
      BadRecipe at [4].freeze: expected the options of freeze as an object, found null.
        Write { "freeze": {} }.
      BadRecipe at [5]: expected an object with one key, the method, found {"freeze":{},"lora":{}}.
        For example { "freeze": {} }.
      BadRecipe at [6]: expected an object with one key, the method, found "freeze".
        For example { "freeze": {} }.
      BadRecipe at [7]: expected an object with one key, the method, found {}.
        For example { "freeze": {} }."
    `)
  })

  test('what is no recipe at all', () => {
    for (const json of [null, undefined, 5, 'freeze', { freeze: {} }, true])
      expect(mistakes(json)).toEqual(['BadRecipe '])
    expect(mistakes([null, [], [{ freeze: {} }], () => 1])).toEqual([
      'BadRecipe [0]',
      'BadRecipe [1]',
      'BadRecipe [2]',
      'BadRecipe [3]',
    ])
  })

  test('values that JSON cannot write are named all the same', () => {
    const cyclic: Record<string, unknown> = {}
    cyclic['self'] = cyclic
    expect(mistakes([{ lora: { at: '**', rank: 4n } }, { lora: { at: '**', rank: cyclic } }, cyclic])).toEqual([
      'BadRecipe [0].lora.rank',
      'BadRecipe [1].lora.rank',
      'BadRecipe [2]',
    ])
  })

  test('a mistyped key of a query does not select everything', () => {
    expect(mistakes([{ lora: { at: { globe: '**' }, rank: 1 } }])).toEqual(['BadRecipe [0].lora.at'])
    expect(mistakes([{ freeze: { at: { glob: 5 } } }])).toEqual(['BadRecipe [0].freeze.at'])
  })

  test('names that every object has are no methods and no options', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty'])
      for (const text of [`[{ "${name}": {} }]`, `[{ "lora": { "at": "**", "rank": 1, "${name}": {} } }]`])
        expect(mistakes(JSON.parse(text))).toHaveLength(1)
    expect(({} as { at?: unknown }).at).toBeUndefined()
    expect(
      mistakes(JSON.parse('[{ "prompt": { "length": 1, "init": { "ids": [1], "__proto__": { "x": 1 } } } }]')),
    ).toEqual([])
  })

  test('numbers that JSON cannot hold are refused all the same', () => {
    for (const rank of [Number.NaN, Infinity, 2 ** 60, -1, 0, 1.5, null])
      expect(mistakes([{ lora: { at: '**', rank } }])).toHaveLength(1)
    for (const alpha of [Number.NaN, -Infinity])
      expect(mistakes([{ lora: { at: '**', rank: 1, alpha } }])).toHaveLength(1)
  })
})

describe('applying', () => {
  const at = ['**.ln_1', '**.c_proj'] as const
  const k = key(7)

  test('is the transforms themselves, each with a key of its own', () => {
    const direct = pipe(
      base,
      freeze,
      lora({ at, rank: 2, alpha: 30, key: fold(k, 1) }),
      prompt({ length: 3, key: fold(k, 2) }),
    )
    const recipe: Recipe = [{ freeze: {} }, { lora: { at, rank: 2, alpha: 30 } }, { prompt: { length: 3 } }]
    expect(equal(applyRecipe(recipe, k)(base), direct)).toBe(true)
    expect(equal(applyRecipe(recipe, key(8))(base), direct)).toBe(false)
    expect(equal(applyRecipe(recipe)(base), applyRecipe(recipe)(base))).toBe(true)
  })

  test('reaches every method, whole and in part', () => {
    const tuned = loud(pipe(base, lora({ at, rank: 2 }), prompt({ length: 2 })), (l) => l.endsWith('.b'))
    const same = (recipe: Recipe, direct: unknown): void => expect(equal(applyRecipe(recipe)(tuned), direct)).toBe(true)
    same([{ merge: {} }], merge(tuned))
    same([{ merge: { at: '**.ln_1' } }], merge.only({ at: '**.ln_1' })(tuned))
    same([{ detach: {} }], detach(tuned))
    same([{ detach: { at: 'embedding_block' } }], detach.only({ at: 'embedding_block' })(tuned))
    same([{ freeze: { at: ['out_head'] } }], freeze.only({ at: 'out_head' })(tuned))
    same(
      [{ freeze: {} }, { unfreeze: { at: { kind: 'LayerNorm' } } }],
      pipe(tuned, freeze, unfreeze.only({ at: { kind: 'LayerNorm' } })),
    )
    same([{ freeze: {} }, { unfreeze: {} }], tuned)
    same([], tuned)
  })

  test('the chapter’s recipe', () => {
    const tuned = applyRecipe([{ freeze: {} }, { lora: { at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30 } }])(base)
    expect(count(tuned).trainable).toBe(4 * 16 * 12)
  })

  test('a recipe that is none is refused before anything is done', () => {
    expect(messageOf(() => applyRecipe([{ freeze: {} }, { frezze: {} }] as never)(base))).toMatchInlineSnapshot(`
      "BadRecipe at [1]: expected a method, found "frezze".
        Did you mean "freeze", "unfreeze"?"
    `)
    expect(brief(refused(base, applyRecipe([{ lora: { at: '**', rank: 1 } }, { constructor: {} }] as never)))).toEqual([
      'BadRecipe [1]',
    ])
  })

  test('a step that its model refuses says so', () => {
    expect(brief(refused(base, applyRecipe([{ freeze: {} }, { lora: { at: '**.nope', rank: 1 } }])))).toEqual([
      'NoMatch **.nope',
    ])
  })
})
