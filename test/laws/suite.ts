import { beforeAll, describe, expect, test } from 'vitest'
import { assertLaws, check, lawsFor } from '../../src/laws/index.ts'
import { adapter } from '../../src/laws/index.ts'
import { engine } from '../../src/index.ts'
import type { EngineName } from '../../src/ops/index.ts'
import type { Report } from '../../src/laws/index.ts'
import { table } from './table.ts'
import type { Row } from './table.ts'

const lawsOf = (row: Row) => [...(row.laws ?? lawsFor({ ...adapter, ...row.declare })), ...(row.also ?? [])]

export const checkRow = (row: Row, numericOnly: boolean, runs?: number): Report =>
  check(row.transform, {
    ...row,
    laws: lawsOf(row).filter((law) => !numericOnly || law.needsOutputs),
    ...(runs === undefined ? {} : { runs }),
  })
