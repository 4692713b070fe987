import { afterAll, describe, expect, test } from 'vitest'
import {
  gemma2,
  generate,
  generateTokens,
  gpt2,
  key,
  llama,
  mistral,
  pipe,
  prefix,
  prompt,
  sllm,
} from '../../src/index.ts'
import type { GenerateOptions, Model, Tokens } from '../../src/index.ts'
import { preparation, usePreparation } from '../../src/ops/compile/executable.ts'
import { engine, memory, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { brief, issuesOf } from '../support.ts'

const hasNative = await engine({ prefer: 'native', quiet: true }).then(
  () => true,
  () => false,
)
const ready = preparation()
afterAll(() => engine({ prefer: 'js', quiet: true }))

let made = 0
/** The native engine, with or without graphs. */
const withGraphs = (are: boolean): void => {
  if (ready === undefined) return
  const { executable, ...rest } = ready
  const counted = (...args: Parameters<typeof executable>) => {
    made += 1
    return executable(...args)
  }
  usePreparation(are ? { ...rest, executable: counted } : undefined)
}

const ids = (rows: readonly (readonly number[])[]): Tensor => tensor(rows, undefined, 'int32')
const small = {
  vocab_size: 30,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
} as const
const sliding = { ...small, sliding_window: 5 }
const base = sllm.init({ ...sllm.config.seed, vocab_size: 40, d_model: 16, d_head: 8, context_window: 48 }, key(0))
const openAi = gpt2.init({ vocab_size: 40, n_positions: 700, n_embd: 16, n_layer: 2, n_head: 2 }, key(5))

const text = ids([[3, 1, 4, 1, 5]])
const padded: Tokens = {
  ids: ids([
    [3, 1, 4, 1, 5],
    [0, 0, 0, 2, 7],
  ]),
  mask: tensor([
    [1, 1, 1, 1, 1],
    [0, 0, 0, 1, 1],
  ]),
}
const many: GenerateOptions = { maxNewTokens: 24 }

const cases: readonly (readonly [string, Model, Tensor | Tokens, (GenerateOptions | undefined)?])[] = [
  ['SLLM', base, text],
  ['SLLM, padded', base, padded],
  [
    'two texts without padding',
    base,
    ids([
      [1, 2],
      [3, 4],
    ]),
  ],
  [
    'a prompt and a prefix, padded',
    pipe(base, prompt({ length: 2, key: key(1) }), prefix({ length: 3, key: key(2) })),
    padded,
  ],
  ['GPT-2 with segments', openAi, { ids: text, types: ids([[1, 1, 2, 2, 9]]) }],
  ['GPT-2 with positions', openAi, { ids: text, positions: ids([[0, 2, 3, 7, 8]]) }],
  ['Llama', llama.init(small, key(1)), padded],
  ['Mistral with a window', mistral.init(sliding, key(2)), padded],
  ['Mistral with a window behind a prefix', prefix({ length: 3, key: key(3) })(mistral.init(sliding, key(4))), text],
  ['Gemma 2 with a window', gemma2.init(sliding, key(5)), padded],
  ['drawn', base, padded, { ...many, temperature: 1, topK: 9, repetitionPenalty: 1.2, key: key(6) }],
  ['an end', base, padded, { ...many, eos: [...Array(20).keys()], temperature: 1, key: key(8) }],
]

describe.skipIf(!hasNative)('steps as graphs', () => {
  test.for(cases)('say what they say one by one: %s', ([, model, input, options = many]) => {
    const before = memory()
    withGraphs(false)
    const wanted = generate(model, input, options)
    withGraphs(true)
    made = 0
    expect(generate(model, input, options)).toEqual(wanted)
    expect(made).toBe(1)
    // What is of the same shapes needs no graph again.
    expect(generate(model, input, options)).toEqual(wanted)
    expect(made).toBe(1)
    expect(memory()).toEqual(before)
    expect(new Set(wanted.flat()).size).toBeGreaterThan(2)
  })

  test('room is doubled when it is full', () => {
    withGraphs(false)
    const wanted = generate(openAi, text, { maxNewTokens: 520, temperature: 1 })
    withGraphs(true)
    made = 0
    expect(generate(openAi, text, { maxNewTokens: 520, temperature: 1 })).toEqual(wanted)
    expect(made).toBe(3)
  })

  test('few tokens are worth no graph', () => {
    withGraphs(true)
    made = 0
    generate(llama.init({ ...small, vocab_size: 31 }, key(1)), text, { maxNewTokens: 8 })
    expect(made).toBe(0)
  })

  test('the longer text of a batch ends with the context, the shorter goes on', () => {
    const run = () => {
      const steps: unknown[] = []
      const failed = issuesOf(() => {
        for (const step of generateTokens(base, padded, { maxNewTokens: 60 })) steps.push(step)
      })
      return [steps, brief(failed)]
    }
    const before = memory()
    withGraphs(false)
    const wanted = run()
    withGraphs(true)
    expect(run()).toEqual(wanted)
    expect(wanted[1]).toEqual(['ContextOverflow embedding_block.position_embdgs.weight'])
    expect(memory()).toEqual(before)
  })
})
