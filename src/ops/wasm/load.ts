import type * as NodeModule from 'node:module'
import type * as Os from 'node:os'
import type * as V8 from 'node:v8'
import type * as Threads from 'node:worker_threads'
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
  nodeModule('node:v8')?.setFlagsFromString('--experimental-wasm-relaxed-simd')
  return webAssembly.validate(relaxed)
}

/** A module of Node, where there is one; without an import, which a bundler for browsers would trip over. @internal */
export const nodeModule = <K extends keyof NodeModules>(name: K): NodeModules[K] | undefined =>
  typeof process === 'undefined' || typeof process.getBuiltinModule !== 'function'
    ? undefined
    : (process.getBuiltinModule(name) as NodeModules[K] | undefined)

interface NodeModules {
  readonly 'node:v8': typeof V8
  readonly 'node:os': typeof Os
  readonly 'node:module': typeof NodeModule
  readonly 'node:worker_threads': typeof Threads
}

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
