import { allZeros, gaussian, matrix, vector } from '../kind/index.ts'
import type { Kind, Weight } from '../kind/index.ts'
import type { Matrix, Param, Status, Vector } from '../tree/leaf.ts'
import type { Packed } from '../tree/wrap.ts'
import { additive } from './delta.ts'
import { loraData, lowRank } from './lora.ts'
import type { Scaling } from './lora.ts'

/**
 * A weight W plus a change in the form of a singular value decomposition: W + s·A·diag(E)·B.
 *
 * A direction whose E is zero is pruned; `adaloraSchedule` decides which, `orthogonality` keeps A and B orthonormal.
 *
 * @source Zhang et al. 2023, "AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning", §3.1.
 */
export interface AdaLora<W extends Weight = Weight, S extends Status = 'trainable'> extends Weight {
  readonly _tag: 'AdaLora'
  readonly base: W
  readonly a: Matrix<S>
  /** [rank], in the place of singular values; they may be negative. */
  readonly e: Vector<S>
  readonly b: Matrix<S>
  readonly alpha: number
  readonly scaling: Scaling
  /** Rate of dropout on the input of A, in training. */
  readonly dropout: number
}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly adalora: T extends Param<Status, 'matrix'> | Packed<'matrix'>
      ? AdaLora<T>
      : WeightWrapper<T> extends true
        ? Keep
        : never
  }
}

/** The kind behind `adalora`. */
export const AdaLoraKind: Kind<AdaLora, 'weight', 'in' | 'out' | 'rank'> = {
  tag: 'AdaLora',
  role: 'weight',
  fields: {
    a: matrix('in', 'rank', gaussian(0.02)),
    e: vector('rank', allZeros),
    b: matrix('rank', 'out', gaussian(0.02)),
    ...loraData,
  },
  ops: additive<AdaLora>(lowRank((w) => w.e.value)),
}
