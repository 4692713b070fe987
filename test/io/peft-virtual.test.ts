import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freeze, gpt2, key, lora, pipe, prefix, prompt, ptuning } from '../../src/index.ts'
import type { Bert, Model } from '../../src/index.ts'
import { loadPeft, loadPretrained, orThrow, readSafetensors, savePeft } from '../../src/io/index.ts'
import type { Pretrained } from '../../src/io/index.ts'
import { attentionSizes } from '../../src/transform/attention-sizes.ts'
import { tensor } from '../../src/ops/index.ts'
import { idsOf, numbers } from '../support.ts'
import { fixture } from './fixtures.ts'

const open = (name: string): Promise<Pretrained> => orThrow(loadPretrained(fixture(`models/${name}`)))
const scratch = async (): Promise<string> => join(await mkdtemp(join(tmpdir(), 'virtual-')), 'adapter')

/** What is wrong with a fixture whose configuration was changed. */
const issuesOf = async (name: string, base: string, change: object): Promise<readonly string[]> => {
  const folder = await scratch()
  await cp(fixture(`peft/${name}`), folder, { recursive: true })
  const path = join(folder, 'adapter_config.json')
  const config = JSON.parse(await readFile(path, 'utf8')) as object
  await writeFile(path, JSON.stringify({ ...config, ...change }))
  const result = await loadPeft(folder, await open(base))()
  return result._tag === 'Left' ? result.left.map((i) => `${i._tag} ${i.path.split('#')[1] ?? ''}`) : []
}

describe('attention layers tell the sizes of a prefix', () => {
  test.each(['gpt2', 'bert', 'distilbert', 'roberta', 'llama', 'gemma', 'gemma2', 'qwen3'])('%s', async (name) => {
    const { model, config } = await open(name)
    const either = (...names: readonly string[]): number | undefined =>
      names.map((n) => config[n]).find((value): value is number => typeof value === 'number')
    const queries = either('num_attention_heads', 'n_head', 'n_heads') ?? 0
    const hidden = either('hidden_size', 'n_embd', 'dim') ?? 0
    const heads = either('num_key_value_heads') ?? queries
    const width = heads * (either('head_dim') ?? hidden / queries)
    const layers = either('num_hidden_layers', 'n_layer', 'n_layers')
    expect(attentionSizes(model)).toEqual({ layers, heads, width, row: width })
  })
})

describe('a prefix on a model whose positions are given', () => {
  const base = freeze(gpt2.init({ vocab_size: 20, n_positions: 12, n_embd: 8, n_layer: 2, n_head: 2 }, key(0)))
  const ids = idsOf([[1, 2, 3]])

  test('stands before them: positions of the text alone are those that nobody has to give', () => {
    const tuned = prefix({ length: 4 })(base)
    const given = { ids, positions: idsOf([[0, 1, 2]]) }
    expect(numbers(() => gpt2.apply(tuned, given))).toEqual(numbers(() => gpt2.apply(tuned, ids)))
    const later = { ids, positions: idsOf([[2, 3, 4]]) }
    expect(numbers(() => gpt2.apply(tuned, later))).not.toEqual(numbers(() => gpt2.apply(tuned, ids)))
  })

  test('leaves hidden what a past of the caller’s own hides, whatever the type of the mask', () => {
    const tuned = prefix({ length: 2 })(base)
    const part = (seen: number) => {
      const values = tensor(
        [3, 1, 4, 1, 5, 9, 2, 6].map((v) => v * seen),
        [1, 2, 1, 4],
      )
      return { length: 1, layers: [1, 2].map(() => ({ keys: values, values })), mask: idsOf([[0]]) }
    }
    expect(numbers(() => gpt2.apply(tuned, ids, { past: part(1) }))).toEqual(
      numbers(() => gpt2.apply(tuned, ids, { past: part(-1) })),
    )
  })
})

describe('what a file lost is said', () => {
  test.each([
    ['ptuning-gpt2', /encoder/],
    ['prefix-projection-gpt2', /projection/],
  ])('%s', async (name, lost) => {
    expect((await orThrow(loadPeft(fixture(`peft/${name}`), await open('gpt2')))).lost).toMatch(lost)
  })

  test('and nothing where nothing was', async () => {
    const whole = await orThrow(loadPeft(fixture('peft/prefix-gpt2'), await open('gpt2')))
    expect('lost' in whole).toBe(false)
  })

  test('nor of an adapter that was put on before', async () => {
    const before = await orThrow(loadPeft(fixture('peft/ptuning-gpt2'), await open('gpt2')))
    const { model } = await open('gpt2')
    expect('lost' in (await orThrow(loadPeft(fixture('peft/prefix-gpt2'), { ...before, model })))).toBe(false)
  })
})

