import { fail } from '../tree/error.ts'
import { currentInfo, useEngine } from './current.ts'
import type { EngineInfo, EngineName } from './current.ts'
import { usePreparation, type Prepare } from './compile/executable.ts'
import { allowNativeKernels } from './native/custom.ts'
import { tf } from './tf.ts'

/** Options of `engine`. */
export interface EngineOptions {
  /** Take this engine or fail; without it, the fastest that can be had. */
  readonly prefer?: EngineName
  /** Do not say on stderr which engine was taken, nor that a kernel of the native engine failed. */
  readonly quiet?: boolean
  /**
   * Threads of the WASM engine, the calling one among them: all cores up to 8 by default, or what the environment variable
   * ESPALIER_WASM_THREADS says. A page of a browser has one: train in a Worker of a cross-origin isolated page for more.
   */
  readonly threads?: number
  /** WASM without relaxed SIMD, up to a quarter slower, for the same bits on every machine; threads change none. */
  readonly reproducible?: boolean
}

type Attempt =
  | { readonly ok: true; readonly describe: string; readonly prepare?: Prepare }
  | { readonly ok: false; readonly why: string }

const tfBackend: Readonly<Record<EngineName, string>> = { native: 'tensorflow', wasm: 'wasm', js: 'cpu' }

let chosen = false
let queue: Promise<unknown> = Promise.resolve()

/**
 * Chooses the engine, native before WASM before plain JavaScript, and says on stderr in one line which and why.
 *
 * Everything is synchronous once the promise is kept, and tensors made earlier move to the new engine on first use. A
 * second call changes nothing, unless it prefers another engine or says how WASM is to run. Errors: `EngineUnavailable`
 * when the preferred engine cannot be had; the previous one then stays.
 *
 * @example
 * ```ts
 * import { add, engine, read, tensor } from 'espalier/ops'
 *
 * const early = tensor([1, 2])
 * const { name } = await engine({ prefer: 'wasm', quiet: true })
 * name // => 'wasm'
 * Array.from(read(add(early, early))) // => [2, 4]
 * ```
 */
export const engine = (options: EngineOptions = {}): Promise<EngineInfo> => {
  // Calls wait for each other, so that two at once do not load two engines.
  const result = queue.then(() => choose(options))
  queue = result.catch(() => undefined)
  return result
}

const choose = async (options: EngineOptions): Promise<EngineInfo> => {
  const { prefer, quiet = false, threads, reproducible } = options
  const current = currentInfo()
  const asksHow = threads !== undefined || reproducible !== undefined
  if (chosen && (prefer === undefined || prefer === current.name) && !asksHow) return current
  if (prefer !== undefined && !Object.hasOwn(attempts, prefer))
    return fail({
      _tag: 'EngineUnavailable',
      path: 'engine',
      expected: "'native', 'wasm' or 'js'",
      found: `"${prefer}"`,
      hint: 'Leave "prefer" out to take the fastest engine there is.',
    })
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 256))
    return fail({
      _tag: 'EngineUnavailable',
      path: 'engine',
      expected: 'a whole number of threads from 1 to 256',
      found: String(threads),
      hint: 'Leave "threads" out to use all cores.',
    })
  const all: readonly EngineName[] = chosen ? [current.name] : ['native', 'wasm', 'js']
  const wanted = prefer === undefined ? all : [prefer]
  const skipped: { name: EngineName; why: string }[] = chosen && prefer === undefined ? [...current.skipped] : []
  for (const name of wanted) {
    const attempt = await attempts[name](options).catch(toFailure)
    if (!attempt.ok) {
      skipped.push({ name, why: attempt.why })
      continue
    }
    const next = { name, describe: attempt.describe, skipped }
    useEngine(next)
    chosen = true
    usePreparation(attempt.prepare)
    if (!quiet) console.error(announce(next))
    return next
  }
  await tf.setBackend(tfBackend[current.name])
  return fail({
    _tag: 'EngineUnavailable',
    path: 'engine',
    expected: `the ${prefer} engine`,
    found: skipped.map(({ why }) => why).join('; '),
    hint: `Leave "prefer" out to take the fastest engine there is. The ${current.name} engine stays in use.`,
  })
}

/** Which engine runs, and why no faster one. @internal */
export const announce = ({ describe, skipped }: EngineInfo): string =>
  ['espalier: ' + describe, ...skipped.map(({ name, why }) => `${name} is not in use: ${why}`)].join('; ')

const notStarted: Attempt = { ok: false, why: 'its backend did not start' }

const toFailure = (error: unknown): Attempt => ({
  ok: false,
  why: error instanceof Error ? error.message : String(error),
})

const native = async ({ quiet = false }: EngineOptions): Promise<Attempt> => {
  if (typeof process === 'undefined' || !process.versions?.node) return { ok: false, why: 'it needs Node' }
  const { loadNative } = await import('./native/load.ts')
  const loaded = loadNative()
  if (!loaded.ok) return loaded
  if (!(await tf.setBackend(tfBackend.native))) return notStarted
  allowNativeKernels(loaded.fresh, quiet ? undefined : (line) => console.error(line))
  const describe = `native engine (${loaded.describe})`
  // For whoever wants to see what graphs are worth, or to look for a mistake in one.
  if (/^(off|0|false|no)$/i.test(process.env['ESPALIER_COMPILE'] ?? ''))
    return { ok: true, describe: `${describe}, op by op` }
  const { graphs } = await import('./native/graph/session.ts')
  return { ok: true, describe, prepare: graphs }
}

const wasm = async (options: EngineOptions): Promise<Attempt> => {
  await import('@tensorflow/tfjs-backend-wasm')
  const { startWasm } = await import('./wasm/start.ts')
  const how = await startWasm(options)
  return how === null ? notStarted : { ok: true, describe: `WASM engine (${how})` }
}

const js = async (): Promise<Attempt> => {
  await tf.setBackend(tfBackend.js)
  return { ok: true, describe: 'plain JavaScript engine (slow)' }
}

const attempts: Readonly<Record<EngineName, (options: EngineOptions) => Promise<Attempt>>> = { native, wasm, js }
