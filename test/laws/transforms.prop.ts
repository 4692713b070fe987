import { describe, expect, test } from 'vitest'
import * as transforms from '../../src/transform/index.ts'
import { formatReport } from '../../src/laws/index.ts'
import type { Report } from '../../src/laws/index.ts'
import { checkRow, runsOf } from './suite.ts'
import { table } from './table.ts'

// What the folder exports beside transforms: tools to write and read them with.
const tools = ['attempt', 'targeted', 'weightMethod', 'may', 'must', 'oneOf', 'decodeRecipe', 'equal', 'mixed']

test('every exported transform, and its form for a part, is in the table', () => {
  const names = Object.entries(transforms)
    .filter(([name, value]) => typeof value === 'function' && !tools.includes(name))
    .flatMap(([name, value]) => ('only' in (value as object) ? [name, `${name}.only`] : [name]))
  const covered = new Set(table.flatMap((row) => row.covers))
  expect(names.filter((name) => !covered.has(name))).toEqual([])
  expect([...covered].filter((name) => !names.includes(name))).toEqual([])
})

const reports: Report[] = []

describe('laws of transforms, in plain JavaScript', () => {
  test.each(table.map((row) => [row.name, row] as const))('%s', (_, row) => {
    const report = checkRow(row, { runs: runsOf(40) })
    reports.push(report)
    expect(report.passed, formatReport(report)).toBe(true)
  })
})

test('the table is as long as it looks', () => {
  const properties = reports.reduce((n, report) => n + report.results.length, 0)
  const runs = reports.reduce((n, report) => n + report.runs, 0)
  console.log(`${reports.length} transforms and compositions, ${properties} properties, ${runs} runs`)
  expect(properties).toBeGreaterThan(10 * table.length)
})
