import { allOnes, lookup, materialize, project, projectT, vector } from '../kind/index.ts'
import type { Kind, Weight } from '../kind/index.ts'
import { expandDims, gather, mul } from '../ops/index.ts'
import type { Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { variant } from './variant.ts'

/** What IA³ adds to a weight: a factor for each output, or for each input. */
export interface Ia3Values {
  readonly scale: Vector<'trainable'>
}

/**
 * A weight W [in, out] whose outputs are scaled, each by a factor of its own: W·diag(scale).
 *
 * @source Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning", §3.3.
 */
export interface Ia3<W extends Weight = Weight> extends Weight, Ia3Values {
  readonly _tag: 'Ia3'
  readonly base: W
}

/**
 * A weight W [in, out] whose inputs are scaled, each by a factor of its own: diag(scale)·W.
 *
 * @source Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning", §3.3.
 */
export interface Ia3Inputs<W extends Weight = Weight> extends Weight, Ia3Values {
  readonly _tag: 'Ia3Inputs'
  readonly base: W
}

/** The kind behind `ia3`; the base stays as it is held. */
export const Ia3Kind: Kind<Ia3, 'weight', 'out'> = variant('Ia3', {
  fields: { scale: vector('out', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
  project: (x, w, ctx) => mul(project(x, w.base, ctx), w.scale.value),
  projectT: (x, w, ctx) => projectT(mul(x, w.scale.value), w.base, ctx),
  lookup: (ids, w, ctx) => mul(lookup(ids, w.base, ctx), w.scale.value),
})

/** The scale beside the rows it belongs to. */
const column = (w: Ia3Values): Tensor => expandDims(w.scale.value, 1)

/** The kind behind `ia3.inputs`; the base stays as it is held. */
export const Ia3InputsKind: Kind<Ia3Inputs, 'weight', 'in'> = variant('Ia3Inputs', {
  fields: { scale: vector('in', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), column(w)),
  project: (x, w, ctx) => project(mul(x, w.scale.value), w.base, ctx),
  projectT: (x, w, ctx) => mul(projectT(x, w.base, ctx), w.scale.value),
  lookup: (ids, w, ctx) => mul(lookup(ids, w.base, ctx), gather(column(w), ids)),
})
