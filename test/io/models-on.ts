import { describe, expect, test } from 'vitest'
import { families } from '../../src/index.ts'
import { loadPretrained, orThrow } from '../../src/io/index.ts'
import { engine } from '../../src/ops/index.ts'
import type { EngineName } from '../../src/ops/index.ts'
import { casesOf, fixture, fixturesIn, json, outputOf, worstDifference } from './fixtures.ts'

const known = new Set(families.flatMap(({ modelTypes }) => modelTypes))
const all = fixturesIn('models', 'expected.safetensors').filter((name) =>
  known.has(String(json(`models/${name}/config.json`)['model_type'])),
)

/** Every fixture of a family that is known, on an engine; one that is not built says so. */
export const modelsOn = (name: EngineName): void => {
  describe(`models compute what transformers computes, on the ${name} engine`, async () => {
    const missing = await engine({ prefer: name, quiet: true }).then(
      () => undefined,
      (error: unknown) => String(error),
    )
    test.each(missing === undefined ? [] : [missing])('not run: %s', (why) => {
      expect(why).toContain('EngineUnavailable')
    })
    test.for(missing === undefined ? all : [])('%s', async (folder) => {
      const { model } = await orThrow(loadPretrained(fixture(`models/${folder}`)))
      const cases = await casesOf(`models/${folder}`)
      expect(cases.length).toBeGreaterThan(1)
      for (const one of cases) {
        const wanted = one.expected['logits'] ?? one.expected['last_hidden_state']
        expect(wanted, one.name).toBeDefined()
        expect(worstDifference(outputOf(model, one), wanted as Float32Array, one), one.name).toBeLessThan(1e-4)
      }
    })
  })
}
