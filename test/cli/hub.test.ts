import { mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { convert } from '../../src/cli/convert.ts'
import { messageOf } from '../../src/cli/errors.ts'
import { generate } from '../../src/cli/generate.ts'
import { inspect } from '../../src/cli/inspect.ts'
import { logits } from '../../src/cli/logits.ts'
import { train } from '../../src/cli/train.ts'
import { fromStored, loadTokenizer, orThrow, readSafetensors, writeSafetensors } from '../../src/io/index.ts'
import type { Tokenizer } from '../../src/io/index.ts'
import { read, tensor } from '../../src/ops/index.ts'
import { fixture } from '../io/fixtures.ts'

// Words of their own, with ids that every fixture has.
const words = ['[PAD]', '[UNK]', 'good', 'fine', 'lovely', 'bad', 'late', 'cold', 'soup', 'bread', 'tea', 'rice']
const examples = [
  'good soup',
  'cold tea',
  'lovely rice',
  'bad bread',
  'fine tea',
  'late rice',
  'good bread',
  'bad soup',
]
const labelOf = (i: number): string => (i % 2 === 0 ? 'praise' : 'complaint')

let folder = ''
let tokenizer: Tokenizer
beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  folder = await mkdtemp(join(tmpdir(), 'espalier-hub-'))
  const vocab = Object.fromEntries(words.map((word, i) => [word, i]))
  const parts = { normalizer: null, pre_tokenizer: { type: 'Whitespace' }, post_processor: null, decoder: null }
  const model = { type: 'WordLevel', vocab, unk_token: '[UNK]' }
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify({ ...parts, model, added_tokens: [] }))
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ pad_token: '[PAD]' }))
  tokenizer = await orThrow(loadTokenizer(folder))
  // Of two lengths, so that padding counts.
  const lines = examples.map((text, i) => ({ text: i % 3 === 0 ? `${text} ${text}` : text, label: labelOf(i) }))
  await writeFile(join(folder, 'data.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'))
})

const run = async (name: string, changes: object): Promise<string> => {
  const config = {
    tokenizer: '.',
    train: 'data.jsonl',
    heldout: 'data.jsonl',
    task: { 'sequence-classification': ['praise', 'complaint'] },
    epochs: 60,
    rate: 0.02,
    weightDecay: 0,
    batchSize: 8,
    output: name,
    ...changes,
  }
  const path = join(folder, `${name}.json`)
  await writeFile(path, JSON.stringify(config))
  return train(['--config', path])
}

/** Mean loss and accuracy of what `logits` writes for each text, by the numbers of the file alone. */
const judged = async (model: string, adapter: string): Promise<string> => {
  const lines = (await readFile(join(folder, 'data.jsonl'), 'utf8')).split('\n')
  let [loss, right] = [0, 0]
  for (const [i, line] of lines.entries()) {
    const ids = tokenizer.encode((JSON.parse(line) as { readonly text: string }).text)
    const input = join(folder, 'in.safetensors')
    const output = join(folder, 'out.safetensors')
    await orThrow(writeSafetensors(input, { input_ids: tensor(ids, [1, ids.length], 'int32') }))
    await logits(['--model', model, '--adapter', adapter, '--input', input, '--output', output])
    const made = fromStored((await orThrow(readSafetensors(output))).tensors.get('logits')!)
    const [praise = 0, complaint = 0] = made._tag === 'Right' ? read(made.right) : []
    const own = i % 2 === 0 ? praise : complaint
    loss += Math.log(Math.exp(praise - own) + Math.exp(complaint - own))
    right += own > (i % 2 === 0 ? complaint : praise) ? 1 : 0
  }
  return `loss ${(loss / lines.length).toFixed(4)}, accuracy ${(right / lines.length).toFixed(4)}`
}

/** What a run says of the loss on what was held out. */
const loss = (text: string, when: string): number => Number(new RegExp(`${when}: loss ([\\d.]+)`).exec(text)?.[1])

const lora = (at: string) => [{ freeze: {} }, { lora: { at, rank: 4, alpha: 8, scaling: 'alpha/rank' } }]

