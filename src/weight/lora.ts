import { allZeros, dropout, fanIn, fixed, gaussian, matrix } from '../kind/index.ts'
import type { Ctx, Field, Kind, Weight } from '../kind/index.ts'
import { gather, matmul, mul } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import type { Matrix, Param, Status } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Packed } from '../tree/wrap.ts'
import { additive } from './delta.ts'
import type { Delta } from './delta.ts'

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
    readonly merge: '~adapter' extends keyof T
      ? Keep
      : WeightWrapper<T> extends true
        ? Merged<T>
        : T extends { readonly _tag: 'ScaledOutputs'; readonly base: infer L }
          ? RewriteAll<L, 'merge'>
          : never
    readonly loraEmbedding: T extends Param<Status, 'table'> | Packed<'table'>
      ? Lora<T>
      : WeightWrapper<T> extends true
        ? Keep
        : never
  }
}

/** What a weight is once everything that wraps it has been merged into it; one held in few bits is dense afterwards, and frozen. */
export type Merged<T> = T extends { readonly base: infer B }
  ? Merged<B>
  : T extends Packed<infer F>
    ? Param<'frozen', F>
    : T

/** What a factor of a low-rank change is to its product: a value, and a name for its dropout masks. */
interface Factor {
  readonly label: string
  readonly value: Tensor
}

/** A low-rank change s·A·B, with A [in, rank] and B [rank, out]. */
export interface LowRank {
  readonly a: Factor
  readonly b: Factor
  readonly alpha: number
  readonly scaling: Scaling
  readonly dropout: number
}

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
export const scaleOf = (weight: Pick<LowRank, 'alpha' | 'scaling' | 'a'>): number =>
  factorOf(weight, weight.a.value.shape[1] ?? 1)

/** What alpha, read as it says, makes of a rank: the factor before a low-rank change of any kind. */
export const factorOf = (
  { alpha, scaling }: { readonly alpha: number; readonly scaling: Scaling },
  rank: number,
): number => {
  switch (scaling) {
    case 'alpha':
      return alpha
    case 'alpha/rank':
      return alpha / rank
    case 'alpha/sqrt(rank)':
      return alpha / Math.sqrt(rank)
    default:
      // A file may hold anything.
      return fail({
        _tag: 'BadOption',
        path: 'scaling',
        expected: "'alpha', 'alpha/rank' or 'alpha/sqrt(rank)'",
        found: String(scaling),
        hint: 'Put the adapter on again, or mend its file.',
      })
  }
}

/** s·A·B without building it; `between`, if given, scales each of the rank's directions. */
export const lowRank = <N extends LowRank>(between?: (weight: N) => Tensor): Required<Delta<N>> => {
  const scaled = (h: Tensor, w: N): Tensor => (between === undefined ? h : mul(h, between(w)))
  return {
    delta: (w) => mul(matmul(scaled(w.a.value, w), w.b.value), scaleOf(w)),
    times: (x, w, ctx: Ctx) =>
      mul(matmul(scaled(matmul(dropout(x, w.dropout, w.a.label, ctx), w.a.value), w), w.b.value), scaleOf(w)),
    timesT: (x, w) =>
      mul(matmul(scaled(matmul(x, w.b.value, { transposeB: true }), w), w.a.value, { transposeB: true }), scaleOf(w)),
    rows: (ids, w) => mul(matmul(scaled(gather(w.a.value, ids), w), w.b.value), scaleOf(w)),
  }
}

/** The plain data that LoRA and its kin have in common. */
export const loraData: {
  readonly alpha: Field<number>
  readonly scaling: Field<Scaling>
  readonly dropout: Field<number>
} = { alpha: fixed(1), scaling: fixed<Scaling>('alpha'), dropout: fixed(0) }

/** The kind behind `lora`; forward and backward never build A·B. */
export const LoraKind: Kind<Lora, 'weight', 'in' | 'out' | 'rank'> = {
  tag: 'Lora',
  role: 'weight',
  fields: { a: matrix('in', 'rank', fanIn), b: matrix('rank', 'out', allZeros), ...loraData },
  ops: additive<Lora>(lowRank()),
}

/** The same kind as it begins on an embedding table: A zero, so that only rows which were looked up get a gradient of B. */
export const LoraTableKind: typeof LoraKind = {
  ...LoraKind,
  fields: { ...LoraKind.fields, a: matrix('in', 'rank', allZeros), b: matrix('rank', 'out', gaussian(1)) },
}
