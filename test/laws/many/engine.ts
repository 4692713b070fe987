import { describe, expect, test } from 'vitest'
import { sllm } from '../../../src/index.ts'
import { check, formatReport } from '../../../src/laws/index.ts'
import { engine } from '../../../src/ops/index.ts'
import type { EngineName } from '../../../src/ops/index.ts'
import { runsOf } from '../suite.ts'
import { manyLaws, ownKinds } from './index.ts'

/** The laws of outputs and gradients on an engine; where it cannot be had, one test that says why. */
export const manyOnEngine = (name: EngineName): void => {
  describe(`laws of many adapters on the ${name} engine`, async () => {
    const missing = await engine({ prefer: name, quiet: true }).then(
      () => undefined,
      (error: unknown) => String(error),
    )
    test.each(missing === undefined ? [] : [missing])('not run: %s', (why) => {
      expect(why).toContain('EngineUnavailable')
    })
    const laws = missing === undefined ? Object.entries(manyLaws()).filter(([, law]) => law.needsOutputs) : []
    test.each(laws)('%s', (_, law) => {
      const report = check((model) => model, { on: sllm, laws: [law], runs: runsOf(15), kinds: ownKinds })
      expect(report.passed, formatReport(report)).toBe(true)
    })
  })
}
