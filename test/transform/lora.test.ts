import { describe, expect, test } from 'vitest'
import * as E from 'fp-ts/lib/Either.js'
import {
  constant,
  count,
  fold,
  freeze,
  get,
  key,
  leaves,
  lora,
  modify,
  param,
  pipe,
  prompt,
  select,
  sllm,
} from '../../src/index.ts'
import { read, zeros } from '../../src/ops/index.ts'
import { brief, data, idsOf, messageOf, numbers, refused, tensorsLeftBy, tinySllm } from '../support.ts'

const base = tinySllm()
const at = 'transformer_blocks.0.mlp.ln_1.weight'

test('allocates A and B of each target and nothing else; the base is shared', () => {
  let tuned = base as unknown
  expect(tensorsLeftBy(() => (tuned = lora({ at: '**.ln_1', rank: 2 })(base)))).toBe(4)
  expect(get(tuned as typeof base, 'out_head')).toBe(base.out_head)
  expect(leaves(base).every((l) => leaves(tuned).includes(l))).toBe(true)
})

test('a fresh adapter changes no output', () => {
  const ids = idsOf([[1, 2, 3]])
  const before = numbers(() => sllm.apply(base, ids))
  expect(numbers(() => sllm.apply(lora({ at: '**', rank: 3, alpha: 30 })(base), ids))).toEqual(before)
})

test('the same key gives the same adapter, another one another; a place’s A does not depend on the other places', () => {
  const value = (k: number, where: string) =>
    read((get(lora({ at: where, rank: 2, key: key(k) })(base), `${at}.a` as never) as { value: never }).value)
  expect(value(1, '**')).toEqual(value(1, '**.ln_1'))
  expect(value(1, '**')).not.toEqual(value(2, '**'))
})

test('a subtree adapted in place is the whole adapted under the longer path', () => {
  const whole = lora({ at: 'transformer_blocks.0', rank: 2, key: key(3) })(base)
  const part = modify(base, 'transformer_blocks.0', lora({ at: '**', rank: 2, key: key(3) }))
  expect(read(get(whole, `${at}.a`).value)).toEqual(read((get(part, `${at}.a` as never) as { value: never }).value))
})

test('two places of different keys: no two As are alike', () => {
  const tuned = lora({ at: ['**.ln_1', '**.c_proj'], rank: 2, key: fold(key(0), 'x') })(base)
  const as = leaves(tuned)
    .filter((l) => l.label.endsWith('.a'))
    .map((l) => data(l.value).join())
  expect(new Set(as).size).toBe(4)
})

test('a rank above the lengths of the matrix is legal', () => {
  expect(count(lora({ at: '**.ln_1', rank: 40 })(base)).parameters - count(base).parameters).toBe(2 * 40 * 12)
})

test('the same place by several patterns, or of several kinds, is adapted once', () => {
  const tuned = lora({ at: ['**.mlp', '**.ln_1', 'transformer_blocks.*.mlp.{ln_1,c_proj}'], rank: 1 })(base)
  expect(select(tuned, { kind: 'Lora' }).paths).toHaveLength(4)
})

