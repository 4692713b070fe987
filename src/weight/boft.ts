import { allOnes, allZeros, fixed, matrix, vector } from '../kind/index.ts'
import type { Ctx, Field, Weight } from '../kind/index.ts'
import { add, mul, reshape, slice, sub } from '../ops/index.ts'
import type { Matrix, Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { survivors } from './left-out.ts'
import { cayley, identity, rotating, skewPart, timesBlocks } from './rotation.ts'
import { variant } from './variant.ts'
import type { ValuesOf, VariantKind, Wrapped } from './variant.ts'

// A type and not an interface: only such a one is known to have no fields besides.
type BoftFields = {
  readonly r: Field<Matrix<'trainable'>, 'factors' | 'in' | 'blockSize'>
  readonly s: Field<Vector<'trainable'>, 'out'>
  readonly dropout: Field<number>
}
export const boftFields: BoftFields = {
  r: matrix('factors*in', 'blockSize', allZeros),
  s: vector('out', allOnes),
  dropout: fixed<number>(0),
}

/**
 * A weight W [in, out] whose inputs are rotated by a product of butterfly factors and whose outputs are scaled: R·W·diag(s).
 *
 * `r` [factors·in, b] holds, factor by factor and block by block, matrices A [b, b] of which the skew part Q = (A − Aᵀ)/2
 * counts; a block is (I + Q)(I − Q)⁻¹. In training each block may be left out with the chance `dropout`, over the number of factors.
 *
 * @source Liu et al. 2023, "Parameter-Efficient Orthogonal Finetuning via Butterfly Factorization", §4.
 */
export type Boft<W extends Weight = Weight> = Wrapped<'Boft', W, BoftFields>
/** What BOFT adds to a weight. */
export type BoftValues = ValuesOf<BoftFields>

/** x times Bₘ⋯B₁, or with `back` times its transpose; the k-th factor takes runs that lie 2ᵏ⁻¹ apart. */
const rotate = (x: Tensor, { r, dropout }: Boft, back: boolean, ctx: Ctx): Tensor => {
  const [rows = 1, b = 1] = r.value.shape
  const n = x.shape.at(-1)! / b
  const all = cayley(skewPart(reshape(r.value, [rows / b, b, b])))
  const here = survivors([rows / b, 1, 1], (dropout * n * b) / rows, r.label, ctx)
  const blocks = here === undefined ? all : add(mul(sub(all, identity(b)), here), identity(b))
  const order = Array.from({ length: rows / b / n }, (_, k) => k)
  return (back ? order : order.toReversed()).reduce(
    (y, k) => timesBlocks(y, slice(blocks, [k * n, 0, 0], [n, b, b]), 2 ** k, back),
    x,
  )
}

const turned = rotating<Boft>(rotate)

/** The kind behind `boft`; inputs are rotated factor by factor, and neither R nor R·W is built. */
export const BoftKind: VariantKind<'Boft', BoftFields> = variant('Boft', {
  fields: boftFields,
  project: (x, w: Boft, ctx) => mul(turned.project!(x, w, ctx), w.s.value),
  projectT: (x, w: Boft, ctx) => turned.projectT!(mul(x, w.s.value), w, ctx),
  materialize: (w: Boft, ctx) => mul(turned.materialize(w, ctx), w.s.value),
})
