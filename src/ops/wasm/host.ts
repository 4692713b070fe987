import type { DType } from '../../tree/tensor.ts'
import { fail } from '../../tree/error.ts'
import { tf } from '../tf.ts'

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

/** A tensor of tfjs as far as its memory is concerned. @internal */
export interface Stored {
  readonly dataId: object
  readonly size: number
}

interface MemoryLimits {
  readonly initial: number
  readonly maximum: number
  readonly shared: boolean
}

/* The types of the compiler know WebAssembly only together with the whole DOM. */
interface WebAssemblyApi {
  readonly Memory: new (limits: MemoryLimits) => WasmMemory
  readonly Module: new (bytes: Uint8Array) => WasmModule
  readonly Instance: new (
    module: WasmModule,
    imports: { readonly env: { readonly memory: WasmMemory } },
  ) => { readonly exports: unknown }
  readonly RuntimeError: new (message: string) => Error
  readonly compile: (bytes: Uint8Array) => Promise<WasmModule>
  readonly validate: (bytes: Uint8Array) => boolean
}

/** A `WebAssembly.Memory`. @internal */
export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
}
/** A `WebAssembly.Module`. @internal */
export type WasmModule = object & { readonly _tag?: 'WebAssembly.Module' }

/** @internal */
export const { WebAssembly: webAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }

/** The backend with the parts that we need, or `WasmKernelsUnavailable`. @internal */
export const asWasmBackend = (backend: object): WasmBackend => {
  const { wasm, getMemoryOffset, makeOutput } = backend as Partial<WasmBackend>
  return typeof wasm?._malloc === 'function' &&
    typeof wasm._free === 'function' &&
    wasm.HEAPU8 instanceof Uint8Array &&
    typeof getMemoryOffset === 'function' &&
    typeof makeOutput === 'function'
    ? (backend as WasmBackend)
    : unavailable(`the backend "${tf.getBackend()}"`)
}

/** The memory that the tensors of the backend lie in. @internal */
export const memoryOf = ({ wasm }: WasmBackend): WasmMemory => {
  const memory = wasm.wasmMemory ?? wasm.asm?.memory
  return memory instanceof webAssembly.Memory
    ? memory
    : unavailable('a backend whose memory is not where 4.22.0 keeps it')
}

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

/** Throws `WasmKernelsUnavailable`. @internal */
export const unavailable = (found: string): never =>
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
