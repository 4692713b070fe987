import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { orThrow, readHeader, readSafetensors } from '../../src/io/index.ts'
import { fixture } from '../io/fixtures.ts'
import { copyOf, filesIn, fresh, inputOf, outcomeOf, withJson } from './hostile.ts'

const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)

const gpt2 = fixture('models/gpt2')
const lora = fixture('peft/lora-gpt2')
const two: readonly [number[], number[]] = [
  [1, 2],
  [5, 6],
]
const good = inputOf({ input_ids: two })

type Given = Parameters<typeof inputOf>[0]
const inputs: readonly (readonly [string, string, Given, RegExp])[] = [
  [
    'a text longer than the context',
    'gpt2',
    { input_ids: [[1, 41], Array<number>(41).fill(1)] },
    /ContextOverflow at IN#input_ids: expected at most 40/,
  ],
  [
    'an id too large',
    'llama',
    {
      input_ids: [
        [1, 2],
        [5, 64],
      ],
    },
    /OutOfRange at IN#input_ids\[0, 1\]: expected a number from 0 to 63, found 64/,
  ],
  [
    'a negative id',
    'bert',
    {
      input_ids: [
        [2, 1],
        [5, -1],
      ],
    },
    /OutOfRange at IN#input_ids\[1, 0\]/,
  ],
  ['ids with a fraction', 'gpt2', { input_ids: [...two, 'F32'] }, /ShapeMismatch at IN#input_ids: expected int32/],
  ['ids of one dimension', 'gpt2', { input_ids: [[2], [5, 6]] }, /found int32 \[2\]/],
  [
    'ids of three',
    'gpt2',
    {
      input_ids: [
        [1, 1, 2],
        [5, 6],
      ],
    },
    /found int32 \[1, 1, 2\]/,
  ],
  ['no texts', 'gpt2', { input_ids: [[0, 2], []] }, /neither of them 0/],
  ['no tokens', 'bert', { input_ids: [[2, 0], []] }, /neither of them 0/],
  [
    'a mask of another shape',
    'bert',
    {
      input_ids: two,
      attention_mask: [
        [1, 3],
        [1, 1, 1],
      ],
    },
    /IN#attention_mask: expected int32 \[1, 2\]/,
  ],
  [
    'a mask that is none',
    'bert',
    {
      input_ids: two,
      attention_mask: [
        [1, 2],
        [1, 7],
      ],
    },
    /IN#attention_mask\[0, 1\]: expected a number from 0 to 1, found 7/,
  ],
  [
    'a mask of NaN',
    'llama',
    { input_ids: two, attention_mask: [[1, 2], [1, Number.NaN], 'F32'] },
    /IN#attention_mask\[0, 1\]/,
  ],
  [
    'a position too far',
    'gpt2',
    {
      input_ids: two,
      position_ids: [
        [1, 2],
        [0, 40],
      ],
    },
    /IN#position_ids\[0, 1\]: expected a number from 0 to 39/,
  ],
  [
    'a negative position',
    'llama',
    {
      input_ids: two,
      position_ids: [
        [1, 2],
        [0, -1],
      ],
    },
    /IN#position_ids\[0, 1\]/,
  ],
  [
    'a segment that is none',
    'bert',
    {
      input_ids: two,
      token_type_ids: [
        [1, 2],
        [0, 9],
      ],
    },
    /IN#token_type_ids\[0, 1\]: expected a number from 0 to 1/,
  ],
  [
    'a tensor that is no input',
    'gpt2',
    { input_ids: two, input_id: two },
    /IN#input_id: .*\n.*Did you mean "input_ids"/,
  ],
  ['no ids', 'gpt2', { attention_mask: two }, /IN#input_ids/],
]

describe('logits refuses an input by its name', () => {
  test.each(inputs)('%s', async (_, model, given, message) => {
    const input = inputOf(given)
    const out = fresh()
    stderr.mockClear()
    const args = ['logits', '--model', fixture(`models/${model}`), '--input', input, '--output', join(out, 'o')]
    const { code, said } = await outcomeOf(args)
    expect([code, said.replaceAll(input, 'IN')]).toEqual([2, expect.stringMatching(message)])
    expect(filesIn(out)).toEqual([])
    expect(stderr).not.toHaveBeenCalled()
  })
})

describe('virtual tokens', () => {
  const logits = async (adapter: string, input: string): Promise<readonly number[]> => {
    const output = join(fresh(), 'o')
    const args = [
      'logits',
      '--model',
      gpt2,
      '--adapter',
      fixture(`peft/${adapter}`),
      '--input',
      input,
      '--output',
      output,
    ]
    expect(await outcomeOf(args)).toMatchObject({ code: 0 })
    return [...((await orThrow(readSafetensors(output))).tensors.get('logits')?.data ?? [])] as number[]
  }

  test('of a prompt leave positions and segments out, as PEFT does, and say so', async () => {
    const given = inputOf({
      input_ids: two,
      position_ids: [
        [1, 2],
        [7, 8],
      ],
      token_type_ids: [
        [1, 2],
        [3, 4],
      ],
    })
    stderr.mockClear()
    const found = await logits('prompt-gpt2', given)
    const told = stderr.mock.calls.map(([text]) => String(text)).join('')
    expect(told).toMatch(/position_ids are left out[\s\S]*token_type_ids are left out/)
    expect(found).toEqual(await logits('prompt-gpt2', good))
  })

  test('and of none keep them', async () => {
    const given = inputOf({
      input_ids: two,
      position_ids: [
        [1, 2],
        [7, 8],
      ],
    })
    const typed = inputOf({
      input_ids: two,
      token_type_ids: [
        [1, 2],
        [3, 4],
      ],
    })
    const plain = await logits('lora-gpt2', good)
    expect(await logits('lora-gpt2', given)).not.toEqual(plain)
    expect(await logits('lora-gpt2', typed)).not.toEqual(plain)
  })
})

const text = fixture('models/gpt2-text')
const flags: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['logits without flags', ['logits'], /BadUsage at --model: expected a value, found nothing/],
  ['logits without an output', ['logits', '--model', gpt2, '--input', good], /at --output/],
  [
    'an empty value',
    ['logits', '--model', '', '--input', good, '--output', 'OUT/o'],
    /--model: expected a value, found an empty one/,
  ],
  ['a flag that is none', ['merge', '--modle', gpt2], /BadUsage at --modle: .*\n.*Did you mean "--model"/],
  ['a value that is left out', ['merge', '--model'], /at --model/],
  ['a value for a switch', ['inspect', '--json=yes'], /at --json/],
  ['a word beside the flags', ['inspect', 'sllm'], /flags only/],
  [
    'no such model',
    ['logits', '--model', '/nowhere', '--input', good, '--output', 'OUT/o'],
    /at --model: .*"\/nowhere", which is not there/,
  ],
  ['a file for a model', ['inspect', '--model', good], /at --model: .*a file/],
  ['an empty folder for a model', ['inspect', '--model', 'EMPTY'], /config\.json/],
  ['no such adapter', ['merge', '--model', gpt2, '--adapter', '/nowhere', '--output', 'OUT/m'], /at --adapter/],
  [
    'an empty folder for an adapter',
    ['merge', '--model', gpt2, '--adapter', 'EMPTY', '--output', 'OUT/m'],
    /adapter_config\.json/,
  ],
  [
    'no such input',
    ['logits', '--model', gpt2, '--input', '/nowhere/in', '--output', 'OUT/o'],
    /FileSystem at \/nowhere\/in: .*ENOENT/,
  ],
  ['a folder for an input', ['logits', '--model', gpt2, '--input', 'EMPTY', '--output', 'OUT/o'], /NotAFile/],
  [
    'an output in a folder that is not there',
    ['logits', '--model', gpt2, '--input', good, '--output', 'OUT/a/o'],
    /at --output: expected a path in a folder that exists/,
  ],
  [
    'a folder for an output',
    ['logits', '--model', gpt2, '--input', good, '--output', 'EMPTY'],
    /at --output: expected a file/,
  ],
  [
    'an output that is the input',
    ['logits', '--model', gpt2, '--input', good, '--output', good],
    /would take the place of/,
  ],
  [
    'an output in the model',
    ['logits', '--model', gpt2, '--input', good, '--output', join(gpt2, 'model.safetensors')],
    /would take the place of/,
  ],
  ['a model merged into itself', ['merge', '--model', gpt2, '--adapter', lora, '--output', gpt2], /config\.json.* in /],
  [
    'an adapter converted into itself',
    ['convert', '--model', gpt2, '--adapter', lora, '--to', 'peft', '--output', lora],
    /adapter_config\.json in /,
  ],
  [
    'a file for an output folder',
    ['merge', '--model', gpt2, '--adapter', lora, '--output', good],
    /at --output: expected a folder/,
  ],
  [
    'a format that is none',
    ['convert', '--model', gpt2, '--adapter', lora, '--to', 'pef', '--output', 'OUT/c'],
    /at --to: .*\n.*Did you mean "peft"/,
  ],
  [
    'a prompt that cannot be merged',
    ['merge', '--model', gpt2, '--adapter', fixture('peft/prompt-gpt2'), '--output', 'OUT/m'],
    /NotMergeable/,
  ],
  ['no prompt', ['generate', '--model', text], /at --prompt/],
  [
    'a model that is no language model',
    ['generate', '--model', fixture('models/bert'), '--tokenizer', text, '--prompt', '!'],
    /config\.json#architectures: expected a language model, found bert for base/,
  ],
  [
    'a tokenizer of another model',
    ['generate', '--model', gpt2, '--tokenizer', text, '--prompt', 'a'],
    /OutOfRange at --prompt/,
  ],
  ['a model without a tokenizer', ['generate', '--model', gpt2, '--prompt', 'a'], /tokenizer\.json/],
  [
    'a text for a number',
    ['generate', '--model', text, '--prompt', 'a', '--max-new-tokens', 'ten'],
    /--max-new-tokens: expected a positive whole number, found "ten"/,
  ],
  [
    'an infinite temperature',
    ['generate', '--model', text, '--prompt', 'a', '--temperature', '1e999'],
    /--temperature/,
  ],
  ['a share above one', ['generate', '--model', text, '--prompt', 'a', '--top-p', '1.5'], /--top-p/],
  ['a seed with a fraction', ['generate', '--model', text, '--prompt', 'a', '--seed', '0.5'], /--seed/],
  ['a stop that is empty', ['generate', '--model', text, '--prompt', 'a', '--stop', ''], /--stop/],
  ['a system without a chat', ['generate', '--model', text, '--prompt', 'a', '--system', 'b'], /--system/],
  ['a prompt longer than the context', ['generate', '--model', text, '--prompt', 'a b '.repeat(99)], /ContextOverflow/],
  ['no configuration', ['train'], /--config/],
  ['no such configuration', ['train', '--config', '/nowhere.json'], /no such file/],
]

describe('every mistake in flags is one message', () => {
  test.each(flags)('%s', async (_, args, message) => {
    const [out, empty] = [fresh(), fresh()]
    stderr.mockClear()
    const { code, said } = await outcomeOf(args.map((a) => a.replace('OUT', out).replace('EMPTY', empty)))
    expect([code, said]).toEqual([2, expect.stringMatching(message)])
    expect(said).not.toMatch(/\n\s+at /)
    expect([...filesIn(out), ...filesIn(empty)]).toEqual([])
    expect(stderr).not.toHaveBeenCalled()
  })

  test.each([
    ['cut short', (s: string) => s.slice(0, 500)],
    ['of an unknown kind', (s: string) => s.replace('"BPE"', '"ABC"')],
    ['with ids for texts', (s: string) => s.replace('"!": 5', '"!": "5"')],
    ['with a negative id', (s: string) => s.replace('"!": 5', '"!": -5')],
    ['that is a list', () => '[]'],
  ])('a tokenizer %s', async (_, change) => {
    const folder = copyOf('models/gpt2-text')
    const { readFileSync } = await import('node:fs')
    withJson(join(folder, 'tokenizer.json'), change(readFileSync(join(folder, 'tokenizer.json'), 'utf8')))
    const { code, said } = await outcomeOf(['generate', '--model', folder, '--prompt', 'Hello'])
    expect([code, said]).toEqual([2, expect.stringMatching(/tokenizer\.json/)])
  })
})

test('what was written is written over, and whole', async () => {
  const output = join(fresh(), 'o')
  mkdirSync(join(output, '..'), { recursive: true })
  writeFileSync(output, 'earlier')
  expect(await outcomeOf(['logits', '--model', gpt2, '--input', good, '--output', output])).toMatchObject({ code: 0 })
  expect((await orThrow(readHeader(output))).tensors.get('logits')).toMatchObject({ dtype: 'F32', shape: [1, 2, 64] })
})
