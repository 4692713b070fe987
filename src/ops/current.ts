/** The engines, fastest first. */
export type EngineName = 'native' | 'wasm' | 'js'

/** What `engine()` chose, and why nothing faster. */
export interface EngineInfo {
  readonly name: EngineName
  /** For people: `WASM engine (relaxed SIMD, 2 threads)`. */
  readonly describe: string
  readonly skipped: readonly { readonly name: EngineName; readonly why: string }[]
}

let current: EngineInfo = { name: 'js', describe: 'plain JavaScript', skipped: [] }

/**
 * Tells which engine runs the ops now; `'js'` until `engine()` has finished.
 *
 * @example
 * ```ts
 * import { currentEngine, engine } from 'espalier/ops'
 *
 * await engine({ prefer: 'wasm', quiet: true })
 * currentEngine() // => 'wasm'
 * ```
 */
export const currentEngine = (): EngineName => current.name

/** What was said of the engine in use when it was chosen. @internal */
export const currentInfo = (): EngineInfo => current

/** Says which engine runs the ops from now on. @internal */
export const useEngine = (next: EngineInfo): void => {
  current = next
}
