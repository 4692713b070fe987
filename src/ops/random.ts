import type { Key } from '../tree/key.ts'
import { words } from '../tree/key.ts'
import type { Tensor } from '../tree/tensor.ts'
import { adopt, checkShape } from './create.ts'
import { fail } from '../tree/error.ts'

/**
 * Draws float32 numbers evenly from [low, high); element i depends on the key and i alone, on every engine.
 *
 * Errors: `InvalidRange` unless low < high, both finite.
 *
 * @example
 * ```ts
 * import { key } from 'espalier'
 * import { read, uniform } from 'espalier/ops'
 *
 * read(uniform(key(0), [100], -1, 1)).every((x) => x >= -1 && x < 1) // => true
 * ```
 */
export const uniform = (k: Key, shape: readonly number[], low = 0, high = 1): Tensor => {
  const least = Math.fround(low)
  const end = Math.fround(high)
  if (!(least < end) || !Number.isFinite(end - least)) return invalidRange('uniform', 'low < high', [low, high])
  return draw(k, shape, (word) => {
    const value = Math.fround(low + (high - low) * ((word >>> 8) * 2 ** -24))
    // Rounding to float32 may reach `high` (or fall short of `low`), which the interval excludes.
    return value >= least && value < end ? value : least
  })
}

/**
 * Draws float32 numbers from the normal distribution; element i depends on the key and i alone, on every engine.
 *
 * Errors: `InvalidRange` for a negative or infinite `std`.
 *
 * @source Wichura 1988, algorithm AS 241 (PPND7), by inversion of 32-bit uniform numbers.
 * @example
 * ```ts
 * import { key } from 'espalier'
 * import { item, mean, normal } from 'espalier/ops'
 *
 * Math.abs(item(mean(normal(key(0), [10_000])))) < 0.05 // => true
 * ```
 */
export const normal = (k: Key, shape: readonly number[], mean = 0, std = 1): Tensor => {
  if (!(std >= 0) || !Number.isFinite(std) || !Number.isFinite(mean)) {
    return invalidRange('normal', 'a finite mean and a finite std >= 0', [mean, std])
  }
  return draw(k, shape, (word) => mean + std * normalQuantile((word + 0.5) * 2 ** -32))
}

/**
 * Draws an order of the numbers 0 … n − 1; each order is equally likely. Errors: `InvalidCount`.
 *
 * @source Durstenfeld 1964 (Fisher–Yates).
 * @example
 * ```ts
 * import { key } from 'espalier'
 * import { permutation } from 'espalier/ops'
 *
 * permutation(key(0), 5).toSorted() // => new Int32Array([0, 1, 2, 3, 4])
 * ```
 */
export const permutation = (k: Key, n: number): Int32Array => {
  const random = words(k, 2 * n)
  const order = Int32Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i -= 1) {
    // 53 bits, so that no position is favoured by a remainder.
    const unit = ((random[2 * i]! >>> 5) * 2 ** 26 + (random[2 * i + 1]! >>> 6)) * 2 ** -53
    const j = Math.floor(unit * (i + 1))
    const other = order[j]!
    order[j] = order[i]!
    order[i] = other
  }
  return order
}

const draw = (k: Key, shape: readonly number[], from: (word: number) => number): Tensor => {
  const size = checkShape('draw', shape)
  const all = words(k, size)
  const data = new Float32Array(size)
  for (let i = 0; i < size; i += 1) data[i] = from(all[i]!)
  return adopt(data, shape)
}

// Rational approximations to about 1e-7, the precision of float32.
const normalQuantile = (p: number): number => {
  const q = p - 0.5
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q
    const above = ((59.10937472 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179
    return (q * above) / (((67.1875636 * r + 78.757757664) * r + 17.895169469) * r + 1)
  }
  const r = Math.sqrt(-Math.log(q < 0 ? p : 1 - p))
  return q < 0 ? -tail(r) : tail(r)
}

const tail = (r: number): number => {
  if (r <= 5) {
    const s = r - 1.6
    const above = ((0.17023821103 * s + 1.3067284816) * s + 2.75681539) * s + 1.4234372777
    return above / ((0.12021132975 * s + 0.7370016425) * s + 1)
  }
  const s = r - 5
  const above = ((0.017337203997 * s + 0.42868294337) * s + 3.081226386) * s + 6.657905115
  return above / ((0.012258202635 * s + 0.24197894225) * s + 1)
}

const invalidRange = (what: string, expected: string, found: readonly number[]): never =>
  fail({
    _tag: 'InvalidRange',
    path: what,
    expected,
    found: found.join(' and '),
    hint: 'Numbers are drawn between "low" and "high", or around "mean" with the deviation "std".',
  })
