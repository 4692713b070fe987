import { fail } from '../tree/error.ts'
import type { Tensor, TensorSpec } from '../tree/tensor.ts'
import { currentEngine } from './current.ts'
import { asTf, tf } from './tf.ts'

interface WasmMemory {
  readonly HEAPU8: Uint8Array
  readonly _malloc: (bytes: number) => number
  readonly _free: (offset: number) => void
}

// WASM's memory ends at 4 GiB and tfjs does not look whether it got a block; the rest is room for temporaries.
const standardLimit = 3.7e9
let limit = standardLimit

/** Lowers (or restores) where the WASM heap is taken to be full; for tests. @internal */
export const limitWasmHeap = (bytes: number = standardLimit): void => {
  limit = bytes
}

const bytesOf = ({ shape, dtype }: TensorSpec): number =>
  shape.reduce((product, length) => product * length, dtype === 'bool' ? 1 : 4)

// A typed array of more cannot be made on every engine; a native allocation of more may end the process.
const mostElements = 2 ** 31 - 1

/** Fails with `OutOfMemory` if the engine's memory cannot take this result, before anything is written. @internal */
export const reserve = (op: string, inputs: readonly Tensor[], output: TensorSpec): void => {
  if (output.shape.reduce((product, length) => product * length, 1) > mostElements) {
    outOfMemory(op, `at most ${mostElements} elements`, `shape [${output.shape.join(', ')}]`)
  }
  if (currentEngine() !== 'wasm') return
  const { wasm } = tf.backend() as unknown as { readonly wasm: WasmMemory }
  // Inputs may still lie with another engine, and move in on first use.
  const atMost = inputs.reduce((sum, input) => sum + bytesOf(input), bytesOf(output))
  if (wasm.HEAPU8.length + atMost <= limit) return
  const bytes = inputs.filter((input) => !isHere(input)).reduce((sum, input) => sum + bytesOf(input), bytesOf(output))
  if (bytes === 0) return
  // Near the end the allocator alone knows whether a freed block is large enough: ask it, and give the block back.
  const offset = bytes <= limit ? wasm._malloc(bytes) >>> 0 : 0
  const end = offset + bytes
  const heap = wasm.HEAPU8.length
  if (offset !== 0) wasm._free(offset)
  if (offset !== 0 && end <= Math.min(heap, limit)) return
  const { numBytes, numTensors } = tf.engine().state
  outOfMemory(
    op,
    `${bytes} bytes below the ${limit} that the WASM engine can hold`,
    `${numBytes} bytes in ${numTensors} live tensors`,
  )
}

const outOfMemory = (path: string, expected: string, found: string): never =>
  fail({
    _tag: 'OutOfMemory',
    path,
    expected,
    found,
    hint: 'Use a smaller batch or a shorter sequence, release(…) what is done with, or take the native engine.',
  })

const isHere = (t: Tensor): boolean => {
  const { dataId } = asTf(t)
  return tf.engine().state.tensorInfo.get(dataId)?.backend === tf.backend()
}
