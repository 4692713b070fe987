import type { Gpt2Config } from '../../src/index.ts'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  count,
  dora,
  freeze,
  gpt2,
  isParam,
  key,
  leaves,
  lora,
  merge,
  pipe,
  places,
  unfreeze,
} from '../../src/index.ts'
import type { Issue, Lora } from '../../src/index.ts'
import {
  loadPeft,
  loadPretrained,
  orThrow,
  readSafetensors,
  savePeft,
  savePretrained,
  writeSafetensors,
} from '../../src/io/index.ts'
import type { PeftModel, Pretrained, StoredTensor } from '../../src/io/index.ts'
import type { HubConfig } from '../../src/model/hub-config.ts'
import { replaceAt } from '../../src/tree/walk.ts'
import { memory, reshape, transpose } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { casesOf, fixture, fixturesIn, json, outputOf, worstDifference } from './fixtures.ts'

const types = ['LORA', 'ADALORA', 'TRAINABLE_TOKENS', 'LN_TUNING']
const detailsOf = (name: string) => json(`peft/${name}/expected.json`)
const isRead = (name: string): boolean =>
  types.includes(String(detailsOf(name)['type'])) && !String(detailsOf(name)['options']).includes('to be refused')
const all = fixturesIn('peft', 'expected.json').filter(isRead)

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'peft-lora-'))
const baseOf = (name: string): Promise<Pretrained> =>
  orThrow(loadPretrained(fixture(`models/${String(detailsOf(name)['model'])}`)))
const onBase = async (name: string): Promise<readonly [Pretrained, PeftModel]> => {
  const base = await baseOf(name)
  return [base, await orThrow(loadPeft(fixture(`peft/${name}`), base))]
}

/** The greatest difference from what PEFT computes, over all inputs of a fixture. */
const distance = async (name: string, model: unknown): Promise<number> => {
  const found = (await casesOf(`peft/${name}`)).map((one) =>
    worstDifference(outputOf(model, one), (one.expected['logits'] ?? one.expected['last_hidden_state'])!, one),
  )
  return Math.max(...found)
}

describe('an adapter that was loaded is saved as it came', () => {
  test.for(all)('%s', async (name) => {
    const [, adapted] = await onBase(name)
    const [one, two] = [await folder(), await folder()]
    await orThrow(savePeft(adapted, one))
    await orThrow(savePeft(adapted, two))
    expect(JSON.parse(await readFile(join(one, 'adapter_config.json'), 'utf8'))).toEqual(adapted.adapter)
    for (const file of ['adapter_config.json', 'adapter_model.safetensors'])
      expect((await readFile(join(one, file))).equals(await readFile(join(two, file))), file).toBe(true)
    const before = await orThrow(readSafetensors(fixture(`peft/${name}/adapter_model.safetensors`)))
    const after = await orThrow(readSafetensors(join(one, 'adapter_model.safetensors')))
    // Halves come back as the float32 that they were widened to.
    const stored = [...before.tensors].filter(([key, { dtype }]) => after.tensors.has(key) && dtype === 'F32')
    expect(stored.map(([key]) => [key, pick(after.tensors.get(key))])).toEqual(
      stored.map(([key, value]) => [key, pick(value)]),
    )
    expect(stored.length).toBe(name === 'lora-bf16' ? 0 : after.tensors.size)
  })
})

const pick = (stored?: StoredTensor) => ({ shape: stored?.shape, data: stored?.data })

describe('an adapter without a configuration gets one that says the same', () => {
  test.for(all)('%s', async (name) => {
    const [base, { adapter, ...adapted }] = await onBase(name)
    const path = await folder()
    await orThrow(savePeft(adapted, path))
    const again = await orThrow(loadPeft(path, base))
    // What began from a part of the base is written as a change of twice the rank.
    const isConverted = ['pissa', 'olora'].includes(String(adapter['init_lora_weights'])) && !name.endsWith('converted')
    expect(count(again.model).trainable).toBe(count(adapted.model).trainable * (isConverted ? 2 : 1))
    for (const one of await casesOf(`peft/${name}`))
      expect(worstDifference(outputOf(again.model, one), outputOf(adapted.model, one), one)).toBeLessThan(2e-5)
    const keys = Object.keys(again.adapter)
    expect(keys).toEqual(keys.toSorted())
    const isOld = adapter['peft_version'] === undefined
    expect(isOld ? [] : keys).toEqual(isOld ? [] : Object.keys(adapter).toSorted())
  })
})

