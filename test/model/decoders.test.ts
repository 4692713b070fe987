import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  bottleneck,
  context,
  count,
  freeze,
  gemma,
  gemma2,
  get,
  key,
  llama,
  lora,
  merge,
  mistral,
  modelKinds,
  pipe,
  qwen2,
  qwen3,
  runModel,
} from '../../src/index.ts'
import type { Ctx, Key, KeysValues, Model, Tokens } from '../../src/index.ts'
import { loadPretrained, orThrow, savePretrained } from '../../src/io/index.ts'
import { mul, record, slice } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { casesOf, fixture } from '../io/fixtures.ts'
import { brief, data, distance, idsOf, issuesOf, loud } from '../support.ts'

const small = {
  vocab_size: 30,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
} as const

const run = (model: Model, tokens: Tokens, ctx: Partial<Ctx> = {}): Tensor =>
  runModel(model, tokens, context(ctx, modelKinds))

describe('a text in two parts gives what it gives as a whole', () => {
  const columns = (x: Tensor | undefined, from: number, to: number): Tensor =>
    slice(x as Tensor, [0, from], [x?.shape[0] ?? 0, to - from])

  test.for(['llama3', 'mistral', 'qwen2-window', 'qwen3', 'gemma2'])('%s, padded left', async (name) => {
    const { model } = await orThrow(loadPretrained(fixture(`models/${name}`)))
    const left = (await casesOf(`models/${name}`)).find((one) => one.name === 'left')
    const { input_ids: ids, attention_mask: mask } = left?.input ?? {}
    const part = (from: number, to: number): Tokens => ({ ids: columns(ids, from, to), mask: columns(mask, from, to) })
    const [, length = 0] = ids?.shape ?? []
    const whole = run(model, part(0, length))
    for (const cut of [6, length - 1]) {
      const layers: KeysValues[] = []
      run(model, part(0, cut), { keep: (own) => layers.push(own) })
      const past = { length: cut, layers, mask: columns(mask, 0, cut) }
      const rest = run(model, part(cut, length), { past })
      const wanted = slice(whole, [0, cut, 0], [ids?.shape[0] ?? 0, length - cut, whole.shape[2] ?? 0])
      expect(distance(rest, wanted), `cut at ${cut}`).toBeLessThan(1e-5)
      // Without the mask of the past the padding would be seen.
      expect(distance(run(model, part(cut, length), { past: { length: cut, layers } }), wanted)).toBeGreaterThan(1e-3)
    }
  })
})

