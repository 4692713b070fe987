import { type WasmModule, unavailable, webAssembly } from './host.ts'
import { modules } from './module.ts'

/** A build of the kernels. @internal */
export interface Build {
  readonly module: WasmModule
  /** Whether products are fused with sums (relaxed SIMD), which changes the last bits of a result. */
  readonly fused: boolean
}

/**
 * Compiles the build that fits: fused where the machine can and `reproducible` does not forbid it, and for a memory that is
 * shared between threads or for one that is not. Fails with `WasmKernelsUnavailable` on a machine without SIMD.
 *
 * @internal
 */
export const loadKernels = async (shared: boolean, reproducible: boolean): Promise<Build> => {
  const relaxed = bytesOf(modules.relaxed, shared)
  const fused = !reproducible && knowsRelaxed(relaxed)
  const module = await webAssembly
    .compile(fused ? relaxed : bytesOf(modules.plain, shared))
    .catch((error: unknown) => unavailable(`a module that does not load here: ${String(error)}`))
  return { module, fused }
}

const knowsRelaxed = (relaxed: Uint8Array): boolean => {
  if (webAssembly.validate(relaxed)) return true
  // Node 20 has relaxed SIMD, though only behind a flag of its V8; it counts from here on, in threads too.
  nodeModule?.('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd')
  return webAssembly.validate(relaxed)
}

/** Gives a module of Node, in Node; not by an import, which a bundler for browsers would trip over. @internal */
export const nodeModule: typeof process.getBuiltinModule | undefined =
  // A bundler may put a `process` without it into a page.
  typeof process === 'undefined' ? undefined : process.getBuiltinModule?.bind(process)

/** `memory` as the end of an import: the name, its length before it, and the kind (2) after it. */
const importOfMemory = [6, ...new TextEncoder().encode('memory'), 2]

const bytesOf = (base64: string, shared: boolean): Uint8Array => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  if (!shared) return bytes
  // The two builds for a shared and an unshared memory differ in this one bit.
  const at = bytes.findIndex((_, i) => importOfMemory.every((byte, j) => bytes[i + j] === byte))
  bytes[at + importOfMemory.length]! |= 2
  return bytes
}
