// Runs in a process of its own: a library that does not fit the machine ends the process instead of throwing.
import { createRequire } from 'node:module'
import type * as Tf from '@tensorflow/tfjs'
import { loadInstalledAt } from './load.ts'
import { nativePaths } from './location.ts'

const verify = async (root: string): Promise<string> => {
  const loaded = loadInstalledAt(nativePaths(root))
  if (!loaded.ok) throw new Error(loaded.why)
  const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof Tf
  await tf.setBackend('tensorflow')
  const before = tf.memory().numTensors
  const values: number[] = []
  tf.tidy(() => {
    const a = tf.tensor2d([1, 2, 3, 4], [2, 2])
    const b = tf.tensor2d([5, 6, 7, 8], [2, 2])
    const gradient = tf.grad((x: Tf.Tensor) => tf.sum(tf.matMul(x, b)))
    values.push(...tf.matMul(a, b).dataSync(), ...gradient(a).dataSync())
  })
  const own = ownProduct(tf)
  const leaked = tf.memory().numTensors - before
  if (own !== null && own !== '19,22,43,50') throw new Error(`the kernels of espalier compute wrongly: ${own}`)
  if (String(values) !== '19,22,43,50,11,15,11,15' || leaked !== 0) {
    throw new Error(`it computes wrongly: ${String(values)}, ${leaked} tensors left`)
  }
  return own === null ? loaded.describe : `${loaded.describe}, with the kernels of espalier`
}

type Backend = Tf.KernelBackend & {
  readonly executeSingleOutput: (op: string, attrs: readonly unknown[], inputs: readonly Tf.Tensor[]) => Tf.Tensor
}

/** A product by a kernel of our own, `null` in a binding that was linked without them. */
const ownProduct = (tf: typeof Tf): string | null => {
  const backend = tf.backend() as Backend
  try {
    backend.executeSingleOutput('EspalierProcessor', [], []).dispose()
  } catch {
    return null
  }
  const factors = [tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])]
  const product = backend.executeSingleOutput('EspalierMatMul', [], factors)
  const values = String(product.dataSync())
  tf.dispose([...factors, product])
  return values
}

verify(process.argv[2] ?? '').then(
  (describe) => process.stdout.write(describe),
  (error: unknown) => {
    process.stderr.write(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  },
)
