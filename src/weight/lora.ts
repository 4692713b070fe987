import {
  allZeros,
  dropout,
  fanIn,
  lookup,
  materialize,
  matrix,
  project,
  projectT,
  fixed,
  shapeOf,
} from '../kind/index.ts'
import type { Fields, Kind, Weight } from '../kind/index.ts'
import { add, gather, matmul, mul } from '../ops/index.ts'
import type { Matrix, Param, Status } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'

/** How alpha becomes the factor before A·B: itself, alpha / rank, or alpha / √rank. */
export type Scaling = 'alpha' | 'alpha/rank' | 'alpha/sqrt(rank)'

/**
 * A weight W [in, out] plus a low-rank change: W + s·A·B with A [in, rank] and B [rank, out].
 *
 * @source Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", §4.1; s = alpha/√rank: Kalajdzievski 2023.
 */
export interface Lora<W extends Weight = Weight, S extends Status = 'trainable'> extends Weight {
  readonly _tag: 'Lora'
  readonly base: W
  readonly a: Matrix<S>
  readonly b: Matrix<S>
  readonly alpha: number
  readonly scaling: Scaling
  /** Rate of dropout on the input of A, in training. */
  readonly dropout: number
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly lora: T extends Param<Status, 'matrix'> ? Lora<T> : WeightWrapper<T> extends true ? Keep : never
    readonly merge: WeightWrapper<T> extends true ? Merged<T> : never
  }
}

/** What a weight is once everything that wraps it has been merged into it. */
export type Merged<T> = T extends { readonly base: infer B } ? Merged<B> : T

/**
 * The factor before A·B.
 *
 * @example
 * ```ts
 * import { get, lora, scaleOf, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * const tuned = lora({ at: 'out_head', rank: 4, alpha: 8, scaling: 'alpha/sqrt(rank)' })(base)
 * scaleOf(get(tuned, 'out_head.weight')) // => 4
 * ```
 * @source alpha/√rank: Kalajdzievski 2023, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", §3.
 */
export const scaleOf = ({ alpha, scaling, a }: Lora): number => {
  const rank = a.value.shape[1] ?? 1
  return scaling === 'alpha' ? alpha : scaling === 'alpha/rank' ? alpha / rank : alpha / Math.sqrt(rank)
}

const change = (w: Lora): Tensor => mul(matmul(w.a.value, w.b.value), scaleOf(w))

const fields: Fields = {
  a: matrix('in', 'rank', fanIn),
  b: matrix('rank', 'out', allZeros),
  alpha: fixed(1),
  scaling: fixed('alpha'),
  dropout: fixed(0),
}

/** The kind behind `lora`; forward and backward never build A·B. */
export const LoraKind: Kind<Lora, 'weight', 'in' | 'out' | 'rank'> = {
  tag: 'Lora',
  role: 'weight',
  fields,
  ops: {
    project: (x, w, ctx) => {
      const dropped = dropout(x, w.dropout, w.a.label, ctx)
      return add(project(x, w.base, ctx), mul(matmul(matmul(dropped, w.a.value), w.b.value), scaleOf(w)))
    },
    projectT: (x, w, ctx) => {
      const low = matmul(matmul(x, w.b.value, { transposeB: true }), w.a.value, { transposeB: true })
      return add(projectT(x, w.base, ctx), mul(low, scaleOf(w)))
    },
    lookup: (ids, w, ctx) => add(lookup(ids, w.base, ctx), mul(matmul(gather(w.a.value, ids), w.b.value), scaleOf(w))),
    shape: (w, ctx) => shapeOf(w.base, ctx),
    materialize: (w, ctx) => add(materialize(w.base, ctx), change(w)),
  },
}
