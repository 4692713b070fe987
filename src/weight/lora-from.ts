import { buffer, fanIn, matrix } from '../kind/index.ts'
import type { Kind, Weight } from '../kind/index.ts'
import { sub } from '../ops/index.ts'
import type { Constant, Matrix, Param, Status } from '../tree/leaf.ts'
import type { Packed } from '../tree/wrap.ts'
import { additive } from './delta.ts'
import { loraData, lowRank } from './lora.ts'
import type { LowRank, Scaling } from './lora.ts'

/**
 * A weight W plus a low-rank change that begins from a part of W itself: W + s·(A·B − A₀·B₀), where A and B start at A₀ and B₀.
 *
 * W stays as it is, so that a fresh adapter changes nothing and `detach` gives it back; papers write W − s·A₀·B₀ into the base.
 *
 * @source Meng et al. 2024, "PiSSA: Principal Singular Values and Singular Vectors Adaptation", §3; Büyükakyüz 2024, "OLoRA", §3.
 */
export interface LoraFrom<W extends Weight = Weight, S extends Status = 'trainable'> extends Weight {
  readonly _tag: 'LoraFrom'
  readonly base: W
  readonly a: Matrix<S>
  readonly b: Matrix<S>
  /** A₀ and B₀. */
  readonly a0: Constant
  readonly b0: Constant
  readonly alpha: number
  readonly scaling: Scaling
  /** Rate of dropout on the input of A, in training; A₀ is given all of it. */
  readonly dropout: number
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly loraFrom: T extends Param<Status, 'matrix'> | Packed<'matrix'>
      ? LoraFrom<T>
      : WeightWrapper<T> extends true
        ? Keep
        : never
  }
}

const now = lowRank<LoraFrom>()
const then = lowRank()

/** What the adapter began from, as a change of its own. */
const start = ({ a0, b0, alpha, scaling }: LoraFrom): LowRank => ({ a: a0, b: b0, alpha, scaling, dropout: 0 })

/** The kind behind `lora` with `init: 'pissa'` or `'olora'`. */
export const LoraFromKind: Kind<LoraFrom, 'weight', 'in' | 'out' | 'rank'> = {
  tag: 'LoraFrom',
  role: 'weight',
  fields: {
    a: matrix('in', 'rank'),
    b: matrix('rank', 'out'),
    // Drawn, as A and B are, for a node that has no weight to begin from: zeros would hide half of every formula.
    a0: buffer(['in', 'rank'], fanIn),
    b0: buffer(['rank', 'out'], fanIn),
    ...loraData,
  },
  // Both products are made in the same way, so that equal factors cancel to the last bit.
  ops: additive<LoraFrom>({
    delta: (w, ctx) => sub(now.delta(w, ctx), then.delta(start(w), ctx)),
    times: (x, w, ctx) => sub(now.times(x, w, ctx), then.times(x, start(w), ctx)),
    timesT: (x, w, ctx) => sub(now.timesT(x, w, ctx), then.timesT(x, start(w), ctx)),
    rows: (ids, w, ctx) => sub(now.rows(ids, w, ctx), then.rows(ids, start(w), ctx)),
  }),
}
