import { fail } from '../../tree/error.ts'
import type { TensorSpec } from '../../tree/tensor.ts'
import { tf } from '../tf.ts'
import type { KernelName, Kernels, WasmExports } from './exports.ts'
import { addressOf, allocate, asWasmBackend, memoryOf, type Stored, type WasmBackend, webAssembly } from './host.ts'
import { type Build, loadKernels } from './load.ts'
import { startThread, type Thread } from './pool.ts'

export { addressOf, allocate, type WasmBackend } from './host.ts'

/** The kernels at work on the memory of one backend. @internal */
export interface WasmKernels extends Build {
  readonly backend: WasmBackend
  readonly exports: WasmExports
  /** Address of `scratchBytes()` bytes that every kernel may overwrite. */
  readonly scratch: number
  readonly helpers: readonly Helper[]
  /** Why there are fewer threads than asked for, if so. */
  readonly fewer: string | null
  /** What was asked for. */
  readonly options: Required<WasmOptions>
}

/** A thread besides ours, and its own scratch memory. */
interface Helper {
  readonly thread: Thread
  readonly scratch: number
}

/** How the kernels are to run. @internal */
export interface WasmOptions {
  /** Threads, the calling one among them. */
  readonly threads?: number
  /** Never fuse products with sums: the same bits on every machine. */
  readonly reproducible?: boolean
}

const installed = new WeakMap<object, WasmKernels>()

/**
 * Compiles our kernels onto the memory of tfjs's WASM backend, which must be the current one. A second call changes what
 * its options say, and keeps the rest; first it is one thread, and the fastest build.
 *
 * Fails with `WasmKernelsUnavailable` when the backend is another one, hides its memory, or the machine lacks SIMD, and
 * with `OutOfMemory` when the 1.2 MB of scratch memory cannot be had. The backend itself is not touched by a failure.
 *
 * @internal
 */
export const installWasmKernels = async (options: WasmOptions = {}): Promise<WasmKernels> => {
  const backend: object = tf.backend()
  const before = installed.get(backend)
  const { threads = 1, reproducible = false } = { ...before?.options, ...options }
  if (before?.options.threads === threads && before.options.reproducible === reproducible) return before
  const kernels = await install(asWasmBackend(backend), { threads, reproducible })
  installed.set(backend, kernels)
  if (before !== undefined) await uninstall(before)
  return kernels
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

/** Memory that kernels need besides their scratch, for as long as `use` runs; `heap` is the whole memory. @internal */
export const withMemory = (op: string, bytes: number, use: (address: number, heap: Uint8Array) => void): void => {
  const { backend } = wasmKernels()
  const address = allocate(backend, bytes, op)
  try {
    use(address, backend.wasm.HEAPU8)
  } finally {
    backend.wasm._free(address)
  }
}

/**
 * Runs a kernel over `items` pieces of work that do not touch each other, each of about `cost` multiplications, on as many
 * threads as that is worth. `task` gives the arguments, without the scratch memory, for `count` pieces from `first` on;
 * `first` is a multiple of `step`, for kernels that work on several pieces at a time. It must be pure: a part that no thread
 * has begun is taken back and asked for again.
 *
 * @internal
 */
export const parallel = <K extends KernelName>(
  kernel: K,
  items: number,
  cost: number,
  task: (first: number, count: number) => Kernels[K],
  step = 1,
): void => {
  const { exports, scratch, helpers } = wasmKernels()
  const parts = Math.max(1, Math.min(helpers.length + 1, Math.floor((items * cost) / worthwhile)))
  const size = Math.ceil(items / parts / step) * step
  const run = (first: number): void => {
    const call: (...given: readonly number[]) => void = exports[kernel]
    call(...task(first, Math.min(size, items - first)), scratch)
  }
  const handed = helpers
    .map(({ thread, scratch }, i) => ({ thread, scratch, first: (i + 1) * size }))
    .filter(({ first }) => first < items)
  for (const { thread, scratch, first } of handed)
    thread.post(kernel, [...task(first, Math.min(size, items - first)), scratch])
  const start = performance.now()
  try {
    run(0)
    // A thread that has not begun by now sleeps, or its core is busy with something else.
    for (const { thread, first } of handed) if (thread.takeBack()) run(first)
  } finally {
    const patience = leastPatience + 100 * (performance.now() - start)
    // Whatever has become of our own part: a thread must be done before it is given the next.
    const outcomes = handed.map(({ thread }) => (thread.takeBack() ? 'done' : thread.wait(patience)))
    if (outcomes.some((outcome) => outcome !== 'done')) stopped(kernel, outcomes)
  }
}

/** Multiplications that take as long as to wake a thread; milliseconds that any part of a kernel may take. */
const worthwhile = 100_000
const leastPatience = 60_000

const stopped = (kernel: string, outcomes: readonly string[]): never => {
  // As an instruction of WASM that traps in our own thread does.
  throw new webAssembly.RuntimeError(`${kernel}: a thread ${outcomes.includes('failed') ? 'trapped' : 'fell silent'}`)
}

const install = async (backend: WasmBackend, options: Required<WasmOptions>): Promise<WasmKernels> => {
  const memory = memoryOf(backend)
  const shared = typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer
  const build = await loadKernels(shared, options.reproducible)
  // The module is built from our own source and its exports are asserted in a test.
  const exports = new webAssembly.Instance(build.module, { env: { memory } }).exports as WasmExports
  const bytes = exports.scratchBytes()
  const scratch = allocate(backend, bytes, 'wasm')
  const names = Object.keys(exports) as KernelName[]
  const obstacle = shared ? (canWait() ? null : 'this thread may not wait for others') : 'its memory is not shared'
  const start = async (): Promise<Helper> => {
    const scratch = allocate(backend, bytes, 'wasm')
    const thread = await startThread(build.module, memory, names).catch((error: unknown) => {
      backend.wasm._free(scratch)
      throw error
    })
    return { thread, scratch }
  }
  const started = await Promise.allSettled(Array.from({ length: obstacle === null ? options.threads - 1 : 0 }, start))
  const helpers = started.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const failure = started.find((outcome) => outcome.status === 'rejected')
  const why = obstacle ?? (failure === undefined ? null : String(failure.reason))
  return { ...build, backend, exports, scratch, helpers, options, fewer: options.threads === 1 ? null : why }
}

/** The thread of a page in a browser may not; that of a worker, and every one of Node, may. */
const canWait = (): boolean => {
  try {
    return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1) === 'not-equal'
  } catch {
    return false
  }
}

const uninstall = async ({ backend, scratch, helpers }: WasmKernels): Promise<void> => {
  await Promise.all(helpers.map(({ thread }) => thread.stop()))
  for (const address of [scratch, ...helpers.map((helper) => helper.scratch)]) backend.wasm._free(address)
}
