import type { WasmMemory, WasmModule } from './host.ts'

/** What a worker is started with. @internal */
export interface WorkerData {
  readonly module: WasmModule
  readonly memory: WasmMemory
  readonly kernels: readonly string[]
  /** Where jobs are posted: int32 words, then the arguments as float64. */
  readonly control: SharedArrayBuffer
  readonly layout: Layout
}

/** Of a control block: which word says what, where the arguments begin, and how long to look before sleeping. */
type Layout = typeof layout

/** @internal */
export const layout = {
  /** The number of the job last posted, of the one last begun (by the worker, or taken back), of the one last done. */
  posted: 0,
  taken: 1,
  done: 2,
  kernel: 3,
  count: 4,
  failed: 5,
  /** Bytes to the arguments, and of all. */
  given: 64,
  bytes: 64 + 8 * 40,
  /** Looks before a thread sleeps: some 50 microseconds, for it takes 70 to be woken. */
  spins: 20_000,
} as const

/**
 * The whole life of a worker: to wait for a job, to run it unless it was taken back meanwhile, to say that
 * it is done.
 *
 * It is started from its own text, so it names nothing from outside of itself.
 *
 * @internal
 */
export const work = ({ module, memory, kernels, control, layout }: WorkerData, ready: () => void): void => {
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { Instance: new (module: WasmModule, imports: object) => { exports: unknown } }
  }
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as Readonly<
    Record<string, (...given: number[]) => void>
  >
  const { posted, taken, done, kernel, count, failed, spins } = layout
  const word = new Int32Array(control, 0, layout.given / 4)
  const given = new Float64Array(control, layout.given)
  ready()
  for (let seen = 0; ;) {
    for (let i = 0; i < spins && Atomics.load(word, posted) === seen; i++);
    while (Atomics.load(word, posted) === seen) Atomics.wait(word, posted, seen)
    seen = Atomics.load(word, posted)
    if (Atomics.compareExchange(word, taken, (seen - 1) | 0, seen) !== ((seen - 1) | 0)) continue
    try {
      exports[kernels[word[kernel]!]!]!(...given.subarray(0, word[count]))
      word[failed] = 0
    } catch {
      word[failed] = 1
    }
    Atomics.store(word, done, seen)
    Atomics.notify(word, done)
  }
}
