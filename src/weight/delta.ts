import { lookup, materialize, project, projectT, shapeOf } from '../kind/index.ts'
import type { Ctx, Weight, WeightOps } from '../kind/index.ts'
import { add, gather, matmul } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'

/** What a weight variant adds to its base: Δ [in, out], and how to multiply with it without building it, if there is a way. */
export interface Delta<N> {
  /** Δ itself, dense. */
  readonly delta: (weight: N, ctx: Ctx) => Tensor
  /** x [..., in] times Δ. */
  readonly times?: (x: Tensor, weight: N, ctx: Ctx) => Tensor
  /** x [..., out] times Δ transposed. */
  readonly timesT?: (x: Tensor, weight: N, ctx: Ctx) => Tensor
  /** Rows of Δ by int32 ids. */
  readonly rows?: (ids: Tensor, weight: N, ctx: Ctx) => Tensor
}

/**
 * The operations of W + Δ; the base is multiplied with by itself, so that one held in few bits stays so.
 *
 * @example
 * ```ts
 * import { additive, context, param } from 'espalier'
 * import { ones, toArray, zeros } from 'espalier/ops'
 * const ops = additive({ delta: () => ones([2, 1]) })
 * toArray(ops.project(ones([1, 2]), { base: param('matrix', 'w', zeros([2, 1])) }, context())) // => [[2]]
 * ```
 */
export const additive = <N extends { readonly base: Weight }>({
  delta,
  times = (x, w, ctx) => matmul(x, delta(w, ctx)),
  timesT = (x, w, ctx) => matmul(x, delta(w, ctx), { transposeB: true }),
  rows = (ids, w, ctx) => gather(delta(w, ctx), ids),
}: Delta<N>): WeightOps<N> => ({
  project: (x, w, ctx) => add(project(x, w.base, ctx), times(x, w, ctx)),
  projectT: (x, w, ctx) => add(projectT(x, w.base, ctx), timesT(x, w, ctx)),
  lookup: (ids, w, ctx) => add(lookup(ids, w.base, ctx), rows(ids, w, ctx)),
  shape: (w, ctx) => shapeOf(w.base, ctx),
  materialize: (w, ctx) => add(materialize(w.base, ctx), delta(w, ctx)),
  adds: { delta, times, timesT, rows },
})
