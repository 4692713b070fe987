import { mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { messageOf } from '../../src/cli/errors.ts'
import { inspect } from '../../src/cli/inspect.ts'
import { train } from '../../src/cli/train.ts'
import { loadAdapter, orThrow } from '../../src/io/index.ts'
import { key, leaves, sllm } from '../../src/index.ts'
import { tensor } from '../../src/ops/index.ts'

const tokenizer = fileURLToPath(new URL('../../examples/complaints/tokenizer', import.meta.url))
const small = { ...sllm.config.seed, d_model: 16, d_head: 8, vocab_size: 2_800, n_layers: 1 }

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-train-'))
  const lines = ['too late again', 'thank you', 'it never came', 'lovely soup'].map((text, i) =>
    JSON.stringify({ text, label: i % 2 === 0 ? 'complaint' : 'praise' }),
  )
  await writeFile(join(folder, 'data.jsonl'), lines.join('\n'))
})

const config = {
  model: { sllm: small },
  tokenizer,
  train: 'data.jsonl',
  heldout: 'data.jsonl',
  task: { classify: { complaint: '<complaint>', praise: '<no_complaint>' } },
  recipe: [{ freeze: {} }, { lora: { at: 'transformer_blocks', rank: 2 } }],
  epochs: 2,
  rate: 0.01,
  batchSize: 2,
  output: 'out',
}

const run = async (changes: object): Promise<string> => {
  const path = join(folder, `config-${Math.random()}.json`)
  await writeFile(path, JSON.stringify({ ...config, output: `out-${Math.random()}`, ...changes }))
  return train(['--config', path])
}

const failure = (changes: object): Promise<string> =>
  run(changes).then(
    () => 'no failure',
    (e: unknown) => messageOf(e),
  )

describe('train', () => {
  test('adapts, trains, judges and saves what was added', async () => {
    const text = await run({ output: 'out' })
    expect(text).toMatch(/held out before: .*accuracy/)
    expect(text).toMatch(/held out after: .*accuracy/)
    const out = join(folder, 'out')
    expect(await readdir(out)).toEqual(expect.arrayContaining(['adapter', 'loss.svg', 'metrics.jsonl']))
    const metrics = (await readFile(join(out, 'metrics.jsonl'), 'utf8')).trim().split('\n')
    expect(metrics.filter((line) => (JSON.parse(line) as { kind: string }).kind === 'step')).toHaveLength(4)
    const back = await orThrow(loadAdapter(sllm.init(small, key(0)), join(out, 'adapter')))
    expect(leaves(back).some((l) => l.label.endsWith('ln_1.weight.a'))).toBe(true)
  })

  test('a prefix, which wraps the whole model, is trained and saved like any other', async () => {
    await run({ recipe: [{ freeze: {} }, { prefix: { length: 3, projection: 4 } }], output: 'prefix' })
    const base = sllm.init(small, key(0))
    const back = await orThrow(loadAdapter(base, join(folder, 'prefix/adapter')))
    expect(leaves(back).some((l) => l.label === 'prefix.fc1.weight')).toBe(true)
    expect(sllm.apply(back, tensor([[1, 2]], undefined, 'int32')).shape).toEqual([1, 2, 2_800])
  })

  test('a language model trained in full is saved whole, and can be inspected', async () => {
    await run({ task: 'language-model', recipe: [], output: 'full' })
    const counts = JSON.parse(await inspect(['--model', join(folder, 'full/model'), '--json'], false))
    expect(counts.trainable).toBe(counts.parameters)
  })

  test.each([
    ['an unknown setting', { epoch: 3 }, /BadConfig at epoch[\s\S]*Did you mean "epochs"/],
    ['a missing setting', { rate: undefined }, /BadConfig at rate/],
    ['a bad number', { epochs: 1.5 }, /a positive whole number/],
    ['a recipe with a slip', { recipe: [{ lora: { at: '**', rank: 0 } }] }, /recipe\[0\]\.lora\.rank/],
    ['a recipe that leaves nothing to train', { recipe: [{ freeze: {} }] }, /NothingTrainable/],
    ['a label without a token', { task: { classify: { a: '<a>', b: '<complaint>' } } }, /<a>/],
    [
      'a line with an unknown label',
      { task: { classify: { complaint: '<complaint>', fine: '[CLS]' } } },
      /data\.jsonl:2/,
    ],
    ['no such data', { train: 'nothing.jsonl' }, /no such file/],
  ])('says what is wrong: %s', async (_, changes, message) => {
    expect(await failure(changes)).toMatch(message)
  })
})

test('a folder with an earlier run is not written over, and a base that was drawn is kept', async () => {
  await run({ output: 'once' })
  expect(await readdir(join(folder, 'once'))).toEqual(expect.arrayContaining(['base', 'adapter']))
  expect(await failure({ output: 'once' })).toMatch(/a folder without an earlier run/)
})
