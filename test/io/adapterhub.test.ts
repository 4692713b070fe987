import { cp, mkdtemp, readFile, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bottleneck, count, detach, freeze, leaves, mapLeaves } from '../../src/index.ts'
import { loadAdapter, loadAdapterHub, loadPretrained, orThrow, saveAdapter } from '../../src/io/index.ts'
import { casesOf, fixture, fixturesIn, json, outputOf, worstDifference } from './fixtures.ts'

const about = (name: string) => json(`adapterhub/${name}/expected.json`) as { model: string; trainable: number }
const loaded = async (name: string) => {
  const base = await orThrow(loadPretrained(fixture(`models/${about(name).model}`)))
  return { base, adapted: await orThrow(loadAdapterHub(fixture(`adapterhub/${name}`), base)) }
}
const scratch = async (): Promise<string> => join(await mkdtemp(join(tmpdir(), 'hub-')), 'adapter')

// A factor for each feature: no bottleneck of ours has one.
const refused = ['channel']

describe('bottlenecks compute what AdapterHub computes', () => {
  test.for(fixturesIn('adapterhub', 'expected.json').filter((name) => !refused.includes(name)))('%s', async (name) => {
    const { base, adapted } = await loaded(name)
    expect(count(adapted.model).trainable).toBe(about(name).trainable)
    const cases = await casesOf(`adapterhub/${name}`)
    expect(cases.map((one) => one.name).toSorted()).toEqual(['left', 'plain', 'right'])
    for (const one of cases) {
      const found = outputOf(adapted.model, one)
      expect(worstDifference(found, one.expected['logits'] as Float32Array, one), one.name).toBeLessThan(1e-4)
      expect(outputOf(detach(adapted.model), one), `${one.name} without it`).toEqual(outputOf(base.model, one))
    }
  })
})

test.each([
  ['double-bert-seqcls', 'houlsby'],
  ['par-bert', 'parallel'],
] as const)('%s: our placement %s is where AdapterHub has it', async (name, placement) => {
  const { base, adapted } = await loaded(name)
  const ours = bottleneck({ placement, reduction: 4, name: 'task' })(freeze(base.model) as never)
  const stored = new Map(leaves(adapted.model).map((leaf) => [leaf.label, leaf]))
  expect(mapLeaves(ours, ({ label }) => stored.get(label) as never)).toEqual(adapted.model)
})

test('one goes through a file of our own, to the bit', async () => {
  const { base, adapted } = await loaded('learned-bert')
  const path = await scratch()
  await orThrow(saveAdapter(adapted.model as never, path))
  const again: unknown = await orThrow(loadAdapter(freeze(base.model) as never, path) as never)
  const [one] = await casesOf('adapterhub/learned-bert')
  expect(outputOf(again, one!)).toEqual(outputOf(adapted.model, one!))
})

describe('is refused by name', () => {
  const issuesOf = async (
    change: (config: Record<string, unknown>) => object,
    model = 'bert',
  ): Promise<readonly string[]> => {
    const folder = await scratch()
    await cp(fixture('adapterhub/seq-bert'), folder, { recursive: true })
    const path = join(folder, 'adapter_config.json')
    await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>)))
    const result = await loadAdapterHub(folder, await orThrow(loadPretrained(fixture(`models/${model}`))))()
    return result._tag === 'Left' ? result.left.map((i) => `${i._tag} ${i.path.split('#')[1] ?? ''}`) : []
  }
  const own = (change: object) => (file: Record<string, unknown>) => ({
    ...file,
    config: { ...(file['config'] as object), ...change },
  })

  test.each([
    ['inv_adapter', 'nice'],
    ['phm_layer', true],
    ['use_gating', true],
    ['ln_after', true],
    ['stochastic_depth', 0.1],
    ['something_new', 3],
  ])('%s', async (name, value) => {
    expect(await issuesOf(own({ [name]: value }))).toEqual([`UnsupportedConfig config.${name}`])
  })

  test('other methods, versions, models and non-linearities', async () => {
    expect(await issuesOf(own({ architecture: 'prefix_tuning' }))).toEqual(['UnsupportedAdapter config.architecture'])
    expect(await issuesOf(own({ non_linearity: 'gelu_new' }))).toEqual(['BadConfig config.non_linearity'])
    expect(await issuesOf(own({ original_ln_after: false }))).toEqual(['BadConfig config.original_ln_after'])
    expect(await issuesOf(own({ scaling: 'channel' }))).toEqual(['BadConfig config.scaling'])
    expect(await issuesOf((file) => ({ ...file, version: '3.2.1' }))).toEqual(['UnsupportedAdapter version'])
    expect(await issuesOf((file) => file, 'gpt2')).toEqual(['UnsupportedAdapter model_type'])
    expect(await issuesOf(own({ mh_adapter: true }))).toEqual([
      expect.stringMatching(
        /^MissingTensor .*encoder\.layer\.0\.attention\.output\.adapters\.task\.adapter_down\.0\.bias$/,
      ),
    ])
    expect(await issuesOf(own({ leave_out: [0] }))).toEqual(Array(4).fill(expect.stringMatching(/^ExtraTensor /)))
  })

  test('a pickle', async () => {
    const folder = await scratch()
    await cp(fixture('adapterhub/seq-bert'), folder, { recursive: true })
    await rename(join(folder, 'adapter.safetensors'), join(folder, 'pytorch_adapter.bin'))
    const result = await loadAdapterHub(folder, await orThrow(loadPretrained(fixture('models/bert'))))()
    expect(result).toMatchObject({ _tag: 'Left', left: [{ _tag: 'UnsupportedFile' }] })
  })
})
