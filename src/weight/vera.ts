import { allZeros, buffer, dropout, fixed, shapeOf, vector } from '../kind/index.ts'
import type { Init, Kind, Weight } from '../kind/index.ts'
import { full, gather, matmul, mul, slice, uniform } from '../ops/index.ts'
import type { Constant, Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { variant } from './variant.ts'

/** What VeRA adds to a weight: two trained vectors, and two fixed projections that it shares with others. */
export interface VeraValues {
  /** [widestIn, rank], of which a weight uses its first `in` rows. */
  readonly projectionA: Constant
  /** [rank, widestOut], of which a weight uses its first `out` columns. */
  readonly projectionB: Constant
  /** What scales each of the rank directions. */
  readonly d: Vector<'trainable'>
  /** What scales each output. */
  readonly b: Vector<'trainable'>
  /** Rate of dropout on what goes into A, in training. */
  readonly dropout: number
}

/**
 * A weight W [in, out] plus a change between fixed random projections: W + A·diag(d)·B·diag(b), d and b trained.
 *
 * @source Kopiczko et al. 2024, "VeRA: Vector-based Random Matrix Adaptation", §3.1.
 */
export interface Vera<W extends Weight = Weight> extends Weight, VeraValues {
  readonly _tag: 'Vera'
  readonly base: W
}

/** U(±√(6/inputs)): kaiming-uniform for rectifiers, as PEFT draws the projections. */
export const projection: Init = (key, shape) => {
  const bound = Math.sqrt(6 / (shape[0] ?? 1))
  return uniform(key, shape, -bound, bound)
}

const heightOf = (t: Tensor): number => t.shape[0] ?? 1
const widthOf = (t: Tensor): number => t.shape[1] ?? 1

/** The part of B that a weight of this many outputs uses. */
const partOfB = ({ projectionB: { value }, b }: VeraValues): Tensor =>
  slice(value, [0, 0], [heightOf(value), b.value.size])

const partOfA = ({ projectionA: { value } }: VeraValues, inputs: number): Tensor =>
  slice(value, [0, 0], [inputs, widthOf(value)])

/** From the rank directions to the outputs. */
const onwards = (h: Tensor, w: VeraValues): Tensor => mul(matmul(mul(h, w.d.value), partOfB(w)), w.b.value)

/** The kind behind `vera`; A·diag(d)·B·diag(b) is built only to be merged. */
export const VeraKind: Kind<Vera, 'weight', 'in' | 'out' | 'rank' | 'widestIn' | 'widestOut'> = variant('Vera', {
  fields: {
    projectionA: buffer(['widestIn', 'rank'], projection),
    projectionB: buffer(['rank', 'widestOut'], projection),
    d: vector('rank', (_, shape) => full(shape, 0.1)),
    b: vector('out', allZeros),
    dropout: fixed<number>(0),
  },
  delta: (w, ctx) => onwards(partOfA(w, shapeOf(w.base, ctx)[0] ?? 1), w),
  times: (x, w, ctx) => {
    const inputs = dropout(x, w.dropout, w.d.label, ctx)
    return onwards(matmul(inputs, partOfA(w, x.shape.at(-1) ?? 1)), w)
  },
  timesT: (x, w, ctx) => {
    const back = mul(matmul(mul(x, w.b.value), partOfB(w), { transposeB: true }), w.d.value)
    return matmul(back, partOfA(w, shapeOf(w.base, ctx)[0] ?? 1), { transposeB: true })
  },
  rows: (ids, w) => onwards(gather(w.projectionA.value, ids), w),
})
