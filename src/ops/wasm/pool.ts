import type * as Threads from 'node:worker_threads'
import type { KernelName } from './exports.ts'
import type { WasmMemory, WasmModule } from './host.ts'
import { nodeModule } from './load.ts'
import { layout, work, type WorkerData } from './worker.ts'

/**
 * Threads besides the caller's. `post` hands one a job, which must be taken back or waited for before its next. `takeBack`
 * tells whether the job was not begun, and then never will be; `wait` comes back when it is done, and tells how it went.
 *
 * @internal
 */
export interface Thread {
  readonly post: (kernel: KernelName, given: readonly number[]) => void
  readonly takeBack: () => boolean
  readonly wait: (milliseconds: number) => 'done' | 'failed' | 'silent'
  readonly stop: () => Promise<void>
}

/** A worker, as much of it as the two worlds share. */
interface Spawned {
  readonly ready: Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts a thread that has the kernels on the same memory; fails when there is no worker to be had. @internal */
export const startThread = async (
  module: WasmModule,
  memory: WasmMemory,
  kernels: readonly KernelName[],
): Promise<Thread> => {
  const control = new SharedArrayBuffer(layout.bytes)
  const word = new Int32Array(control, 0, layout.given / 4)
  const room = new Float64Array(control, layout.given)
  const { ready, stop } = spawn({ module, memory, kernels, control, layout })
  await within(startLimit, ready).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  const isDone = (): boolean => Atomics.load(word, layout.done) === word[layout.posted]
  return {
    stop,
    post: (kernel, given) => {
      room.set(given)
      word[layout.kernel] = kernels.indexOf(kernel)
      word[layout.count] = given.length
      Atomics.add(word, layout.posted, 1)
      Atomics.notify(word, layout.posted)
    },
    takeBack: () => {
      const job = word[layout.posted]!
      const before = (job - 1) | 0
      if (Atomics.compareExchange(word, layout.taken, before, job) !== before) return false
      word[layout.failed] = 0
      Atomics.store(word, layout.done, job)
      return true
    },
    wait: (milliseconds) => {
      for (let i = 0; i < layout.spins && !isDone(); i++);
      // In parts, for a program that was halted may find the time of one over before the other thread has run again.
      for (let part = 0; part < 4 && !isDone(); part++)
        Atomics.wait(word, layout.done, (word[layout.posted]! - 1) | 0, milliseconds / 4)
      return isDone() ? (word[layout.failed] === 0 ? 'done' : 'failed') : 'silent'
    },
  }
}

const startLimit = 10_000

const within = (milliseconds: number, promise: Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('a thread did not start')), milliseconds)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })

const spawn = (data: WorkerData): Spawned => {
  const threads = nodeModule?.('node:worker_threads')
  return threads === undefined ? spawnInBrowser(data) : spawnInNode(threads, data)
}

const spawnInNode = ({ Worker }: typeof Threads, workerData: WorkerData): Spawned => {
  const source = `const { parentPort, workerData } = require('node:worker_threads')
    ;(${String(work)})(workerData, () => parentPort.postMessage('ready'))`
  // None of the program's own flags: they are about its main file, and some are refused here.
  const worker = new Worker(source, { eval: true, workerData, execArgv: [] })
  const ready = new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve())
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('a thread ended before it began')))
  })
  // A program that has nothing left to do ends; the thread with it.
  worker.unref()
  return { ready, stop: async () => void (await worker.terminate()) }
}

/* The types of the compiler know workers only together with the whole DOM. */
interface BrowserWorker {
  readonly addEventListener: (
    type: 'message' | 'error',
    listener: (event: { readonly message?: string }) => void,
  ) => void
  readonly postMessage: (data: unknown) => void
  readonly terminate: () => void
}

const spawnInBrowser = (data: WorkerData): Spawned => {
  const { Worker } = globalThis as unknown as { readonly Worker: new (url: string) => BrowserWorker }
  const source = `onmessage = ({ data }) => (${String(work)})(data, () => postMessage('ready'))`
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
  const worker = new Worker(url)
  const ready = new Promise<void>((resolve, reject) => {
    worker.addEventListener('message', () => resolve())
    worker.addEventListener('error', ({ message }) => reject(new Error(message ?? 'a worker did not start')))
  }).finally(() => URL.revokeObjectURL(url))
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has none, a window has
  worker.postMessage(data)
  return { ready, stop: async () => worker.terminate() }
}
