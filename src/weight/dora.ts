import {
  allOnes,
  allZeros,
  fanIn,
  fixed,
  lookup,
  materialize,
  matrix,
  project,
  projectT,
  shapeOf,
  vector,
} from '../kind/index.ts'
import type { Ctx, Kind, Weight } from '../kind/index.ts'
import { add, div, equal, mul, sqrt, square, stopGradient, sum, where } from '../ops/index.ts'
import type { Matrix, Param, Status, Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Packed } from '../tree/wrap.ts'
import { loraData, lowRank } from './lora.ts'
import type { Scaling } from './lora.ts'

/**
 * A weight parted into the direction and the length of each output column, of which LoRA changes the direction:
 * m ⊙ (W + s·A·B) / ‖W + s·A·B‖, norms by column.
 *
 * @source Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation", §4.1.
 */
export interface Dora<W extends Weight = Weight, S extends Status = 'trainable'> extends Weight {
  readonly _tag: 'Dora'
  readonly base: W
  readonly a: Matrix<S>
  readonly b: Matrix<S>
  /** m, one length for each output; those of W at first. */
  readonly magnitude: Vector<S>
  readonly alpha: number
  readonly scaling: Scaling
  /** Rate of dropout on the input of A, in training. */
  readonly dropout: number
  /** Whether gradients treat the norm as a constant. */
  readonly detachNorm: boolean
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly dora: T extends Param<Status, 'matrix'> | Packed<'matrix'>
      ? Dora<T>
      : WeightWrapper<T> extends true
        ? Keep
        : never
  }
}

/**
 * The length of each column of a matrix [in, out].
 *
 * @example
 * ```ts
 * import { columnNorms } from 'espalier'
 * import { tensor, toArray } from 'espalier/ops'
 * toArray(columnNorms(tensor([[3, 0], [4, 2]]))) // => [5, 2]
 * ```
 */
export const columnNorms = (w: Tensor): Tensor => sqrt(sum(square(w), { axes: 0 }))

const change = lowRank<Dora>()

/** W + s·A·B, dense. */
const directed = (w: Dora, ctx: Ctx): Tensor => add(materialize(w.base, ctx), change.delta(w, ctx))

/** The factor of each column: its length over the norm it has. A column of zeros has no direction, and stays zero. */
const factor = (w: Dora, dense: Tensor): Tensor => {
  const squares = sum(square(dense), { axes: 0 })
  // A root has no slope at zero; the other branch of a `where` would make NaN of that.
  return div(w.magnitude.value, sqrt(where(equal(squares, 0), 1, squares)))
}

const still = <P extends { readonly value: Tensor }>(p: P): P => ({ ...p, value: stopGradient(p.value) })

const columnFactor = (w: Dora, ctx: Ctx): Tensor => {
  if (!w.detachNorm) return factor(w, directed(w, ctx))
  // Stopped at the factors already, so that nothing of the dense matrix is kept for the backward pass.
  const dense = directed({ ...w, a: still(w.a), b: still(w.b) }, ctx)
  return factor(w, stopGradient(dense))
}

/** The kind behind `dora`. */
export const DoraKind: Kind<Dora, 'weight', 'in' | 'out' | 'rank'> = {
  tag: 'Dora',
  role: 'weight',
  fields: {
    a: matrix('in', 'rank', fanIn),
    b: matrix('rank', 'out', allZeros),
    magnitude: vector('out', allOnes),
    ...loraData,
    detachNorm: fixed(false),
  },
  ops: {
    project: (x, w, ctx) => mul(add(project(x, w.base, ctx), change.times(x, w, ctx)), columnFactor(w, ctx)),
    projectT: (x, w, ctx) => {
      const scaled = mul(x, columnFactor(w, ctx))
      return add(projectT(scaled, w.base, ctx), change.timesT(scaled, w, ctx))
    },
    lookup: (ids, w, ctx) => mul(add(lookup(ids, w.base, ctx), change.rows(ids, w, ctx)), columnFactor(w, ctx)),
    shape: (w, ctx) => shapeOf(w.base, ctx),
    materialize: (w, ctx) => mul(directed(w, ctx), columnFactor(w, ctx)),
  },
}
