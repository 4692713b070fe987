import { describe, expect, test } from 'vitest'
import { fc } from '@fast-check/vitest'
import { key } from '../../src/index.ts'
import { runLaw, treeLaws, trees } from '../../src/laws/index.ts'
import { show } from '../../src/index.ts'

// A few trees without a leaf, and the rest with one, so that laws of leaves have something to bite on.
const drawing = fc.oneof({ weight: 24, arbitrary: trees({ nonEmpty: true }) }, { weight: 1, arbitrary: trees() })
const runs = fc.record({ tree: drawing, seed: fc.nat() }).map(({ tree, seed }) => ({ tree, key: key(seed) }))

describe('laws of trees', () => {
  test.each(treeLaws.map((law) => [law.name, law] as const))('%s', (_, law) => {
    const result = runLaw(law, runs, ({ tree }) => show(tree))
    expect(result.passed, `${law.says}\n${result.why}\n${result.counterexample?.shown}`).toBe(true)
  })
})
