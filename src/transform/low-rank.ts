import { orthonormalColumns, truncatedSvd } from './svd.ts'

/** Numbers in row-major order. */
export interface Dense {
  readonly rows: number
  readonly columns: number
  readonly data: ArrayLike<number>
}

/** A·B with A [rows, rank] and B [rank, columns]. */
export interface Factors {
  readonly a: Dense
  readonly b: Dense
}

/** A·B as plain numbers. */
export const product = ({ a, b }: Factors): Dense => {
  const data = new Float64Array(a.rows * b.columns)
  for (let i = 0; i < a.rows; i++)
    for (let k = 0; k < a.columns; k++) {
      const x = a.data[i * a.columns + k]!
      for (let j = 0; j < b.columns; j++) data[i * b.columns + j]! += x * b.data[k * b.columns + j]!
    }
  return { rows: a.rows, columns: b.columns, data }
}

const transposed = ({ rows, columns, data }: Dense): Dense => ({
  rows: columns,
  columns: rows,
  data: Float64Array.from({ length: rows * columns }, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!),
})

const singles = (data: ArrayLike<number>): Float32Array => Float32Array.from(data)

/**
 * The best approximation of rank `rank` at most, in the sense of the sum of squares, of a matrix.
 *
 * Each singular value is shared evenly between the factors, so that both can be trained on.
 *
 * @source Eckart & Young 1936, "The approximation of one matrix by another of lower rank".
 */
export const lowRank = ({ rows, columns, data }: Dense, rank: number): Factors => {
  const found = truncatedSvd(rows, columns, singles(data), Math.min(rank, rows, columns))
  const most = found.s[0]!
  // Where there is nothing, both factors would be zero, and no gradient could get either of them away from it.
  const kept = found.s.filter((s, i) => i === 0 || s > 1e-7 * most).length
  const side = (vectors: Float32Array, length: number): Dense => {
    const width = found.s.length
    const at = (i: number): number => {
      const [row, k] = [Math.floor(i / kept), i % kept]
      return Math.sqrt(found.s[k]!) * vectors[row * width + k]!
    }
    return { rows: length, columns: kept, data: Float64Array.from({ length: length * kept }, (_, i) => at(i)) }
  }
  return { a: side(found.u, rows), b: transposed(side(found.v, columns)) }
}

/** The same of A·B, at the cost of its own rank: A·B itself is never built. */
export const lowRankOf = ({ a, b }: Factors, rank: number): Factors => {
  if (a.columns >= Math.min(a.rows, b.columns)) return lowRank(product({ a, b }), rank)
  const q: Dense = { ...a, data: orthonormalColumns(a.rows, a.columns, singles(a.data)) }
  const inner = product({ a: product({ a: transposed(q), b: a }), b })
  const small = lowRank(inner, rank)
  return { a: product({ a: q, b: small.a }), b: small.b }
}
