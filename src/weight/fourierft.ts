import { buffer, fixed, gaussian, shapeOf, vector } from '../kind/index.ts'
import type { Ctx, Init, Kind, Weight } from '../kind/index.ts'
import { cast, concat, cos, matmul, mul, neg, sin, slice, sub, tensor } from '../ops/index.ts'
import type { Constant, Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { variant } from './variant.ts'

/** What FourierFT adds to a weight: coefficients of a few frequencies. */
export interface FourierftValues {
  readonly spectrum: Vector<'trainable'>
  /** int32 [2, frequencies]: how often each runs through along `in`, and along `out`. */
  readonly positions: Constant
  /** The factor before the inverse transform. */
  readonly scale: number
}

/**
 * A weight W [in, out] plus the inverse Fourier transform of a sparse spectrum: W + scale·Re(ifft2(S)).
 *
 * @source Gao et al. 2024, "Parameter-Efficient Fine-Tuning with Discrete Fourier Transform", §3.1.
 */
export interface Fourierft<W extends Weight = Weight> extends Weight, FourierftValues {
  readonly _tag: 'Fourierft'
  readonly base: W
}

/** The largest side of a weight: beyond it, the product of a position and a row does not fit an int32. */
export const LONGEST = 65_535

/**
 * The angles 2π·i·u/length of each row i for each frequency u, [length, frequencies], to the precision of float32.
 *
 * Whole turns are taken off while the numbers are whole, for the cosine of a large float32 is noise.
 */
const angles = (positions: Tensor, axis: 0 | 1, length: number): Tensor => {
  const u = slice(positions, [axis, 0], [1, positions.shape[1] ?? 1])
  // The rows beyond the middle are as well counted from behind.
  const half = Int32Array.from({ length }, (_, i) => (2 * i > length ? i - length : i))
  const steps = mul(tensor(half, [length, 1], 'int32'), u)
  const turns = cast(mul(cast(steps, 'float32'), 1 / length), 'int32')
  return mul(cast(sub(steps, mul(turns, length)), 'float32'), (2 * Math.PI) / length)
}

/** Re(e^(i(α+β))) = cos α·cos β − sin α·sin β: two outer products for each frequency, and no transform. */
const change = (w: FourierftValues & { readonly base: Weight }, ctx: Ctx): Tensor => {
  const [rows = 1, columns = 1] = shapeOf(w.base, ctx)
  const [alpha, beta] = [angles(w.positions.value, 0, rows), angles(w.positions.value, 1, columns)]
  const c = w.spectrum.value
  const left = mul(concat([cos(alpha), sin(alpha)], 1), concat([c, neg(c)], 0))
  const right = concat([cos(beta), sin(beta)], 1)
  return mul(matmul(left, right, { transposeB: true }), w.scale / (rows * columns))
}

const counted: Init = (_, [two = 2, n = 1]) =>
  tensor(
    Int32Array.from({ length: two * n }, (__, i) => i % n),
    [two, n],
    'int32',
  )

/** The kind behind `fourierft`; the base stays as it is held, and Δ is built for each product. */
export const FourierftKind: Kind<Fourierft, 'weight', 'frequencies'> = variant('Fourierft', {
  fields: {
    spectrum: vector('frequencies', gaussian(1)),
    positions: buffer(['2', 'frequencies'], counted),
    scale: fixed<number>(150),
  },
  delta: change,
})
