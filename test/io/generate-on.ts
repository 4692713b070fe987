import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { generate } from '../../src/index.ts'
import { loadPeft, loadPretrained, orThrow } from '../../src/io/index.ts'
import { engine, tensor } from '../../src/ops/index.ts'
import type { EngineName } from '../../src/ops/index.ts'
import { fixture, json } from './fixtures.ts'

interface Reference {
  readonly model: string
  readonly adapter: string | null
  readonly cases: Readonly<Record<string, Continued>>
}

interface Continued {
  readonly input_ids: readonly (readonly number[])[]
  readonly attention_mask: readonly (readonly number[])[]
  readonly options: Readonly<Record<string, unknown>>
  readonly new_ids: readonly (readonly number[])[]
}

/** What transformers gives after the end of a text is padding, and what we give ends there. */
const upTo = (ids: readonly number[], ends: readonly number[]): readonly number[] => {
  const end = ids.findIndex((id) => ends.includes(id))
  return end < 0 ? ids : ids.slice(0, end + 1)
}

/** Greedy continuations as transformers has them, on an engine; one that cannot be had says so. */
export const generateOn = (name: EngineName): void => {
  describe(`texts are continued as transformers continues them, on the ${name} engine`, async () => {
    const missing = await engine({ prefer: name, quiet: true }).then(
      () => undefined,
      (error: unknown) => String(error),
    )
    test.each(missing === undefined ? [] : [missing])('not run: %s', (why) => {
      expect(why).toContain('EngineUnavailable')
    })
    test.for(missing === undefined ? readdirSync(fixture('generation')) : [])('%s', async (file) => {
      const { model: base, adapter, cases } = json(`generation/${file}`) as unknown as Reference
      const pretrained = await orThrow(loadPretrained(fixture(`models/${base}`)))
      const { model } = adapter === null ? pretrained : await orThrow(loadPeft(fixture(`peft/${adapter}`), pretrained))
      // Behind a prompt PEFT lets padding take places too; here a text in a batch is continued as it is alone, which a law holds.
      const asAlone = adapter?.startsWith('prompt') === true
      const told = Object.entries(cases).filter(
        ([, { attention_mask }]) => !(asAlone && attention_mask.flat().includes(0)),
      )
      expect(told.length).toBeGreaterThan(1)
      for (const [title, { input_ids, attention_mask, options, new_ids }] of told) {
        const eos = options['eos_token_id'] as number | readonly number[] | null
        const ends = [eos ?? []].flat()
        const penalty = options['repetition_penalty'] as number | undefined
        const input = { ids: tensor(input_ids, undefined, 'int32'), mask: tensor(attention_mask) }
        const found = generate(model, input, {
          maxNewTokens: Number(options['max_new_tokens']),
          eos: ends,
          ...(penalty === undefined ? {} : { repetitionPenalty: penalty }),
        })
        expect(found, title).toEqual(new_ids.map((ids) => upTo(ids, ends)))
      }
    })
  })
}
