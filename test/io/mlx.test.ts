import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Model } from '../../src/index.ts'
import { count, dora, freeze, lora, pipe } from '../../src/index.ts'
import { loadMlx, loadPretrained, orThrow, readSafetensors, saveMlx } from '../../src/io/index.ts'
import type { Pretrained } from '../../src/io/index.ts'
import { casesOf, fixture, fixturesIn, json, outputOf, worstDifference } from './fixtures.ts'

const open = (name: string): Promise<Pretrained> => orThrow(loadPretrained(fixture(`models/${name}`)))
const scratch = async (): Promise<string> => join(await mkdtemp(join(tmpdir(), 'mlx-')), 'adapter')
const namesIn = async (folder: string): Promise<readonly string[]> =>
  [...(await orThrow(readSafetensors(join(folder, 'adapters.safetensors')))).tensors.keys()].toSorted()

describe('adapters compute what MLX-LM computes', () => {
  test.for(fixturesIn('mlx', 'expected.json'))('%s, and go through a file to the bit', async (name) => {
    const { model, trainable } = json(`mlx/${name}/expected.json`) as { model: string; trainable: number }
    const base = await open(model)
    const adapted = await orThrow(loadMlx(fixture(`mlx/${name}`), base))
    expect(count(adapted.model).trainable).toBe(trainable)
    const [one] = await casesOf(`mlx/${name}`)
    const found = outputOf(adapted.model, one!)
    expect(worstDifference(found, one!.expected['logits'] as Float32Array, one!)).toBeLessThan(1e-4)

    const again = await scratch()
    await orThrow(saveMlx(adapted, again))
    expect(await namesIn(again)).toEqual(await namesIn(fixture(`mlx/${name}`)))
    expect(outputOf((await orThrow(loadMlx(again, base))).model, one!)).toEqual(found)
  })
})

test('layers are counted from the last', async () => {
  const base = await open('gpt2')
  const folder = await scratch()
  const model = pipe(
    freeze(base.model),
    lora.unchecked({ at: 'transformer.h.1.attn.c_attn', rank: 2, alpha: 6, scaling: 'alpha/rank' }) as (
      model: unknown,
    ) => Model,
  )
  await orThrow(saveMlx({ ...base, model }, folder))
  expect(JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8'))).toEqual({
    fine_tune_type: 'lora',
    num_layers: 1,
    lora_parameters: { rank: 2, scale: 3, dropout: 0, keys: ['attn.c_attn'] },
  })
  expect(await namesIn(folder)).toEqual(['model.h.1.attn.c_attn.lora_a', 'model.h.1.attn.c_attn.lora_b'])
})

describe('is refused', () => {
  const issuesOf = async (
    change: (config: Record<string, unknown>) => object,
    model = 'llama',
  ): Promise<readonly string[]> => {
    const folder = await scratch()
    await cp(fixture('mlx/lora-last'), folder, { recursive: true })
    const path = join(folder, 'adapter_config.json')
    await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>)))
    const result = await loadMlx(folder, await open(model))()
    return result._tag === 'Left' ? result.left.map((i) => i._tag) : []
  }
  const said = (change: object) => (file: Record<string, unknown>) => ({
    ...file,
    lora_parameters: { ...(file['lora_parameters'] as object), ...change },
  })

  test('what MLX-LM itself would draw, drop or read otherwise', async () => {
    expect(await issuesOf((file) => ({ ...file, num_layers: 2 }))).toEqual(['MissingTensor'])
    expect(await issuesOf(said({ keys: ['self_attn.k_proj'] }))).toEqual(['ExtraTensor', 'ExtraTensor'])
    expect(await issuesOf(said({ rank: 3 }))).toEqual(['ShapeMismatch'])
    expect(await issuesOf(said({ alpha: 16 }))).toEqual(['UnsupportedConfig'])
    expect(await issuesOf(said({ keys: ['model.embed_tokens'] }))).toEqual(['NoMatch'])
    expect(await issuesOf((file) => ({ ...file, fine_tune_type: 'full' }))).toEqual(['UnsupportedAdapter'])
    expect(await issuesOf((file) => file, 'bert')).toEqual(['UnsupportedAdapter'])
  })

  test('what MLX-LM has no words for', async () => {
    const base = await open('gpt2')
    const at = (...steps: readonly unknown[]) =>
      steps.reduce((model, step) => (step as (m: unknown) => unknown)(model), freeze(base.model))
    const write = async (model: unknown): Promise<unknown> => {
      const result = await saveMlx({ ...base, model }, await scratch())()
      return result._tag === 'Left' ? result.left.map((i) => i._tag) : []
    }
    const on = (glob: string, rank = 2) => lora.unchecked({ at: glob, rank })
    expect(await write(at(on('transformer.h.0.attn.c_attn')))).toEqual(['UnsupportedAdapter'])
    expect(await write(at(on('**.c_attn'), on('**.c_fc', 3)))).toEqual(['UnsupportedAdapter'])
    expect(await write(at(on('**.c_attn'), dora.unchecked({ at: '**.c_fc', rank: 2 })))).toEqual(['UnsupportedAdapter'])
    expect(await write(freeze(base.model))).toEqual(['UnsupportedAdapter'])
    expect(await write(base.model)).toEqual(['UnsupportedAdapter'])
  })
})
