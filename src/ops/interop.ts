import { fail } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { refuseDisposed, refuseSymbolic } from './check.ts'
import { asTensor, asTf, tf } from './tf.ts'

/** A tensor of TensorFlow.js as far as this library looks at it: every `tf.Tensor` is one. */
export interface TfTensor {
  readonly id: number
  readonly shape: readonly number[]
  readonly dtype: string
  readonly size: number
  readonly isDisposed: boolean
  /** Frees its memory; the handle made of it is then disposed too. */
  dispose(): void
}

/**
 * Takes a `tf.Tensor` as a handle, without copying: both are then one and the same, and freed together.
 *
 * A `tf.Variable` gives a handle on its present value, with a life of its own. Errors: `UnknownDType` for string and
 * complex64, `NotATensor`.
 *
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs'
 * import { fromTf, toArray } from 'espalier/ops'
 *
 * toArray(fromTf(tf.tensor([1, 2]))) // => [1, 2]
 * ```
 */
export const fromTf = (t: TfTensor): Tensor => {
  if (!(t instanceof tf.Tensor)) {
    return fail({
      _tag: 'NotATensor',
      path: 'fromTf',
      expected: 'a tf.Tensor',
      found: typeof t,
      hint: 'There must be one copy of @tensorflow/tfjs in the program: see "npm ls @tensorflow/tfjs".',
    })
  }
  if (t.dtype !== 'float32' && t.dtype !== 'int32' && t.dtype !== 'bool') {
    return fail({
      _tag: 'UnknownDType',
      path: 'fromTf',
      expected: 'float32, int32 or bool',
      found: t.dtype,
      hint: 'Cast it with tf.cast first.',
    })
  }
  refuseDisposed('fromTf', asTensor(t))
  // A variable's value changes under its handle; the tensors of this library never change.
  return asTensor(t instanceof tf.Variable ? tf.clone(t) : t)
}

/**
 * Gives the `tf.Tensor` of a handle, without copying: `toTf<tf.Tensor>(x)` goes wherever TensorFlow.js wants one.
 *
 * Errors: `SymbolicTensor` inside a recorded function.
 *
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs'
 * import { ones, toTf } from 'espalier/ops'
 *
 * tf.sum(toTf<tf.Tensor>(ones([3]))).dataSync()[0] // => 3
 * ```
 */
export const toTf = <T extends TfTensor = TfTensor>(t: Tensor): T => {
  refuseSymbolic('toTf', t)
  refuseDisposed('toTf', t)
  return asTf(t) as unknown as T
}
