import * as tf from '@tensorflow/tfjs'
import type { Tensor, TensorSpec } from '../tree/tensor.ts'
import type { Attrs, Data } from './op.ts'

// tfjs prints a banner on first use otherwise.
tf.env().set('PROD', true)

// The cpu backend is there synchronously; left alone, tfjs would pick an asynchronous one as soon as it is registered.
if (!tf.engine().backendName) void tf.setBackend('cpu')

/** The tfjs tensor behind a handle; kernels of `src/ops` alone may look. @internal */
export const asTf = (t: Tensor): tf.Tensor => t as unknown as tf.Tensor

/** The handle of a tfjs tensor that nobody else owns. @internal */
export const asTensor = (t: tf.Tensor): Tensor => t as unknown as Tensor

/** The elements of a tensor, to be looked at only: on the plain-JS backend they are the tensor's own. @internal */
export const dataOf = (t: Tensor): Data => asTf(t).dataSync<Tensor['dtype']>()

/** A new handle that holds these elements; the plain-JS backend keeps the array itself. @internal */
export const fromData = (data: tf.TypedArray, shape: readonly number[], dtype: Tensor['dtype']): Tensor =>
  asTensor(tf.engine().makeTensor(data, [...shape], dtype))

/** TensorFlow.js, for kernels. @internal */
export * as tf from '@tensorflow/tfjs'

/** What a kernel is told besides its inputs. @internal */
export interface Call<A extends Attrs> {
  readonly attrs: A
  readonly output: TensorSpec
}

/** A kernel on tfjs's own tensors; what it leaves behind besides its result is freed. @internal */
export type TfKernel<A extends Attrs> = (call: Call<A>, ...inputs: tf.Tensor[]) => tf.Tensor
