/** Matrix products of tfjs's own WASM backend. */
import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { flopsOf } from '../cases.ts'
import type { Case } from '../cases.ts'
import { serve, timed } from '../serve.ts'
import type { Ready } from '../serve.ts'

const prepare = async ({ products = [] }: Case): Promise<Ready> => {
  await tf.setBackend('wasm')
  const runs = products.map((product) => {
    const { name, batch, rows, depth, columns, transposeA = false, transposeB = false } = product
    const outer = batch === undefined ? [] : [batch]
    const a = tf.randomUniform([...outer, ...(transposeA ? [depth, rows] : [rows, depth])])
    const b = tf.randomUniform([...outer, ...(transposeB ? [columns, depth] : [depth, columns])])
    const once = (): void => tf.matMul(a, b, transposeA, transposeB).dispose()
    return () => timed(name, flopsOf({ ...product, count: 1 }), once)
  })
  return { about: { tfjs: tf.version_core }, step: () => ({ parts: Object.fromEntries(runs.map((run) => run())) }) }
}

await serve<Case>(prepare)