describe('is refused, the model untouched and no tensor left over', () => {
  const step = (options: object) => lora({ at: '**.ln_1', rank: 2, ...options } as never) as (m: never) => unknown

  test.each([0, -1, 0.5, Number.NaN, Infinity, -Infinity, 2 ** 31, 2 ** 40, '4', null, undefined, [4]])(
    'rank %j',
    (rank) => {
      expect(brief(refused(base, step({ rank })))).toEqual([`BadDimension ${at}`])
    },
  )

  test.each([-0.1, 1, 2, Number.NaN, Infinity, 'x'])('dropout %j', (dropout) => {
    expect(brief(refused(base, step({ dropout })))).toEqual(['BadOption lora.dropout'])
  })

  test.each([Number.NaN, Infinity, '3', null])('alpha %j', (alpha) => {
    expect(brief(refused(base, step({ alpha })))).toEqual(['BadOption lora.alpha'])
  })

  test.each(['rank', 'alpha/√rank', '', null, 5])('scaling %j', (scaling) => {
    expect(brief(refused(base, step({ scaling })))).toEqual(['BadOption lora.scaling'])
  })

  test('what is adapted already, by whatever name it is reached', () => {
    const tuned = pipe(base, freeze, lora({ at: '**.ln_1', rank: 2 }))
    const places = [0, 1].map((n) => `transformer_blocks.${n}.mlp.ln_1.weight`)
    const adapted = (...paths: readonly string[]) => paths.map((p) => `AlreadyAdapted ${p}`)
    expect(brief(refused(tuned, step({})))).toEqual(adapted(...places))
    expect(brief(refused(tuned, step({ at: '**' })))).toEqual(adapted(...places))
    expect(brief(refused(tuned, step({ at: '**.ln_1.weight' })))).toEqual(adapted(...places))
    expect(brief(refused(tuned, step({ at: '**.ln_1.weight.a' })))).toEqual(adapted(...places.map((p) => `${p}.a`)))
    expect(brief(refused(tuned, step({ at: { glob: '**.ln_1', kind: 'Param' } })))).toEqual(
      adapted(...places.flatMap((p) => [p, `${p}.a`, `${p}.b`])),
    )
    expect(messageOf(() => step({ at: 'transformer_blocks.0' })(tuned as never))).toMatchInlineSnapshot(`
      "AlreadyAdapted at transformer_blocks.0.mlp.ln_1.weight: expected a place without an adapter, found Lora.
        Detach or merge the adapter that is there first, or leave this place out with \`except\`."
    `)
  })

  test('one adapted place among many spoils the whole step', () => {
    const tuned = lora({ at: 'transformer_blocks.1.mlp.c_proj', rank: 1 })(base)
    expect(brief(refused(tuned, step({ at: '**' })))).toEqual(['AlreadyAdapted transformer_blocks.1.mlp.c_proj.weight'])
    const rest = lora({ at: { glob: '**', except: 'transformer_blocks.1.mlp.c_proj' }, rank: 1 })(tuned)
    expect(select(rest, { kind: 'Lora' }).paths).toHaveLength(13)
  })

  test('no match', () => {
    expect(messageOf(() => step({ at: ['**.c_porj', '**.ln_2'] })(base as never))).toMatchInlineSnapshot(`
      "NoMatch at **.c_porj: expected a pattern that matches this model, found no match for "**.c_porj".
        Did you mean "**.c_proj"?
      NoMatch at **.ln_2: expected a pattern that matches this model, found no match for "**.ln_2".
        Did you mean "**.ln2", "**.ln_1", "**.ln1"?"
    `)
  })

  test('what has no weight matrix: a norm, an embedding, a bias, a constant', () => {
    expect(messageOf(() => step({ at: '**.ln1' })(base as never))).toMatchInlineSnapshot(`
      "NotATarget at transformer_blocks.0.ln1: expected a weight matrix, found LayerNorm.
        Did you mean "**.ln_1"?"
    `)
    for (const where of ['embedding_block', 'final_norm.scale', 'out_head.bias', '**.position_embdgs'])
      expect(refused(base, step({ at: where })).map((i) => i._tag)).toEqual(['NotATarget'])
    const rope = { rope: constant('rope', zeros([4, 4])), v: param('vector', 'v', zeros([2])) }
    expect(messageOf(() => step({ at: '**' })(rope as never))).toMatchInlineSnapshot(`
      "NotATarget at the root: expected a weight matrix, found a container.
        This model does not have a weight matrix."
    `)
  })

  test('mistakes of several patterns are named together', () => {
    expect(brief(refused(pipe(base, lora({ at: '**.ln_1', rank: 1 })), step({ at: ['**.ln_1', '**.ln1'] })))).toEqual([
      'AlreadyAdapted transformer_blocks.0.mlp.ln_1.weight',
      'AlreadyAdapted transformer_blocks.1.mlp.ln_1.weight',
      'NotATarget transformer_blocks.0.ln1',
    ])
  })

  test('and either gives the same issues as a value', () => {
    const left = lora.either({ at: '**.ln_1', rank: 0 })(base)
    expect(E.isLeft(left) && left.left).toEqual(refused(base, step({ rank: 0 })))
    expect(E.isRight(lora.either({ at: '**.ln_1', rank: 1 })(base))).toBe(true)
  })
})

test('one step on two models, chosen at run time, in a helper generic in the model', () => {
  const step = lora({ at: '**.ln_1', rank: 2 })
  const other = { ln_1: param('matrix', 'w', zeros([2, 2])) }
  expect(step(other).ln_1._tag).toBe('Lora')
  expect(step(base).transformer_blocks[0]!.mlp.ln_1.weight._tag).toBe('Lora')
  const tune = <M>(model: M) => pipe(model, freeze, lora.unchecked({ at: '**.ln_1', rank: 2 }))
  expect(tune(other).ln_1.base.status).toBe('frozen')
})

test('a prompt and an adapter on the same model, in either order', () => {
  const [a, b] = [
    pipe(base, prompt({ length: 2 }), lora({ at: '**.ln_1', rank: 2 })),
    pipe(base, lora({ at: '**.ln_1', rank: 2 }), prompt({ length: 2 })),
  ]
  const ids = idsOf([[1, 2]])
  expect(numbers(() => sllm.apply(a, ids))).toEqual(numbers(() => sllm.apply(b, ids)))
})
