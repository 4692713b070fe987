import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { inspect } from '../../src/cli/inspect.ts'

/*
 * What each method adds to SLLM by PEFT's own counting rule, worked out by hand: per block Wq, Wk and Wv are 128→256,
 * projection_out 256→128 with a bias, ln_1 and c_proj 128→128; two blocks; the head 128→52,000 with a bias.
 */
const BASE = 13_698_976
const mlp = ['**.ln_1', '**.c_proj']

interface Expected {
  readonly recipe: readonly object[]
  readonly trainable: number
  /** Parameters of the base that are trained, and so are no addition. */
  readonly ofBase?: number
}

const counts: Readonly<Record<string, Expected>> = {
  freeze: { recipe: [], trainable: 0 },
  'unfreeze a head': {
    recipe: [{ unfreeze: { at: 'out_head' } }],
    trainable: 128 * 52_000 + 52_000,
    ofBase: 6_708_000,
  },
  'lora, the chapter': { recipe: [{ lora: { at: mlp, rank: 16, alpha: 30 } }], trainable: 4 * 16 * (128 + 128) },
  'lora, all linear layers': {
    recipe: [{ lora: { at: '**', rank: 8 } }],
    trainable: 2 * 8 * (4 * (128 + 256) + 2 * (128 + 128)) + 8 * (128 + 52_000),
  },
  'lora, a rank of its own for one layer': {
    recipe: [{ lora: { at: mlp, rank: 16, rankPattern: { '**.c_proj': 4 } } }],
    trainable: 2 * 16 * 256 + 2 * 4 * 256,
  },
  'lora on the embedding': {
    recipe: [{ lora: { at: '**.token_embdgs', rank: 8 } }],
    trainable: 8 * (52_000 + 128),
  },
  'lora on an embedding and layers': {
    recipe: [{ lora: { at: ['**.token_embdgs', '**.c_proj'], rank: 4 } }],
    trainable: 4 * (52_000 + 128) + 2 * 4 * 256,
  },
  'lora, pissa': { recipe: [{ lora: { at: mlp, rank: 4, init: 'pissa' } }], trainable: 4 * 4 * 256 },
  'lora, olora': { recipe: [{ lora: { at: mlp, rank: 4, init: 'olora' } }], trainable: 4 * 4 * 256 },
  'qlora over nf4': {
    recipe: [{ quantize: { at: '**' } }, { lora: { at: mlp, rank: 16 } }],
    trainable: 4 * 16 * (128 + 128),
  },
  'qlora over int8': {
    recipe: [{ quantize: { at: '**', scheme: 'int8' } }, { lora: { at: mlp, rank: 16 } }],
    trainable: 4 * 16 * (128 + 128),
  },
  'lora over bf16': {
    recipe: [{ quantize: { at: '**', scheme: 'bf16' } }, { lora: { at: mlp, rank: 16 } }],
    trainable: 4 * 16 * (128 + 128),
  },
  'qlora, double quantisation': {
    recipe: [{ quantize: { at: '**', scheme: 'nf4', doubleQuant: true } }, { lora: { at: mlp, rank: 16 } }],
    trainable: 4 * 16 * (128 + 128),
  },
  dora: { recipe: [{ dora: { at: mlp, rank: 16 } }], trainable: 4 * (16 * 256 + 128) },
  adalora: { recipe: [{ adalora: { at: mlp, rank: 12 } }], trainable: 4 * (12 * 256 + 12) },
  loha: { recipe: [{ loha: { at: mlp, rank: 8 } }], trainable: 4 * 2 * 8 * 256 },
  // 128 = 8 · 16: kron of 8×8 and 16×16, and 8 < 16 / 2 is false, so both are full.
  'lokr, both factors full': { recipe: [{ lokr: { at: mlp, rank: 8 } }], trainable: 4 * (8 * 8 + 16 * 16) },
  'lokr, one factor of low rank': {
    recipe: [{ lokr: { at: mlp, rank: 4 } }],
    trainable: 4 * (8 * 8 + 4 * (16 + 16)),
  },
  // 128 = 8 · 16 and 256 = 16 · 16.
  'lokr on a layer that is not square': {
    recipe: [{ lokr: { at: '**.Wq', rank: 2 } }],
    trainable: 2 * (8 * 16 + 2 * (16 + 16)),
  },
  vera: { recipe: [{ vera: { at: mlp, rank: 256 } }], trainable: 4 * (128 + 256) },
  ia3: {
    recipe: [{ ia3: { at: ['**.Wk', '**.Wv', '**.c_proj'], inputs: '**.c_proj' } }],
    trainable: 2 * (256 + 256 + 128),
  },
  'ia3 without feed-forward layers': { recipe: [{ ia3: { at: ['**.Wk', '**.Wv'] } }], trainable: 2 * (256 + 256) },
  'ia3 at inputs only': { recipe: [{ ia3: { inputs: '**.c_proj' } }], trainable: 2 * 128 },
  // Blocks of 32: 128 / 32 blocks of 32 · 31 / 2 numbers.
  oft: { recipe: [{ oft: { at: mlp } }], trainable: 4 * 4 * ((32 * 31) / 2) },
  boft: { recipe: [{ boft: { at: mlp } }], trainable: 4 * ((128 / 4) * 4 * 4 + 128) },
  hra: { recipe: [{ hra: { at: mlp, rank: 8 } }], trainable: 4 * 8 * 128 },
  fourierft: { recipe: [{ fourierft: { at: mlp } }], trainable: 4 * 1000 },
  miss: { recipe: [{ miss: { at: mlp, rank: 8 } }], trainable: 4 * 8 * 128 },
  bitfit: { recipe: [{ bitfit: {} }], trainable: 2 * 128 + 52_000, ofBase: 52_256 },
  norms: { recipe: [{ norms: {} }], trainable: 5 * 128, ofBase: 640 },
  tokens: { recipe: [{ tokens: { ids: [0, 7, 51_999] } }], trainable: 3 * 128 },
  // AdapterHub's: down 128·b + b, up b·128 + 128, with b = 128 / reduction.
  'bottleneck, houlsby': {
    recipe: [{ bottleneck: { placement: 'houlsby', reduction: 16 } }],
    trainable: 4 * (2 * 128 * 8 + 8 + 128),
  },
  'bottleneck, pfeiffer': {
    recipe: [{ bottleneck: { placement: 'pfeiffer', reduction: 16 } }],
    trainable: 2 * (2 * 128 * 8 + 8 + 128),
  },
  'bottleneck, parallel': {
    recipe: [{ bottleneck: { placement: 'parallel', reduction: 2 } }],
    trainable: 2 * (2 * 128 * 64 + 64 + 128),
  },
  prompt: { recipe: [{ prompt: { length: 14 } }], trainable: 14 * 128 },
  'prompt from ids': { recipe: [{ prompt: { length: 14, init: { ids: [5, 6, 7] } } }], trainable: 14 * 128 },
  // Keys and values of two layers, each two heads of 128.
  prefix: { recipe: [{ prefix: { length: 14 } }], trainable: 14 * 2 * 2 * 256 },
  'prefix with a projection': {
    recipe: [{ prefix: { length: 14, projection: 64 } }],
    trainable: 14 * 128 + (128 * 64 + 64) + (64 * 1024 + 1024),
  },
  ptuning: {
    recipe: [{ ptuning: { length: 14, encoder: 'mlp', hidden: 96 } }],
    trainable: 14 * 128 + (128 * 96 + 96) + (96 * 96 + 96) + (96 * 128 + 128),
  },
  // Two layers, both directions, four gates each with two biases; then 2h → 2h → 128.
  'ptuning, lstm': {
    recipe: [{ ptuning: { length: 14, encoder: 'lstm', hidden: 64 } }],
    trainable:
      14 * 128 +
      2 * (4 * 64 * (128 + 64) + 8 * 64) +
      2 * (4 * 64 * (2 * 64 + 64) + 8 * 64) +
      (128 * 128 + 128) +
      (128 * 128 + 128),
  },
  'several at once': {
    recipe: [
      { quantize: { at: '**.mha' } },
      { lora: { at: '**.mha', rank: 2 } },
      { bottleneck: { placement: 'pfeiffer', reduction: 16 } },
      { prefix: { length: 4 } },
      { prompt: { length: 3 } },
      { norms: {} },
    ],
    trainable: 2 * 2 * 4 * (128 + 256) + 2 * (2 * 128 * 8 + 8 + 128) + 4 * 2 * 2 * 256 + 3 * 128 + 5 * 128,
    ofBase: 5 * 128,
  },
}

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-counts-'))
})

