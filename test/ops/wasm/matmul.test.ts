import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, test } from 'vitest'
import { installWasmKernels, type WasmBackend } from '../../../src/ops/wasm/index.ts'
import { operands, run, shapes, startWasm, tensor, type Product } from './product.ts'

beforeAll(() => startWasm({ threads: 2 }))

const square: Product = {
  batch: [],
  rightBatched: false,
  m: 2,
  n: 2,
  k: 2,
  transposeA: false,
  transposeB: false,
  seed: 0,
}

describe('the matrix product on WASM', () => {
  test('gives the same bits after the memory has grown', () => {
    const product = { ...square, batch: [2], rightBatched: true, m: 33, n: 41, k: 300, transposeA: true }
    const { a, b } = operands(product)
    const left = tensor(a, shapes(product).a)
    const right = tensor(b, shapes(product).b)
    const before = run(left, right, product).dataSync()
    const { wasm } = tf.backend() as unknown as WasmBackend
    const heap = wasm.HEAPU8.length
    const big = tf.zeros([heap / 4])
    expect(wasm.HEAPU8.length).toBeGreaterThan(heap)
    expect(run(left, right, product).dataSync()).toEqual(before)
    big.dispose()
  })

  test('takes operands that were made on another backend', async () => {
    await tf.setBackend('cpu')
    const a = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3])
    const b = tf.tensor2d([1, 0, 0, 1, 1, 1], [3, 2])
    await tf.setBackend('wasm')
    expect([...run(a, b, { ...square, k: 3 }).dataSync()]).toEqual([4, 5, 10, 11])
    expect([...a.dataSync()]).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('is a typed error on a backend without the kernels, on int32 and without memory', async () => {
    const floats = tf.ones([2, 2])
    expect(() => run(tf.ones([2, 2], 'int32'), floats, square)).toThrow(/DTypeMismatch at matmul.*int32/)
    const wide = tf.ones([40_000, 1])
    const tall = { ...square, m: 40_000, n: 40_000, k: 1, transposeB: true }
    const tensors = tf.memory().numTensors
    expect(() => run(wide, wide, tall)).toThrow(/OutOfMemory at matmul: expected 6400000000 bytes/)
    expect(tf.memory().numTensors).toBe(tensors)
    expect([...run(floats, floats, square).dataSync()]).toEqual([2, 2, 2, 2])
    await tf.setBackend('cpu')
    expect(() => run(floats, floats, square)).toThrow(/EngineNotReady.*cpu/)
    await expect(installWasmKernels()).rejects.toThrow(/WasmKernelsUnavailable.*cpu/)
    await tf.setBackend('wasm')
  })
})
