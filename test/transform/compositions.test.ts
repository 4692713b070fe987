import { describe, expect, test } from 'vitest'
import {
  adalora,
  adapterOf,
  applyRecipe,
  bitfit,
  bottleneck,
  byRow,
  combineAdapters,
  count,
  dequantize,
  detach,
  dora,
  fourierft,
  freeze,
  get,
  isPacked,
  isParam,
  key,
  labelOf,
  leafPlaces,
  loftq,
  loha,
  lokr,
  lora,
  merge,
  mixed,
  norms,
  pipe,
  places,
  prompt,
  ptuning,
  quantize,
  sllm,
  tokens,
  vera,
  wear,
} from '../../src/index.ts'
import { perturbed } from '../../src/laws/index.ts'
import { scope } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { brief, data, distance, idsOf, refused, tiny } from '../support.ts'

const base = freeze(sllm.init({ ...tiny, bias: true }, key(0)))
const small = pipe(base, quantize({ at: '**' }), quantize.tables({ at: '**', scheme: 'int8' }))
const ids = idsOf([
  [1, 4, 2],
  [3, 0, 5],
])

const trainableAt = (model: unknown): readonly string[] =>
  leafPlaces(model)
    .filter((p) => isParam(p.node) && p.node.status === 'trainable')
    .map((p) => p.path.join('.'))

const biases = (model: unknown): readonly string[] =>
  trainableAt(pipe(model as typeof base, bitfit.unchecked({ at: '**' })))

describe('methods keep to the base', () => {
  const adapted = freeze(pipe(base, bottleneck({ placement: 'houlsby' }), ptuning({ length: 2 })))

  test('bitfit trains no bias of an adapter, nor of an encoder, nor a shift that LoRA has put on', () => {
    expect(biases(adapted)).toEqual(biases(base))
    expect(biases(freeze(lora({ at: '**', rank: 1, bias: true })(base)))).toEqual(biases(base))
    expect(brief(refused(adapted, bitfit({ at: '**.adapter' as '**' }) as never))[0]).toMatch(/^NotATarget/)
  })

  test('norms trains those of the base', () => {
    expect(trainableAt(norms()(adapted))).toEqual(trainableAt(norms()(base)))
  })

  test('quantize leaves the matrices of adapters dense and trainable', () => {
    const tuned = pipe(base, bottleneck({ placement: 'houlsby' }), quantize({ at: '**' }))
    expect([...places(tuned)].filter((p) => isPacked(p.node) && p.path.includes('adapter'))).toEqual([])
    expect(count(tuned).trainable).toBe(count(bottleneck({ placement: 'houlsby' })(base)).trainable)
  })

  test('lora with a bias leaves encoders and adapters as they are', () => {
    const tuned = lora({ at: '**', rank: 1, bias: true })(adapted)
    expect(detach(tuned)).toEqual(detach(adapted))
    const shifted = (model: unknown) =>
      [...places(model)].filter((p) => (p.node as { _tag?: string })?._tag === 'Shifted')
    expect(shifted(tuned)).toHaveLength(shifted(lora({ at: '**', rank: 1, bias: true })(base)).length)
  })

  test("a recipe's lora on adapted matrices does not take the tables in their place", () => {
    const one = lora({ at: 'out_head', rank: 1 })(base)
    expect(brief(refused(one, applyRecipe([{ lora: { at: '**', rank: 1 } }]) as never))).toEqual([
      'AlreadyAdapted out_head.weight',
    ])
  })
})

describe('embeddings that are packed, or wrapped', () => {
  test('a prompt has the label and the rows that it has on the dense embedding', () => {
    for (const put of [prompt({ length: 3, init: 'random' }), ptuning({ length: 3 })] as const) {
      const [there, here] = [put(base), put(small)].map((m) => m.embedding_block.token_embdgs.prompt)
      expect(labelOf(here)).toBe('embedding_block.token_embdgs.prompt')
      expect(leafPlaces(here).map((p) => [p.node.label, data(p.node.value)])).toEqual(
        leafPlaces(there).map((p) => [p.node.label, data(p.node.value)]),
      )
    }
  })

  test('a prompt from the vocabulary begins with rows as the embedding gives them, trained tokens included', () => {
    const trained = perturbed(tokens({ ids: [2] })(small), key(3), { only: (leaf) => leaf.status === 'trainable' })
    const tuned = prompt({ length: 2, init: { ids: [2, 4] } })(trained)
    const rows = get(tuned, 'embedding_block.token_embdgs').prompt.value
    const own = get(trained, 'embedding_block.token_embdgs.weight').rows.value
    const table = merge(trained).embedding_block.token_embdgs.weight.value
    expect(data(rows).slice(0, 6)).toEqual(data(own))
    expect(data(rows).slice(6)).toEqual(data(table).slice(4 * 6, 5 * 6))
  })
})

