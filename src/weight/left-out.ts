import { dropout, fixed } from '../kind/index.ts'
import type { Ctx, Field } from '../kind/index.ts'
import { div, maximum, mean, mul, ones } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'

/** What training leaves out of a change Δ [in, out]: some of its outputs, or now and then all of it. */
export interface LeftOut {
  /** The chance of each output to be left out. */
  readonly rankDropout: number
  /** The chance of the whole change to be left out. */
  readonly moduleDropout: number
  /** Whether the outputs that are left are scaled, so that their mean stays. */
  readonly rescaled: boolean
}

/** How that is declared: nothing is left out unless told. */
export const leftOutFields: {
  readonly rankDropout: Field<number>
  readonly moduleDropout: Field<number>
  readonly rescaled: Field<boolean>
} = { rankDropout: fixed<number>(0), moduleDropout: fixed<number>(0), rescaled: fixed<boolean>(false) }

/** Zeros, each with this chance, and ones; undefined outside of training, where all are ones. */
export const survivors = (shape: readonly number[], rate: number, name: string, ctx: Ctx): Tensor | undefined =>
  ctx.train !== true || rate === 0 ? undefined : mul(dropout(ones(shape), rate, name, ctx), 1 - rate)

/** A change, or what it makes of inputs, [..., out], without what training leaves out of it. */
export const remaining = (x: Tensor, w: LeftOut, name: string, ctx: Ctx): Tensor => {
  const n = x.shape.at(-1) ?? 1
  const outputs = survivors([n], w.rankDropout, `${name}.rank`, ctx)
  const whole = survivors([1], w.moduleDropout, `${name}.module`, ctx)
  // One of n is the smallest mean but 0, where there is nothing to scale.
  const kept = outputs === undefined || !w.rescaled ? outputs : div(outputs, maximum(mean(outputs), 1 / n))
  const some = kept === undefined ? x : mul(x, kept)
  return whole === undefined ? some : mul(some, whole)
}
