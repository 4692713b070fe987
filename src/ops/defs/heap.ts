import type { TensorSpec } from '../../tree/tensor.ts'
import type { Array_, Attrs, Data } from '../op.ts'
import { tf } from '../tf.ts'
import type { Call, TfKernel } from '../tf.ts'
import { addressOf, allocate as allocateOnHeap, wasmKernels } from '../wasm/index.ts'
import { allocate, arrays, sizeOf } from '../shape-rules.ts'

/**
 * A plain loop that writes every element of its output, wherever that lies: the reference and the WASM kernel in one.
 *
 * @internal
 */
export type Loop<A extends Attrs> = (call: Call<A>, out: Data, ...inputs: Array_[]) => void

/** The reference kernel of a loop. @internal */
export const fresh =
  <A extends Attrs>(loop: Loop<A>) =>
  (call: Call<A>, ...inputs: Array_[]): Data => {
    const out = allocate(call.output.dtype, sizeOf(call.output.shape))
    loop(call, out, ...inputs)
    return out
  }

/**
 * The loop on the memory of the WASM engine itself, so that neither a table nor a result is copied out and in.
 *
 * For what tfjs does slowly or not at all there: V8 runs such a loop about as fast as WASM without SIMD.
 *
 * @internal
 */
export const onHeap =
  <A extends Attrs>(name: string, loop: Loop<A>): TfKernel<A> =>
  (call, ...inputs) => {
    const { backend } = wasmKernels()
    const { shape, dtype } = call.output
    const addresses = inputs.map((input) => addressOf(backend, input, name))
    const size = sizeOf(shape)
    const address = allocateOnHeap(backend, size * (dtype === 'bool' ? 1 : 4), name)
    const output = tf.engine().makeTensorFromTensorInfo(backend.makeOutput([...shape], dtype, address))
    // Views only now: the allocation may have moved the whole memory.
    const view = (spec: TensorSpec, at: number): Data =>
      new arrays[spec.dtype](backend.wasm.HEAPU8.buffer as ArrayBuffer, at, sizeOf(spec.shape))
    const seen = inputs.map((input, i) => ({ shape: input.shape, data: view(input as TensorSpec, addresses[i]!) }))
    loop(call, view(call.output, address), ...seen)
    return output
  }
