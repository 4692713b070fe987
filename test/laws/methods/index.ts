import type { NodeOptions } from '../../../src/laws/index.ts'
import type { Row } from '../row.ts'
import { rotationKinds, rotationRows } from './rotations.ts'
import { loftqRows, quantizeKinds, quantizeRows } from './quantize.ts'
import { manyKinds, manyRows } from './many.ts'
import { promptKinds, promptRows } from './prompts.ts'
import { bottleneckKinds, bottleneckRows } from './bottleneck.ts'
import { loraFamilyKinds, loraFamilyRows } from './lora.ts'

/** How the nodes of a kind are drawn; `inexact` for a weight whose operations round even on dyadic numbers. */
export interface KindOptions extends NodeOptions {
  readonly inexact?: boolean
}

/** The transforms of each method file, each a list of rows. */
export const methodRows: readonly Row[] = [...rotationRows]

/** The kinds of each method file. */
export const methodKinds: Readonly<Record<string, KindOptions>> = { ...rotationKinds }
export const methodRows: readonly Row[] = [...quantizeRows, ...loftqRows]

/** The kinds of each method file. */
export const methodKinds: Readonly<Record<string, KindOptions>> = { ...quantizeKinds }
export const methodRows: readonly Row[] = [...manyRows]

/** The kinds of each method file. */
export const methodKinds: Readonly<Record<string, KindOptions>> = { ...manyKinds }
export const methodRows: readonly Row[] = [...promptRows]

/** The kinds of each method file. */
export const methodKinds: Readonly<Record<string, KindOptions>> = { ...promptKinds }
export const methodRows: readonly Row[] = [...bottleneckRows]

/** The kinds of each method file. */
export const methodKinds: Readonly<Record<string, KindOptions>> = { ...bottleneckKinds }
export const methodRows: readonly Row[] = [...loraFamilyRows]

/** The kinds of each method file. */
export const methodKinds: Readonly<Record<string, KindOptions>> = { ...loraFamilyKinds }
