import { describe, expect, test } from 'vitest'
import { families } from '../../src/index.ts'
import { loadPretrained, orThrow } from '../../src/io/index.ts'
import { casesOf, fixture, fixturesIn, json, outputOf, worstDifference } from './fixtures.ts'

const known = new Set(families.flatMap(({ modelTypes }) => modelTypes))
const all = fixturesIn('models', 'expected.safetensors').filter((name) =>
  known.has(String(json(`models/${name}/config.json`)['model_type'])),
)

describe('models compute what transformers computes', () => {
  test.for(all)('%s', async (name) => {
    const { model } = await orThrow(loadPretrained(fixture(`models/${name}`)))
    const cases = await casesOf(`models/${name}`)
    expect(cases.length).toBeGreaterThan(1)
    for (const one of cases) {
      const wanted = one.expected['logits'] ?? one.expected['last_hidden_state']
      expect(wanted, one.name).toBeDefined()
      expect(worstDifference(outputOf(model, one), wanted as Float32Array, one), one.name).toBeLessThan(1e-4)
    }
  })
})
