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
import { engine } from '../../src/ops/index.ts'
import type { EngineName } from '../../src/ops/index.ts'
import { casesOf, fixture, fixturesIn, json, outputOf, worstDifference } from './fixtures.ts'

interface Expected {
  readonly model: string
  readonly type: string
  readonly trainable: number
  readonly mergeable: boolean
  readonly options: string
}

const expectedOf = (name: string): Expected => json(`peft/${name}/expected.json`) as never
const isRefused = (name: string): boolean => expectedOf(name).options.includes('to be refused')
const known = new Set(families.flatMap(({ modelTypes }) => modelTypes))
const all = fixturesIn('peft', 'expected.json').filter((name) => {
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

// PiSSA that was not converted is decomposed again on loading, by PEFT in float32: where singular values lie close, as they do in
// small random weights, what it takes out of the base is a matter of its rounding, and two runs of PEFT differ as much.
const toleranceOf = ({ adapter }: PeftModel): number => (adapter['init_lora_weights'] === 'pissa' ? 1e-3 : 1e-4)

/** Holds every adapter of the fixtures against PEFT on an engine; where it cannot be had, one test that says why. */
export const adaptersOn = (name: EngineName): void => {
  describe(`adapters compute what PEFT computes, on ${name}`, async () => {
    const missing = await engine({ prefer: name, quiet: true }).then(
      () => undefined,
      (error: unknown) => String(error),
    )
    test.each(missing === undefined ? [] : [missing])('not run: %s', (why) => {
      expect(why).toContain('EngineUnavailable')
    })
    const names = missing === undefined ? all.filter((one) => !isRefused(one)) : []
    test.for(names)('%s', async (name) => {
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
        expect(worstDifference(found, wanted as Float32Array, one), one.name).toBeLessThan(toleranceOf(adapted))
        expect(outputOf(reread.model, one), `${one.name} after a round trip`).toEqual(found)
        const merged = one.expected['merged']
        expect(merged !== undefined, 'PEFT merges it').toBe(mergeable)
        const apart = merged === undefined ? 0 : worstDifference(outputOf(merge(adapted.model), one), merged, one)
        expect(apart, `${one.name} merged`).toBeLessThan(toleranceOf(adapted))
      }
    })
  })
}
