import { describe, expect, test } from 'vitest'
import { fixtures, measure, thresholds } from '../../scripts/type-budget.mjs'

describe('type instantiations stay in their budget', () => {
  test.each(fixtures)('%s', (name) => {
    const { instantiations, errors } = measure(name)
    expect(errors).toEqual([])
    expect(thresholds(), 'thresholds.json').toHaveProperty(name)
    expect(instantiations).toBeLessThanOrEqual(thresholds()[name] ?? 0)
  })

  test('each threshold belongs to a fixture', () => {
    expect(Object.keys(thresholds()).toSorted()).toEqual(fixtures.toSorted())
  })

  test('counts are the same each time', () => {
    for (const name of fixtures) expect(measure(name)).toEqual(measure(name))
  })
})
