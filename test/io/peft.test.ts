import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Model } from '../../src/index.ts'
import { bake, count, families, freeze, merge, prefix, ptuning } from '../../src/index.ts'
import { loadPeft, loadPretrained, orThrow, savePeft } from '../../src/io/index.ts'
import { peftMethods } from '../../src/io/peft/methods.ts'
import type { PeftModel } from '../../src/io/index.ts'
import type { Case } from './fixtures.ts'
import { casesOf, fixture, fixturesIn, json, outputOf, worstDifference } from './fixtures.ts'

interface Expected {
  readonly model: string
  readonly type: string
  readonly trainable: number
  readonly mergeable: boolean
  readonly options: string
}

const expectedOf = (name: string): Expected => json(`peft/${name}/expected.json`) as never
const known = new Set(families.flatMap(({ modelTypes }) => modelTypes))
const refused = ['randlora-no-projection']
const all = fixturesIn('peft', 'expected.json').filter((name) => {
  if (refused.includes(name)) return false
  const { model, type } = expectedOf(name)
  return (
    known.has(String(json(`models/${model}/config.json`)['model_type'])) && peftMethods.some((m) => m.type === type)
  )
})

/** How many numbers were trained: where the file holds less than that, with what our own transform would train for it. */
const trainedFor = ({ model, adapter, lost }: PeftModel, base: unknown): number => {
  const here = count(model).trainable
  if (lost === undefined) return here
  const { peft_type, num_virtual_tokens, encoder_hidden_size, ...config } = adapter
  const [length, hidden] = [Number(num_virtual_tokens), Number(encoder_hidden_size)]
  const encoder = String(config['encoder_reparameterization_type']).toLowerCase() as 'mlp' | 'lstm'
  const layers = encoder === 'lstm' ? { layers: Number(config['encoder_num_layers']) } : {}
  const frozen = freeze(base as Model)
  const encoded =
    peft_type === 'P_TUNING'
      ? ptuning.unchecked({ at: '**', length, hidden, encoder, ...layers })(frozen)
      : prefix({ length, projection: hidden })(frozen)
  return here - count(bake(encoded)).trainable + count(encoded).trainable
}

/** A case as PEFT gives it to a model without a head: virtual tokens have no segment there, and so no token has one. */
const asGiven = (one: Case, { adapter }: PeftModel): Case => {
  const { token_type_ids: _, ...input } = one.input
  return 'num_virtual_tokens' in adapter && adapter['task_type'] === 'FEATURE_EXTRACTION' ? { ...one, input } : one
}

describe('adapters compute what PEFT computes', () => {
  test.for(all)('%s', async (name) => {
    const { model: base, trainable, mergeable } = expectedOf(name)
    const pretrained = await orThrow(loadPretrained(fixture(`models/${base}`)))
    const adapted = await orThrow(loadPeft(fixture(`peft/${name}`), pretrained))
    expect(trainedFor(adapted, pretrained.model)).toBe(trainable)
    const again = join(await mkdtemp(join(tmpdir(), 'peft-')), 'again')
    await orThrow(savePeft(adapted, again))
    const reread = await orThrow(loadPeft(again, pretrained))
    for (const whole of await casesOf(`peft/${name}`)) {
      const one = asGiven(whole, adapted)
      const wanted = one.expected['logits'] ?? one.expected['last_hidden_state']
      expect(wanted, one.name).toBeDefined()
      const found = outputOf(adapted.model, one)
      expect(worstDifference(found, wanted as Float32Array, one), one.name).toBeLessThan(1e-4)
      expect(outputOf(reread.model, one), `${one.name} after a round trip`).toEqual(found)
      const merged = one.expected['merged']
      expect(merged !== undefined, 'PEFT merges it').toBe(mergeable)
      const apart = merged === undefined ? 0 : worstDifference(outputOf(merge(adapted.model), one), merged, one)
      expect(apart, `${one.name} merged`).toBeLessThan(1e-4)
    }
  })
})

test.for(refused)('%s is refused by name', async (name) => {
  const pretrained = await orThrow(loadPretrained(fixture(`models/${expectedOf(name).model}`)))
  const found = await loadPeft(fixture(`peft/${name}`), pretrained)()
  expect(found).toMatchObject({ _tag: 'Left', left: [{ _tag: 'UnsupportedConfig' }] })
})
