import { allZeros, buffer, dropout, fixed, matrix, shapeOf } from '../kind/index.ts'
import type { Ctx, Init, Kind, Weight } from '../kind/index.ts'
import { full, matmul, mul, normal, reshape, slice, transpose } from '../ops/index.ts'
import type { Constant, Matrix } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { variant } from './variant.ts'

/** What RandLoRA adds to a weight: how it scales fixed random bases that it shares with others. */
export interface RandloraValues {
  /** [rank, narrowest], of which a weight uses as many columns as its smaller side is long. */
  readonly projectionA: Constant
  /** [widest, all bases, rank], of which a weight uses as many rows as its larger side is long, and its own bases. */
  readonly projectionB: Constant
  /** What scales each direction of each basis. */
  readonly lambda: Matrix<'trainable'>
  /** What scales each basis along the smaller side. */
  readonly gamma: Matrix<'trainable'>
  /** The factor before the sum. */
  readonly scale: number
  /** Rate of dropout on what goes into the change, in training. */
  readonly dropout: number
}

/**
 * A weight W [in, out] plus a sum of many low-rank changes between fixed random bases, of which only diagonals are trained.
 *
 * With n bases of rank r, Δ is s·Bᵀ-like products of [smaller, r·n] and [r·n, larger]: row k·n + b of the first is
 * λ[k, b]·A[k, :]·γ[b, :], column b·r + k of the second basis is B[:, b, k], and equal numbers meet. PEFT orders them
 * so, though not alike. No transform puts it on: it is read and written as PEFT has it.
 *
 * @source Albert et al. 2025, "RandLoRA: Full-Rank Parameter-Efficient Fine-Tuning of Large Models", §4.
 */
export interface Randlora<W extends Weight = Weight> extends Weight, RandloraValues {
  readonly _tag: 'Randlora'
  readonly base: W
}

/** Both bases as far as a weight uses them, each [r·n, side]: along its smaller side, and along the larger one. */
const bases = (w: Randlora, ctx: Ctx): { readonly first: Tensor; readonly last: Tensor } => {
  const [inputs = 1, outputs = 1] = shapeOf(w.base, ctx)
  const [small, large] = [Math.min(inputs, outputs), Math.max(inputs, outputs)]
  const [rank = 1, n = 1] = w.lambda.value.shape
  const a = reshape(slice(w.projectionA.value, [0, 0], [rank, small]), [rank, 1, small])
  const scaled = mul(mul(reshape(w.lambda.value, [rank, n, 1]), a), w.gamma.value)
  const smaller = reshape(scaled, [rank * n, small])
  const larger = transpose(reshape(slice(w.projectionB.value, [0, 0, 0], [large, n, rank]), [large, n * rank]))
  return inputs <= outputs ? { first: smaller, last: larger } : { first: larger, last: smaller }
}

const drawn: Init = (key, shape) => normal(key, shape)

/** The kind behind PEFT's RandLoRA; Δ is built only to be merged. */
export const RandloraKind: Kind<Randlora, 'weight', 'rank' | 'narrowest' | 'widest' | 'most' | 'bases' | 'smaller'> =
  variant('Randlora', {
    fields: {
      projectionA: buffer(['rank', 'narrowest'], drawn),
      projectionB: buffer(['widest', 'most', 'rank'], drawn),
      lambda: matrix('rank', 'bases', allZeros),
      gamma: matrix('bases', 'smaller', (_, shape) => full(shape, 1 / Math.max(...shape))),
      scale: fixed<number>(1),
      dropout: fixed<number>(0),
    },
    delta: (w: Randlora, ctx) => {
      const { first, last } = bases(w, ctx)
      return mul(matmul(first, last, { transposeA: true }), w.scale)
    },
    times: (x, w: Randlora, ctx) => {
      const { first, last } = bases(w, ctx)
      const inputs = dropout(x, w.dropout, w.lambda.label, ctx)
      return mul(matmul(matmul(inputs, first, { transposeB: true }), last), w.scale)
    },
    timesT: (x, w: Randlora, ctx) => {
      const { first, last } = bases(w, ctx)
      return mul(matmul(matmul(x, last, { transposeB: true }), first), w.scale)
    },
  })
