import { fixed, matrix } from '../kind/index.ts'
import type { Field, Init, Weight } from '../kind/index.ts'
import {
  div,
  matmul,
  mul,
  reshape,
  slice,
  solve,
  sqrt,
  square,
  stack,
  sub,
  sum,
  tensor,
  transpose,
  uniform,
} from '../ops/index.ts'
import type { Matrix } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { rotating } from './rotation.ts'
import { variant } from './variant.ts'
import type { ValuesOf, VariantKind, Wrapped } from './variant.ts'

/** Columns from U(±3/√rank); only their directions count. */
export const independent: Init = (key, shape) => {
  const bound = 3 / Math.sqrt(shape[1] ?? 1)
  return uniform(key, shape, -bound, bound)
}

/** The same, each column twice, so that every second reflection undoes the one before it. */
export const paired: Init = (key, [rows = 1, rank = 1]) => {
  const half = independent(key, [rows, Math.ceil(rank / 2)])
  return slice(reshape(stack([half, half], 2), [rows, -1]), [0, 0], [rows, rank])
}

// A type and not an interface: only such a one is known to have no fields besides.
type HraFields = {
  readonly u: Field<Matrix<'trainable'>, 'in' | 'rank'>
  readonly orthogonalise: Field<boolean>
}
const hraFields: HraFields = { u: matrix('in', 'rank', paired), orthogonalise: fixed<boolean>(false) }

/**
 * A weight W [in, out] whose inputs are reflected `rank` times: Hᵣ⋯H₁·W with H = I − 2ûûᵀ and û = u/‖u‖.
 *
 * The columns of `u` [in, rank] are the directions; with `orthogonalise` they are made orthogonal, whatever is learnt.
 *
 * @source Yuan et al. 2024, "Bridging The Gap between Low-rank and Orthogonal Adaptation via Householder Reflection
 *   Adaptation", §3.
 */
export type Hra<W extends Weight = Weight> = Wrapped<'Hra', W, HraFields>
/** What HRA adds to a weight. */
export type HraValues = ValuesOf<HraFields>

/** Halves on the diagonal of [n, n], and below it `low`, above it `high`. */
const halves = (n: number, low: number, high: number): Tensor =>
  tensor(
    Float32Array.from({ length: n * n }, (_, k) => {
      const [i, j] = [Math.floor(k / n), k % n]
      return i === j ? 0.5 : i > j ? low : high
    }),
    [n, n],
  )

/**
 * x − x·Û·K⁻¹·Ûᵀ, which is all reflections at once.
 *
 * K is the lower triangle of ÛᵀÛ with its diagonal halved for one reflection after another, and ½·ÛᵀÛ for those along an
 * orthogonal basis of the same directions, which then need not be computed.
 *
 * @source Joffrain et al. 2006, "Accumulating Householder transformations, revisited", §3.
 */
const reflect = (x: Tensor, { u, orthogonalise }: Hra, back: boolean): Tensor => {
  const unit = div(u.value, sqrt(sum(square(u.value), { axes: 0, keepDims: true })))
  const rank = u.value.shape[1] ?? 1
  const mask = orthogonalise ? halves(rank, 0.5, 0.5) : halves(rank, 1, 0)
  const k = mul(matmul(unit, unit, { transposeA: true }), mask)
  const z = solve(k, transpose(unit), { transposeA: back })
  return sub(x, matmul(matmul(x, unit), z))
}

/** The kind behind `hra`; inputs are reflected, and no matrix [in, in] is built. */
export const HraKind: VariantKind<'Hra', HraFields> = variant('Hra', {
  fields: hraFields,
  ...rotating<Hra>(reflect),
})
