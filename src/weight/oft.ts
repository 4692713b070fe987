import { allZeros, fixed, matrix } from '../kind/index.ts'
import type { Field, Weight } from '../kind/index.ts'
import { add, div, gather, matmul, maximum, mul, reshape, sqrt, square, sum, tensor } from '../ops/index.ts'
import type { Matrix } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { cayley, identity, rotating, timesBlocks } from './rotation.ts'
import { variant } from './variant.ts'
import type { ValuesOf, VariantKind, Wrapped } from './variant.ts'

// A type and not an interface: only such a one is known to have no fields besides.
type OftFields = {
  readonly v: Field<Matrix<'trainable'>, 'blocks' | 'pairs'>
  readonly terms: Field<number>
  readonly radius: Field<number>
}
export const oftFields: OftFields = {
  v: matrix('blocks', 'pairs', allZeros),
  terms: fixed<number>(0),
  radius: fixed<number>(0),
}

/**
 * A weight W [in, out] whose inputs are rotated: R·W with R = blockdiag((I + Q)(I − Q)⁻¹), Q skew.
 *
 * `v` [in/b, b(b−1)/2] holds the numbers of each Q above its diagonal, row by row; a single row holds one Q for all blocks.
 * With `terms` above 0 R is so many of its series I + 2Q + 2Q² + ⋯ as PEFT counts them, and no rotation any more; with a `radius` above 0 no Q
 * of the n that are held is longer, in the norm of Frobenius, than radius/√n.
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

/** Skew matrices no longer than a radius. */
const within = (q: Tensor, radius: number): Tensor => {
  const longest = maximum(sum(square(q), { axes: [1, 2], keepDims: true }), radius * radius)
  return mul(q, div(radius, sqrt(longest)))
}

/** The series of (I + Q)(I − Q)⁻¹ broken off; the last power counts once, and below four terms PEFT takes what it takes. */
const series = (q: Tensor, terms: number): Tensor => {
  const one = identity(q.shape.at(-1)!)
  if (terms < 3) return add(mul(q, terms < 2 ? 0 : 2), one)
  const last = Math.max(3, terms - 1)
  let [total, power] = [add(mul(q, 2), one), q]
  for (let n = 2; n <= last; n++) {
    power = matmul(power, q)
    total = add(total, n < last ? mul(power, 2) : power)
  }
  return total
}

/** The blocks of R for so many inputs. */
const blocksOf = ({ v, terms, radius }: Oft, inputs: number): Tensor => {
  const free = skewOf(v.value)
  const q = radius === 0 ? free : within(free, radius / Math.sqrt(v.value.shape[0] ?? 1))
  const blocks = terms === 0 ? cayley(q) : series(q, terms)
  const [n = 1, b = 1] = blocks.shape
  return n * b === inputs ? blocks : gather(blocks, tensor(new Int32Array(inputs / b), [inputs / b], 'int32'))
}

/** The kind behind `oft`; inputs are rotated, and neither R nor R·W is built. */
export const OftKind: VariantKind<'Oft', OftFields> = variant('Oft', {
  fields: oftFields,
  ...rotating<Oft>((x, w, back) => timesBlocks(x, blocksOf(w, x.shape.at(-1)!), 1, back)),
})
