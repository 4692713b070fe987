import { describe, expect, test } from 'vitest'
import { sllm } from '../../src/index.ts'
import { check, formatReport } from '../../src/laws/index.ts'
import { manyLaws, ownKinds } from './many/index.ts'
import { runsOf } from './suite.ts'

const asItIs = (model: unknown): unknown => model

describe('laws of many adapters over one base', () => {
  test.each(Object.entries(manyLaws()))('%s', (_, law) => {
    const report = check(asItIs, { on: sllm, laws: [law], runs: runsOf(60), kinds: ownKinds })
    expect(report.passed, formatReport(report)).toBe(true)
  })
})
