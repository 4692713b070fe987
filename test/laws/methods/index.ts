import type { NodeOptions } from '../../../src/laws/index.ts'
import type { Row } from '../row.ts'
import { bottleneckKinds, bottleneckRows } from './bottleneck.ts'
import { compositionRows } from './compositions.ts'
import { decoderKinds } from './decoders.ts'
import { deltaKinds, deltaRows } from './deltas.ts'
import { loraFamilyKinds, loraFamilyRows } from './lora.ts'
import { manyKinds, manyRows } from './many.ts'
import { promptKinds, promptRows } from './prompts.ts'
import { loftqRows, quantizeKinds, quantizeRows } from './quantize.ts'
import { rotationKinds, rotationRows } from './rotations.ts'

/** How the nodes of a kind are drawn; `inexact` for a weight whose operations round even on dyadic numbers. */
export interface KindOptions extends NodeOptions {
  readonly inexact?: boolean
}

/** The transforms of each method file, each a list of rows. */
export const methodRows: readonly Row[] = [
  ...loraFamilyRows,
  ...deltaRows,
  ...rotationRows,
  ...quantizeRows,
  ...loftqRows,
  ...bottleneckRows,
  ...promptRows,
  ...manyRows,
  ...compositionRows,
]

/** The kinds of each method file. */
export const methodKinds: Readonly<Record<string, KindOptions>> = {
  ...loraFamilyKinds,
  ...deltaKinds,
  ...rotationKinds,
  ...quantizeKinds,
  ...bottleneckKinds,
  ...promptKinds,
  ...manyKinds,
  ...decoderKinds,
}
