import { expect, test } from 'vitest'
import { normal, permutation, read, uniform } from '../../src/ops/index.ts'
import { key, split } from '../../src/tree/key.ts'

const mean = (xs: readonly number[]): number => xs.reduce((sum, x) => sum + x, 0) / xs.length
const moment = (xs: readonly number[], power: number): number => mean(xs.map((x) => x ** power))

// erfc by its continued fraction and series, good to 1e-12 here: an inverse-free check of the inverse.
const normalCdf = (x: number): number => {
  let term = x
  let sum = x
  for (let n = 1; n < 300; n += 1) {
    term *= (x * x) / (2 * n + 1)
    sum += term
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)
}

test('normal numbers have the moments of the normal distribution', () => {
  const xs = [...read(normal(key(3), [200_000]))]
  expect(mean(xs)).toBeCloseTo(0, 2)
  expect(moment(xs, 2)).toBeCloseTo(1, 1.5)
  expect(moment(xs, 3)).toBeCloseTo(0, 1)
  expect(moment(xs, 4) / 3).toBeCloseTo(1, 1)
  expect(Math.max(...xs.slice(0, 100_000))).toBeGreaterThan(3.5)
})

test('normal numbers follow the distribution: the cdf of each decile point is where it belongs', () => {
  const xs = [...read(normal(key(4), [100_000]))].toSorted((a, b) => a - b)
  for (const p of [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999]) {
    const deviation = Math.sqrt((p * (1 - p)) / xs.length)
    expect(Math.abs(normalCdf(xs[Math.floor(p * xs.length)]!) - p)).toBeLessThan(4 * deviation)
  }
})

test('uniform numbers stay in [low, high), also where float32 would round up to high', () => {
  for (const [low, high] of [
    [0, 1],
    [1, 2],
    [-3, 5],
    [1, 1 + 2 ** -22],
  ] as const) {
    const xs = read(uniform(key(5), [50_000], low, high))
    expect(xs.every((x) => x >= low && x < high)).toBe(true)
  }
  expect(mean([...read(uniform(key(6), [100_000], -1, 3))])).toBeCloseTo(1, 1)
})

test('every order of three is as likely as any other', () => {
  const counts = new Map<string, number>()
  for (const k of split(key(7), 6000)) {
    const order = permutation(k, 3).join('')
    counts.set(order, (counts.get(order) ?? 0) + 1)
  }
  expect(counts.size).toBe(6)
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150)
})

test('ranges that mean nothing are refused', () => {
  expect(() => uniform(key(0), [1], 1, 1)).toThrow(/InvalidRange at uniform/)
  expect(() => uniform(key(0), [1], 0, Number.NaN)).toThrow(/InvalidRange at uniform/)
  expect(() => normal(key(0), [1], 0, -1)).toThrow(/InvalidRange at normal/)
  expect(() => normal(key(0), [-1])).toThrow(/InvalidShape|InvalidCount/)
})

test('13 million normal numbers take about a second', () => {
  const start = performance.now()
  expect(normal(key(0), [13_000_000]).size).toBe(13_000_000)
  const seconds = (performance.now() - start) / 1000
  if (process.env['BENCH']) console.log(`13 million normal numbers: ${seconds.toFixed(2)} s`)
  expect(seconds).toBeLessThan(6)
})
