import { uniform, read } from '../ops/index.ts'
import type { Key } from '../tree/key.ts'

/** A change of one weight, its numbers in row-major order, and what it is multiplied by. */
export interface TaskVector {
  readonly data: ArrayLike<number>
  readonly weight: number
}

/**
 * The share `density` of numbers that are largest in magnitude, the others zero; of equal ones the first.
 *
 * @source Yadav et al. 2023, "TIES-Merging: Resolving Interference When Merging Models", §4.1 (trim).
 */
export const trimmed = (data: ArrayLike<number>, density: number): Float64Array => {
  const kept = Math.ceil(density * data.length)
  const out = new Float64Array(data.length)
  const order = Array.from({ length: data.length }, (_, i) => i)
  // A stable sort, so that the first of equal magnitudes stay.
  order.sort((i, j) => Math.abs(data[j]!) - Math.abs(data[i]!))
  for (const i of order.slice(0, kept)) out[i] = data[i]!
  return out
}

/**
 * Each number with probability `density`, divided by it, and zero otherwise: the same in the mean.
 *
 * @source Yu et al. 2024, "Language Models are Super Mario", §3.2 (drop and rescale).
 */
export const dropped = (data: ArrayLike<number>, density: number, key: Key): Float64Array => {
  const chances = read(uniform(key, [data.length], 0, 1))
  return Float64Array.from({ length: data.length }, (_, i) => (chances[i]! < density ? data[i]! / density : 0))
}

/** Σ weight · change. */
export const summed = (vectors: readonly TaskVector[]): Float64Array => {
  const sum = new Float64Array(vectors[0]?.data.length ?? 0)
  for (const { data, weight } of vectors) for (let i = 0; i < sum.length; i++) sum[i]! += weight * data[i]!
  return sum
}

/**
 * At each number the mean of the changes that have the sign which most of their mass has; the others do not count.
 *
 * @source Yadav et al. 2023, §4.2 (elect) and §4.3 (disjoint merge).
 */
export const elected = (vectors: readonly TaskVector[]): Float64Array => {
  const sum = summed(vectors)
  return sum.map((total, i) => {
    const sign = Math.sign(total)
    const agreeing = vectors
      .map(({ data, weight }) => weight * data[i]!)
      .filter((x) => x !== 0 && Math.sign(x) === sign)
    return agreeing.length === 0 ? 0 : agreeing.reduce((a, b) => a + b, 0) / agreeing.length
  })
}