test('the base stays the very object it was, and only what the adapter brings is trainable', async () => {
  const [base, { model }] = await onBase('lora-bias-all-gpt2')
  const before = new Set(leaves(base.model).map((leaf) => leaf.value))
  const own = leaves(model).filter((leaf) => isParam(leaf) && leaf.status === 'trainable')
  expect(own.every(({ value }) => !before.has(value))).toBe(true)
  expect(leaves(model).filter(({ value }) => before.has(value)).length).toBeGreaterThan(10)
  expect(leaves(base.model).every((leaf) => isParam(leaf) && leaf.status === 'trainable')).toBe(true)
  const frozen = { ...base, model: freeze(base.model) }
  const again = await orThrow(loadPeft(fixture('peft/lora-gpt2'), frozen))
  const [was, now] = [frozen.model, again.model].map(
    (tree) => new Map([...places(tree)].map(({ node, path, route }) => [`${path.join('.')}|${route.length}`, node])),
  )
  const same = (path: string, there: number, here = there) =>
    expect(now?.get(`${path}|${here}`), path).toBe(was?.get(`${path}|${there}`) ?? 'nothing')
  same('transformer.ln_f', 2)
  same('transformer.h.0.attn.c_attn.weight', 6, 7)
})

describe('what is merged is a checkpoint that computes the same', () => {
  test.for([
    'lora-head-tied',
    'lora-tied-ensured',
    'lora-tokens-tied',
    'tokens-tied',
    'lora-bias-factor-gpt2',
    'lora-dora-gpt2',
  ])('%s', async (name) => {
    const [base, { model }] = await onBase(name)
    const path = await folder()
    const plain = { ...base, model: merge(model) }
    const live = memory().tensors
    await orThrow(savePretrained(plain, path))
    expect(memory().tensors).toBe(live)
    const merged = await orThrow(loadPretrained(path))
    expect(await distance(name, merged.model)).toBeLessThan(1e-4)
    const isParted = name === 'lora-head-tied' || name === 'lora-tied-ensured'
    expect(merged.config['tie_word_embeddings'] === false).toBe(isParted)
  })
})

type Change = (config: Record<string, unknown>, tensors: Map<string, StoredTensor>) => void

/** The fixture with something changed, in a folder of its own. */
const changed = async (name: string, change: Change): Promise<string> => {
  const config = { ...json(`peft/${name}/adapter_config.json`) }
  const { tensors } = await orThrow(readSafetensors(fixture(`peft/${name}/adapter_model.safetensors`)))
  const own = new Map(tensors)
  change(config, own)
  const path = join(await folder(), name)
  await mkdir(path)
  await writeFile(join(path, 'adapter_config.json'), JSON.stringify(config))
  await orThrow(writeSafetensors(join(path, 'adapter_model.safetensors'), own))
  return path
}

const issuesOf = async (name: string, change: Change, base?: Pretrained): Promise<readonly Issue[]> => {
  const path = await changed(name, change)
  const on = base ?? (await baseOf(name))
  const live = memory().tensors
  const result = await loadPeft(path, on)()
  if (result._tag === 'Right') throw new Error('it was read')
  expect(memory().tensors, 'a failed load leaves nothing').toBe(live)
  return result.left
}

const first = 'base_model.model.transformer.h.0.attn.c_attn.lora_A.weight'
const set =
  (more: Readonly<Record<string, unknown>>): Change =>
  (config) =>
    void Object.assign(config, more)