describe('is written as PEFT would', () => {
  const written = async (base: Pretrained, model: unknown) => {
    const folder = await scratch()
    await orThrow(savePeft({ ...base, model }, folder))
    const { tensors } = await orThrow(readSafetensors(join(folder, 'adapter_model.safetensors')))
    const config = JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
    return { names: [...tensors.keys()].toSorted(), shape: tensors.get('prompt_embeddings')?.shape, config }
  }

  test('an encoder by the rows it makes and by its sizes', async () => {
    const base = await open('gpt2')
    const step = ptuning({ length: 3, encoder: 'lstm', hidden: 5, layers: 3 })
    const { config, shape } = await written(base, step(freeze(base.model) as never))
    expect(shape).toEqual([3, 32])
    expect(config).toMatchObject({
      peft_type: 'P_TUNING',
      num_virtual_tokens: 3,
      token_dim: 32,
      encoder_reparameterization_type: 'LSTM',
      encoder_hidden_size: 5,
      encoder_num_layers: 3,
    })
  })

  test('a projection by the keys and values that it makes', async () => {
    const base = await open('llama')
    const { config, shape } = await written(base, prefix({ length: 3, projection: 5 })(freeze(base.model) as Model))
    expect(shape).toEqual([3, 96])
    expect(config).toMatchObject({
      token_dim: 24,
      num_attention_heads: 2,
      prefix_projection: true,
      encoder_hidden_size: 5,
    })
  })

  test('a head that was trained beside, by the names in files of PEFT', async () => {
    const base = await open('roberta-seqcls')
    const tuned = await orThrow(loadPeft(fixture('peft/prompt-seqcls-roberta'), base))
    const { names, config } = await written(base, tuned.model)
    const { tensors } = await orThrow(
      readSafetensors(join(fixture('peft/prompt-seqcls-roberta'), 'adapter_model.safetensors')),
    )
    expect(names).toEqual([...tensors.keys()].toSorted())
    expect(config['modules_to_save']).toEqual(['classifier'])
  })
})

describe('is refused', () => {
  test('what configuration and model say otherwise', async () => {
    expect(await issuesOf('prompt-gpt2', 'gpt2', { num_virtual_tokens: 4 })).toEqual([
      'ShapeMismatch num_virtual_tokens',
    ])
    expect(await issuesOf('prompt-gpt2', 'gpt2', { num_transformer_submodules: 2 })).toEqual([
      'UnsupportedConfig num_transformer_submodules',
    ])
    expect(await issuesOf('prefix-gpt2', 'gpt2', { num_layers: 3 })).toEqual(['ShapeMismatch num_layers'])
    expect(await issuesOf('prefix-llama', 'llama', { num_attention_heads: 4 })).toEqual([
      'ShapeMismatch num_attention_heads',
    ])
    expect(await issuesOf('prefix-llama', 'gpt2', {})).toContain('ShapeMismatch num_attention_heads')
  })

  test('a prefix on a classifier, which PEFT cannot run, both ways', async () => {
    expect(await issuesOf('prefix-gpt2', 'gpt2-seqcls', {})).toEqual(['UnsupportedAdapter task_type'])
    const base = await open('gpt2-seqcls')
    const model = prefix({ length: 2 })(freeze(base.model) as Model)
    const result = await savePeft({ ...base, model }, await scratch())()
    expect(result).toMatchObject({ _tag: 'Left', left: [{ _tag: 'UnsupportedAdapter' }] })
  })

  test('virtual tokens beside something else', async () => {
    const base = await open('gpt2')
    const model = pipe(freeze(base.model) as never, lora({ at: '**.c_fc', rank: 2 }), prompt({ length: 2 }))
    const result = await savePeft({ ...base, model }, await scratch())()
    expect(result).toMatchObject({ _tag: 'Left', left: [{ _tag: 'UnsupportedAdapter' }] })
  })
})

test('segments are given no prompt: words alone are', async () => {
  const { model } = await open('bert')
  const tuned = prompt.unchecked({ at: '**', length: 2 })(model as Bert)
  expect(tuned).toMatchObject({
    embeddings: { word_embeddings: { _tag: 'Prompted' }, token_type_embeddings: { _tag: 'Segments' } },
  })
})
