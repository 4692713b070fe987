import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { convert } from '../../src/cli/convert.ts'
import { logits } from '../../src/cli/logits.ts'
import { merge } from '../../src/cli/merge.ts'
import { train } from '../../src/cli/train.ts'
import {
  fromStored,
  loadTokenizer,
  orThrow,
  readAdapter,
  readSafetensors,
  writeSafetensors,
} from '../../src/io/index.ts'
import { read, tensor } from '../../src/ops/index.ts'
import { fixture } from '../io/fixtures.ts'

// Texts that end in what fills up others: where the last token of a text is depends on who tells it.
const words = ['[UNK]', 'good', 'bad', 'soup', 'bread', 'tea', '[END]']
const texts = ['good soup [END]', 'bad tea', 'good bread tea', 'bad soup soup [END]']
const end = words.indexOf('[END]')

let folder = ''
let base = ''
beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  folder = await mkdtemp(join(tmpdir(), 'espalier-padding-'))
  base = join(folder, 'base')
  await cp(fixture('models/llama'), base, { recursive: true })
  const { pad_token_id: _, ...config } = await configOf(base)
  await writeFile(join(base, 'config.json'), JSON.stringify(config))
  const parts = { normalizer: null, pre_tokenizer: { type: 'WhitespaceSplit' }, post_processor: null, decoder: null }
  const model = { type: 'WordLevel', vocab: Object.fromEntries(words.map((word, i) => [word, i])), unk_token: '[UNK]' }
  await writeFile(join(base, 'tokenizer.json'), JSON.stringify({ ...parts, model, added_tokens: [] }))
  await writeFile(join(base, 'tokenizer_config.json'), JSON.stringify({ eos_token: '[END]' }))
  await writeFile(join(base, 'added_tokens.json'), '{}')
  await cp(join(base, 'tokenizer_config.json'), join(base, 'additional_chat_templates/tool.jinja'))
  const lines = texts.map((text, i) => JSON.stringify({ text, label: i % 2 === 0 ? 'praise' : 'complaint' }))
  await writeFile(join(folder, 'data.jsonl'), lines.join('\n'))
})

const configOf = async (model: string): Promise<Readonly<Record<string, unknown>>> =>
  JSON.parse(await readFile(join(model, 'config.json'), 'utf8')) as Readonly<Record<string, unknown>>

const run = async (output: string, changes: object): Promise<string> => {
  const config = {
    model: 'base',
    tokenizer: 'base',
    train: 'data.jsonl',
    heldout: 'data.jsonl',
    task: { 'sequence-classification': ['praise', 'complaint'] },
    recipe: [{ freeze: {} }, { lora: { at: '**.q_proj', rank: 2, scaling: 'alpha/rank' } }],
    epochs: 5,
    rate: 0.02,
    output,
    ...changes,
  }
  await writeFile(join(folder, `${output}.json`), JSON.stringify(config))
  return train(['--config', join(folder, `${output}.json`)])
}

/** What `logits` gives for rows of ids, filled up to one length; without a mask unless one is asked for. */
const rowsOf = async (
  model: string,
  adapter: string | undefined,
  rows: readonly (readonly number[])[],
  masked = false,
): Promise<readonly (readonly number[])[]> => {
  const length = Math.max(...rows.map((row) => row.length))
  const filled = rows.map((row) => [...row, ...Array.from({ length: length - row.length }, () => end)])
  const mask = tensor(
    rows.map((row) => filled[0]!.map((_, i) => (i < row.length ? 1 : 0))),
    undefined,
    'int32',
  )
  const input = join(folder, 'in.safetensors')
  const output = join(folder, 'out.safetensors')
  const ids = { input_ids: tensor(filled, undefined, 'int32') }
  await orThrow(writeSafetensors(input, masked ? { ...ids, attention_mask: mask } : ids))
  const on = adapter === undefined ? [] : ['--adapter', adapter]
  await logits(['--model', model, ...on, '--input', input, '--output', output])
  const made = fromStored((await orThrow(readSafetensors(output))).tensors.get('logits')!)
  const all = [...(made._tag === 'Right' ? read(made.right) : [])]
  return rows.map((_, i) => all.slice(2 * i, 2 * i + 2).map((x) => Number(x.toFixed(4))))
}

const idsOf = async (): Promise<readonly (readonly number[])[]> => {
  const tokenizer = await orThrow(loadTokenizer(base))
  return texts.map((text) => [...tokenizer.encode(text)])
}

/** Each text in a batch as it is alone. */
const expectAsAlone = async (model: string, adapter: string | undefined, masked: boolean): Promise<void> => {
  const ids = await idsOf()
  const alone: (readonly number[])[] = []
  for (const row of ids) alone.push(...(await rowsOf(model, adapter, [row])))
  expect(new Set(alone.map(String)).size).toBeGreaterThan(1)
  expect(await rowsOf(model, adapter, ids, masked)).toEqual(alone)
}

/** The loss of what is opened again, text by text. */
const lossOf = async (model: string, adapter: string | undefined): Promise<string> => {
  let sum = 0
  for (const [i, row] of (await idsOf()).entries()) {
    const [own] = await rowsOf(model, adapter, [row])
    const [right = 0, wrong = 0] = i % 2 === 0 ? own! : own!.toReversed()
    sum += Math.log(1 + Math.exp(wrong - right))
  }
  return (sum / texts.length).toFixed(3)
}

const lossAfter = (text: string): string => Number(/held out after: loss ([\d.]+)/.exec(text)?.[1]).toFixed(3)

describe('a causal classifier whose base names no padding', { timeout: 120_000 }, () => {
  test('says it in its configuration, where it is saved whole', async () => {
    const text = await run('whole', { recipe: [], rate: 0.001 })
    const model = join(folder, 'whole/model')
    expect((await configOf(model))['pad_token_id']).toBe(end)
    expect(await lossOf(model, undefined)).toBe(lossAfter(text))
    await expectAsAlone(model, undefined, false)
  })

  test('says it in the notes of an adapter of ours, which opens, converts and merges', async () => {
    const text = await run('ours', { format: 'espalier' })
    const adapter = join(folder, 'ours/adapter')
    expect((await orThrow(readAdapter(adapter))).notes).toEqual({ task: 'sequence-classification', pad: end })
    expect(await lossOf(base, adapter)).toBe(lossAfter(text))
    await expectAsAlone(base, adapter, false)
    const again = join(folder, 'again')
    await convert(['--model', base, '--adapter', adapter, '--to', 'espalier', '--output', again])
    expect(await lossOf(base, again)).toBe(lossAfter(text))
    const merged = join(folder, 'merged')
    await merge(['--model', base, '--adapter', adapter, '--output', merged])
    expect((await configOf(merged))['pad_token_id']).toBe(end)
    expect(await lossOf(merged, undefined)).toBe(lossAfter(text))
    for (const name of ['added_tokens.json', 'additional_chat_templates/tool.jinja'])
      expect(await readFile(join(merged, name), 'utf8')).toBe(await readFile(join(base, name), 'utf8'))
  })

  test('is trained by the mask alone for PEFT, which cannot say it; people are told', async () => {
    const text = await run('peft', { format: 'peft' })
    expect(text).toMatch(new RegExp(`saved as PEFT has it\\..* no pad_token_id.* ${end} `))
    const adapter = join(folder, 'peft/adapter')
    expect(await lossOf(base, adapter)).toBe(lossAfter(text))
    await expectAsAlone(base, adapter, true)
  })
})
