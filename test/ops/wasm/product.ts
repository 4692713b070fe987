import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import type { WasmOptions } from '../../../src/ops/wasm/index.ts'
import { startWasm as start } from '../../../src/ops/wasm/start.ts'
import { matmulWasm } from '../../../src/ops/wasm/matmul.ts'
import type { Tensor } from '../../../src/tree/tensor.ts'

/** tfjs's WASM backend with our kernels on it, on a memory that threads can share. */
export const startWasm = async (options: WasmOptions): Promise<void> => {
  tf.env().set('PROD', true)
  // The first start decides what the memory is.
  await start({ threads: 2 })
  await start(options)
}

/** Both builds, with one thread and with more. */
export const ways: readonly Required<WasmOptions>[] = [
  { threads: 1, reproducible: true },
  { threads: 2, reproducible: false },
  { threads: 3, reproducible: true },
]

/** A product as the kernel is asked for it; `m`, `n`, `k` are those of the result, whatever is transposed. */
export interface Product {
  readonly batch: readonly number[]
  /** Whether the right operand has the batch too, or is one matrix for all. */
  readonly rightBatched: boolean
  readonly m: number
  readonly n: number
  readonly k: number
  readonly transposeA: boolean
  readonly transposeB: boolean
  readonly seed: number
}

interface Shapes {
  readonly a: readonly number[]
  readonly b: readonly number[]
  readonly c: readonly number[]
}
interface Operands {
  readonly a: Float32Array
  readonly b: Float32Array
}
interface Definition {
  readonly value: Float64Array
  readonly magnitude: Float64Array
}
interface Computed {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** Of the operands as stored, and of the result. */
export const shapes = ({ batch, rightBatched, m, n, k, transposeA, transposeB }: Product): Shapes => ({
  a: [...batch, ...(transposeA ? [k, m] : [m, k])],
  b: [...(rightBatched ? batch : []), ...(transposeB ? [n, k] : [k, n])],
  c: [...batch, m, n],
})
/** Elements of a shape. */
export const count = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/** Values in [-1, 1) with a few exact zeros, from a linear congruential sequence. */
const values = (length: number, seed: number): Float32Array => {
  let state = seed >>> 0
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state % 11 === 0 ? 0 : state / 2 ** 31 - 1
  })
}

/** The operands of a product, from its seed. */
export const operands = (product: Product): Operands => {
  const { a, b } = shapes(product)
  return { a: values(count(a), product.seed), b: values(count(b), product.seed + 1) }
}

/** The definition, in double; `magnitude` is the sum of |a||b|, which bounds the rounding of any order of summation. */
export const definition = (product: Product): Definition => {
  const { m, n, k, transposeA, transposeB, rightBatched, batch } = product
  const { a, b } = operands(product)
  const value = new Float64Array(count(batch) * m * n)
  const magnitude = new Float64Array(value.length)
  for (let matrix = 0; matrix < count(batch); matrix++) {
    const aBase = matrix * m * k
    const bBase = rightBatched ? matrix * k * n : 0
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        const at = (matrix * m + i) * n + j
        for (let p = 0; p < k; p++) {
          const x = a[aBase + (transposeA ? p * m + i : i * k + p)]!
          const y = b[bBase + (transposeB ? j * k + p : p * n + j)]!
          value[at]! += x * y
          magnitude[at]! += Math.abs(x * y)
        }
      }
    }
  }
  return { value, magnitude }
}

/** A copy on the current backend. */
export const tensor = (data: Float32Array, shape: readonly number[]): tf.Tensor => tf.tensor(data, [...shape])
/** The kernel under test. */
export const run = (a: tf.Tensor, b: tf.Tensor, product: Product): tf.Tensor => {
  const { transposeA, transposeB } = product
  const spec = { shape: shapes(product).c, dtype: 'float32' as const }
  return matmulWasm([a, b] as unknown as readonly Tensor[], { transposeA, transposeB }, spec) as unknown as tf.Tensor
}

/** Runs and frees. */
export const compute = (product: Product): Computed => {
  const { a, b } = operands(product)
  const left = tensor(a, shapes(product).a)
  const right = tensor(b, shapes(product).b)
  const result = run(left, right, product)
  const out = { shape: result.shape, data: result.dataSync<'float32'>().slice() }
  tf.dispose([left, right, result])
  return out
}
