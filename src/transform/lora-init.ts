import { fanIn } from '../kind/index.ts'
import { adopt, matmul, mul, normal, read, scope } from '../ops/index.ts'
import { issue, TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { fold } from '../tree/key.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Sized, WeightPlace } from './weight-places.ts'
import { orthonormalColumns, truncatedSvd } from './svd.ts'

/** How the factors of a fresh LoRA are drawn; all but `'random'` begin at a change of zero. */
export type LoraInit =
  /** A from U(±1/√in), B zero. */
  | 'kaiming'
  /** A from N(0, 1/rank²), B zero. */
  | 'gaussian'
  /** Both drawn, A and B from U(±1/√(their inputs)): for tests. */
  | 'random'
  /** Both drawn, A and B in complementary halves of the rank, so that A·B is zero up to rounding; the rank is even. */
  | 'orthogonal'

/** What of the weight itself a LoRA begins from. */
export type LoraStart =
  /** Its largest singular values and their vectors. */
  | 'pissa'
  /** The first columns of Q and rows of R of its QR decomposition. */
  | 'olora'

/** Every way that LoRA may begin. */
export type AnyLoraInit = LoraInit | LoraStart

export const isStart = (init: AnyLoraInit): init is LoraStart => init === 'pissa' || init === 'olora'

/** Both factors, or those that do not begin as their fields say. */
type Factors = { readonly a?: Tensor; readonly b?: Tensor }

/**
 * Two drawn factors whose product is zero: rows of one orthogonal matrix, the even ones for A and the odd ones for B.
 *
 * The factor 1/10 is PEFT's.
 */
const orthogonal = (rank: number, { rows, columns, key, label }: WeightPlace): Factors =>
  scope(() => {
    const half = rank / 2
    const q = orthonormalColumns(rank, rank, floats(normal(fold(key, `${label}.q`), [rank, rank])))
    const rowsFrom = (first: number): Tensor =>
      adopt(
        Float32Array.from(
          { length: half * rank },
          (_, i) => q[(2 * Math.floor(i / rank) + first) * rank + (i % rank)]!,
        ),
        [half, rank],
      )
    return {
      a: mul(matmul(normal(fold(key, `${label}.a`), [rows, half]), rowsFrom(0)), 0.1),
      b: mul(matmul(rowsFrom(1), normal(fold(key, `${label}.b`), [half, columns]), { transposeA: true }), 0.1),
    }
  })

const floats = (t: Tensor): Float32Array => read(t) as Float32Array

/** The factors that an initialisation draws in place of the fields' own. */
export const drawnFactors = (init: LoraInit, rank: number, place: WeightPlace): Factors => {
  const { rows, columns, key, label } = place
  switch (init) {
    case 'kaiming':
      return {}
    case 'gaussian':
      return { a: normal(fold(key, `${label}.a`), [rows, rank], 0, 1 / rank) }
    case 'random':
      return { b: fanIn(fold(key, `${label}.b`), [rank, columns]) }
    case 'orthogonal':
      return orthogonal(rank, place)
  }
}

/** A and B of which scale·A·B is the nearest of this rank to a matrix, the singular values shared out between the two. */
export const nearestFactors = (
  data: Float32Array,
  { rows, columns }: Sized,
  rank: number,
  scale: number,
): Required<Factors> => {
  const { u, s, v } = truncatedSvd(rows, columns, data, rank)
  const root = (k: number): number => Math.sqrt(s[k]! / scale)
  const b = Float32Array.from({ length: rank * columns }, (_, i) => {
    const [k, j] = [Math.floor(i / columns), i % columns]
    return root(k) * v[j * rank + k]!
  })
  return {
    a: adopt(
      u.map((x, i) => x * root(i % rank)),
      [rows, rank],
    ),
    b: adopt(b, [rank, columns]),
  }
}

// The transpose of W is what papers decompose: its first columns are the first rows here.
const olora = (w: Tensor, data: Float32Array, { columns }: Sized, rank: number): Required<Factors> =>
  scope(() => {
    const first = Float32Array.from(
      { length: columns * rank },
      (_, i) => data[(i % rank) * columns + Math.floor(i / rank)]!,
    )
    const q = orthonormalColumns(columns, rank, first)
    const b = Float32Array.from(
      { length: rank * columns },
      (_, i) => q[(i % columns) * rank + Math.floor(i / columns)]!,
    )
    const rowsOfB = adopt(b, [rank, columns])
    return { a: matmul(w, rowsOfB, { transposeB: true }), b: rowsOfB }
  })

/**
 * The factors that a LoRA begins from, which are a part of the weight.
 *
 * @throws TransformFailure `NonFinite` for a weight with a number that is none.
 */
export const startOf = (start: LoraStart, rank: number, scale: number, place: WeightPlace): Required<Factors> => {
  const w = place.dense()
  const data = floats(w)
  const wrong = data.findIndex((x) => !Number.isFinite(x))
  if (wrong >= 0)
    throw new TransformFailure([
      {
        _tag: 'NonFinite',
        path: place.path,
        expected: 'a weight of finite numbers, to begin from',
        found: `${data[wrong]} at number ${wrong}`,
        hint: "Mend the weight, or take an `init` that does not look at it, such as 'kaiming'.",
      },
    ])
  return start === 'pissa' ? nearestFactors(data, place, rank, scale) : olora(w, data, place, rank)
}

/** What does not fit about an initialisation at one weight. */
export const initIssues = (init: AnyLoraInit, rank: number, scale: number, place: Sized): readonly Issue[] => {
  const { path, rows, columns } = place
  if (init === 'orthogonal' && rank % 2 !== 0)
    return [issue('BadDimension', path, "an even rank, for init 'orthogonal'", rank, `Take ${rank + 1}.`)]
  if (!isStart(init)) return []
  const most = Math.min(rows, columns)
  return [
    ...(rank <= most
      ? []
      : [
          issue(
            'BadDimension',
            path,
            `a rank up to ${most}, for init '${init}'`,
            rank,
            'A weight has no more directions.',
          ),
        ]),
    ...(init === 'olora' || scale > 0
      ? []
      : [
          issue(
            'BadOption',
            path,
            "an alpha > 0, for init 'pissa'",
            scale,
            'Its factors are roots of values over alpha.',
          ),
        ]),
  ]
}