describe('configurations', () => {
  const of = (init: (config: never, key: Key) => unknown, own: object) =>
    brief(issuesOf(() => init({ ...small, ...own } as never, key(0))))

  test('what does not go together is named', () => {
    expect(of(llama.init, { num_key_value_heads: 3 })).toEqual(['BadConfig num_key_value_heads'])
    expect(of(llama.init, { head_dim: 5 })).toEqual(['BadConfig head_dim'])
    expect(of(llama.init, { head_dim: null, hidden_size: 10 })).toEqual(['BadConfig hidden_size'])
    expect(of(qwen2.init, { layer_types: ['full_attention'] })).toEqual(['BadConfig layer_types'])
    expect(of(qwen2.init, { layer_types: ['a', 'b', 'c', 'd'] })).toContain('BadConfig layer_types')
    const sliding = Array.from({ length: 4 }, () => 'sliding_attention')
    expect(of(qwen2.init, { layer_types: sliding })).toEqual(['BadConfig sliding_window'])
    expect(of(gemma2.init, { sliding_window: null, layer_types: sliding })).toEqual(['BadConfig sliding_window'])
  })

  test('what would compute something else is refused by name', () => {
    expect(of(llama.init, { partial_rotary_factor: 0.5 })).toEqual(['UnsupportedConfig partial_rotary_factor'])
    expect(of(llama.init, { rope_scaling: { type: 'longrope' } })).toEqual([
      'UnsupportedConfig rope_parameters.rope_type',
    ])
    expect(of(mistral.init, { attention_bias: true })).toEqual(['UnsupportedConfig attention_bias'])
    expect(of(gemma.init, { use_bidirectional_attention: true })).toEqual([
      'UnsupportedConfig use_bidirectional_attention',
    ])
    expect(of(llama.init, { residual_multiplier: 0.2 })).toEqual(['UnsupportedConfig residual_multiplier'])
  })

  test('a null is what it says where a field may be null', () => {
    const windows = (sliding: object) =>
      mistral.init({ ...small, ...sliding }, key(0)).model.layers.map(({ window }) => window)
    expect(windows({ sliding_window: null })).toEqual([0, 0, 0, 0])
    expect(windows({})).toEqual([4096, 4096, 4096, 4096])
    expect(gemma2.init({ ...small, final_logit_softcapping: null }, key(0)).cap).toBe(0)
    expect(mistral.init({ ...small, num_key_value_heads: null }, key(0)).model.layers[0]?.self_attn.kv_heads).toBe(4)
  })

  test('windows are those of layer types, else of the family', () => {
    const windows = (config: Parameters<typeof qwen2.init>[0]) =>
      qwen2.init({ ...small, sliding_window: 5, ...config }, key(0)).model.layers.map(({ window }) => window)
    expect(windows({ use_sliding_window: true, max_window_layers: 3 })).toEqual([0, 0, 0, 5])
    expect(windows({ max_window_layers: 3 })).toEqual([0, 0, 0, 0])
    expect(gemma2.init({ ...small, sliding_window: 3 }, key(0)).model.layers.map(({ window }) => window)).toEqual([
      3, 0, 3, 0,
    ])
  })

  test('parameters of older files, null or not', () => {
    const frequencies = (own: object) => data(llama.init({ ...small, ...own }, key(0)).model.inv_freq.value)
    const linear = { type: 'linear', factor: 2 }
    expect(frequencies({ rope_scaling: null, rope_theta: 100 })).toEqual(
      frequencies({ rope_parameters: { rope_theta: 100 } }),
    )
    expect(frequencies({ rope_scaling: linear })).toEqual(frequencies({}).map((f) => f / 2))
  })

  test('Gemma’s gelu is the one by tanh', () => {
    expect(gemma.init({ ...small, hidden_act: 'gelu' }, key(0)).model.layers[0]?.mlp.activation).toBe(
      'gelu_pytorch_tanh',
    )
  })
})

describe('transforms', () => {
  const ids = idsOf([
    [1, 5, 9, 2, 7, 3, 3],
    [4, 4, 8, 1, 0, 6, 2],
  ])

  const cases = [
    ['llama', llama.init(small, key(1)), llama.apply],
    ['mistral', mistral.init({ ...small, sliding_window: 3 }, key(2)), mistral.apply],
    ['qwen2', qwen2.init(small, key(3)), qwen2.apply],
    ['qwen3', qwen3.init(small, key(4)), qwen3.apply],
    ['gemma', gemma.init(small, key(5)), gemma.apply],
    ['gemma2', gemma2.init({ ...small, sliding_window: 3 }, key(6)), gemma2.apply],
  ] as const

  test.for(cases)('%s: LoRA at queries, counted, merged', ([, base, apply]) => {
    const adapted = loud(
      pipe(base as ReturnType<typeof llama.init>, freeze, lora({ at: '**.q_proj', rank: 2 })),
      (label) => label.endsWith('.b'),
    )
    expect(count(adapted).trainable).toBe(4 * 2 * (8 + 24))
    const [plain, tuned] = [apply(base, ids), apply(adapted, ids)]
    expect(distance(tuned, plain)).toBeGreaterThan(1e-3)
    expect(distance(apply(merge(adapted), ids), tuned)).toBeLessThan(1e-5)
  })

  test('attention and feed-forward layers are found where the literature has adapters', () => {
    const adapted = pipe(cases[5][1], freeze, bottleneck({ placement: 'houlsby', reduction: 2 }))
    expect(get(adapted, 'model.layers.0.self_attn')).toMatchObject({
      _tag: 'Adapted',
      base: { _tag: 'GroupedAttention' },
    })
    expect(get(adapted, 'model.layers.3.mlp')).toMatchObject({ _tag: 'Adapted', base: { _tag: 'GatedMlp' } })
  })

  test('a block that an adapter wraps keeps its window', () => {
    const [, [, base]] = cases
    const adapted = bottleneck.at({ at: 'model.layers.*', reduction: 2 })(base)
    expect(get(adapted, 'model.layers.0')).toMatchObject({ _tag: 'Adapted' })
    expect(data(mistral.apply(adapted, ids))).toEqual(data(mistral.apply(base, ids)))
  })

  test('no value is read on the way, so that a run can be compiled', () => {
    const [, , , , , [, base]] = cases
    const graph = record((x) => mul(gemma2.apply(base, x), 1), { shape: [1, 7], dtype: 'int32' })
    expect(graph.nodes.filter(({ name }) => name === 'cos')).toHaveLength(1)
  })
})

