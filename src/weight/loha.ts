import { allZeros, fixed, gaussian, matrix } from '../kind/index.ts'
import type { Ctx, Kind, Weight } from '../kind/index.ts'
import { gather, matmul, mul } from '../ops/index.ts'
import type { Matrix } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { leftOutFields, remaining } from './left-out.ts'
import type { LeftOut } from './left-out.ts'
import { factorOf } from './lora.ts'
import type { Scaling } from './lora.ts'
import { variant } from './variant.ts'

/** What LoHa adds to a weight: two low-rank products, [in, rank] by [rank, out] each. */
export interface LohaValues extends LeftOut {
  readonly w1a: Matrix<'trainable'>
  readonly w1b: Matrix<'trainable'>
  readonly w2a: Matrix<'trainable'>
  readonly w2b: Matrix<'trainable'>
  readonly alpha: number
  readonly scaling: Scaling
}

/**
 * A weight W [in, out] plus the element-wise product of two low-rank ones: W + s·(w1a·w1b) ⊙ (w2a·w2b).
 *
 * @source Hyeon-Woo et al. 2022, "FedPara: Low-Rank Hadamard Product for Communication-Efficient Federated Learning", §2.2.
 */
export interface Loha<W extends Weight = Weight> extends Weight, LohaValues {
  readonly _tag: 'Loha'
  readonly base: W
}

/** The change, of which only some rows are asked for where `pick` takes them from the left factors. */
const change = (w: LohaValues, ctx: Ctx, pick: (left: Tensor) => Tensor = (left) => left): Tensor => {
  const first = matmul(pick(w.w1a.value), w.w1b.value)
  const second = matmul(pick(w.w2a.value), w.w2b.value)
  return remaining(mul(mul(first, second), factorOf(w, w.w1a.value.shape[1] ?? 1)), w, w.w1a.label, ctx)
}

/** The kind behind `loha`; the base stays as it is held, and Δ is built for each product. */
export const LohaKind: Kind<Loha, 'weight', 'in' | 'out' | 'rank'> = variant('Loha', {
  fields: {
    w1a: matrix('in', 'rank', gaussian(1)),
    w1b: matrix('rank', 'out', gaussian(0.1)),
    w2a: matrix('in', 'rank', gaussian(1)),
    w2b: matrix('rank', 'out', allZeros),
    alpha: fixed<number>(1),
    scaling: fixed<Scaling>('alpha'),
    ...leftOutFields,
  },
  delta: change,
  rows: (ids, w, ctx) => change(w, ctx, (left) => gather(left, ids)),
})
