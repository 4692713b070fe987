// What the tests of kernels of our own share: the engine if it is there, and a kernel run beside its scalar twin.
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { engine } from '../../../src/ops/index.ts'
import { hasNativeKernels, nativeProcessor, runOwn } from '../../../src/ops/native/custom.ts'
import type { Array_, Attrs, Kernel, Op } from '../../../src/ops/op.ts'
import { asTensor, asTf, tf } from '../../../src/ops/tf.ts'
import type { TensorSpec } from '../../../src/tree/tensor.ts'

/** Whether the kernels can be tested here. */
export const has: boolean = await engine({ prefer: 'native', quiet: true }).then(hasNativeKernels, () => false)
if (!has) console.warn('skipped: no native engine is here, or its binding has no kernels of this version')

const variable = 'ESPALIER_NATIVE_ISA'
const sets = ['base', 'avx2', 'avx512'] as const

/** The best set of instructions of this processor, and it with all lesser ones. */
export const best: (typeof sets)[number] = nativeProcessor()?.isa ?? 'base'
export const there: readonly (typeof sets)[number][] = sets.slice(0, sets.indexOf(best) + 1)

/** Makes the kernels use this set of instructions until the end of the test. */
export const restrict = (isa: string): void => void (process.env[variable] = isa)

/** Chooses the engine for the tests of a file, and restores what they change. */
export const onNative = (): void => {
  beforeAll(() => engine({ prefer: has ? 'native' : 'js', quiet: true }))
  afterAll(() => engine({ prefer: 'js', quiet: true }))
  afterEach(() => void delete process.env[variable])
}

/** The kernel of our own of an op, which tests call whether it is the faster one or not. */
export const ownKernel =
  <A extends Attrs>(op: Op<A>): Kernel<A> =>
  (inputs, attrs, output) =>
    runOwn(op.own!, inputs, attrs, output)

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/** Numbers in [-1, 1) that only the seed and the place decide. */
export const noise = (shape: readonly number[], seed: number): Array_ => ({
  shape,
  data: Float32Array.from(
    { length: sizeOf(shape) },
    (_, i) => (Math.imul(i + 1, seed | 1) ^ (i * 0x9e3779b1)) / 2 ** 31,
  ),
})

const dtypeOf = ({ data }: Array_): 'float32' | 'int32' => (data instanceof Float32Array ? 'float32' : 'int32')

/** What `run` computes; before it, its memory held nothing but NaN. */
export const computed = (
  inputs: readonly Array_[],
  shape: readonly number[],
  run: (...inputs: tf.Tensor[]) => tf.Tensor,
): Float32Array =>
  tf
    .tidy(() => {
      const tensors = inputs.map((x) => tf.tensor(x.data, [...x.shape], dtypeOf(x)))
      tf.mul(tf.ones([...shape]), Number.NaN).dispose()
      const output = run(...tensors)
      expect(output.shape).toEqual(shape)
      return output
    })
    .dataSync<'float32'>()

/** The op of that name. */
export const opOf = (ops: readonly Op<never>[], name: string): Op => ops.find((op) => op.name === name) as unknown as Op

/** What the native kernel of an op computes, and what its scalar twin does. */
export const both = (
  op: Op,
  inputs: readonly Array_[],
  attrs: Attrs,
): { readonly found: Float32Array; readonly expected: Float32Array } => {
  const output: TensorSpec = op.infer(
    inputs.map((x) => ({ shape: x.shape, dtype: dtypeOf(x) })),
    attrs,
  )
  const expected = op.reference(inputs, attrs, output) as Float32Array
  const kernel = ownKernel(op)
  const found = computed(inputs, output.shape, (...x) => asTf(kernel(x.map(asTensor), attrs, output)))
  return { found, expected }
}

/** The largest difference, with the largest expected number as one. */
export const distance = (found: ArrayLike<number>, expected: ArrayLike<number>): number => {
  const scale = Array.from(expected).reduce((most, x) => Math.max(most, Math.abs(x)), 1)
  const off = Array.from(expected, (x, i) => (Object.is(found[i], x) ? 0 : Math.abs(found[i]! - x) / scale))
  return off.reduce((most, x) => (x <= most ? most : x), 0)
}