test('a tied head is the table itself', () => {
  const tied = qwen3.init({ ...small, tie_word_embeddings: true }, key(0))
  expect(get(tied, 'lm_head.weight')).toBe(tied.model.embed_tokens.weight)
  expect(count(tied).parameters).toBe(count(qwen3.init(small, key(0))).parameters - 30 * 8)
})

test('a classifier of texts or tokens on a body of the Hub, its head drawn; saved, it is read again', async () => {
  for (const task of ['sequence-classification', 'token-classification'] as const) {
    const head = { task, labels: 5, key: key(0) }
    const loaded = await orThrow(loadPretrained(fixture('models/llama'), head))
    const model = loaded.model
    const folder = join(await mkdtemp(join(tmpdir(), 'decoder-')), 'again')
    await orThrow(savePretrained(loaded, folder))
    const again = await orThrow(loadPretrained(folder))
    const ids = idsOf([[1, 5, 9, 2]])
    const [y, z] = [run(model, { ids }), run(again.model, { ids })]
    expect(y.shape).toEqual(task === 'token-classification' ? [1, 4, 5] : [1, 5])
    expect(again.task).toBe(task)
    expect(data(z)).toEqual(data(y))
  }
})

test('without an id of padding, a classifier of texts reads the last token that the mask does not hide', () => {
  const model = llama.init(small, key(0), { task: 'sequence-classification' })
  expect(model.pad).toBe(-1)
  const rows = (ids: readonly (readonly number[])[], mask?: readonly (readonly number[])[]): number[][] => {
    const y = data(run(model, { ids: idsOf(ids), ...(mask && { mask: idsOf(mask) }) }))
    return ids.map((_, i) => y.slice(2 * i, 2 * i + 2))
  }
  const near = (found: number[][], wanted: number[][]): void =>
    expect(Math.max(...found.flat().map((x, i) => Math.abs(x - wanted.flat()[i]!)))).toBeLessThan(1e-5)
  const [[short], [long]] = [rows([[5, 6]]), rows([[5, 6, 7]])]
  const masks = [
    [1, 1, 0],
    [1, 1, 1],
  ]
  near(
    rows(
      [
        [5, 6, 0],
        [5, 6, 7],
      ],
      masks,
    ),
    [short!, long!],
  )
  near(rows([[5, 6, 7]]), [long!])
  expect(Math.abs(short![0]! - rows([[5, 6, 0]])[0]![0]!)).toBeGreaterThan(1e-3)
})

test('a float that is whole is written as one, which transformers insists on', async () => {
  const folder = join(await mkdtemp(join(tmpdir(), 'decoder-')), 'again')
  await orThrow(savePretrained(await orThrow(loadPretrained(fixture('models/gemma2'))), folder))
  const text = await readFile(join(folder, 'config.json'), 'utf8')
  expect(text).toContain('"final_logit_softcapping": 4.0')
  expect(text).toContain('"query_pre_attn_scalar": 10,')
  const { config } = await orThrow(loadPretrained(folder))
  expect(config['final_logit_softcapping']).toBe(4)
})
