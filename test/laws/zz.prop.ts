import { expect, test } from 'vitest'
import { formatReport } from '../../src/laws/index.ts'
import { checkRow } from './suite.ts'
import { table } from './table.ts'
test.each(table.map(r => [r.name, r] as const))('%s', (_, row) => {
  const t = performance.now()
  const report = checkRow(row, false, 30)
  console.log(Math.round(performance.now() - t), 'ms', formatReport(report))
  expect(report.passed).toBe(true)
})
