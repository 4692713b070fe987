import { tf } from '../tf.ts'
import { installWasmKernels, type WasmOptions } from './index.ts'
import { nodeModule } from './load.ts'
import { shareMemory } from './shared.ts'

/**
 * Makes tfjs's WASM backend the current one, with our kernels on it, and says in words how it runs.
 *
 * Null when the backend does not start; otherwise fails as `installWasmKernels` does.
 *
 * @internal
 */
export const startWasm = async ({ threads, reproducible }: WasmOptions = {}): Promise<string | null> => {
  const wanted = threads ?? (isUp() ? undefined : usualThreads())
  const obstacle = (wanted ?? 1) > 1 && !isUp() ? await shareMemory().catch(String) : null
  if (!(await tf.setBackend('wasm'))) return null
  const { fused, helpers, fewer } = await installWasmKernels({
    ...(wanted !== undefined && { threads: wanted }),
    ...(reproducible !== undefined && { reproducible }),
  })
  const simd = fused ? 'relaxed SIMD' : 'SIMD'
  const why = fewer === null ? '' : `, because ${obstacle ?? fewer}`
  return `${simd}, ${helpers.length === 0 ? 'one thread' : `${helpers.length + 1} threads`}${why}`
}

const isUp = (): boolean => 'wasm' in tf.engine().registry

/** Beyond this, what one thread does alone (packing, the ops of tfjs) is most of the time. */
const mostThreads = 8

/** All cores, within reason; ESPALIER_WASM_THREADS says otherwise. */
const usualThreads = (): number => {
  const asked = typeof process === 'undefined' ? undefined : process.env['ESPALIER_WASM_THREADS']
  if (asked !== undefined && /^[1-9]\d{0,2}$/.test(asked)) return Number(asked)
  const { navigator } = globalThis as { readonly navigator?: { readonly hardwareConcurrency?: number } }
  return Math.min(mostThreads, nodeModule?.('node:os').availableParallelism() ?? navigator?.hardwareConcurrency ?? 1)
}
