import { createHash } from 'node:crypto'
import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import { engine, gather, read, scatterAdd, scope, type Tensor, tensor } from '../../../src/ops/index.ts'
import { compute, type Product, startWasm } from './product.ts'

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })
const flags = { transposeA: fc.boolean(), transposeB: fc.boolean(), seed: fc.nat() }

/** Short to compare, and to print. */
const bytesOf = (t: Tensor): string => createHash('sha256').update(read(t)).digest('hex')

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
      const bits = (each: Product): Buffer => Buffer.from(compute(each).data.buffer)
      const alone = products.map(bits)
      for (const threads of [2, 5]) {
        await startWasm({ threads, reproducible })
        expect(products.filter((each, i) => !bits(each).equals(alone[i]!))).toEqual([])
      }
    },
  )

  const table = fc.record({
    rows: fc.integer({ min: 1, max: 1000 }),
    width: fc.oneof(size(9), size(300)),
    count: size(200),
    seed: fc.nat(),
  })
  type Table = typeof table extends fc.Arbitrary<infer T> ? T : never

  const both = ({ rows, width, count, seed }: Table): readonly string[] =>
    scope(() => {
      const ids = Array.from({ length: count }, (_, i) => Math.abs(Math.imul(i + 1, seed + 7)) % rows)
      const at = tensor(ids, [count], 'int32')
      const dy = tensor(
        Float32Array.from({ length: count * width }, (_, i) => Math.sin(i + seed)),
        [count, width],
      )
      const sums = scatterAdd(at, dy, rows)
      return [sums, gather(sums, at)].map(bytesOf)
    })

  test.prop([fc.array(table, { minLength: 10, maxLength: 10 })], { numRuns: 4 })(
    'nor of rows gathered from a table and added up in one',
    async (tables) => {
      await engine({ prefer: 'js', quiet: true })
      const expected = tables.map(both)
      for (const threads of [1, 2, 5]) {
        await engine({ prefer: 'wasm', quiet: true, threads, reproducible })
        expect(tables.map(both)).toEqual(expected)
      }
    },
  )
})
