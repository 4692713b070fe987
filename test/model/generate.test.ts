import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bert, generate, generateTokens, key, pipe, prefix, prompt, sllm } from '../../src/index.ts'
import type { Model } from '../../src/index.ts'
import { sample } from '../../src/model/sample.ts'
import { memory, read, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'

const base = sllm.init({ ...sllm.config.seed, vocab_size: 40, d_model: 16, d_head: 8, context_window: 32 }, key(0))

const ids = (rows: readonly (readonly number[])[]): Tensor => tensor(rows, undefined, 'int32')

/** The likeliest continuation, each token from a run of the whole text. */
const uncached = (model: Model, text: readonly number[], steps: number): readonly number[] => {
  const all = [...text]
  for (let i = 0; i < steps; i++) {
    const logits = read(sllm.nextLogits(model as never, ids([all])))
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

describe('generate', () => {
  test.each(models)('says with its cache what runs of the whole text say: %s', (_, model) => {
    const found = generate(model, ids([long]), { maxNewTokens: 12 })
    expect(found).toEqual([uncached(model, long, 12)])
    expect(new Set(found[0]).size).toBeGreaterThan(1)
  })

  test.each(models)('a text in a batch, padded on the left, is continued as alone: %s', (_, model) => {
    const padding = long.map((__, i) => (i < long.length - short.length ? 0 : 1))
    const input = {
      ids: ids([long, [...Array.from({ length: long.length - short.length }, () => 0), ...short]]),
      mask: tensor([long.map(() => 1), padding]),
    }
    expect(generate(model, input, { maxNewTokens: 8 })).toEqual([uncached(model, long, 8), uncached(model, short, 8)])
  })

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
    const failure = (run: () => unknown): unknown => {
      try {
        return run()
      } catch (error) {
        return (error as { readonly issues: readonly { readonly _tag: string }[] }).issues.map((i) => i._tag)
      }
    }
    const input = ids([long])
    expect(failure(() => generate(base, input, { maxNewTokens: 0, topP: 0 }))).toEqual(['BadOption', 'BadOption'])
    const mask = tensor([[1, 1, 1, 1, 0]])
    expect(failure(() => generate(base, { ids: input, mask }, { maxNewTokens: 2 }))).toEqual(['RightPadding'])
    expect(failure(() => generate(base, input, { maxNewTokens: 40 }))).toEqual(['ContextOverflow'])
    const encoder = bert.init({ vocab_size: 40, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2 }, key(0))
    expect(failure(() => generate(encoder, input, { maxNewTokens: 2 }))).toEqual(['NotCausal'])
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

  test('makes what was said less likely, whatever its sign', () => {
    expect(sample(Float32Array.of(1, 0.9, -1), { repetitionPenalty: 1.5 }, [0], key(0))).toBe(1)
    expect(sample(Float32Array.of(-1, -1.1, -3), { repetitionPenalty: 1.5 }, [0], key(0))).toBe(1)
  })
})
