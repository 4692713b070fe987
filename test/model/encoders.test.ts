import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  bert,
  context,
  count,
  freeze,
  key,
  layer,
  lora,
  modelKinds,
  pipe,
  prompt,
  roberta,
  sentenceEmbedding,
} from '../../src/index.ts'
import type { Bert, BertClassifier, Layer, Model, Tokens } from '../../src/index.ts'
import {
  fromStored,
  loadPretrained,
  orThrow,
  readSafetensors,
  savePretrained,
  writeSafetensors,
} from '../../src/io/index.ts'
import { concat, engine, normal, read, slice, sub, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { casesOf, fixture, json, outputOf, worstDifference } from '../io/fixtures.ts'
import type { Case } from '../io/fixtures.ts'
import { brief, idsOf, issuesOf } from '../support.ts'

const load = async <M extends Model>(name: string): Promise<M> =>
  (await orThrow(loadPretrained(fixture(`models/${name}`)))).model as M

const tokensOf = ({ input }: Case): Tokens => ({
  ids: input['input_ids']!,
  mask: input['attention_mask'],
  positions: input['position_ids'],
  types: input['token_type_ids'],
})

const furthest = (a: Tensor, b: Tensor): number => Math.max(...read(sub(a, b)).map(Math.abs))

describe('what stands on hidden states is what the reference makes of them', () => {
  test.for(['minilm', 'roberta', 'distilbert'])('sentence embeddings of %s', async (name) => {
    const model = await load(name)
    for (const one of await casesOf(`models/${name}`)) {
      const found = read(sentenceEmbedding(model, tokensOf(one))) as Float32Array
      expect(worstDifference(found, one.expected['embedding']!, { ...one, input: {} }), one.name).toBeLessThan(1e-4)
    }
  })

  test.for(['bert', 'bert-old', 'minilm'])('the pooled state of %s', async (name) => {
    const model = await load<Bert>(name)
    for (const one of await casesOf(`models/${name}`)) {
      const { hidden } = bert.hidden(model, tokensOf(one))
      const pooled = read(layer(model.pooler as Layer, hidden, context({}, modelKinds))) as Float32Array
      expect(worstDifference(pooled, one.expected['pooler_output']!, { ...one, input: {} }), one.name).toBeLessThan(
        1e-4,
      )
    }
  })

  test('without normalising, an embedding is the mean of the hidden states that the mask shows', async () => {
    const model = await load('minilm')
    const ids = idsOf([[5, 9, 7, 0]])
    const { hidden } = bert.hidden(model, { ids, mask: tensor([[1, 1, 1, 0]]) })
    const rows = [0, 1, 2].map((i) => read(slice(hidden, [0, i, 0], [1, 1, 32])))
    const found = read(sentenceEmbedding(model, { ids, mask: idsOf([[1, 1, 1, 0]]) }))
    found.forEach((x, i) => expect(x).toBeCloseTo(rows.reduce((sum, row) => sum + row[i]!, 0) / 3, 5))
  })

  test('normalised, an embedding points the same way and has length 1', async () => {
    const [model, ids] = [await load('minilm'), idsOf([[5, 9, 7]])]
    const [raw, unit] = [false, true].map((normalise) => read(sentenceEmbedding(model, ids, { normalise })))
    const length = Math.hypot(...raw!)
    expect(length).toBeGreaterThan(2)
    unit!.forEach((x, i) => expect(x).toBeCloseTo(raw![i]! / length, 5))
  })

  test('a classifier of texts has no hidden states of tokens', async () => {
    const model = await load<BertClassifier>('bert-seqcls')
    expect(brief(issuesOf(() => sentenceEmbedding(model, idsOf([[5, 9]]))))).toEqual(['ShapeMismatch '])
    expect(sentenceEmbedding(model.bert, idsOf([[5, 9]])).shape).toEqual([1, 32])
  })
})

describe('the engines', async () => {
  const names = ['bert', 'bert-seqcls', 'roberta', 'roberta-seqcls', 'distilbert-seqcls', 'distilbert-tokcls']
  for (const engineName of ['wasm', 'native'] as const) {
    const missing = await engine({ prefer: engineName, quiet: true }).then(
      () => undefined,
      (error: unknown) => String(error),
    )
    test.each(missing === undefined ? [] : [missing])(`${engineName} is not run: %s`, (why) => {
      expect(why).toContain('EngineUnavailable')
    })
    test.for(missing === undefined ? names : [])(
      `${engineName} computes what transformers computes: %s`,
      async (name) => {
        await engine({ prefer: engineName, quiet: true })
        const model = await load(name)
        for (const one of await casesOf(`models/${name}`)) {
          const wanted = one.expected['logits'] ?? one.expected['last_hidden_state']!
          expect(worstDifference(outputOf(model, one), wanted, one), one.name).toBeLessThan(1e-4)
        }
        await engine({ prefer: 'js', quiet: true })
      },
    )
  }
  await engine({ prefer: 'js', quiet: true })
})

/** A copy of a fixture, its configuration and its weights changed. */
const changed = async (
  name: string,
  { config = {}, without }: { readonly config?: object; readonly without?: RegExp },
): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-encoder-'))
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...json(`models/${name}/config.json`), ...config }))
  const { tensors } = await orThrow(readSafetensors(join(fixture(`models/${name}`), 'model.safetensors')))
  const kept = [...tensors].filter(([key]) => without?.test(key) !== true)
  await orThrow(
    writeSafetensors(
      join(folder, 'model.safetensors'),
      new Map(
        kept.map(([key, stored]) => {
          const made = fromStored(stored)
          if (made._tag === 'Left') throw new Error(key)
          return [key, made.right]
        }),
      ),
    ),
  )
  return folder
}

