/*
 * Linear algebra in plain float64 numbers, for what is computed once and not trained: the best approximation of low rank.
 */

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

/** Columns one by one, which is how everything below goes through a matrix. */
type Columns = readonly Float64Array[]

const columnsOf = ({ rows, columns, data }: Dense): Columns =>
  Array.from({ length: columns }, (_, j) => Float64Array.from({ length: rows }, (_, i) => data[i * columns + j]!))

const rowsOf = ({ rows, columns, data }: Dense): Columns =>
  Array.from({ length: rows }, (_, i) => Float64Array.from({ length: columns }, (_, j) => data[i * columns + j]!))

const dot = (x: Float64Array, y: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!
  return sum
}

/** y += factor · x. */
const addTo = (y: Float64Array, factor: number, x: Float64Array): void => {
  for (let i = 0; i < y.length; i++) y[i]! += factor * x[i]!
}

/** Σ of columns, each times a number. */
const mix = (columns: Columns, by: ArrayLike<number>, length: number): Float64Array => {
  const sum = new Float64Array(length)
  columns.forEach((column, j) => addTo(sum, by[j]!, column))
  return sum
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

/** Orthonormal columns Q, some of them zero where the rank falls short, and R with Q·R = the columns. */
const orthonormal = (columns: Columns): { readonly q: Columns; readonly r: Columns } => {
  const q: Float64Array[] = []
  const r = columns.map((column) => {
    const rest = Float64Array.from(column)
    const by = new Float64Array(columns.length)
    // Twice is enough: Kahan and Parlett.
    for (let pass = 0; pass < 2; pass++)
      q.forEach((direction, i) => {
        const share = dot(direction, rest)
        by[i]! += share
        addTo(rest, -share, direction)
      })
    const norm = Math.sqrt(dot(rest, rest))
    const counts = norm > 1e-13 * Math.sqrt(dot(column, column))
    by[q.length] = counts ? norm : 0
    q.push(counts ? rest.map((x) => x / norm) : new Float64Array(rest.length))
    return by
  })
  return { q, r }
}

const rotate = (x: Float64Array, y: Float64Array, cosine: number, sine: number): void => {
  for (let i = 0; i < x.length; i++) {
    const [xi, yi] = [x[i]!, y[i]!]
    x[i] = cosine * xi - sine * yi
    y[i] = sine * xi + cosine * yi
  }
}

/** Singular values and vectors, largest first: the columns are Σ σ u vᵀ. */
interface Singular {
  readonly value: number
  readonly u: Float64Array
  readonly v: Float64Array
}

/**
 * Singular values by rotating pairs of columns until all are orthogonal.
 *
 * @source Hestenes 1958, "Inversion of Matrices by Biorthogonalization"; one-sided Jacobi: Golub & Van Loan, §8.6.3.
 */
const singular = (columns: Columns): readonly Singular[] => {
  const w = columns.map((column) => Float64Array.from(column))
  const v = columns.map((_, i) => Float64Array.from(columns, (_, j) => (i === j ? 1 : 0)))
  for (let sweep = 0, turned = true; turned && sweep < 40; sweep++) {
    turned = false
    for (let p = 0; p < w.length; p++)
      for (let q = p + 1; q < w.length; q++) {
        const [a, b, c] = [dot(w[p]!, w[p]!), dot(w[q]!, w[q]!), dot(w[p]!, w[q]!)]
        if (Math.abs(c) <= 1e-15 * Math.sqrt(a * b)) continue
        turned = true
        const zeta = (b - a) / (2 * c)
        const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta))
        const cosine = 1 / Math.sqrt(1 + tangent * tangent)
        rotate(w[p]!, w[q]!, cosine, cosine * tangent)
        rotate(v[p]!, v[q]!, cosine, cosine * tangent)
      }
  }
  return w
    .map((column, j) => {
      const value = Math.sqrt(dot(column, column))
      return { value, u: column.map((x) => (value === 0 ? 0 : x / value)), v: v[j]! }
    })
    .toSorted((x, y) => y.value - x.value)
}

/** The `rank` largest of Σ σ left·rightᵀ as two factors that share each σ evenly, so that both can be trained on. */
const factorsOf = (
  parts: readonly { readonly value: number; readonly left: Float64Array; readonly right: Float64Array }[],
  rank: number,
): Factors => {
  const most = parts[0]!.value
  const kept = parts.slice(0, rank).filter(({ value }, i) => i === 0 || value > 1e-12 * most)
  const [rows, columns, k] = [parts[0]!.left.length, parts[0]!.right.length, kept.length]
  const a = new Float64Array(rows * k)
  const b = new Float64Array(k * columns)
  kept.forEach(({ value, left, right }, j) => {
    const root = Math.sqrt(value)
    left.forEach((x, i) => (a[i * k + j] = root * x))
    right.forEach((x, i) => (b[j * columns + i] = root * x))
  })
  return { a: { rows, columns: k, data: a }, b: { rows: k, columns, data: b } }
}

/**
 * The best approximation of rank `rank` at most, in the sense of the sum of squares, of a matrix.
 *
 * @source Eckart & Young 1936, "The approximation of one matrix by another of lower rank".
 */
export const lowRank = (matrix: Dense, rank: number): Factors => {
  const tall = matrix.rows >= matrix.columns
  const parts = singular(tall ? columnsOf(matrix) : rowsOf(matrix))
  return factorsOf(
    parts.map(({ value, u, v }) => ({ value, left: tall ? u : v, right: tall ? v : u })),
    rank,
  )
}

/** The same of A·B, at the cost of its own rank: A·B itself is never built. */
export const lowRankOf = ({ a, b }: Factors, rank: number): Factors => {
  if (a.columns >= Math.min(a.rows, b.columns)) return lowRank(product({ a, b }), rank)
  const { q, r } = orthonormal(columnsOf(a))
  const rows = rowsOf(b)
  // (R·B)ᵀ, a column for each direction of Q.
  const inner = q.map((_, i) =>
    mix(
      rows,
      r.map((by) => by[i]!),
      b.columns,
    ),
  )
  return factorsOf(
    singular(inner).map(({ value, u, v }) => ({ value, left: mix(q, v, a.rows), right: u })),
    rank,
  )
}
