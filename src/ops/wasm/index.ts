import { fail } from '../../tree/error.ts'
import type { TensorSpec } from '../../tree/tensor.ts'
import { tf } from '../tf.ts'
import type { KernelName, Kernels, WasmExports } from './exports.ts'
import {
  addressOf,
  allocate,
  asWasmBackend,
  memoryOf,
  type Stored,
  unavailable,
  type WasmBackend,
  webAssembly,
} from './host.ts'
import { modules } from './module.ts'

export { addressOf, allocate, type WasmBackend } from './host.ts'

/** The kernels at work on the memory of one backend. @internal */
export interface WasmKernels {
  readonly backend: WasmBackend
  readonly exports: WasmExports
  /** Address of `scratchBytes()` bytes that every kernel may overwrite. */
  readonly scratch: number
  /** Whether products are fused with sums (relaxed SIMD), which changes the last bits of a result. */
  readonly fused: boolean
}

/** How the kernels are to run. @internal */
export interface WasmOptions {
  /** Never fuse: the same bits on every machine. */
  readonly reproducible?: boolean
}

const installed = new WeakMap<object, WasmKernels>()

/**
 * Compiles our kernels onto the memory of tfjs's WASM backend, which must be the current one; a second call does nothing.
 *
 * Fails with `WasmKernelsUnavailable` when the backend is another one, hides its memory, or the machine lacks SIMD, and
 * with `OutOfMemory` when the 1.2 MB of scratch memory cannot be had. The backend itself is not touched by a failure.
 *
 * @internal
 */
export const installWasmKernels = async (options: WasmOptions = {}): Promise<void> => {
  const backend: object = tf.backend()
  if (!installed.has(backend)) installed.set(backend, await install(backend, options))
}

/** The kernels of the current backend; throws `EngineNotReady` when they were not installed on it. @internal */
export const wasmKernels = (): WasmKernels =>
  installed.get(tf.backend()) ??
  fail({
    _tag: 'EngineNotReady',
    path: 'wasm',
    expected: 'the kernels installed on the current backend',
    found: `the backend "${tf.getBackend()}" without them`,
    hint: 'Call `await engine()` before the first operation.',
  })

/**
 * The tensor that `run` writes: it is told where the result goes and where the inputs lie.
 *
 * To add a kernel: write `kernels/<name>.ts`, export it in `kernels/index.ts`, type it in `exports.ts`, `npm run build:wasm`,
 * and call it by `parallel` (below) from `produce`, in the `wasm` field of the op:
 *
 *     wasm: ({ output }, x) =>
 *       produce('double', [x], output, (out, from) =>
 *         parallel('double', x.size, 1, (first, count) => [count, from + 4 * first, out + 4 * first]))
 *
 * @internal
 */
export const produce = (
  op: string,
  inputs: readonly Stored[],
  { shape, dtype }: TensorSpec,
  run: (out: number, ...inputs: number[]) => void,
): tf.Tensor => {
  const { backend } = wasmKernels()
  // Before the output is allocated: asking for an input may move it here from another backend.
  const addresses = inputs.map((input) => addressOf(backend, input, op))
  const size = shape.reduce((product, length) => product * length, 1)
  const out = allocate(backend, size * (dtype === 'bool' ? 1 : 4), op)
  const output = tf.engine().makeTensorFromTensorInfo(backend.makeOutput([...shape], dtype, out))
  try {
    run(out, ...addresses)
  } catch (error) {
    output.dispose()
    throw error
  }
  return output
}

/**
 * Runs a kernel over `items` pieces of work that do not touch each other, each of about `cost` multiplications, on as many
 * threads as that is worth. `task` gives the arguments, without the scratch memory, for `count` pieces from `first` on;
 * `first` is a multiple of `step`, for kernels that work on several pieces at a time.
 *
 * @internal
 */
export const parallel = <K extends KernelName>(
  kernel: K,
  items: number,
  _cost: number,
  task: (first: number, count: number) => Kernels[K],
  _step = 1,
): void => {
  const { exports, scratch } = wasmKernels()
  const run = exports[kernel] as (...given: number[]) => void
  run(...task(0, items), scratch)
}

const install = async (object: object, { reproducible = false }: WasmOptions): Promise<WasmKernels> => {
  const backend = asWasmBackend(object)
  const memory = memoryOf(backend)
  const relaxed = decode(modules.relaxed)
  const fused = !reproducible && webAssembly.validate(relaxed)
  const exports = await webAssembly
    .compile(fused ? relaxed : decode(modules.plain))
    // The module is built from our own source and its exports are asserted in a test.
    .then((module) => new webAssembly.Instance(module, { env: { memory } }).exports as WasmExports)
    .catch((error: unknown) => unavailable(`a module that does not load here: ${String(error)}`))
  const scratch = allocate(backend, exports.scratchBytes(), 'wasm')
  return { backend, exports, scratch, fused }
}

const decode = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
