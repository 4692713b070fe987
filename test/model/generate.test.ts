import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bert,
  context,
  generate,
  generateTokens,
  gpt2,
  hiddenOf,
  key,
  modelKinds,
  pipe,
  prefix,
  prompt,
  sllm,
  withValues,
} from '../../src/index.ts'
import type { GeneratedTokens, KeysValues, Model, Tokens } from '../../src/index.ts'
import { sample } from '../../src/model/sample.ts'
import { concat, full, memory, read, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { brief, issuesOf } from '../support.ts'

const baseOf = (seed: number) =>
  sllm.init({ ...sllm.config.seed, vocab_size: 40, d_model: 16, d_head: 8, context_window: 32 }, key(seed))
const base = baseOf(0)

const ids = (rows: readonly (readonly number[])[]): Tensor => tensor(rows, undefined, 'int32')

/** The likeliest continuation, each token from a run of the whole text, of which more may be said. */
const uncached = (
  model: Model,
  text: readonly number[],
  steps: number,
  more: (length: number) => Omit<Tokens, 'ids'> = () => ({}),
): readonly number[] => {
  const all = [...text]
  for (let i = 0; i < steps; i++) {
    const logits = read(
      sllm.nextLogits(model as never, { ids: ids([all]), ...more(all.length) }, { kinds: modelKinds }),
    )
    all.push(logits.indexOf(Math.max(...logits)))
  }
  return all.slice(text.length)
}

const models: readonly (readonly [string, Model])[] = [
  ['SLLM', base],
  ['a prompt', prompt({ length: 3, key: key(1) })(base)],
  ['a prefix', prefix({ length: 3, key: key(2) })(base)],
  ['a prompt and a prefix', pipe(base, prompt({ length: 2 }), prefix({ length: 3 }))],
]

const long = [3, 1, 4, 1, 5]
const short = [2, 7]

const padded: Tokens = {
  ids: ids([long, [0, 0, 0, ...short]]),
  mask: tensor([
    [1, 1, 1, 1, 1],
    [0, 0, 0, 1, 1],
  ]),
}

describe('generate', () => {
  test.each(models)('says with its cache what runs of the whole text say: %s', (_, model) => {
    const found = generate(model, ids([long]), { maxNewTokens: 12 })
    expect(found).toEqual([uncached(model, long, 12)])
    expect(new Set(found[0]).size).toBeGreaterThan(1)
  })

  test.each(models)('a text in a batch, padded on the left, is continued as alone: %s', (_, model) => {
    expect(generate(model, padded, { maxNewTokens: 8 })).toEqual([uncached(model, long, 8), uncached(model, short, 8)])
  })

  test.each(models)('the longer text of a batch ends with the context, the shorter goes on: %s', (title, model) => {
    const taken = title === 'SLLM' ? 0 : title.includes(' and ') ? 5 : 3
    const room = 32 - taken - long.length + 1
    const steps: GeneratedTokens[] = []
    const before = memory()
    const failed = issuesOf(() => {
      for (const step of generateTokens(model, padded, { maxNewTokens: 40 })) steps.push(step)
    })
    expect(memory()).toEqual(before)
    expect(brief(failed)).toEqual(['ContextOverflow embedding_block.position_embdgs.weight'])
    const texts = [0, 1].map((row) => steps.map((step) => step[row]))
    expect(texts[0]).toEqual([...uncached(model, long, room), null, null, null])
    expect(texts[1]).toEqual(uncached(model, short, room + 3))
  })

  test('a text at its end takes no room from a shorter one', () => {
    const model = baseOf(7)
    const [first = 0, second = 0] = uncached(model, long, 2)
    const whole = uncached(model, short, 31)
    expect(whole).not.toContain(second)
    expect(generate(model, padded, { maxNewTokens: 31, eos: second })).toEqual([[first, second], whole])
  })

  test.each(models)('goes on behind the positions that are given: %s', (_, model) => {
    const positions = ids([[0, 2, 3, 7, 8]])
    const standing = (length: number) => ({
      positions: ids([[0, 2, 3, 7, 8, ...Array.from({ length }, (__, i) => 9 + i)].slice(0, length)]),
    })
    const wanted = uncached(model, long, 8, standing)
    expect(wanted).not.toEqual(uncached(model, long, 8))
    expect(generate(model, { ids: ids([long]), positions }, { maxNewTokens: 8 })).toEqual([wanted])
    const mask = tensor([[1, 1, 1, 1, 1]])
    const two = { ids: ids([[9, ...long]]), mask: concat([full([1, 1], 0), mask], 1) }
    const placed = { ...two, positions: concat([full([1, 1], 4, 'int32'), positions], 1) }
    expect(generate(model, placed, { maxNewTokens: 8 })).toEqual([wanted])
    if (model !== base) return
    expect(generate(model, ids([long, long]), { maxNewTokens: 8 }, { positions })).toEqual([wanted, wanted])
  })

  test('new tokens are of the segment of the last', () => {
    const model = gpt2.init({ vocab_size: 40, n_positions: 32, n_embd: 16, n_layer: 2, n_head: 2 }, key(5))
    const run = (types: readonly number[]) =>
      uncached(model, long, 8, (length) => ({
        types: ids([[...types, ...Array.from({ length }, () => types.at(-1) ?? 0)].slice(0, length)]),
      }))
    const types = [1, 1, 2, 2, 9]
    expect(generate(model, { ids: ids([long]), types: ids([types]) }, { maxNewTokens: 8 })).toEqual([run(types)])
    expect(run(types)).not.toEqual(uncached(model, long, 8))
  })

  test.each(models.filter(([title]) => !title.includes('prompt')))(
    'a past of one row serves a batch, which stands behind it: %s',
    (_, model) => {
      const [before, layers]: [number[], KeysValues[]] = [[8, 3, 9], []]
      hiddenOf(base, { ids: ids([before]) }, context({ keep: (own) => void layers.push(own) }, modelKinds))
      const past = { length: 3, layers }
      const found = generate(model, padded, { maxNewTokens: 8 }, { past })
      const alone = [long, short].map((text) => generate(model, ids([text]), { maxNewTokens: 8 }, { past })[0])
      const whole = [long, short].map((text) => uncached(base, [...before, ...text], 8))
      expect(found).toEqual(model === base ? whole : alone)
      expect(alone).not.toEqual([long, short].map((text) => uncached(model, text, 8)))
      const seen = { ...past, mask: full([1, 3], 1) }
      expect(generate(model, padded, { maxNewTokens: 8 }, { past: seen })).toEqual(found)
      expect(layers[0]?.keys.isDisposed).toBe(false)
    },
  )

  test('stops a text after an end, and the batch when all are at theirs', () => {
    const [whole = [], other = []] = generate(base, ids([long, [2, 7, 1, 8, 2]]), { maxNewTokens: 8 })
    const eos = whole[3] ?? 0
    const until = (text: readonly number[]) => text.slice(0, [...text, eos].indexOf(eos) + 1)
    expect(until(whole).length).toBeLessThan(whole.length)
    const input = ids([long, [2, 7, 1, 8, 2]])
    expect(generate(base, input, { maxNewTokens: 8, eos })).toEqual([until(whole), until(other)])
    const steps = [...generateTokens(base, input, { maxNewTokens: 8, eos })]
    expect(steps.length).toBe(Math.max(until(whole).length, until(other).length))
  })

  test('draws the same by one key and something else by another', () => {
    const draw = (seed: number) => generate(base, ids([long]), { maxNewTokens: 12, temperature: 1, key: key(seed) })
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
  })

  test('leaves no tensor behind, also when it is broken off', () => {
    const input = { ids: ids([long]), mask: tensor([[0, 1, 1, 1, 1]]) }
    const before = memory()
    generate(base, input, { maxNewTokens: 3 })
    for (const step of generateTokens(base, input, { maxNewTokens: 9 })) if (step.length > 0) break
    expect(memory()).toEqual(before)
  })

  test('refuses what it cannot do', () => {
    const failure = (run: () => unknown): unknown => issuesOf(run).map((i) => i._tag)
    const input = ids([long])
    expect(failure(() => generate(base, input, { maxNewTokens: 0, topP: 0 }))).toEqual(['BadOption', 'BadOption'])
    const mask = tensor([[1, 1, 1, 1, 0]])
    expect(failure(() => generate(base, { ids: input, mask }, { maxNewTokens: 2 }))).toEqual(['RightPadding'])
    expect(failure(() => generate(base, input, { maxNewTokens: 40 }))).toEqual(['ContextOverflow'])
    const encoder = bert.init({ vocab_size: 40, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2 }, key(0))
    expect(failure(() => generate(encoder, input, { maxNewTokens: 2 }))).toEqual(['NotCausal'])
    const spoilt = withValues(base, { 'out_head.bias': full([40], Number.NaN) })
    expect(brief(issuesOf(() => generate(spoilt, input, { maxNewTokens: 2 })))).toEqual(['NonFinite step 1, row 0'])
  })
})

describe('sample', () => {
  const rows = fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 2, maxLength: 12 })

  test('takes the likeliest at temperature 0, with topK 1, and with a topP that the first has alone', () => {
    fc.assert(
      fc.property(rows, fc.integer(), (values, seed) => {
        const row = Float32Array.from(values)
        const best = row.indexOf(Math.max(...row))
        expect(sample(row, {}, [], key(seed))).toBe(best)
        expect(sample(row, { temperature: 1, topK: 1 }, [], key(seed))).toBe(best)
        expect(sample(row, { temperature: 1, topP: 1e-9 }, [], key(seed))).toBe(best)
      }),
    )
  })

  test('draws each token as often as it is likely', () => {
    const row = Float32Array.of(0, 1, 2, -1)
    const counts = [0, 0, 0, 0]
    const draws = 4_000
    for (let i = 0; i < draws; i++) counts[sample(row, { temperature: 0.8 }, [], key(i))]! += 1
    const weights = Array.from(row, (x) => Math.exp(x / 0.8))
    const total = weights.reduce((a, b) => a + b)
    // Four deviations of a share of this size.
    counts.forEach((n, i) => expect(Math.abs(n / draws - weights[i]! / total)).toBeLessThan(0.032))
  })

  test('draws nothing outside topK and topP', () => {
    const row = Float32Array.from([3, 2.9, 1, 0.5, -2])
    for (let i = 0; i < 200; i++) {
      expect(sample(row, { temperature: 2, topK: 2 }, [], key(i))).toBeLessThan(2)
      expect(sample(row, { temperature: 1, topP: 0.6 }, [], key(i))).toBeLessThan(2)
    }
  })

  test('draws of topK as if all other tokens were ruled out, of equal ones the first', () => {
    const ties = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 40 })
    fc.assert(
      fc.property(ties, fc.integer({ min: 1, max: 12 }), fc.integer(), (values, topK, seed) => {
        const order = [...values.keys()].toSorted((a, b) => values[b]! - values[a]! || a - b)
        const kept = new Set(order.slice(0, topK))
        const others = Float32Array.from(values, (x, id) => (kept.has(id) ? x : -Infinity))
        const found = sample(Float32Array.from(values), { temperature: 1, topK }, [], key(seed))
        expect(found).toBe(sample(others, { temperature: 1 }, [], key(seed)))
      }),
    )
  })

  test.each([[[1, Number.NaN]], [[Infinity, 0]], [[-Infinity, -Infinity]]])('chooses nothing by %j', (values) => {
    for (const temperature of [0, 1])
      expect(brief(issuesOf(() => sample(Float32Array.from(values), { temperature }, [], key(0))))).toEqual([
        'NonFinite logits',
      ])
    expect(sample(Float32Array.of(-Infinity, 0), { temperature: 1e-310 }, [], key(0))).toBe(1)
  })

  test('makes what was said less likely, whatever its sign', () => {
    expect(sample(Float32Array.of(1, 0.9, -1), { repetitionPenalty: 1.5 }, [0], key(0))).toBe(1)
    expect(sample(Float32Array.of(-1, -1.1, -3), { repetitionPenalty: 1.5 }, [0], key(0))).toBe(1)
  })
})
