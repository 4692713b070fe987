import type { KernelBackend } from '@tensorflow/tfjs'
import { tf } from '../tf.ts'
import { type WasmMemory, webAssembly } from './host.ts'
import { nodeModule } from './load.ts'

const packageName = '@tensorflow/tfjs-backend-wasm'
const build = 'tfjs-backend-wasm-threaded-simd'

/** tfjs's module as its own start makes it; read in version 4.22.0. */
interface TfjsModule {
  readonly cwrap: (name: string, result: string | null, types: readonly string[]) => unknown
  tfjs?: Readonly<Record<string, unknown>>
}
type Factory = (options: {
  readonly wasmMemory: WasmMemory
  readonly locateFile: (file: string) => string
}) => Promise<TfjsModule>

/**
 * In Node, makes tfjs's build with threads the WASM backend, on a memory that threads can share. tfjs does so by itself in a
 * browser, in Node never. Of that build we want the memory only: its own threads stay away.
 *
 * Gives why not, where it cannot be done; the backend is then as it was.
 *
 * @internal
 */
export const shareMemory = async (): Promise<string | null> => {
  const node = nodeModule?.('node:module')
  if (node === undefined) return null
  // It may hold tensors already.
  if (tf.getBackend() === 'wasm' || 'wasm' in tf.engine().registry) return 'the backend was at work before'
  const require = node.createRequire(import.meta.url)
  const { BackendWasm, setThreadsCount } = require(packageName) as {
    readonly BackendWasm: new (module: TfjsModule) => KernelBackend
    readonly setThreadsCount: (count: number) => void
  }
  const factory = require(`${packageName}/wasm-out/${build}.js`) as Factory
  const wasmMemory = new webAssembly.Memory({ initial: 256, maximum: 65536, shared: true })
  const locateFile = (file: string): string => require.resolve(`${packageName}/wasm-out/${file}`)
  const module = await withoutWorkers(() => factory({ wasmMemory, locateFile }))
  module.tfjs = {
    init: module.cwrap('init', null, []),
    initWithThreadsCount: module.cwrap('init_with_threads_count', null, ['number']),
    getThreadsCount: module.cwrap('get_threads_count', 'number', []),
    registerTensor: module.cwrap('register_tensor', null, ['number', 'number', 'number']),
    disposeData: module.cwrap('dispose_data', null, ['number']),
    dispose: module.cwrap('dispose', null, []),
  }
  setThreadsCount(1)
  tf.removeBackend('wasm')
  tf.registerBackend('wasm', () => new BackendWasm(module), priority)
  return null
}

/** That of tfjs's own registration. */
const priority = 2

/**
 * Runs the start of tfjs's module with a `Worker` that only says "loaded": the eight threads that it would start (55 MB) do
 * nothing for a backend with a thread count of one, and need a file that the package does not hold.
 */
const withoutWorkers = <T>(start: () => T): T => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'Worker')
  const listeners = processEvents.map((event) => process.listeners(event as 'exit') as unknown[])
  // The module assigns Node's own class to this name before it uses it.
  Object.defineProperty(globalThis, 'Worker', { configurable: true, get: () => Idle, set: () => {} })
  try {
    return start()
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, 'Worker')
    else Object.defineProperty(globalThis, 'Worker', before)
    // It would also end the program in its own way on every unhandled error.
    processEvents.forEach((event, i) => {
      const added = process.listeners(event as 'exit').filter((listener) => !listeners[i]!.includes(listener))
      for (const listener of added) process.removeListener(event, listener)
    })
  }
}

/** What the module sees of a worker: it asks each to load, and goes on when each says that it has. */
class Idle {
  onmessage: (event: { readonly data: { readonly cmd: string } }) => void = () => undefined
  postMessage({ cmd }: { readonly cmd: string }): void {
    if (cmd !== 'load') throw new Error('tfjs started a thread of its own')
    queueMicrotask(() => this.onmessage({ data: { cmd: 'loaded' } }))
  }
  on(): void {}
  unref(): void {}
  terminate(): void {}
}

/* Node's own types have lists of listeners for some events only. */
const processEvents = ['uncaughtException', 'unhandledRejection'] as const
