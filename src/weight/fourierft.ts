import { buffer, fixed, gaussian, shapeOf, vector } from '../kind/index.ts'
import type { Ctx, Init, Kind, Weight } from '../kind/index.ts'
import {
  cast,
  concat,
  cos,
  expandDims,
  matmul,
  mul,
  neg,
  reshape,
  sin,
  slice,
  stack,
  sub,
  tensor,
} from '../ops/index.ts'
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
 * The angles 2π·i·u/length of some rows i for each frequency u, [frequencies, rows], to the precision of float32.
 *
 * Whole turns are taken off while the numbers are whole, for the cosine of a large float32 is noise.
 */
const angles = (u: Tensor, rows: readonly number[], length: number): Tensor => {
  // The rows beyond the middle are as well counted from behind.
  const near = Int32Array.from(rows, (i) => (2 * i > length ? i - length : i))
  const steps = mul(u, tensor(near, [1, near.length], 'int32'))
  const turns = cast(mul(cast(steps, 'float32'), 1 / length), 'int32')
  return mul(cast(sub(steps, mul(turns, length)), 'float32'), (2 * Math.PI) / length)
}

const multiples = (of: number, n: number): readonly number[] => Array.from({ length: n }, (_, i) => i * of)

/**
 * Cosines and sines of all rows for each frequency, each [frequencies, length].
 *
 * By the sums of √length coarse angles and √length fine ones, which are products of two by two: engines are quick at
 * these, and slow at cosines.
 */
const waves = (positions: Tensor, axis: 0 | 1, length: number): readonly [cosines: Tensor, sines: Tensor] => {
  const n = positions.shape[1] ?? 1
  const u = reshape(slice(positions, [axis, 0], [1, n]), [n, 1])
  const fineRows = Math.ceil(Math.sqrt(length))
  const coarseRows = Math.ceil(length / fineRows)
  const coarse = angles(u, multiples(fineRows, coarseRows), length)
  const fine = angles(u, multiples(1, fineRows), length)
  const [c, s] = [cos(fine), sin(fine)]
  const turned = (byCosine: Tensor, bySine: Tensor): Tensor => {
    const all = matmul(stack([cos(coarse), sin(coarse)], 2), stack([byCosine, bySine], 1))
    return slice(reshape(all, [n, coarseRows * fineRows]), [0, 0], [n, length])
  }
  return [turned(c, neg(s)), turned(s, c)]
}

/** Re(e^(i(α+β))) = cos α·cos β − sin α·sin β: two outer products for each frequency, and no transform. */
const change = (w: FourierftValues & { readonly base: Weight }, ctx: Ctx): Tensor => {
  const [rows = 1, columns = 1] = shapeOf(w.base, ctx)
  const c = expandDims(w.spectrum.value, 1)
  const left = concat([...waves(w.positions.value, 0, rows)], 0)
  const right = concat([...waves(w.positions.value, 1, columns)], 0)
  return mul(matmul(mul(left, concat([c, neg(c)], 0)), right, { transposeA: true }), w.scale / (rows * columns))
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
