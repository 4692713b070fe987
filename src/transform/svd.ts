import { EigenvalueDecomposition, Matrix, QrDecomposition, SingularValueDecomposition } from 'ml-matrix'
import { normal, read, scope } from '../ops/index.ts'
import { key } from '../tree/key.ts'

/** The leading part of a matrix: `data ≈ u · diag(s) · vᵀ`, all row-major. */
export interface Svd {
  /** [rows, rank], orthonormal columns. */
  readonly u: Float32Array
  /** [rank], falling, none negative. */
  readonly s: Float32Array
  /** [columns, rank], orthonormal columns. */
  readonly v: Float32Array
}

// Up to this side length the small Gram matrix is decomposed as a whole; it takes seconds, and grows with the third power.
const mostExact = 1024
// Below this size a full decomposition takes a fraction of a second, and is the most accurate.
const mostDirect = 128 * 128
const oversampling = 10
const iterations = 6

/** The decomposition of a tall or square matrix, in double precision, its columns fewer than its rows. */
interface Thin {
  readonly u: Matrix
  readonly s: readonly number[]
  readonly v: Matrix
}

const direct = (a: Matrix): Thin => {
  const found = new SingularValueDecomposition(a, { autoTranspose: true })
  return { u: found.leftSingularVectors, s: found.diagonal, v: found.rightSingularVectors }
}

/** aᵀ·a of a tall matrix, row by row: the product itself would transpose a matrix that may be large. */
const gram = (a: Matrix): Matrix => {
  const n = a.columns
  const sums = Array.from({ length: n }, () => new Float64Array(n))
  for (let r = 0; r < a.rows; r += 1) {
    const row = a.getRow(r)
    for (let i = 0; i < n; i += 1) {
      const [x, into] = [row[i]!, sums[i]!]
      for (let j = i; j < n; j += 1) into[j]! += x * row[j]!
    }
  }
  return new Matrix(sums.map((_, i) => Array.from({ length: n }, (__, j) => (j < i ? sums[j]![i]! : sums[i]![j]!))))
}

const columnsOf = (m: Matrix, from: number, to: number): Matrix => m.subMatrix(0, m.rows - 1, from, to - 1)

/** Directions [columns, width] that span what the matrix does most: its leading right vectors, exactly or nearly. */
const leading = (a: Matrix, rank: number): Matrix => {
  const n = a.columns
  if (n <= mostExact) {
    const { eigenvectorMatrix } = new EigenvalueDecomposition(gram(a), { assumeSymmetric: true })
    return columnsOf(eigenvectorMatrix, n - rank, n)
  }
  const width = Math.min(n, rank + oversampling)
  const start = scope(() => [...read(normal(key('svd'), [n, width]))])
  const transposed = a.transpose()
  let v = orthonormal(Matrix.from1DArray(n, width, start))
  for (let i = 0; i < iterations; i += 1) v = orthonormal(transposed.mmul(a.mmul(v)))
  return v
}

const orthonormal = (m: Matrix): Matrix => new QrDecomposition(m).orthogonalMatrix

/** Of all the vectors that span the same, those of the matrix itself; stable where small values make the Gram matrix unsure. */
const projected = (a: Matrix, rank: number): Thin => {
  const basis = leading(a, rank)
  const { u, s, v } = direct(a.mmul(basis))
  return { u, s, v: basis.mmul(v) }
}

/** Each pair of vectors may be turned round together: the largest element on the left is made positive. */
const signs = (u: Matrix, rank: number): readonly number[] =>
  Array.from({ length: rank }, (_, k) => {
    const column = u.getColumn(k)
    const largest = column.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most), 0)
    return largest < 0 ? -1 : 1
  })

const flat = (m: Matrix, rank: number, sign: readonly number[]): Float32Array =>
  Float32Array.from({ length: m.rows * rank }, (_, i) => m.get(Math.floor(i / rank), i % rank) * sign[i % rank]!)

/**
 * The `rank` largest singular values of a row-major matrix [rows, columns] and their vectors, the same ones each time.
 *
 * Exact up to rounding where the smaller side is at most 1024; beyond that the leading directions are found by six
 * rounds of randomised subspace iteration, which is close where the singular values fall. `rank` is at most the smaller side.
 *
 * @source Halko, Martinsson & Tropp 2011, "Finding structure with randomness", algorithms 4.4 and 5.1.
 */
export const truncatedSvd = (rows: number, columns: number, data: Float32Array, rank: number): Svd => {
  const given = Matrix.from1DArray(rows, columns, data)
  const wide = rows < columns
  const tall = wide ? given.transpose() : given
  const { u, s, v } = rows * columns <= mostDirect ? direct(tall) : projected(tall, rank)
  const [left, right] = wide ? [v, u] : [u, v]
  const sign = signs(left, rank)
  return { u: flat(left, rank, sign), s: Float32Array.from(s.slice(0, rank)), v: flat(right, rank, sign) }
}

/**
 * Orthonormal columns [rows, columns] that span those of a row-major matrix that is at least as tall as wide.
 *
 * @source Householder 1958, "Unitary triangularization of a nonsymmetric matrix".
 */
export const orthonormalColumns = (rows: number, columns: number, data: Float32Array): Float32Array => {
  const q = orthonormal(Matrix.from1DArray(rows, columns, data))
  return Float32Array.from(q.to1DArray())
}
