/*
 * Rotations in plain numbers, written from the papers and not from the code: dense matrices, Gauss and Gram–Schmidt.
 */

export type Rows = readonly (readonly number[])[]

export const eye = (n: number): Rows =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)))

export const times = (a: Rows, b: Rows): Rows =>
  a.map((row) => (b[0] ?? []).map((_, j) => row.reduce((n, x, k) => n + x * (b[k]?.[j] ?? Number.NaN), 0)))

export const transposed = (a: Rows): Rows => (a[0] ?? []).map((_, j) => a.map((row) => row[j] ?? Number.NaN))

const plus = (a: Rows, b: Rows, factor = 1): Rows => a.map((row, i) => row.map((x, j) => x + factor * b[i]![j]!))

/** The inverse by Gauss and Jordan. */
const inverse = (a: Rows): Rows => {
  const n = a.length
  const rows = a.map((row, i) => [...row, ...eye(n)[i]!])
  for (let column = 0; column < n; column++) {
    const best = rows.findIndex(
      (row, i) =>
        i >= column && Math.abs(row[column]!) === Math.max(...rows.slice(column).map((r) => Math.abs(r[column]!))),
    )
    ;[rows[column], rows[best]] = [rows[best]!, rows[column]!]
    const pivot = rows[column]!.map((x) => x / rows[column]![column]!)
    rows.forEach((row, i) => (rows[i] = i === column ? pivot : row.map((x, k) => x - row[column]! * pivot[k]!)))
  }
  return rows.map((row) => row.slice(n))
}

/** (I + Q)(I − Q)⁻¹. */
export const cayleyOf = (q: Rows): Rows => times(plus(eye(q.length), q), inverse(plus(eye(q.length), q, -1)))

/** The skew matrix with these numbers above its diagonal, row by row. */
export const skewFrom = (pairs: readonly number[], n: number): Rows => {
  const q = eye(n).map((row) => row.map(() => 0))
  let at = 0
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++, at++) [q[i]![j], q[j]![i]] = [pairs[at]!, -pairs[at]!]
  return q
}

/** Blocks down the diagonal. */
export const diagonalOf = (blocks: readonly Rows[]): Rows => {
  const b = blocks[0]?.length ?? 0
  const n = b * blocks.length
  return Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) =>
      Math.floor(i / b) === Math.floor(j / b) ? blocks[Math.floor(i / b)]![i % b]![j % b]! : 0,
    ),
  )
}

/**
 * Where a factor of a butterfly puts its blocks: block by block the inputs that it mixes. The k-th (from 0) takes two halves
 * of a block that lie 2ᵏ halves apart.
 */
const mixedBy = (k: number, b: number, n: number): readonly (readonly number[])[] => {
  const inOrder = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)
  if (k === 0) return inOrder(0, n / b).map((block) => inOrder(block * b, b))
  const half = b / 2
  const chunks = inOrder(0, n / half)
  return chunks
    .filter((c) => Math.floor(c / 2 ** k) % 2 === 0)
    .map((c) => [...inOrder(c * half, half), ...inOrder((c + 2 ** k) * half, half)])
}

/** Bₘ⋯B₁ from the matrices A of all factors under each other, of which the skew parts count. */
export const butterflyOf = (r: Rows, n: number): Rows => {
  const b = r[0]!.length
  const factors = Array.from({ length: r.length / n }, (_, k): Rows => {
    const factor = eye(n).map((row) => [...row])
    mixedBy(k, b, n).forEach((inputs, block) => {
      const a = r.slice(k * n + block * b, k * n + (block + 1) * b)
      const turn = cayleyOf(plus(a, transposed(a), -1).map((row) => row.map((x) => x / 2)))
      inputs.forEach((i, p) => inputs.forEach((j, q) => (factor[i]![j] = turn[p]![q]!)))
    })
    return factor
  })
  return factors.reduce((product, factor) => times(factor, product))
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((n, x, i) => n + x * b[i]!, 0)
const unit = (u: readonly number[]): readonly number[] => u.map((x) => x / Math.sqrt(dot(u, u)))

/** Hᵣ⋯H₁ along the columns of u, after Gram and Schmidt if they are to be orthogonal. */
export const reflectionsOf = (u: Rows, orthogonalise: boolean): Rows => {
  const directions: (readonly number[])[] = []
  for (const column of transposed(u)) {
    const rest = orthogonalise
      ? directions.reduce((left, d) => left.map((x, i) => x - dot(left, d) * d[i]!), column)
      : column
    directions.push(unit(rest))
  }
  return directions.reduce<Rows>(
    (product, d) =>
      times(
        plus(
          eye(d.length),
          d.map((x) => d.map((y) => x * y)),
          -2,
        ),
        product,
      ),
    eye(u.length),
  )
}