interface Counts {
  readonly parameters: number
  readonly trainable: number
  readonly frozen: number
  readonly bytesAtRest: number
}

const inspected = async (name: string, recipe: readonly object[]): Promise<Counts> => {
  const file = join(folder, `${name.replaceAll(/\W/g, '-')}.json`)
  await writeFile(file, JSON.stringify(recipe))
  return JSON.parse(await inspect(['--model', 'sllm', '--recipe', file, '--json'], false)) as Counts
}

describe('espalier inspect counts as PEFT does', () => {
  test.each(Object.entries(counts))('%s', async (name, { recipe, trainable, ofBase = 0 }) => {
    const found = await inspected(name, [{ freeze: {} }, ...recipe])
    expect(found).toMatchObject({ trainable, parameters: BASE + trainable - ofBase, frozen: BASE - ofBase })
  })
})

describe('bytes at rest', () => {
  const linear = 2 * (3 * 128 * 256 + 256 * 128 + 2 * 128 * 128) + 128 * 52_000
  const rest = 4 * (BASE - linear)

  test('dense weights take four bytes each', async () => {
    expect((await inspected('dense', [{ freeze: {} }])).bytesAtRest).toBe(4 * BASE)
  })

  // Half a byte a code, and an absmax of four bytes for each block of 64.
  test('nf4: 0.5625 bytes a weight', async () => {
    const { bytesAtRest } = await inspected('nf4', [{ quantize: { at: '**' } }])
    expect((bytesAtRest - rest) / linear).toBeCloseTo(0.5625, 4)
  })

  // One byte an absmax, and four for each 256 of them.
  test('nf4 with double quantisation: about 0.516', async () => {
    const { bytesAtRest } = await inspected('double', [{ quantize: { at: '**', doubleQuant: true } }])
    expect((bytesAtRest - rest) / linear).toBeLessThan(0.517)
    expect((bytesAtRest - rest) / linear).toBeGreaterThan(0.515)
  })

  test('an embedding, where a pattern names it', async () => {
    const { bytesAtRest } = await inspected('table', [{ quantize: { at: ['**.token_embdgs', '**.mlp'] } }])
    const packed = 52_000 * 128 + 4 * 128 * 128
    expect((bytesAtRest - 4 * (BASE - packed)) / packed).toBeCloseTo(0.5625, 4)
  })

  test('int8: about one byte a weight', async () => {
    const { bytesAtRest } = await inspected('int8', [{ quantize: { at: '**', scheme: 'int8' } }])
    expect((bytesAtRest - rest) / linear).toBeGreaterThan(1)
    expect((bytesAtRest - rest) / linear).toBeLessThan(1.04)
  })

  test.each(['bf16', 'f16'])('%s: two bytes a weight', async (scheme) => {
    const { bytesAtRest } = await inspected(scheme, [{ quantize: { at: '**', scheme } }])
    expect((bytesAtRest - rest) / linear).toBe(2)
  })
})