describe('what cannot be read as it was meant is refused by name', () => {
  test.for<readonly [place: string, tag: string, change: Change, fixture?: string]>([
    ['peft_type', 'UnsupportedAdapter', set({ peft_type: 'LOTTERY' })],
    ['peft_type', 'UnsupportedAdapter', set({ peft_type: 7 })],
    ['task_type', 'BadConfig', set({ task_type: 'POETRY' })],
    ['r', 'BadConfig', set({ r: 0 })],
    ['r', 'BadConfig', set({ r: '4' })],
    ['lora_alpha', 'BadConfig', set({ lora_alpha: 'much' })],
    ['rank_pattern', 'BadConfig', set({ rank_pattern: { c_attn: 1.5 } })],
    ['bias', 'BadConfig', set({ bias: 'some' })],
    ['use_qalora', 'UnsupportedConfig', set({ use_qalora: true })],
    ['alora_invocation_tokens', 'UnsupportedConfig', set({ alora_invocation_tokens: [1, 2] })],
    ['layer_replication', 'UnsupportedConfig', set({ layer_replication: [[0, 1]] })],
    ['kasa_config', 'UnsupportedConfig', set({ kasa_config: { beta: 1 } })],
    ['use_bdlora', 'UnsupportedConfig', set({ use_bdlora: { blocks: 2 } })],
    ['lora_temper', 'UnsupportedConfig', set({ lora_temper: 2 })],
    ['init_lora_weights', 'UnsupportedAdapter', set({ init_lora_weights: 'loftq' })],
    ['init_lora_weights', 'UnsupportedAdapter', set({ init_lora_weights: 'pissa_niter_4' })],
    ['init_lora_weights', 'UnsupportedAdapter', set({ init_lora_weights: 'olora' })],
    ['target_parameters', 'UnsupportedAdapter', set({ target_parameters: ['experts.down'], target_modules: [] })],
    ['target_modules', 'NoMatch', set({ target_modules: ['q_proj'] })],
    ['target_modules', 'NoMatch', set({ target_modules: null })],
    ['target_modules', 'NotATarget', set({ target_modules: '.*attn' })],
    ['target_modules', 'BadPattern', set({ target_modules: '(c_attn' })],
    ['target_modules', 'BadPattern', set({ target_modules: '(?>c_attn)' })],
    ['target_modules', 'BadPattern', set({ target_modules: '^(([a-z_.0-9])+)+!$' })],
    ['exclude_modules', 'BadPattern', set({ exclude_modules: '[' })],
    ['rank_pattern', 'BadPattern', set({ rank_pattern: { '*': 2 } })],
    ['modules_to_save', 'NoMatch', set({ modules_to_save: ['classifier'] })],
    ['trainable_token_indices', 'BadConfig', set({ trainable_token_indices: [1, 1] })],
    ['trainable_token_indices', 'BadConfig', set({ trainable_token_indices: { wte: [64] } })],
    ['trainable_token_indices', 'NoMatch', set({ trainable_token_indices: { nope: [3] } })],
    [first, 'MissingTensor', (_, tensors) => void tensors.delete(first)],
    [first, 'ShapeMismatch', set({ r: 5 })],
    [
      first,
      'NonFinite',
      (_, tensors) =>
        void tensors.set(first, { dtype: 'F32', shape: [4, 32], data: new Float32Array(128).fill(Number.NaN) }),
    ],
    [
      first,
      'NonFinite',
      (_, tensors) => void tensors.set(first, { dtype: 'I32', shape: [4, 32], data: new Int32Array(128) }),
    ],
    [
      'base_model.model.transformer.h.7.attn.c_attn.lora_A.weight',
      'ExtraTensor',
      (_, tensors) =>
        void tensors.set(
          'base_model.model.transformer.h.7.attn.c_attn.lora_A.weight',
          tensors.get(first) as StoredTensor,
        ),
    ],
    [
      'base_model.model.transformer.wte.weight',
      'OtherBase',
      (_, tensors) =>
        void tensors.set('base_model.model.transformer.wte.weight', {
          dtype: 'F32',
          shape: [64, 32],
          data: new Float32Array(2048),
        }),
    ],
    [
      'base_model.model.transformer.wte.weight',
      'OtherBase',
      (_, tensors) =>
        void tensors.set('base_model.model.transformer.wte.weight', {
          dtype: 'F32',
          shape: [65, 32],
          data: new Float32Array(65 * 32),
        }),
    ],
    ['rank_pattern', 'BadConfig', set({ rank_pattern: { 'h.9.lora_E': [true] } }), 'adalora-gpt2'],
    ['target_modules', 'NotATarget', set({ target_modules: ['wte'] }), 'adalora-gpt2'],
    ['target_modules', 'NoMatch', set({ target_modules: ['norm_of_nothing'] }), 'norms-gpt2'],
    ['token_indices', 'BadConfig', set({ token_indices: [-1] }), 'tokens-gpt2'],
  ])('%s: %s', async ([place, tag, change, name = 'lora-gpt2']) => {
    const [issue] = await issuesOf(name, change)
    expect([issue?._tag, issue?.path.endsWith(`#${place}`), issue?.hint !== '']).toEqual([tag, true, true])
    expect(issue?.path).toMatch(/adapter_(config\.json|model\.safetensors)#/)
  })

  test('layers repeated', async () => {
    const [issue] = await issuesOf('lora-replication', () => {})
    expect(issue?.path).toMatch(/#layer_replication$/)
  })

  test('a base of another depth, and one of another width', async () => {
    const config: HubConfig = json('models/gpt2/config.json')
    const other = (more: Readonly<Record<string, unknown>>): Pretrained => ({
      family: 'gpt2',
      task: 'causal-lm',
      config: { ...config, ...more },
      model: gpt2.init({ ...config, ...more } as Partial<Gpt2Config>, key(0)),
    })
    const [shallow, deep, wide] = await Promise.all(
      [other({ n_layer: 1 }), other({ n_layer: 3 }), other({ n_embd: 64 })].map(async (base) => {
        const result = await loadPeft(fixture('peft/lora-gpt2'), base)()
        return result._tag === 'Left' ? result.left.map(({ _tag }) => _tag) : ['read']
      }),
    )
    expect([...new Set(shallow)]).toEqual(['ExtraTensor'])
    expect([deep, wide]).toEqual([['MissingTensor'], ['ShapeMismatch']])
    const llama = await orThrow(loadPretrained(fixture('models/llama')))
    expect((await issuesOf('lora-gpt2', () => {}, llama)).map(({ _tag }) => _tag)).toEqual(['NoMatch'])
  })

  test('a hundred thousand patterns end in time', async () => {
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`h.${i}.attn.c_attn`, 4]))
    const path = await changed('lora-gpt2', set({ rank_pattern: many }))
    const start = performance.now()
    await loadPeft(path, await baseOf('lora-gpt2'))()
    expect(performance.now() - start).toBeLessThan(20_000)
  })
})

