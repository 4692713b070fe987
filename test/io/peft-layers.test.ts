import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  boft,
  count,
  fourierft,
  freeze,
  hra,
  ia3,
  key,
  leafPlaces,
  loha,
  lokr,
  mapLeaves,
  miss,
  oft,
  vera,
} from '../../src/index.ts'
import { isParam, withValue } from '../../src/index.ts'
import { loadPeft, loadPretrained, orThrow, savePeft } from '../../src/io/index.ts'
import { add, normal } from '../../src/ops/index.ts'
import { casesOf, fixture, outputOf } from './fixtures.ts'

const folder = async (): Promise<string> => join(await mkdtemp(join(tmpdir(), 'peft-')), 'adapter')

/** Trained parameters moved from where they begin, so that each has a say. */
const trained = (model: unknown): unknown =>
  mapLeaves(model, (leaf) =>
    isParam(leaf) && leaf.status === 'trainable'
      ? withValue(leaf, add(leaf.value, normal(key(leaf.label), leaf.value.shape, 0, 0.1)))
      : leaf,
  )

const at = ['**.q_proj', '**.down_proj']
const own: Readonly<Record<string, readonly [on: string, step: (model: never) => unknown]>> = {
  'ia3 without biases': [
    'llama',
    (m) => ia3.inputs.unchecked({ at: '**.down_proj' })(ia3.unchecked({ at: '**.q_proj' })(m)),
  ],
  'ia3.layers with biases': ['gpt2', ia3.layers.unchecked({ at: '**.c_attn' })],
  loha: ['llama', loha.unchecked({ at, rank: 3, alpha: 0.7, rankPattern: { '**.q_proj': 2 } })],
  'lokr of whole factors': ['llama', lokr.unchecked({ at, rank: 100, alpha: 0.7 })],
  'lokr of thin factors': ['llama', lokr.unchecked({ at, rank: 1, decomposeBoth: true, decomposeFactor: 8 })],
  'oft by size': ['llama', oft.unchecked({ at, blockSize: 4 })],
  'boft of two factors': ['llama', boft.unchecked({ at, blockSize: 4, factors: 2 })],
  hra: ['llama', hra.unchecked({ at, rank: 4 })],
  miss: ['llama', miss.unchecked({ at, rank: 4 })],
  'miss of narrow blocks': ['llama', miss.unchecked({ at, rank: 3, columns: 4 })],
  vera: ['gpt2', vera.unchecked({ at: ['**.c_attn', '**.mlp.c_proj'], rank: 4 })],
}

describe('what our transforms put on is written as PEFT has it, and read again as it was', () => {
  test.for(Object.entries(own))('%s', async ([, [on, step]]) => {
    const base = await orThrow(loadPretrained(fixture(`models/${on}`)))
    const model = trained(step(freeze(base.model) as never))
    const to = await folder()
    await orThrow(savePeft({ ...base, model }, to))
    const again = await orThrow(loadPeft(to, base))
    expect(count(again.model).trainable).toBe(count(model).trainable)
    expect(count(model).trainable).toBeGreaterThan(0)
    for (const one of await casesOf(`models/${on}`)) {
      const found = outputOf(again.model, one)
      const before = outputOf(model, one)
      expect(Math.max(...found.map((x, i) => Math.abs(x - (before[i] ?? Number.NaN))))).toBeLessThan(1e-5)
      expect(found).not.toEqual(outputOf(base.model, one))
    }
  })
})

const refusals: Readonly<Record<string, readonly [on: string, step: (model: never) => unknown, says: RegExp]>> = {
  'ia3 beside a bias': ['gpt2', ia3.unchecked({ at: '**.c_attn' }), /ia3\.layers/],
  'frequencies that no seed of PyTorch gives': [
    'gpt2',
    fourierft.unchecked({ at: '**.c_attn', frequencies: 5 }),
    /seed/,
  ],
  'LoHa on a Conv1D': ['gpt2', loha.unchecked({ at: '**.c_attn' }), /Conv1D/],
  'OFT of two sizes': [
    'llama',
    oft.unchecked({ at, blockSize: 4, blockSizePattern: { '**.down_proj': 10 } }),
    /blocks/,
  ],
  'HRA of two ranks': ['llama', hra.unchecked({ at, rank: 4, rankPattern: { '**.q_proj': 2 } }), /rank/],
}

describe('what PEFT has no words for is refused by name', () => {
  test.for(Object.entries(refusals))('%s', async ([, [on, step, says]]) => {
    const base = await orThrow(loadPretrained(fixture(`models/${on}`)))
    const found = await savePeft({ ...base, model: step(freeze(base.model) as never) }, await folder())()
    expect(
      found._tag === 'Left' && found.left.map((i) => `${i._tag} ${i.expected} ${i.found} ${i.hint}`).join(),
    ).toMatch(says)
  })

  test('RandLoRA without the bases it was trained with', async () => {
    const base = await orThrow(loadPretrained(fixture('models/llama')))
    const found = await loadPeft(fixture('peft/randlora-no-projection'), base)()
    expect(found).toMatchObject({ _tag: 'Left', left: [{ _tag: 'UnsupportedConfig' }] })
  })

  test('an adapter of a model of other sizes', async () => {
    const base = await orThrow(loadPretrained(fixture('models/mistral')))
    for (const name of [
      'oft-llama',
      'loha-llama',
      'miss-llama',
      'hra-llama',
      'boft-llama',
      'ia3-llama',
      'vera-llama',
    ]) {
      const found = await loadPeft(fixture(`peft/${name}`), base)()
      expect(found._tag, `${name} ${leafPlaces(base.model).length}`).toBe('Left')
    }
  })
})
