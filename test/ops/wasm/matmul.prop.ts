import { fc, test } from '@fast-check/vitest'
import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect } from 'vitest'
import { compute, count, definition, operands, run, shapes, startWasm, tensor, ways, type Product } from './product.ts'

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })
/** Around the edges of the 5 x 8 tile and of the blocks of 130 rows, 1024 columns and 256 depths. */
const rowCount = fc.oneof(size(17), fc.constantFrom(4, 5, 6, 10, 129, 130, 131))
const columnCount = fc.oneof(size(25), fc.constantFrom(7, 8, 9, 16, 17, 1023, 1024, 1025))
const depthCount = fc.oneof(size(20), fc.constantFrom(255, 256, 257, 511, 512, 513))
const flags = { transposeA: fc.boolean(), transposeB: fc.boolean(), seed: fc.nat() }
const anyBatch = { batch: fc.array(size(3), { maxLength: 2 }), rightBatched: fc.boolean() }

const large = fc.record<Product>({
  batch: fc.constant([]),
  rightBatched: fc.constant(false),
  m: rowCount,
  n: columnCount,
  k: depthCount,
  ...flags,
})
const batched = fc.record<Product>({ ...anyBatch, m: size(12), n: size(18), k: size(12), ...flags })

/**
 * Fills free blocks of the sizes the result could take with NaN, so that an element that the kernel forgets to write, or
 * reads before it wrote it, shows.
 */
const poison = (elements: number): void => {
  const nan = new Float32Array(elements).fill(NaN)
  tf.dispose(Array.from({ length: 3 }, () => tf.tensor(nan)))
}

const unitRoundoff = 2 ** -24
/** Higham: |computed - exact| <= gamma(k) sum |a||b|, for every order of summation; one more for the last rounding. */
const worstError = (product: Product): number => {
  const { value, magnitude } = definition(product)
  poison(value.length)
  const { data } = compute(product)
  return value.reduce((worst, exact, i) => {
    const bound = (product.k + 1) * unitRoundoff * magnitude[i]! * 1.001
    const error = Math.abs(data[i]! - exact)
    return Math.max(worst, Number.isNaN(error) ? Infinity : error === 0 ? 0 : error / bound)
  }, 0)
}

describe.each(ways)('the matrix product on WASM, $threads threads, reproducible: $reproducible', (way) => {
  beforeAll(() => startWasm(way))

  test.prop([large], { numRuns: 80 })('is the definition up to rounding, at every edge and transpose', (product) => {
    expect(worstError(product)).toBeLessThanOrEqual(1)
  })

  test.prop([batched], { numRuns: 100 })('is the definition for batches and for one right operand', (product) => {
    expect(worstError(product)).toBeLessThanOrEqual(1)
    expect(compute(product).shape).toEqual(shapes(product).c)
  })

  test.prop([large])('of a transposed operand is bitwise that of the operand stored the other way', (product) => {
    const { a, b } = operands(product)
    const other = { ...product, transposeA: !product.transposeA, transposeB: !product.transposeB }
    const [direct, stored] = tf.tidy(() => {
      const left = tensor(a, shapes(product).a)
      const right = tensor(b, shapes(product).b)
      return [run(left, right, product), run(left.transpose(), right.transpose(), other)].map((x) => x.dataSync())
    })
    expect(direct).toEqual(stored)
  })

  const rows = fc.tuple(large, fc.nat(), fc.integer({ min: 1, max: 6 }))
  test.prop([rows])('has the same bits in a row whatever rows stand beside it', ([product, first, height]) => {
    const { m, k, n } = product
    const from = first % m
    const part = { ...product, m: Math.min(height, m - from), transposeA: false }
    const { a, b } = operands(product)
    const [whole, alone] = tf.tidy(() => {
      const left = tensor(a, [m, k])
      const right = tensor(b, shapes(product).b)
      const all = run(left, right, { ...product, transposeA: false }).slice([from, 0], [part.m, n])
      return [all, run(left.slice([from, 0], [part.m, k]), right, part)].map((x) => x.dataSync())
    })
    expect(alone).toEqual(whole)
  })

  test.prop([batched])(
    'leaves its operands, the count of tensors and bytes, and an enclosing tidy as they should be',
    (product) => {
      const { a, b } = operands(product)
      const before = { tensors: tf.memory().numTensors, bytes: tf.memory().numBytes }
      const left = tensor(a, shapes(product).a)
      const right = tensor(b, shapes(product).b)
      const alive = tf.memory().numTensors
      const result = run(left, right, product)
      expect(tf.memory().numTensors).toBe(alive + 1)
      tf.tidy(() => void run(left, right, product))
      expect(tf.memory().numTensors).toBe(alive + 1)
      expect(left.dataSync()).toEqual(a)
      expect(right.dataSync()).toEqual(b)
      tf.dispose([left, right, result])
      expect({ tensors: tf.memory().numTensors, bytes: tf.memory().numBytes }).toEqual(before)
    },
  )

  const empty = fc
    .tuple(batched, fc.constantFrom('m' as const, 'n' as const, 'k' as const, 'batch' as const))
    .map(([product, axis]): Product => ({ ...product, ...(axis === 'batch' ? { batch: [2, 0] } : { [axis]: 0 }) }))
  test.prop([empty])('with an empty axis is empty, or zeros where only the depth is', (product) => {
    poison(count(shapes(product).c))
    const { shape, data } = compute(product)
    expect(shape).toEqual(shapes(product).c)
    expect(data).toEqual(new Float32Array(count(shape)))
  })
})
