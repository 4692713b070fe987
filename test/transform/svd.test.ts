import { describe, expect, test } from 'vitest'
import { key } from '../../src/index.ts'
import { normal, read } from '../../src/ops/index.ts'
import { orthonormalColumns, truncatedSvd } from '../../src/transform/svd.ts'

const drawn = (seed: number, rows: number, columns: number): Float32Array =>
  read(normal(key(seed), [rows, columns])) as Float32Array

/** a [n, k] transposed times b [n, m]. */
const products = (a: Float32Array, b: Float32Array, n: number): number[] => {
  const [k, m] = [a.length / n, b.length / n]
  return Array.from({ length: k * m }, (_, at) => {
    let sum = 0
    for (let r = 0; r < n; r += 1) sum += a[r * k + Math.floor(at / m)]! * b[r * m + (at % m)]!
    return sum
  })
}

const distanceFromIdentity = (a: Float32Array, n: number): number => {
  const k = a.length / n
  return Math.max(...products(a, a, n).map((x, at) => Math.abs(x - (Math.floor(at / k) === at % k ? 1 : 0))))
}

/** The squared norm of data − u·s·vᵀ. */
const residual = (
  rows: number,
  columns: number,
  data: Float32Array,
  { u, s, v }: ReturnType<typeof truncatedSvd>,
): number => {
  let sum = 0
  for (let i = 0; i < rows; i += 1)
    for (let j = 0; j < columns; j += 1) {
      let x = data[i * columns + j]!
      for (let k = 0; k < s.length; k += 1) x -= u[i * s.length + k]! * s[k]! * v[j * s.length + k]!
      sum += x * x
    }
  return sum
}

const squares = (all: Iterable<number>): number => [...all].reduce((n, x) => n + x * x, 0)

/** A matrix whose k-th singular value is 2^-k, so that what is left out is known. */
const falling = (rows: number, columns: number, rank: number): Float32Array => {
  const [u, v] = [drawn(1, rows, rank), drawn(2, columns, rank)].map((x, i) =>
    orthonormalColumns(i === 0 ? rows : columns, rank, x),
  ) as [Float32Array, Float32Array]
  return Float32Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns]
    let sum = 0
    for (let k = 0; k < rank; k += 1) sum += u[i * rank + k]! * 2 ** -k * v[j * rank + k]!
    return sum
  })
}

describe.each([
  ['directly', 7, 5],
  ['directly, wide', 5, 7],
  ['by its Gram matrix', 300, 90],
  ['by its Gram matrix, wide', 90, 300],
] as const)('a matrix decomposed %s', (_, rows, columns) => {
  const least = Math.min(rows, columns)
  const data = drawn(3, rows, columns)

  test('has orthonormal vectors and falling values, and keeps the most that its rank can (Eckart–Young)', () => {
    const all = truncatedSvd(rows, columns, data, least)
    expect(residual(rows, columns, data, all)).toBeLessThan(1e-8 * squares(data))
    const part = truncatedSvd(rows, columns, data, 3)
    expect(distanceFromIdentity(part.u, rows)).toBeLessThan(1e-5)
    expect(distanceFromIdentity(part.v, columns)).toBeLessThan(1e-5)
    expect([...part.s]).toEqual([...part.s].toSorted((a, b) => b - a))
    const left = squares(all.s.slice(3))
    expect(Math.abs(residual(rows, columns, data, part) / left - 1)).toBeLessThan(1e-4)
  })

  test('gives the same signs each time, the largest on the left positive', () => {
    const [a, b] = [truncatedSvd(rows, columns, data, 2), truncatedSvd(rows, columns, data, 2)]
    expect(a).toEqual(b)
    for (const k of [0, 1]) {
      const column = [...a.u].filter((_x, i) => i % 2 === k)
      expect(column.toSorted((x, y) => Math.abs(y) - Math.abs(x))[0]).toBeGreaterThan(0)
    }
  })
})

test('beyond 1024 on both sides the leading part is found by iteration', () => {
  const [rows, columns] = [1100, 1030]
  const data = falling(rows, columns, 12)
  const found = truncatedSvd(rows, columns, data, 4)
  for (const [k, s] of found.s.entries()) expect(Math.abs(s / 2 ** -k - 1)).toBeLessThan(1e-5)
  expect(distanceFromIdentity(found.u, rows)).toBeLessThan(1e-5)
  expect(residual(rows, columns, data, found)).toBeLessThan(
    1.01 * squares([4, 5, 6, 7, 8, 9, 10, 11].map((k) => 2 ** -k)),
  )
})

test('a matrix of zeros, and one of less rank than asked for, still give orthonormal vectors', () => {
  const zero = truncatedSvd(6, 4, new Float32Array(24), 2)
  expect([...zero.s]).toEqual([0, 0])
  const one = Float32Array.from({ length: 24 }, () => 1)
  const found = truncatedSvd(6, 4, one, 2)
  expect(found.s[0]).toBeCloseTo(Math.sqrt(24), 5)
  expect(found.s[1]).toBeCloseTo(0, 5)
  expect(distanceFromIdentity(found.u, 6)).toBeLessThan(1e-5)
})