/** What adds to a weight, whatever the weight is. */
const additive = {
  lora: lora({ at: '**.mlp', rank: 2 }),
  pissa: lora({ at: '**.mlp', rank: 2, init: 'pissa' }),
  olora: lora({ at: '**.mlp', rank: 2, init: 'olora' }),
  adalora: adalora({ at: '**.mlp', rank: 2 }),
  loha: loha({ at: '**.mlp', rank: 2 }),
  lokr: lokr({ at: '**.mlp', rank: 2 }),
  vera: vera({ at: '**.mlp', rank: 3 }),
  fourierft: fourierft({ at: '**.mlp', frequencies: 5 }),
} as const

const drawn = (tuned: unknown, seed: number): unknown =>
  perturbed(tuned, key(seed), { style: 'float', only: (leaf) => leaf.status === 'trainable' })

describe.each(Object.entries(additive))('several at once, over a quantised base: %s', (_, put) => {
  const [fr, de] = [1, 2].map((seed) => drawn((put as (m: typeof small) => unknown)(small), seed))
  const adapters = { fr: adapterOf<unknown>(fr), de: adapterOf<unknown>(de) }
  const out = (model: unknown) => sllm.apply(model as never, ids)

  test('byRow and mixed give each row what its own adapter gives', () => {
    const names = ['de', 'fr'] as const
    const wanted = scope(() => [...data(out(de)).slice(0, 33), ...data(out(fr)).slice(33)])
    const both = byRow(adapters)(small)
    expect(distance(sllm.apply(both as never, ids, { rows: names }), wanted)).toBeLessThan(1e-5)
    const together = mixed((model: unknown, batch: typeof ids) => sllm.apply(model as never, batch))
    expect(distance(together({ fr, de }, names, ids), wanted)).toBeLessThan(1e-5)
  })

  test('combined, what they add is the weighted sum, on codes as on dense weights', () => {
    const sum = combineAdapters(
      [
        [adapters.fr, 0.5],
        [adapters.de, -2],
      ],
      { how: 'svd', rank: 6 },
    )
    const at = 'transformer_blocks.0.mlp.ln_1.weight'
    const denseOf = (model: unknown) =>
      data((get(dequantize(merge(model)) as never, at as never) as { value: Tensor }).value)
    const plain = denseOf(small)
    const weights = [fr, de].map((m) => denseOf(m))
    const wanted = plainOf(plain, weights)
    expect(furthest(denseOf(wear(sum)(small)), wanted)).toBeLessThan(1e-4)
  })
})

const plainOf = (plain: readonly number[], [a, b]: readonly (readonly number[])[]): readonly number[] =>
  plain.map((w, i) => w + 0.5 * (a![i]! - w) - 2 * (b![i]! - w))

const furthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))

test('a DoRA and a LoftQ start where they should over codes', () => {
  const tuned = dora({ at: '**.mlp', rank: 2 })(small)
  expect(data(sllm.apply(tuned, ids))).toEqual(data(sllm.apply(small, ids)))
  const twice = pipe(base, loftq({ at: '**.mlp', rank: 2 }), dora({ at: '**.mha', rank: 2 }))
  expect(brief(refused(small, loftq.unchecked({ at: '**.mlp', rank: 2 })))[0]).toMatch(/^AlreadyQuantized/)
  expect(count(twice).parameters).toBe(
    count(base).parameters + 4 * 2 * 12 + 2 * (3 * (2 * (6 + 12) + 12) + 2 * (12 + 6) + 6),
  )
})