describe('what PEFT has no word for is not written', () => {
  const written = async (model: unknown): Promise<readonly string[]> => {
    const base = await baseOf('lora-gpt2')
    const result = await savePeft({ ...base, model }, join(await folder(), 'none'))()
    return result._tag === 'Left' ? result.left.map(({ _tag, path }) => `${_tag} ${path}`) : ['written']
  }
  test('each refused by the leaf it is about', async () => {
    const model = freeze((await baseOf('lora-gpt2')).model) as never
    const c_attn = (i: number): string => `transformer.h.${i}.attn.c_attn`
    const tuned = lora.unchecked({ at: '**.c_attn', rank: 2 })(model)
    expect(await written(tuned)).toEqual(['written'])
    expect(await written(model)).toEqual(['UnsupportedAdapter '])
    const mixed = pipe(tuned, dora.unchecked({ at: '**.c_fc', rank: 2 }))
    expect(await written(mixed)).toEqual(['UnsupportedAdapter transformer.h.0.mlp.c_fc'])
    const part = unfreeze.only.unchecked({ at: `transformer.h.1.mlp.c_fc.weight` })(tuned)
    expect(await written(part)).toEqual(['UnsupportedAdapter transformer.h.1.mlp.c_fc.weight'])
    const under = unfreeze.only.unchecked({ at: `${c_attn(1)}.weight` })(tuned)
    expect(await written(under)).toEqual([`UnsupportedAdapter ${c_attn(1)}.weight`])
  })
  test('alpha alone, ranks that differ and a head trained in full come back as they are', async () => {
    const base = await orThrow(loadPretrained(fixture('models/gpt2-seqcls')))
    const at = ['**.c_attn', '**.c_fc']
    const tuned = pipe(
      freeze(base.model) as never,
      lora.unchecked({ at, rank: 2, alpha: 0.3, rankPattern: { '**.c_fc': 3 }, init: 'random' }),
      unfreeze.only.unchecked({ at: 'score' }) as never,
    )
    const path = await folder()
    await orThrow(savePeft({ ...base, model: tuned }, path))
    const again = await orThrow(loadPeft(path, base))
    expect(again.adapter).toMatchObject({
      r: 2,
      modules_to_save: ['score'],
      target_modules: ['c_attn', 'c_fc'],
      fan_in_fan_out: true,
      task_type: 'SEQ_CLS',
    })
    expect(Object.keys(again.adapter['rank_pattern'] as object)).toEqual([
      'transformer.h.0.mlp.c_fc',
      'transformer.h.1.mlp.c_fc',
    ])
    expect(count(again.model)).toEqual(count(tuned))
    for (const one of await casesOf('peft/lora-seqcls-gpt2'))
      expect(worstDifference(outputOf(again.model, one), outputOf(tuned, one), one)).toBeLessThan(1e-5)
  })
})

describe('each mistake that a reader of such files might make shows in the fixtures', () => {
  const broken: Readonly<Record<string, (node: Lora) => unknown>> = {
    'alpha not divided by the rank': (node) => ({ ...node, scaling: 'alpha' }),
    'the rank of others': (node) => ({ ...node, alpha: node.alpha * 1.75 }),
    'A read row by row where it lies by column': (node) => ({
      ...node,
      a: { ...node.a, value: turned(node.a.value) },
    }),
    'no adapter at all': (node) => node.base,
  }
  const turned = (value: Tensor): Tensor => reshape(transpose(value), value.shape)
  test.for(Object.keys(broken))('%s', async (mistake) => {
    const [, { model }] = await onBase('lora-patterns')
    const edits = [...places(model)].flatMap(({ node, route }) =>
      (node as { _tag?: string })._tag === 'Lora' ? [{ route, value: broken[mistake]!(node as never) }] : [],
    )
    expect(edits.length).toBeGreaterThan(3)
    expect(await distance('lora-patterns', model)).toBeLessThan(1e-4)
    expect(await distance('lora-patterns', replaceAt(model, edits))).toBeGreaterThan(1e-2)
  })
})
