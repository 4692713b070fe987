import { describe, expect, test } from 'vitest'
import { fc } from '@fast-check/vitest'
import { key } from '../../src/index.ts'
import { runLaw, treeLaws, trees } from '../../src/laws/index.ts'
import { show } from '../../src/index.ts'

const runs = fc.record({ tree: trees(), seed: fc.nat() }).map(({ tree, seed }) => ({ tree, key: key(seed) }))

describe('laws of trees', () => {
  test.each(treeLaws.map((law) => [law.name, law] as const))('%s', (_, law) => {
    const result = runLaw(law, runs, ({ tree }) => show(tree))
    expect(result.passed, `${law.says}\n${result.why}\n${result.counterexample?.shown}`).toBe(true)
  })
})
