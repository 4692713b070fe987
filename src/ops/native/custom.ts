import type { Tensor, TensorSpec } from '../../tree/tensor.ts'
import type { Attrs, NodeAttr, Op, OwnNode } from '../op.ts'
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

let allowed = false
let found: Processor | null | undefined

/** Says whether the binding's kernels are of this version; those of another one are never called. @internal */
export const allowNativeKernels = (fresh: boolean): void => {
  allowed = fresh
  found = undefined
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
  attrs: Readonly<Record<string, NodeAttr>>,
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
  { name, takes, attrs: attrsOf }: OwnNode<A>,
  inputs: readonly Tensor[],
  attrs: A,
  output: TensorSpec,
): Tensor => {
  const wanted = takes?.(attrs) ?? []
  return asTensor(
    tf.tidy(() => {
      const given = inputs.map((input, i) => tf.cast(asTf(input), wanted[i] ?? input.dtype))
      return custom(name, given, attrsOf(attrs, inputs, output), output)
    }),
  )
}
