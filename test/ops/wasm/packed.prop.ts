import { fc, test } from '@fast-check/vitest'
import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect } from 'vitest'
import { decodeInto, type PackedScheme } from '../../../src/ops/codebooks.ts'
import { type PackedMatrix, matmul, matmulPacked, read, scope, tensor, unpack } from '../../../src/ops/index.ts'
import { engine } from '../../../src/ops/index.ts'
import { startWasm, ways } from './product.ts'

interface Parts {
  readonly scheme: PackedScheme
  readonly shape: readonly [number, number]
  readonly nested: boolean
  readonly seed: number
}

const side = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(63, 64, 65, 255, 256, 257, 1024, 1031))
const parts = fc
  .record<Parts>({
    scheme: fc.constantFrom('nf4', 'int8', 'bf16', 'f16'),
    shape: fc.tuple(side, side),
    nested: fc.boolean(),
    seed: fc.nat(),
  })
  .filter(({ shape: [rows, columns] }) => rows * columns <= 300_000)

const perWord = { nf4: 8, int8: 4, bf16: 2, f16: 2 } as const

const words = (length: number, seed: number): Int32Array => {
  let state = seed | 0
  return Int32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return state ^ (state >>> 15)
  })
}
/** In [0.25, 1.25). */
const scales = (length: number, seed: number): Float32Array =>
  Float32Array.from(words(length, seed), (word) => (word >>> 8) / 2 ** 24 + 0.25)

/** Any bits are a packed matrix. */
const matrixOf = ({ scheme, shape, nested, seed }: Parts): PackedMatrix => {
  const size = shape[0] * shape[1]
  const blocks = Math.ceil(size / 64)
  const codes = tensor(words(Math.ceil(size / perWord[scheme]), seed), [Math.ceil(size / perWord[scheme])], 'int32')
  const floats = (length: number) => tensor(scales(length, seed + 1), [length])
  const byBlock = nested
    ? [
        tensor(words(Math.ceil(blocks / 4), seed + 2), [Math.ceil(blocks / 4)], 'int32'),
        floats(Math.ceil(blocks / 256)),
        tensor(Float32Array.of(0.3), []),
      ]
    : [floats(blocks)]
  return { scheme, shape, codes, scales: scheme === 'nf4' ? byBlock : scheme === 'int8' ? [floats(shape[0])] : [] }
}

const bits = ({ buffer, byteOffset, length }: Float32Array): Uint32Array => new Uint32Array(buffer, byteOffset, length)

/** NaN in the blocks that the result could take. */
const poison = (length: number): void => {
  const nan = new Float32Array(length).fill(NaN)
  tf.dispose(Array.from({ length: 3 }, () => tf.tensor(nan)))
}

describe.each(ways)('packed matrices on WASM, $threads threads, reproducible: $reproducible', (way) => {
  beforeAll(async () => {
    await startWasm(way)
    await engine({ prefer: 'wasm', quiet: true, ...way })
  })

  test.prop([parts], { numRuns: 60 })('decode to the bits of the scalar twin', (given) => {
    scope(() => {
      const matrix = matrixOf(given)
      const seen = [matrix.codes, ...matrix.scales].map((part) => ({ shape: part.shape, data: read(part) }))
      const expected = new Float32Array(given.shape[0] * given.shape[1])
      decodeInto(given, seen, expected)
      poison(expected.length)
      expect(bits(read(unpack(matrix)) as Float32Array)).toEqual(bits(expected))
    })
  })

  const product = fc.tuple(parts, fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(131, 133)), fc.boolean())
  test.prop([product], { numRuns: 60 })('multiply to the bits of the dense matrix', ([given, rows, transpose]) => {
    scope(() => {
      const matrix = matrixOf({ ...given, scheme: given.scheme === 'f16' ? 'int8' : given.scheme })
      const depth = given.shape[transpose ? 1 : 0]
      const x = tensor(scales(rows * depth, given.seed + 3), [rows, depth])
      const dense = read(matmul(x, unpack(matrix), { transposeB: transpose })) as Float32Array
      poison(dense.length)
      const packed = read(matmulPacked(x, matrix, { transpose })) as Float32Array
      packed.forEach((value, i) => Object.is(value, dense[i]) || expect([i, value]).toEqual([i, dense[i]]))
      expect(packed.length).toBe(dense.length)
    })
  })
})
