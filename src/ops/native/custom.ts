import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import type { Attrs, NodeAttr, NodeAttrs, NodeWriter, Op, OwnNode } from '../op.ts'
import { asTensor, asTf, tf } from '../tf.ts'

/** An attr that TensorFlow takes for a float, whatever its value. */
export const float = (value: number): NodeAttr => ({ float: value })

interface OpAttr {
  readonly name: string
  readonly type: number
  readonly value: unknown
}

interface Backend {
  readonly executeSingleOutput: (op: string, attrs: readonly OpAttr[], inputs: readonly tf.Tensor[]) => tf.Tensor
}

/** What the kernels found: the instructions they use, and how many threads. */
export interface Processor {
  readonly isa: 'base' | 'avx2' | 'avx512'
  readonly threads: number
}

/** Where one line for people goes. */
type Tell = (line: string) => void

let allowed = false
let tell: Tell = () => undefined
let found: Processor | null | undefined
const told = new Set<string>()

/**
 * Says whether the binding's kernels are of this version (those of another one are never called), and who is told of one
 * that fails.
 *
 * @internal
 */
export const allowNativeKernels = (fresh: boolean, listener: Tell = () => undefined): void => {
  allowed = fresh
  tell = listener
  found = undefined
}

/** Tells once for each op that its kernel failed where its slower way did not: nobody would notice. @internal */
export const tellFailure = (op: string, error: unknown): void => {
  if (told.has(op)) return
  told.add(op)
  tell(`espalier: the native kernel of ${op} failed, a slower way is in use: ${String(error)}`)
}

/** What the kernels of our own run on; `null` where the binding has none, or is that of another version. */
export const nativeProcessor = (): Processor | null => {
  if (found === undefined) found = allowed ? probe() : null
  return found
}

/** Whether `custom` can run the ops of `kernels/`. */
export const hasNativeKernels = (): boolean => nativeProcessor() !== null

const backend = (): Backend => tf.backend() as unknown as Backend

const probe = (): Processor | null => {
  try {
    const output = backend().executeSingleOutput('EspalierProcessor', [], [])
    const [isa, threads] = output.dataSync()
    output.dispose()
    return { isa: (['base', 'avx2', 'avx512'] as const)[isa!]!, threads: threads! }
  } catch {
    return null
  }
}

// The numbers of TF_AttrType.
const opAttr = ([name, value]: readonly [string, NodeAttr]): OpAttr => {
  if (typeof value === 'string') return { name, type: 0, value }
  if (typeof value === 'boolean') return { name, type: 3, value }
  if (typeof value === 'number') return { name, type: 1, value }
  return 'float' in value ? { name, type: 2, value: value.float } : { name, type: 1, value }
}

/**
 * Runs one of our own TensorFlow ops with one output, which gets the shape of `output`; call it where `hasNativeKernels`.
 *
 * The inputs of a list stand one after the other, and an attr gives their number.
 */
export const custom = (
  op: string,
  inputs: readonly tf.Tensor[],
  attrs: NodeAttrs,
  { shape }: Pick<TensorSpec, 'shape'>,
): tf.Tensor => {
  const result = backend().executeSingleOutput(op, Object.entries(attrs).map(opAttr), inputs)
  return String(result.shape) === String(shape) ? result : tf.reshape(result, [...shape])
}

/** The node of ours for an op on these inputs, where the binding has it and it is the faster way. */
export const ownNodeOf = <A extends Attrs>(
  op: Op<A>,
  inputs: readonly TensorSpec[],
  attrs: A,
): OwnNode<A> | undefined =>
  op.own !== undefined && hasNativeKernels() && (op.own.serves?.(inputs, attrs) ?? true) ? op.own : undefined

/** Runs the node of ours for an op. */
export const runOwn = <A extends Attrs>(
  own: OwnNode<A>,
  inputs: readonly Tensor[],
  attrs: A,
  output: TensorSpec,
): Tensor => asTensor(tf.tidy(() => tf.reshape(asTf(own.write(eager, inputs, attrs, output)), [...output.shape])))

const eager: NodeWriter<Tensor> = {
  node: (name, inputs, attrs, output) => asTensor(custom(name, inputs.map(asTf), attrs, output)),
  cast: (x, dtype) => (x.dtype === dtype ? x : asTensor(tf.cast(asTf(x), dtype))),
  reshape: (x, shape) => asTensor(tf.reshape(asTf(x), [...shape])),
  floats: (data) => asTensor(tf.tensor1d(data)),
}

/**
 * Whether `EspalierMatMul` beats TensorFlow's own product of matrices, which on this engine is oneDNN's.
 *
 * Measured on two cores with AVX-512 and weights that are not in the cache. Ours: right factors that are read transposed,
 * up to 512 rows (twice as fast up to 64 rows, 1.2 times up to 256, then about as fast); other right factors up to 4 rows,
 * 8 where the left one is transposed; results of at most 32 columns (1.2 to 3 times as fast). TensorFlow's: all else, where
 * it is up to 15 % faster; and processors without AVX-512, for which oneDNN has kernels of its own, which were not measured.
 */
export const prefersOwnMatmul = (
  rows: number,
  depth: number,
  columns: number,
  transposeA: boolean,
  transposeB: boolean,
): boolean => {
  if (nativeProcessor()?.isa !== 'avx512') return false
  if (columns <= 32) return rows > 64 && depth > 32
  return transposeB ? rows <= 512 && depth > 64 : rows <= (transposeA ? 8 : 4)
}