describe('encoders saved without a pooler', () => {
  const folder = changed('bert', { without: /pooler/ })

  test('load without one, and compute the same hidden states', async () => {
    const { model, config } = await orThrow(loadPretrained(await folder))
    expect((model as Bert).pooler).toBeNull()
    expect(config['add_pooling_layer']).toBe(false)
    const whole = await load<Bert>('bert')
    expect(whole.pooler).not.toBeNull()
    const ids = idsOf([[5, 9, 7]])
    expect(read(bert.apply(model, ids))).toEqual(read(bert.apply(whole, ids)))
  })

  test('are saved without one, and load again', async () => {
    const first = await orThrow(loadPretrained(await folder))
    const again = await mkdtemp(join(tmpdir(), 'espalier-encoder-'))
    await orThrow(savePretrained(first, again))
    expect(await readFile(join(again, 'model.safetensors'), 'latin1')).not.toContain('pooler')
    const { model } = await orThrow(loadPretrained(again))
    expect(count(model)).toEqual(count(first.model))
  })

  test('lack a pooler as a classifier lacks a head: it is drawn by a key, and missed without one', async () => {
    const task = 'sequence-classification'
    const refused = await loadPretrained(await folder, { task })()
    const names = refused._tag === 'Left' ? refused.left.map((i) => `${i._tag} ${i.path.split('#').at(-1)}`) : []
    expect(names.toSorted()).toEqual(
      ['bert.pooler.dense.weight', 'bert.pooler.dense.bias', 'classifier.weight', 'classifier.bias']
        .map((name) => `MissingTensor ${name}`)
        .toSorted(),
    )
    const drawn = await orThrow(loadPretrained(await folder, { task, labels: 5, key: key(3) }))
    expect(bert.apply(drawn.model, idsOf([[5, 9, 7]])).shape).toEqual([1, 5])
  })

  test('but what has half a pooler is damaged', async () => {
    const half = await changed('bert', { without: /pooler\.dense\.bias/ })
    const result = await loadPretrained(half)()
    expect(result._tag === 'Left' ? result.left.map((i) => i._tag) : []).toEqual(['MissingTensor'])
  })
})

test.for([
  [{ position_embedding_type: 'relative_key' }, 'UnsupportedConfig', 'position_embedding_type'],
  [{ is_decoder: true }, 'UnsupportedConfig', 'is_decoder'],
  [{ hidden_act: 'mish' }, 'BadConfig', 'hidden_act'],
  [{ add_cross_attention: true }, 'UnsupportedConfig', 'add_cross_attention'],
  [{ embedding_size: 16 }, 'UnsupportedConfig', 'embedding_size'],
] as const)('%j is refused by name', async ([config, tag, field]) => {
  const result = await loadPretrained(await changed('bert', { config }))()
  const found = result._tag === 'Left' ? result.left.map((i) => `${i._tag} ${i.path.split('#').at(-1)}`) : []
  expect(found).toEqual([`${tag} ${field}`])
})

