import type { NodeOptions } from '../../../src/laws/index.ts'
import type { Row } from '../row.ts'
import { deltaKinds, deltaRows } from './deltas.ts'

/** How the nodes of a kind are drawn; `inexact` for a weight whose operations round even on dyadic numbers. */
export interface KindOptions extends NodeOptions {
  readonly inexact?: boolean
}

/** The transforms of each method file, each a list of rows. */
export const methodRows: readonly Row[] = [...deltaRows]

/** The kinds of each method file. */
export const methodKinds: Readonly<Record<string, KindOptions>> = { ...deltaKinds }
