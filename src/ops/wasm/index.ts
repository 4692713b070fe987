import type { DType } from '../../tree/tensor.ts'
import { fail } from '../../tree/error.ts'
import { tf } from '../tf.ts'
import { moduleBase64 } from './module.ts'

/**
 * What we use of tfjs's WASM backend. Only `getMemoryOffset` and `makeOutput` are documented; the rest was read in
 * version 4.22.0, which is why the peer dependency names exactly that one and why each part is checked before use.
 *
 * @internal
 */
export interface WasmBackend {
  readonly wasm: {
    readonly HEAPU8: Uint8Array
    readonly _malloc: (bytes: number) => number
    readonly _free: (address: number) => void
    /** Set by the build with threads, which imports its memory. */
    readonly wasmMemory?: unknown
    /** The exports of the build without threads, which makes its own memory. */
    readonly asm?: { readonly memory?: unknown }
  }
  readonly getMemoryOffset: (dataId: object) => number
  readonly makeOutput: (shape: number[], dtype: DType, memoryOffset?: number) => TensorInfo
}

interface TensorInfo {
  readonly dataId: object
  readonly shape: number[]
  readonly dtype: DType
}

interface Stored {
  readonly dataId: object
  readonly size: number
}

/** The functions of the compiled module: `kernels/matmul.ts`. @internal */
export interface WasmExports {
  readonly scratchBytes: () => number
  readonly matmul: (
    batch: number,
    rows: number,
    columns: number,
    depth: number,
    ...operands: readonly [
      ...a: readonly [address: number, batchStride: number, rowStride: number, depthStride: number],
      ...b: readonly [address: number, batchStride: number, depthStride: number, columnStride: number],
      c: number,
      scratch: number,
    ]
  ) => void
}

/** The kernels at work on the memory of one backend. @internal */
export interface WasmKernels extends WasmExports {
  readonly backend: WasmBackend
  /** Address of `scratchBytes()` bytes that every kernel may overwrite. */
  readonly scratch: number
}

/* The types of the compiler know WebAssembly only together with the whole DOM. */
interface WebAssemblyApi {
  readonly Memory: abstract new () => object
  readonly instantiate: (
    bytes: Uint8Array,
    imports: { readonly env: { readonly memory: object } },
  ) => Promise<{ readonly instance: { readonly exports: unknown } }>
}
const { WebAssembly: webAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }

const installed = new WeakMap<object, WasmKernels>()

/**
 * Compiles our kernels onto the memory of tfjs's WASM backend, which must be the current one; a second call does nothing.
 *
 * Fails with `WasmKernelsUnavailable` when the backend is another one, hides its memory, or the machine lacks SIMD, and
 * with `OutOfMemory` when the 1.2 MB of scratch memory cannot be had. The backend itself is not touched by a failure.
 *
 * @internal
 */
export const installWasmKernels = async (): Promise<void> => {
  const backend: object = tf.backend()
  if (!installed.has(backend)) installed.set(backend, await install(backend))
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
 * Reserves memory of the backend; throws `OutOfMemory` instead of returning what cannot be used.
 *
 * Never by growing the memory ourselves: tfjs would go on with views of the old one.
 *
 * @internal
 */
export const allocate = ({ wasm }: WasmBackend, bytes: number, path: string): number => {
  // Sizes are taken modulo 4 GiB over there, and addresses above 2 GiB come back as negative numbers.
  const address = bytes < 2 ** 32 ? wasm._malloc(Math.max(bytes, 1)) >>> 0 : 0
  if (address !== 0 && address + bytes <= wasm.HEAPU8.length) return address
  if (address !== 0) wasm._free(address)
  return outOfMemory(wasm.HEAPU8.length, bytes, path)
}

/**
 * Where the elements of a tensor lie, now: the address holds until the tensor is disposed, a typed array over it only until
 * the memory grows. A tensor of another backend is moved here by the call.
 *
 * @internal
 */
export const addressOf = (backend: WasmBackend, { dataId, size }: Stored, path: string): number => {
  const address = backend.getMemoryOffset(dataId) >>> 0
  // The backend never looks at what its own allocation returned: 0 means that it failed.
  return address === 0 && size > 0 ? outOfMemory(backend.wasm.HEAPU8.length, size * 4, path) : address
}

const install = async (backend: object): Promise<WasmKernels> => {
  const host = asWasmBackend(backend)
  const memory = host.wasm.wasmMemory ?? host.wasm.asm?.memory
  if (!(memory instanceof webAssembly.Memory)) return unavailable('a backend whose memory is not where 4.22.0 keeps it')
  const module = Uint8Array.from(atob(moduleBase64), (character) => character.charCodeAt(0))
  const { instance } = await webAssembly
    .instantiate(module, { env: { memory } })
    .catch((error: unknown) => unavailable(`a module that does not load here: ${String(error)}`))
  // The module is built from our own source and its exports are asserted in a test.
  const exports = instance.exports as WasmExports
  const scratch = allocate(host, exports.scratchBytes(), 'wasm')
  return { backend: host, matmul: exports.matmul, scratchBytes: exports.scratchBytes, scratch }
}

const asWasmBackend = (backend: object): WasmBackend => {
  const { wasm, getMemoryOffset, makeOutput } = backend as Partial<WasmBackend>
  return typeof wasm?._malloc === 'function' &&
    typeof wasm._free === 'function' &&
    wasm.HEAPU8 instanceof Uint8Array &&
    typeof getMemoryOffset === 'function' &&
    typeof makeOutput === 'function'
    ? (backend as WasmBackend)
    : unavailable(`the backend "${tf.getBackend()}"`)
}

const unavailable = (found: string): never =>
  fail({
    _tag: 'WasmKernelsUnavailable',
    path: 'wasm',
    expected: 'the WASM backend of @tensorflow/tfjs-backend-wasm 4.22.0 on a machine with WebAssembly SIMD',
    found,
    hint: 'Install exactly that version beside espalier, or choose another engine: `await engine({ prefer: "js" })`.',
  })

const outOfMemory = (heap: number, bytes: number, path: string): never =>
  fail({
    _tag: 'OutOfMemory',
    path,
    expected: `${bytes} bytes of WASM memory`,
    found: `a memory of ${Math.round(heap / 2 ** 20)} MiB (4096 at most) with no free block of that size`,
    hint: 'Dispose tensors that are no longer needed (`scope`, `release`), take smaller batches, or use the native engine.',
  })
