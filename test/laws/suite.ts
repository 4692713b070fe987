import { describe, expect, test } from 'vitest'
import { adapter, check, formatReport, lawsFor, mergeIs } from '../../src/laws/index.ts'
import type { Report, TransformLaw } from '../../src/laws/index.ts'
import { engine } from '../../src/ops/index.ts'
import type { EngineName } from '../../src/ops/index.ts'
import type { Row } from './row.ts'
import { table } from './table.ts'

const lawsOf = (row: Row): readonly TransformLaw[] => [
  ...(row.laws ?? lawsFor({ ...adapter, ...row.declare })).map((law) =>
    law.name === 'mergeIsWeightExactly' && row.formulas !== undefined ? mergeIs(row.formulas, row.within) : law,
  ),
  ...(row.also ?? []),
]

/** FC_RUNS lengthens these suites in the same proportion as any other. */
export const runsOf = (usual: number): number => Math.ceil((usual * Number(process.env['FC_RUNS'] ?? 100)) / 100)

/** A line of the table against all its laws, or against those whose numbers an engine computes. */
export const checkRow = (row: Row, { runs, engineOnly = false }: { runs: number; engineOnly?: boolean }): Report =>
  check(row.transform, {
    ...row,
    runs,
    laws: lawsOf(row).filter((law) => !engineOnly || law.needsOutputs || law.name === 'mergeIsWeightExactly'),
  })

/** The numeric laws of the whole table on an engine; where it cannot be had, one test that says why. */
export const onEngine = (name: EngineName, usual: number): void => {
  describe(`numeric laws of transforms on the ${name} engine`, async () => {
    const missing = await engine({ prefer: name, quiet: true }).then(
      () => undefined,
      (error: unknown) => String(error),
    )
    test.each(missing === undefined ? [] : [missing])('not run: %s', (why) => {
      expect(why).toContain('EngineUnavailable')
    })
    const rows = missing === undefined ? table : []
    test.each(rows.map((row) => [row.name, row] as const))('%s', (_, row) => {
      const report = checkRow(row, { runs: runsOf(usual), engineOnly: true })
      expect(report.passed, formatReport(report)).toBe(true)
    })
  })
}
