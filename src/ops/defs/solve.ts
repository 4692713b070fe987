import { fail } from '../../tree/error.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { apply } from '../dispatch.ts'
import type { Data, Op } from '../op.ts'
import { define } from './define.ts'
import { fresh, type Loop, onHeap } from './heap.ts'
import { matmul } from './matmul.ts'
import { describe, mismatch, requireFloat, sizeOf } from '../shape-rules.ts'
import { neg } from './unary.ts'

type SolveAttrs = { readonly transposeA: boolean }

const singular = (matrix: number, matrices: number, column: number): never =>
  fail({
    _tag: 'Singular',
    path: 'solve',
    expected: 'matrices that have an inverse',
    found: `${matrices === 1 ? 'one' : `number ${matrix} of ${matrices}`} whose column ${column} depends on those before it`,
    hint: 'Add a small multiple of the identity, or look for a row or column of zeros.',
  })

const swapRows = (rows: Float64Array, width: number, i: number, j: number): void => {
  for (let k = 0; k < width; k++) {
    const kept = rows[i * width + k]!
    rows[i * width + k] = rows[j * width + k]!
    rows[j * width + k] = kept
  }
}

/** The row from `column` on with the largest number in that column. */
const pivotOf = (a: Float64Array, n: number, column: number): number => {
  let best = column
  for (let i = column + 1; i < n; i++) if (Math.abs(a[i * n + column]!) > Math.abs(a[best * n + column]!)) best = i
  return best
}

/** Takes `factor` times row j from row i, from a column on. */
const subtractRow = (rows: Float64Array, width: number, i: number, j: number, factor: number, from: number): void => {
  for (let k = from; k < width; k++) rows[i * width + k]! -= factor * rows[j * width + k]!
}

/** A brought to a triangle with b carried along; false, or which column has no pivot. */
const eliminate = (a: Float64Array, b: Float64Array, n: number, width: number): number | false => {
  for (let column = 0; column < n; column++) {
    const pivot = pivotOf(a, n, column)
    if (a[pivot * n + column] === 0) return column
    if (pivot !== column) {
      swapRows(a, n, pivot, column)
      swapRows(b, width, pivot, column)
    }
    for (let i = column + 1; i < n; i++) {
      const factor = a[i * n + column]! / a[column * n + column]!
      if (factor === 0) continue
      subtractRow(a, n, i, column, factor, column)
      subtractRow(b, width, i, column, factor, 0)
    }
  }
  return false
}

const substituteBack = (a: Float64Array, b: Float64Array, n: number, width: number): void => {
  for (let i = n - 1; i >= 0; i--) {
    for (let j = i + 1; j < n; j++) if (a[i * n + j] !== 0) subtractRow(b, width, i, j, a[i * n + j]!, 0)
    for (let k = 0; k < width; k++) b[i * width + k]! /= a[i * n + i]!
  }
}

const copyMatrix = (from: Data, at: number, n: number, to: Float64Array, transposed: boolean): void => {
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) to[i * n + j] = from[at + (transposed ? j * n + i : i * n + j)]!
}

// In doubles throughout: what is solved for is rounded once, at the end.
const solveLoop: Loop<SolveAttrs> = ({ attrs }, out, a, b) => {
  const [n, width] = [b.shape.at(-2)!, b.shape.at(-1)!]
  const matrices = sizeOf(b.shape.slice(0, -2))
  const [left, right] = [new Float64Array(n * n), new Float64Array(n * width)]
  for (let matrix = 0; matrix < matrices; matrix++) {
    copyMatrix(a.data, matrix * n * n, n, left, attrs.transposeA)
    right.set(b.data.subarray(matrix * n * width, (matrix + 1) * n * width))
    const column = eliminate(left, right, n, width)
    if (column !== false) singular(matrix, matrices, column)
    substituteBack(left, right, n, width)
    out.set(right, matrix * n * width)
  }
}

const solveOp = define<SolveAttrs>({
  name: 'solve',
  infer: (_, a, b) => {
    requireFloat('solve', 'a', a)
    requireFloat('solve', 'b', b)
    const n = a.shape.at(-1)
    const fits =
      a.shape.length >= 2 &&
      a.shape.at(-2) === n &&
      a.shape.length === b.shape.length &&
      String(a.shape.slice(0, -1)) === String(b.shape.slice(0, -1))
    return fits
      ? { shape: b.shape, dtype: 'float32' }
      : mismatch(
          'solve',
          'a of shape [..., n, n] and b of shape [..., n, m] with equal leading axes',
          `${describe(a)} and ${describe(b)}`,
          'Reshape a vector to [n, 1]; broadcastTo repeats a factor along the batch.',
        )
  },
  reference: fresh(solveLoop),
  wasm: onHeap('solve', solveLoop),
  vjp: ({ dy, output, attrs: { transposeA }, needs }, a) => {
    const db = solve(a, dy, { transposeA: !transposeA })
    if (!needs[0]) return [null, db]
    const da = transposeA ? matmul(output, db, { transposeB: true }) : matmul(db, output, { transposeB: true })
    return [neg(da), db]
  },
})

/**
 * What b is by a: the x with a · x = b, float32 [..., n, m], for a [..., n, n] and b [..., n, m].
 *
 * Elimination with partial pivoting, in doubles; `transposeA` reads a transposed. A matrix without an inverse throws
 * `Singular`, shapes that do not fit a `ShapeMismatch`.
 *
 * @source Golub and Van Loan 2013, "Matrix Computations", §3.4
 * @example
 * ```ts
 * import { solve, tensor, toArray } from 'espalier/ops'
 *
 * const a = tensor([[0, 2], [1, 1]])
 * toArray(solve(a, tensor([[4], [5]]))) // => [[3], [2]]
 * solve(tensor([[1, 2], [2, 4]]), tensor([[1], [1]])) // => Error: Singular
 * ```
 */
export const solve = (a: Tensor, b: Tensor, { transposeA = false }: { readonly transposeA?: boolean } = {}): Tensor =>
  apply(solveOp, [a, b], { transposeA })

/** @internal */
export const solveOps: readonly Op<never>[] = [solveOp]
