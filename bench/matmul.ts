/*
 * The matrix product of the WASM engine beside tfjs's own, best of several rounds, interleaved. One thread.
 *
 *   npx tsc -p tsconfig.json --noEmit false --outDir node_modules/.cache/bench
 *   node node_modules/.cache/bench/bench/matmul.js
 */
import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import type { Tensor } from '../src/tree/tensor.ts'
import { installWasmKernels } from '../src/ops/wasm/index.ts'
import { matmulWasm } from '../src/ops/wasm/matmul.ts'

interface Case {
  readonly name: string
  readonly a: readonly number[]
  readonly b: readonly number[]
  readonly transposeA?: boolean
  readonly transposeB?: boolean
}

const cases: readonly Case[] = [
  { name: '512^3', a: [512, 512], b: [512, 512] },
  { name: '512^3, b transposed', a: [512, 512], b: [512, 512], transposeB: true },
  { name: '512^3, a transposed', a: [512, 512], b: [512, 512], transposeA: true },
  { name: 'attention q k^T, 32 x (50x128x50)', a: [32, 50, 128], b: [32, 50, 128], transposeB: true },
  { name: 'attention p v, 32 x (50x50x128)', a: [32, 50, 50], b: [32, 50, 128] },
  { name: 'attention p^T dy, 32 x (50x50x128)', a: [32, 50, 50], b: [32, 50, 128], transposeA: true },
  { name: 'layer 16x50x128 x 128x256', a: [16, 50, 128], b: [128, 256] },
  { name: 'one token 1x768 x 768x3072', a: [1, 768], b: [768, 3072] },
  { name: 'one token 1x768 x 3072x768, b transposed', a: [1, 768], b: [3072, 768], transposeB: true },
  { name: 'four tokens 4x768 x 768x3072', a: [4, 768], b: [768, 3072] },
  { name: 'four tokens, b transposed', a: [4, 768], b: [3072, 768], transposeB: true },
  { name: '512x768x3072', a: [512, 768], b: [768, 3072] },
]
const rounds = 7

const main = async (): Promise<void> => {
  tf.env().set('PROD', true)
  await tf.setBackend('wasm')
  await installWasmKernels()
  console.log(`${'case'.padEnd(42)}${'tfjs ms (GFLOP/s)'.padStart(20)}${'ours ms (GFLOP/s)'.padStart(20)}   ratio`)
  for (const { name, a, b, transposeA = false, transposeB = false } of cases) {
    const left = tf.randomUniform([...a], -1, 1, 'float32', 1)
    const right = tf.randomUniform([...b], -1, 1, 'float32', 2)
    const output = tf.tidy(() => tf.matMul(left, right, transposeA, transposeB).shape)
    const flops = 2 * output.reduce((x, y) => x * y, 1) * a.at(transposeA ? -2 : -1)!
    const stock = (): void => tf.matMul(left, right, transposeA, transposeB).dispose()
    const ours = (): void => {
      const handles = [left, right] as unknown as readonly Tensor[]
      const result = matmulWasm(handles, { transposeA, transposeB }, { shape: output, dtype: 'float32' })
      tf.dispose(result as unknown as tf.Tensor)
    }
    const [stockMs, oursMs] = bestOf([stock, ours], Math.max(1, Math.round(5e7 / flops)))
    const cell = (ms: number): string => `${ms.toFixed(2)} (${(flops / ms / 1e6).toFixed(1)})`.padStart(20)
    console.log(`${name.padEnd(42)}${cell(stockMs!)}${cell(oursMs!)}${(stockMs! / oursMs!).toFixed(1).padStart(8)}`)
    tf.dispose([left, right])
  }
}

/** Milliseconds of one call of each, in the best round. */
const bestOf = (candidates: readonly (() => void)[], repetitions: number): readonly number[] => {
  const times = Array.from({ length: rounds }, () => candidates.map((run) => milliseconds(run, repetitions)))
  return candidates.map((_, i) => Math.min(...times.map((round) => round[i]!)))
}

const milliseconds = (run: () => void, repetitions: number): number => {
  const start = performance.now()
  for (let i = 0; i < repetitions; i++) run()
  return (performance.now() - start) / repetitions
}

await main()
