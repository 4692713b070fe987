import { describe, expect, test } from 'vitest'
import {
  applyRecipe,
  bottleneck,
  context,
  count,
  decodeRecipe,
  define,
  dequantize,
  embed,
  embedding,
  freeze,
  get,
  isPacked,
} from '../../src/index.ts'
import { isParam, key, labelOf, layer, linear, lora, materialize, merge, nest, pipe } from '../../src/index.ts'
import { quantize, requantize, sllm, valueAndGrad } from '../../src/index.ts'
import { add, item, mean, memory, normal, read, release, square, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { withValue } from '../../src/tree/leaf.ts'

const config = { ...sllm.config.seed, d_model: 8, d_head: 4, n_layers: 1, vocab_size: 20 }
const base = sllm.init(config, key(0))
const ids = tensor([[1, 2, 3]], undefined, 'int32')

describe('what is taken', () => {
  test('matrices under a node; a table by its own word; never a norm, a bias or positions', () => {
    const all = quantize({ at: '**' })(base)
    expect(isPacked(all.out_head.weight)).toBe(true)
    expect(isParam(all.embedding_block.token_embdgs.weight)).toBe(true)
    const tables = quantize.tables({ at: '**' })(all)
    expect(isPacked(tables.embedding_block.token_embdgs.weight)).toBe(true)
    expect(isParam(tables.final_norm.scale)).toBe(true)
    expect(count(tables).parameters).toBe(count(base).parameters)
    expect(sllm.apply(tables, ids).shape).toEqual([1, 3, 20])
    expect(() => quantize({ at: '**.token_embdgs' as '**' })(base)).toThrow('NotATarget')
    expect(() => quantize.tables({ at: 'out_head' as '**' })(base)).toThrow('NotATarget')
  })

  test('a second time is refused, and what is adapted is', () => {
    const small = quantize({ at: 'out_head' })(base)
    const again = quantize.either({ at: '**' })(small)
    expect(again._tag === 'Left' && again.left.map((i) => `${i._tag} ${i.path}`)).toEqual([
      'AlreadyQuantized out_head.weight',
    ])
    const tables = quantize.tables({ at: '**' })(base)
    expect(() => quantize.tables.unchecked({ at: '**' })(tables)).toThrow('AlreadyQuantized')
    expect(() => quantize.unchecked({ at: '**' })(lora({ at: 'out_head', rank: 1 })(base))).toThrow('AlreadyAdapted')
  })

  test('mistakes leave nothing behind', () => {
    const before = memory().tensors
    const spoilt = { ...base, out_head: { ...base.out_head, weight: withValue(base.out_head.weight, tensor([[NaN]])) } }
    expect(() => quantize({ at: '**' })(spoilt)).toThrow('NonFinite')
    for (const scheme of ['int8', 'bf16', 'f16'] as const)
      expect(() => quantize({ at: '**', scheme, doubleQuant: true })(base)).toThrow('BadOption')
    expect(() => quantize({ at: '**', scheme: 'fp4' as 'nf4' })(base)).toThrow("'nf4', 'int8', 'bf16' or 'f16'")
    expect(memory().tensors - before).toBe(1)
  })
})

describe('ties', () => {
  const Pair = define('Pair', { a: linear('d', 'd'), b: linear('d', 'd') }, (n, x, ctx) =>
    layer(n.b, layer(n.a, x, ctx), ctx),
  )
  const loose = Pair.init({ d: 4 }, key(0))
  const tied = { ...loose, b: { ...loose.b, weight: loose.a.weight } }

  test('are kept when all their places are selected, through adapters and back', () => {
    const small = quantize({ at: '**' })(tied)
    expect(small.a.weight).toBe(small.b.weight)
    expect(count(small)).toMatchObject({ parameters: count(tied).parameters, frozen: 16 })
    const dense = dequantize(small)
    expect(dense.a.weight).toBe(dense.b.weight)
  })

  test('are refused in part, with the other places named', () => {
    const refused = quantize.either({ at: 'a' })(tied)
    expect(refused._tag === 'Left' && refused.left.map((i) => `${i._tag} ${i.path}: ${i.found}`)).toEqual([
      'TiedWeight a.weight: one leaf that stands at b.weight too',
    ])
    const small = quantize({ at: '**' })(tied)
    expect(() => dequantize.only.unchecked({ at: 'a' })(small)).toThrow('TiedWeight')
  })
})

test('a table that is looked up and multiplied with is one weight in few bits', () => {
  const Words = define(
    'Words',
    { words: embedding('vocab', 'd') },
    (n, x, ctx) => embed(n.words, { ids: x }, ctx).hidden,
  )
  const words = Words.init({ vocab: 7, d: 5 }, key(0))
  const { weight } = quantize.tables({ at: 'words' })(words).words
  expect(weight.form).toBe('table')
  expect(read(materialize(weight, context())).length).toBe(35)
  expect(labelOf(weight)).toBe('words.weight')
  expect(labelOf(nest('left', { weight }).weight)).toBe('left.words.weight')
})

describe('what stands on codes', () => {
  const small = pipe(base, freeze, quantize({ at: '**' }))
  const drawn = (t: Tensor): Tensor => add(t, normal(key(3), t.shape, 0, 0.1))
  const fresh = lora({ at: 'out_head', rank: 2, alpha: 2 })(small)
  const weight = {
    ...fresh.out_head.weight,
    b: withValue(fresh.out_head.weight.b, drawn(fresh.out_head.weight.b.value)),
  }
  const tuned = { ...fresh, out_head: { ...fresh.out_head, weight } }

  test('merge gives a dense weight, frozen, of the label it had', () => {
    const merged = merge(tuned)
    expect(merged.out_head.weight).toMatchObject({ _tag: 'Param', status: 'frozen', label: 'out_head.weight' })
    const [a, b] = [sllm.apply(tuned, ids), sllm.apply(merged, ids)].map((t) => [...read(t)])
    a!.forEach((x, i) => expect(b![i]).toBeCloseTo(x, 4))
    expect(isPacked(tuned.out_head.weight.base)).toBe(true)
    expect(merged.transformer_blocks).toBe(tuned.transformer_blocks)
  })

  test('requantize gives codes again and says what is lost', () => {
    const { model, weights } = requantize(tuned)
    expect(model.out_head.weight._tag).toBe('Nf4')
    expect(weights.map(({ path }) => path)).toEqual(['out_head.weight'])
    const [{ error, change, kept }] = weights as [(typeof weights)[number]]
    expect(error).toBeGreaterThan(0.01)
    expect(error).toBeLessThan(0.2)
    expect(change).toBeGreaterThan(0)
    expect(Number.isFinite(kept)).toBe(true)
    // A fresh adapter changes nothing, and nothing is lost.
    expect(requantize(fresh).weights).toEqual([{ path: 'out_head.weight', error: 0, change: 0, kept: 1 }])
  })

  test('a small change falls between the codes: hardly any of it is kept', () => {
    const Big = define('Big', { fc: linear('in', 'out', { bias: false }) }, (n, x, ctx) => layer(n.fc, x, ctx))
    const plain = Big.init({ in: 256, out: 256 }, key(5))
    const normalised = { ...plain, fc: { ...plain.fc, weight: withValue(plain.fc.weight, normal(key(6), [256, 256])) } }
    const start = pipe(normalised, quantize({ at: 'fc' }), lora({ at: 'fc', rank: 16, alpha: 1 }))
    const keptAt = (std: number): readonly [number, number] => {
      const w = start.fc.weight
      const b = withValue(w.b, normal(key(7), w.b.value.shape, 0, std))
      const a = withValue(w.a, normal(key(8), w.a.value.shape, 0, 1 / 4))
      const [report] = requantize({ ...start, fc: { ...start.fc, weight: { ...w, a, b } } }).weights
      return [report!.change, report!.kept]
    }
    const [[small1, kept1], [large, keptLarge]] = [keptAt(0.01), keptAt(0.1)]
    expect(small1).toBeCloseTo(0.01, 2)
    expect(kept1).toBeLessThan(0.1)
    expect(large).toBeCloseTo(0.1, 1)
    expect(keptLarge).toBeGreaterThan(0.7)
  })

  test('gradients reach what is put on and nothing else, and inputs through the codes', () => {
    const loss = (m: typeof tuned): Tensor => mean(square(sllm.apply(m, ids)))
    const { value, grads } = valueAndGrad<typeof tuned, null>(loss)(tuned, null)
    expect(Object.keys(grads).toSorted()).toEqual(['out_head.weight.a', 'out_head.weight.b'])
    expect(item(value)).toBeGreaterThan(0)
    release(grads, { keep: [] })
  })
})

describe('recipes', () => {
  test('quantise, adapt and go back', () => {
    const tuned = applyRecipe([
      { freeze: {} },
      { quantize: { at: '**', scheme: 'nf4', doubleQuant: true } },
      { lora: { at: '**.mlp', rank: 2 } },
    ])(base)
    expect((get(tuned, 'out_head.weight') as { _tag: string })._tag).toBe('Nf4Double')
    expect(count(tuned).frozen).toBe(count(base).parameters)
    const back = applyRecipe([{ detach: {} }, { dequantize: { at: 'out_head' } }])(tuned)
    expect(isParam(get(back, 'out_head.weight'))).toBe(true)
  })

  test('say what they do not know', () => {
    const bad = decodeRecipe([{ quantize: { at: '**', scheme: 'fp4', doubleQuantt: true } }])
    expect(bad._tag === 'Left' && bad.left.map((i) => i.path)).toEqual([
      '[0].quantize.doubleQuantt',
      '[0].quantize.scheme',
    ])
  })
})

test('quantise keeps out of what was put on', () => {
  const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0)))
  const adapted = pipe(base, bottleneck({ placement: 'pfeiffer' }))
  const packed = quantize({ at: '**' })(adapted)
  expect(count(packed).trainable).toBe(count(adapted).trainable)
  expect(get(packed as never, 'transformer_blocks.0.mlp.adapter.down.weight' as never)).toMatchObject({ _tag: 'Param' })
})
