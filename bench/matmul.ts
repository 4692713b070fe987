/*
 * The matrix product of the WASM engine beside tfjs's own (one thread), best of several rounds, interleaved.
 *
 *   npx tsc -p tsconfig.json --noEmit false --outDir node_modules/.cache/bench
 *   node node_modules/.cache/bench/bench/matmul.js [threads] [reproducible]
 */
import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import type { Tensor } from '../src/tree/tensor.ts'
import { matmulWasm } from '../src/ops/wasm/matmul.ts'
import { startWasm } from '../src/ops/wasm/start.ts'

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
  { name: 'eight tokens 8x768 x 768x3072', a: [8, 768], b: [768, 3072] },
  { name: '32 tokens 32x768 x 768x3072', a: [32, 768], b: [768, 3072] },
  { name: '32 tokens, b transposed', a: [32, 768], b: [3072, 768], transposeB: true },
  { name: '512x768x3072', a: [512, 768], b: [768, 3072] },
  { name: 'LoRA down 512x768 x 768x8', a: [512, 768], b: [768, 8] },
  { name: 'LoRA up 512x8 x 8x2304', a: [512, 8], b: [8, 2304] },
  { name: 'LoRA dA 768x512 x 512x8', a: [512, 768], b: [512, 8], transposeA: true },
  { name: 'LoRA dB 8x512 x 512x2304', a: [512, 8], b: [512, 2304], transposeA: true },
  { name: 'LoRA dx 512x2304 x (8x2304)^T', a: [512, 2304], b: [8, 2304], transposeB: true },
  { name: 'one column 512x768 x 768x1', a: [512, 768], b: [768, 1] },
]
const rounds = 7

const main = async (): Promise<void> => {
  tf.env().set('PROD', true)
  const [threads = '1', build] = process.argv.slice(2)
  console.log(await startWasm({ threads: Number(threads), reproducible: build === 'reproducible' }))
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