describe('a checkpoint of the Hub becomes a classifier', () => {
  test.each([
    ['a language model without a head for it', 'gpt2', '**.c_attn'],
    ['an encoder without one', 'bert', '**.{query,value}'],
    ['a classifier with its own', 'bert-seqcls-two', '**.query'],
  ])('%s, and its adapter opens as PEFT has it', { timeout: 120_000 }, async (_, name, at) => {
    const model = fixture(`models/${name.replace('-two', '')}`)
    const labels = name.endsWith('-two')
      ? Object.keys((JSON.parse(await readFile(join(model, 'config.json'), 'utf8')) as { id2label: object }).id2label)
      : ['praise', 'complaint']
    const task = { 'sequence-classification': ['praise', 'complaint', ...labels.slice(2)] }
    const text = await run(name, { model, recipe: lora(at), task })
    expect(text).toMatch(/saved as PEFT has it/)
    const said = /held out after: (.*)/.exec(text)?.[1]
    expect(loss(text, 'after')).toBeLessThan(loss(text, 'before') * 0.6)
    const adapter = join(folder, name, 'adapter')
    expect(await readdir(adapter)).toEqual(['adapter_config.json', 'adapter_model.safetensors'])
    expect(labels.length === 2 ? await judged(model, adapter) : said).toBe(said)
  })

  test('in our own form it does so too', { timeout: 60_000 }, async () => {
    const model = fixture('models/llama')
    const text = await run('ours', { model, recipe: lora('**.q_proj'), format: 'espalier' })
    expect(await readdir(join(folder, 'ours/adapter'))).toContain('adapter.json')
    expect(await judged(model, join(folder, 'ours/adapter'))).toBe(/held out after: (.*)/.exec(text)?.[1])
  })
})

describe('training a language model of the Hub', () => {
  const model = fixture('models/gpt2')

  test('by next tokens, and by tokens as labels', { timeout: 60_000 }, async () => {
    const text = await run('texts', { model, task: 'language-model', recipe: lora('**.c_attn'), epochs: 20 })
    expect(loss(text, 'after')).toBeLessThan(loss(text, 'before') * 0.8)
    const task = { classify: { praise: 'good', complaint: 'bad' } }
    expect(await run('tokens', { model, task, recipe: lora('**.c_attn') })).toMatch(/after: .*accuracy 1\.0000/)
    const args = ['--model', model, '--adapter', join(folder, 'texts/adapter'), '--tokenizer', folder]
    const json = await generate([...args, '--prompt', 'lovely', '--max-new-tokens', '1', '--json'], () => {})
    const { texts } = JSON.parse(json) as { readonly texts: readonly { readonly text: string }[] }
    expect(texts).toMatchObject([{ prompt: 'lovely', end: 'length' }])
    expect(['soup', 'bread', 'tea', 'rice']).toContain(texts[0]?.text)
  })

  test('what PEFT has no form for is kept in ours, and said', { timeout: 60_000 }, async () => {
    const recipe = [{ freeze: {} }, { bottleneck: { placement: 'pfeiffer', reduction: 4 } }]
    const text = await run('bottled', { model, task: 'language-model', recipe, epochs: 1 })
    expect(text).toMatch(/saved as Espalier has it: PEFT has no form for/)
    expect(await readdir(join(folder, 'bottled/adapter'))).toContain('adapter.json')
    const refused = await run('refused', { model, recipe, epochs: 1, format: 'peft' }).catch(messageOf)
    expect(refused).toMatch(/UnsupportedAdapter at recipe/)
    expect(await readdir(folder)).not.toContain('refused')
  })

  test('trained in full it is a checkpoint again', { timeout: 60_000 }, async () => {
    await run('full', { model, task: 'language-model', recipe: [], epochs: 1 })
    expect(await readdir(join(folder, 'full/model'))).toEqual(['config.json', 'model.safetensors'])
  })

  test('a run that fails before its first step leaves nothing', { timeout: 60_000 }, async () => {
    await writeFile(join(folder, 'long.jsonl'), JSON.stringify({ text: 'tea '.repeat(5000) }))
    const data = { train: 'long.jsonl', heldout: undefined }
    const message = await run('long', { model, task: 'language-model', recipe: lora('**.c_attn'), ...data }).catch(
      messageOf,
    )
    expect(message).toMatch(/ContextOverflow/)
    expect(await readdir(folder)).not.toContain('long')
  })
})

test.each([
  ['mlx', 'lora-llama', 'llama'],
  ['mlx', 'dora-gpt2', 'gpt2'],
])('an adapter of %s is opened, and written for PEFT: %s', { timeout: 60_000 }, async (kind, name, base) => {
  const adapter = fixture(`${kind}/${name}`)
  const model = fixture(`models/${base}`)
  const to = join(folder, `from-${kind}-${name}`)
  expect(await convert(['--model', model, '--adapter', adapter, '--to', 'peft', '--output', to])).toMatch(/written/)
  const counts = async (dir: string): Promise<object> =>
    JSON.parse(await inspect(['--model', model, '--adapter', dir, '--json'], false)) as object
  const { trainable } = JSON.parse(await readFile(join(adapter, 'expected.json'), 'utf8')) as { trainable: number }
  expect(await counts(adapter)).toMatchObject({ trainable, family: base, task: 'causal-lm' })
  expect(await counts(to)).toMatchObject({ trainable, peftType: 'LORA' })
})
