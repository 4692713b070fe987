import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import { compute, type Product, startWasm } from './product.ts'

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })
const flags = { transposeA: fc.boolean(), transposeB: fc.boolean(), seed: fc.nat() }

/** Large enough that there is a part for each thread; tall, wide, one row, and batches of them. */
const product = fc.oneof(
  fc.record<Product>({
    batch: fc.constant([]),
    rightBatched: fc.constant(false),
    m: fc.oneof(size(4), size(300)),
    n: fc.oneof(size(4), size(300), fc.constantFrom(1024, 1025)),
    k: fc.constantFrom(100, 256, 257, 600),
    ...flags,
  }),
  fc.record<Product>({
    batch: fc.constantFrom([2], [3], [2, 4]),
    rightBatched: fc.boolean(),
    m: size(90),
    n: size(90),
    k: size(90),
    ...flags,
  }),
)

describe.each([true, false])('threads of the WASM engine, reproducible: %s', (reproducible) => {
  test.prop([fc.array(product, { minLength: 10, maxLength: 10 })], { numRuns: 8 })(
    'change no bit of a product, however many there are',
    async (products) => {
      await startWasm({ threads: 1, reproducible })
      const alone = products.map((each) => compute(each))
      for (const threads of [2, 5]) {
        await startWasm({ threads, reproducible })
        expect(products.map((each) => compute(each))).toEqual(alone)
      }
    },
  )
})
