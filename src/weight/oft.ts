import { allZeros, matrix } from '../kind/index.ts'
import type { Field, Weight } from '../kind/index.ts'
import { gather, mul, reshape, tensor } from '../ops/index.ts'
import type { Matrix } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { cayley, rotating, timesBlocks } from './rotation.ts'
import { variant } from './variant.ts'
import type { ValuesOf, VariantKind, Wrapped } from './variant.ts'

// A type and not an interface: only such a one is known to have no fields besides.
type OftFields = {
  readonly v: Field<Matrix<'trainable'>, 'blocks' | 'pairs'>
}
export const oftFields: OftFields = { v: matrix('blocks', 'pairs', allZeros) }

/**
 * A weight W [in, out] whose inputs are rotated: R·W with R = blockdiag((I + Q)(I − Q)⁻¹), Q skew.
 *
 * `v` [in/b, b(b−1)/2] holds the numbers of each Q above its diagonal, row by row.
 *
 * @source Qiu et al. 2023, "Controlling Text-to-Image Diffusion by Orthogonal Finetuning", §3.
 */
export type Oft<W extends Weight = Weight> = Wrapped<'Oft', W, OftFields>
/** What OFT adds to a weight. */
export type OftValues = ValuesOf<OftFields>

/** The size of a block with `pairs` numbers above its diagonal. */
const sizeOf = (pairs: number): number => Math.round((1 + Math.sqrt(1 + 8 * pairs)) / 2)

/** Skew matrices [blocks, b, b] from the numbers above their diagonals [blocks, b(b−1)/2]. */
export const skewOf = (v: Tensor): Tensor => {
  const [blocks = 1, pairs = 1] = v.shape
  const b = sizeOf(pairs)
  const at = (i: number, j: number): number => i * b - (i * (i + 1)) / 2 + j - i - 1
  const cell = (k: number): readonly [i: number, j: number] => [Math.floor(k / b) % b, k % b]
  const ids = Int32Array.from({ length: blocks * b * b }, (_, k) => {
    const [i, j] = cell(k)
    return Math.floor(k / (b * b)) * pairs + (i === j ? 0 : at(Math.min(i, j), Math.max(i, j)))
  })
  const signs = Float32Array.from({ length: b * b }, (_, k) => {
    const [i, j] = cell(k)
    return Math.sign(j - i)
  })
  return mul(gather(reshape(v, [blocks * pairs]), tensor(ids, [blocks, b, b], 'int32')), tensor(signs, [b, b]))
}

/** The kind behind `oft`; inputs are rotated, and neither R nor R·W is built. */
export const OftKind: VariantKind<'Oft', OftFields> = variant('Oft', {
  fields: oftFields,
  ...rotating<Oft>((x, w, back) => timesBlocks(x, cayley(skewOf(w.v.value)), 1, back)),
})
