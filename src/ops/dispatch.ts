import { fail } from '../tree/error.ts'
import type { Tensor, TensorSpec } from '../tree/tensor.ts'
import { isTensor } from '../tree/tensor.ts'
import { reserve } from './budget.ts'
import { currentEngine } from './current.ts'
import { interpreters, observe, under } from './interpreters.ts'
import { scope } from './memory.ts'
import type { Array_, Attrs, Kernel, Op, OwnNode } from './op.ts'
import { refuseDisposed, refuseSymbolic } from './check.ts'
import { ownNodeOf, runOwn, tellFailure } from './native/custom.ts'
import { allocate, arrays, sizeOf } from './shape-rules.ts'
import { asTensor, asTf, dataOf, fromData, tf } from './tf.ts'

/**
 * Applies an op to tensors: the one place where ops are run, differentiated and recorded.
 *
 * The result is always a new handle. Errors: `NotATensor`, `DisposedTensor` and `SymbolicTensor` name the op and the
 * index of the input; the op's own shape rule says which shapes would have fitted; `OutOfMemory` comes before the
 * engine's memory is spoilt.
 *
 * @example
 * ```ts
 * import { apply, item, scalar, type Op } from 'espalier/ops'
 *
 * const double: Op = {
 *   name: 'double',
 *   infer: ([x]) => x!,
 *   reference: ([x]) => Float32Array.from(x!.data, (v) => 2 * v),
 *   vjp: ({ dy }) => [apply(double, [dy], {})],
 * }
 * item(apply(double, [scalar(21)], {})) // => 42
 * ```
 */
export const apply = <A extends Attrs>(typed: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor => {
  const op = typed as unknown as Op
  const { recorder } = interpreters()
  inputs.forEach((input, index) => checkInput(op.name, input, index, recorder !== undefined))
  const spec = op.infer(inputs, attrs)
  const output = recorder === undefined ? run(op, inputs, attrs, spec) : recorder.record(op, inputs, attrs, spec)
  observe(op, inputs, attrs, output)
  return output
}

const checkInput = (name: string, input: unknown, index: number, recording: boolean): void => {
  const path = `${name}, input ${index}`
  if (!isTensor(input)) {
    return fail({
      _tag: 'NotATensor',
      path,
      expected: 'a tensor',
      found: input === null ? 'null' : typeof input,
      hint: 'Make one with tensor(…) or scalar(…).',
    })
  }
  refuseDisposed(path, input)
  if (!recording) refuseSymbolic(path, input)
}

const run = (op: Op, inputs: readonly Tensor[], attrs: Attrs, spec: TensorSpec): Tensor => {
  // Engines disagree on empty tensors, up to a trap: without elements there is nothing to accelerate.
  const empty = inputs.some((input) => input.size === 0) || spec.shape.includes(0)
  const kernel = empty ? undefined : kernelFor(op, inputs, attrs)
  reserve(op.name, inputs, spec)
  try {
    const output = kernel === undefined ? runReference(op, inputs, attrs, spec) : kernel(inputs, attrs, spec)
    checkOutput(op, output, spec)
    // Whoever frees the result must not free an input with it.
    return inputs.includes(output) ? asTensor(tf.clone(asTf(output))) : output
  } catch (error) {
    return rethrow(op.name, spec, error)
  }
}

const kernelFor = (op: Op, inputs: readonly Tensor[], given: Attrs): Kernel<Attrs> | undefined => {
  const engine = currentEngine()
  if (engine === 'js') return undefined
  const { composed } = op
  const other = composed && ((all: readonly Tensor[], attrs: Attrs) => hidden(() => composed(attrs, ...all)))
  if (engine === 'wasm') return op.wasm ?? op.accelerated ?? other
  const kernel = op.native ?? op.accelerated ?? other
  const own = ownNodeOf(op, inputs, given)
  return own === undefined ? kernel : refusing(op, own, kernel)
}

/** What our kernel refuses, such as a label out of range, the other way of the op refuses by name. */
const refusing =
  (op: Op, own: OwnNode<Attrs>, kernel: Kernel<Attrs> = (...call) => runReference(op, ...call)): Kernel<Attrs> =>
  (inputs, attrs, output) => {
    try {
      return runOwn(own, inputs, attrs, output)
    } catch (error) {
      const result = kernel(inputs, attrs, output)
      tellFailure(op.name, error)
      return result
    }
  }

/** The ops inside of an op are nothing to tapes: they have seen the op itself. */
const hidden = (f: () => Tensor): Tensor => under({ tapes: [], recorder: undefined }, () => scope(f))

const runReference = (op: Op, inputs: readonly Tensor[], attrs: Attrs, spec: TensorSpec): Tensor => {
  if (spec.shape.includes(0)) return fromData(allocate(spec.dtype, 0), spec.shape, spec.dtype)
  const seen = inputs.map((input): Array_ => ({ shape: input.shape, data: dataOf(input) }))
  const data = op.reference(seen, attrs, spec)
  if (!(data instanceof arrays[spec.dtype])) mismatch(op, spec, `${data?.constructor?.name} from its reference kernel`)
  if (data.length !== sizeOf(spec.shape)) mismatch(op, spec, `${data.length} elements from its reference kernel`)
  // A kernel that changes no element hands its input back: then the two share their memory, as on the other engines.
  const same = inputs.find((input, i) => seen[i]!.data === data && input.dtype === spec.dtype)
  return same === undefined ? fromData(data, spec.shape, spec.dtype) : asTensor(tf.reshape(asTf(same), [...spec.shape]))
}

/** Throws `KernelMismatch` for an output that is not what the op's shape rule says. @internal */
export const checkOutput = (op: Op, output: TensorSpec, spec: TensorSpec): void => {
  const same = output.shape.length === spec.shape.length && output.shape.every((length, i) => length === spec.shape[i])
  if (same && output.dtype === spec.dtype) return
  mismatch(op, spec, `${output.dtype} of shape [${output.shape.join(', ')}] from its ${currentEngine()} kernel`)
}

const mismatch = (op: Op, spec: TensorSpec, found: string): never =>
  fail({
    _tag: 'KernelMismatch',
    path: op.name,
    expected: `${spec.dtype} of shape [${spec.shape.join(', ')}], as its shape rule says`,
    found,
    hint: 'This is a mistake in the op itself: its shape rule and its kernels must agree.',
  })

const rethrow = (name: string, spec: TensorSpec, error: unknown): never => {
  if (error instanceof RangeError && !error.message.startsWith('Maximum call stack')) {
    return fail({
      _tag: 'OutOfMemory',
      path: name,
      expected: `memory for ${spec.dtype} of shape [${spec.shape.join(', ')}]`,
      found: error.message,
      hint: 'Use a smaller batch or a shorter sequence, or free runs that are done with release(…).',
    })
  }
  if (error instanceof Error && error.name === 'RuntimeError') {
    return fail({
      _tag: 'EngineTrap',
      path: name,
      expected: 'a result',
      found: `the WASM engine stopped with "${error.message}"`,
      hint: 'Its memory can no longer be trusted: start a new process, and please report the shapes that led here.',
    })
  }
  throw error
}
