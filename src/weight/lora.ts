import { allZeros, dropout, fanIn, fixed, matrix } from '../kind/index.ts'
import type { Fields, Kind, Weight } from '../kind/index.ts'
import { gather, matmul, mul } from '../ops/index.ts'
import type { Matrix, Param, Status } from '../tree/leaf.ts'
import type { Packed } from '../tree/wrap.ts'
import { additive } from './delta.ts'

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
    readonly lora: T extends Param<Status, 'matrix'> | Packed<'matrix'>
      ? Lora<T>
      : WeightWrapper<T> extends true
        ? Keep
        : never
    readonly merge: WeightWrapper<T> extends true ? Merged<T> : never
  }
}

/** What a weight is once everything that wraps it has been merged into it; one held in few bits is dense afterwards, and frozen. */
export type Merged<T> = T extends { readonly base: infer B }
  ? Merged<B>
  : T extends Packed<infer F>
    ? Param<'frozen', F>
    : T

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
export const scaleOf = (weight: Lora): number => factorOf(weight, weight.a.value.shape[1] ?? 1)

/** What alpha, read as it says, makes of a rank: the factor before a low-rank change of any kind. */
export const factorOf = (
  { alpha, scaling }: { readonly alpha: number; readonly scaling: Scaling },
  rank: number,
): number => (scaling === 'alpha' ? alpha : scaling === 'alpha/rank' ? alpha / rank : alpha / Math.sqrt(rank))

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
  ops: additive<Lora>({
    delta: (w) => mul(matmul(w.a.value, w.b.value), scaleOf(w)),
    times: (x, w, ctx) => mul(matmul(matmul(dropout(x, w.dropout, w.a.label, ctx), w.a.value), w.b.value), scaleOf(w)),
    timesT: (x, w) =>
      mul(matmul(matmul(x, w.b.value, { transposeB: true }), w.a.value, { transposeB: true }), scaleOf(w)),
    rows: (ids, w) => mul(matmul(gather(w.a.value, ids), w.b.value), scaleOf(w)),
  }),
}
