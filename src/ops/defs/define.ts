import type { DType, Tensor, TensorSpec } from '../../tree/tensor.ts'
import type { Array_, Attrs, Backward, Data, Kernel, Op, OwnNode } from '../op.ts'
import { asTensor, asTf, tf } from '../tf.ts'
import type { Call, TfKernel } from '../tf.ts'

/**
 * The fields of an `Op`, with the inputs one by one instead of as a list, and kernels on tfjs's own tensors.
 *
 * @internal
 */
export interface Definition<A extends Attrs> {
  readonly name: string
  readonly infer: (attrs: A, ...inputs: TensorSpec[]) => TensorSpec
  readonly reference: (call: Call<A>, ...inputs: Array_[]) => Data
  readonly accelerated?: TfKernel<A>
  readonly wasm?: TfKernel<A>
  readonly native?: TfKernel<A>
  readonly own?: OwnNode<A>
  readonly composed?: (attrs: A, ...inputs: Tensor[]) => Tensor
  readonly vjp?: (backward: Backward<A>, ...inputs: Tensor[]) => readonly (Tensor | null)[]
}

/**
 * An op from its definition.
 *
 * @internal
 */
export const define = <A extends Attrs>(definition: Definition<A>): Op<A> => {
  const { name, infer, reference, accelerated, wasm, native, own, composed, vjp } = definition
  return {
    name,
    infer: (inputs, attrs) => infer(attrs, ...inputs),
    reference: (inputs, attrs, output) => reference({ attrs, output }, ...inputs),
    ...(accelerated && { accelerated: kernel(accelerated) }),
    ...(wasm && { wasm: kernel(wasm) }),
    ...(native && { native: kernel(native) }),
    ...(own && { own }),
    ...(composed && { composed }),
    ...(vjp && { vjp: (backward) => vjp(backward, ...backward.inputs) }),
  }
}

const kernel =
  <A extends Attrs>(run: TfKernel<A>): Kernel<A> =>
  (inputs, attrs, output) =>
    asTensor(tf.tidy(() => run({ attrs, output }, ...inputs.map(asTf))))

/**
 * The tensor in the given dtype; to bool by "is not zero", which tfjs's own cast gets wrong on WASM (0.5 became false).
 *
 * @internal
 */
export const convert = (x: tf.Tensor, dtype: DType): tf.Tensor =>
  x.dtype === dtype ? x : dtype === 'bool' ? tf.notEqual(x, tf.scalar(0, x.dtype)) : tf.cast(x, dtype)

/**
 * The tensor broadcast to a shape, by a multiplication with ones: tfjs's own way, Tile, is a hundred times slower on WASM.
 *
 * @internal
 */
export const stretch = (x: tf.Tensor, shape: readonly number[]): tf.Tensor => {
  if (String(x.shape) === String(shape)) return x
  const numbers = x.dtype === 'bool' ? tf.cast(x, 'int32') : x
  return convert(tf.mul(tf.ones([...shape], numbers.dtype as 'float32'), numbers), x.dtype as DType)
}