const small = { vocab_size: 20, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12 }

test('RoBERTa counts tokens that are no padding, wherever the padding stands', () => {
  const model = roberta.init({ ...small, pad_token_id: 1 }, key(1))
  const text = [3, 9, 4, 12]
  const alone = roberta.hidden(model, idsOf([text])).hidden
  const padded: Tokens = { ids: idsOf([[1, 1, ...text, 1]]), mask: tensor([[0, 0, 1, 1, 1, 1, 0]]) }
  const among = slice(roberta.hidden(model, padded).hidden, [0, 2, 0], [1, 4, 8])
  expect(furthest(alone, among)).toBeLessThan(1e-5)
  const shifted = { ids: idsOf([text]), positions: idsOf([[3, 4, 5, 6]]) }
  expect(furthest(alone, roberta.hidden(model, shifted).hidden)).toBeGreaterThan(1e-3)
})

test('RoBERTa counts its tokens from behind the past on', () => {
  const model = roberta.init({ ...small, pad_token_id: 1 }, key(1))
  const rows = normal(key(5), [1, 2, 3, 4])
  const past = { length: 3, layers: [0, 1].map(() => ({ keys: rows, values: rows })) }
  const run = (positions?: Tensor): Tensor =>
    roberta.hidden(model, { ids: idsOf([[7, 9]]), positions }, { past }).hidden
  expect(furthest(run(), run(idsOf([[5, 6]])))).toBe(0)
  expect(furthest(run(), run(idsOf([[2, 3]])))).toBeGreaterThan(1e-3)
})

test('tokens of a RoBERTa stand behind a soft prompt where they are said to stand', () => {
  const base = roberta.init({ ...small, pad_token_id: 1 }, key(1))
  const prompted = pipe(base, prompt({ length: 2, init: { ids: [6, 7] } }))
  const of = (model: Model, ids: number[], positions?: number[]): Tensor =>
    roberta.hidden(model, { ids: idsOf([ids]), positions: positions && idsOf([positions]) }).hidden
  const told = of(prompted, [3, 9], [2, 5])
  expect(furthest(told, of(base, [6, 7, 3, 9], [2, 3, 4, 7]))).toBeLessThan(1e-6)
  expect(furthest(told, of(prompted, [3, 9]))).toBeGreaterThan(1e-3)
  expect(furthest(of(prompted, [3, 9], [2, 3]), of(prompted, [3, 9]))).toBeLessThan(1e-6)
})

test('segments of tokens stay theirs behind a soft prompt, whose rows are of segment 0', () => {
  const base = bert.init(small, key(2))
  const prompted = pipe(base, prompt({ length: 2, init: { ids: [6, 7] } }))
  const [ids, types] = [idsOf([[3, 9, 4]]), idsOf([[0, 1, 1]])]
  const written = { ids: concat([idsOf([[6, 7]]), ids], 1), types: concat([idsOf([[0, 0]]), types], 1) }
  expect(furthest(bert.apply(prompted, { ids, types }), bert.apply(base, written))).toBeLessThan(1e-6)
  expect(furthest(bert.apply(prompted, { ids }), bert.apply(base, written))).toBeGreaterThan(1e-3)
})

test('dropout of a BERT in training is its own in each place, and off otherwise', () => {
  const model = bert.init(small, key(2))
  const ids = idsOf([[3, 9, 4]])
  const train = (seed: number): Tensor => bert.apply(model, ids, { train: true, key: key(seed) })
  expect(furthest(train(1), bert.apply(model, ids))).toBeGreaterThan(1e-3)
  expect(furthest(train(1), train(2))).toBeGreaterThan(1e-3)
  expect(furthest(train(1), train(1))).toBe(0)
})

test('a LoRA on the queries of a BERT is counted, and begins as nothing', () => {
  const base = freeze(bert.init(small, key(2), { task: 'sequence-classification', labels: 3 }))
  const tuned = pipe(base, lora({ at: '**.query', rank: 2, key: key(4) }))
  expect(count(tuned).trainable).toBe(2 * 2 * (8 + 8))
  const ids = idsOf([[3, 9, 4]])
  expect(read(bert.apply(tuned, ids))).toEqual(read(bert.apply(base, ids)))
})
