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
  const own = hasKernels(tf)
  const wrong = own ? checks.map((check) => mistake(tf, check)).find((found) => found !== null) : undefined
  const leaked = tf.memory().numTensors - before
  if (wrong !== undefined) throw new Error(`the kernels of espalier compute wrongly: ${wrong}`)
  if (String(values) !== '19,22,43,50,11,15,11,15' || leaked !== 0) {
    throw new Error(`it computes wrongly: ${String(values)}, ${leaked} tensors left`)
  }
  return own ? `${loaded.describe}, with the kernels of espalier` : loaded.describe
}

type Backend = Tf.KernelBackend & {
  readonly executeSingleOutput: (op: string, attrs: readonly unknown[], inputs: readonly Tf.Tensor[]) => Tf.Tensor
}

/** False in a binding that was linked without kernels of our own. */
const hasKernels = (tf: typeof Tf): boolean => {
  try {
    ;(tf.backend() as Backend).executeSingleOutput('EspalierProcessor', [], []).dispose()
    return true
  } catch {
    return false
  }
}

/** A kernel of our own, what it is told and given, and what comes of it, in whole numbers that no order of sums changes. */
interface Check {
  readonly op: string
  readonly attrs: readonly { readonly name: string; readonly type: number; readonly value: unknown }[]
  readonly inputs: (tf: typeof Tf) => readonly Tf.Tensor[]
  readonly expected: readonly number[]
}

// The numbers of TF_AttrType.
const text = (name: string, value: string) => ({ name, type: 0, value })
const int = (name: string, value: number) => ({ name, type: 1, value })
const float = (name: string, value: number) => ({ name, type: 2, value })

const checks: readonly Check[] = [
  {
    op: 'EspalierMatMul',
    attrs: [],
    inputs: (tf) => [tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])],
    expected: [19, 22, 43, 50],
  },
  // One query alone goes another way than several.
  ...[1, 6].map((queries) => ({
    op: 'EspalierAttention',
    attrs: [int('NM', 0), int('NS', 0), float('scale', 1)],
    inputs: (tf: typeof Tf) => [
      tf.tile(tf.tensor4d([1, 0], [1, 1, 1, 2]), [1, 1, queries, 1]),
      tf.tensor4d([5, 1, 5, 2, -200, 3], [1, 1, 3, 2]),
      tf.tensor4d([10, 20, 30], [1, 1, 3, 1]),
    ],
    expected: Array<number>(queries).fill(15),
  })),
  {
    op: 'EspalierHeadLoss',
    attrs: [int('NB', 0), int('ignore', -100)],
    inputs: (tf) => [
      tf.tensor2d([1000, 0, 5, 6], [2, 2]),
      tf.tensor2d([1, 0, 0, 1], [2, 2]),
      tf.tensor1d([1, -100], 'int32'),
    ],
    expected: [1000, 0],
  },
  {
    op: 'EspalierElementwise',
    attrs: [int('N', 2), int('outputs', 1), text('program', 'r0 exp i0; r1 mul r0 i1; o0 sub r1 c1')],
    inputs: (tf) => [tf.tensor1d([0, 0, 0]), tf.tensor1d([2, 3, -4])],
    expected: [1, 2, -5],
  },
]

/** What a kernel of our own computes, where it is not what is expected. */
const mistake = (tf: typeof Tf, { op, attrs, inputs, expected }: Check): string | null => {
  const found = tf.tidy(() => String((tf.backend() as Backend).executeSingleOutput(op, attrs, inputs(tf)).dataSync()))
  return found === String(expected) ? null : `${op} gave ${found} for ${String(expected)}`
}

verify(process.argv[2] ?? '').then(
  (describe) => process.stdout.write(describe),
  (error: unknown) => {
    process.stderr.write(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  },
)
