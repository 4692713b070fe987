import { engine } from '../ops/index.ts'
import type { EngineInfo } from '../ops/index.ts'
import { announce } from '../ops/internal.ts'

/** The fastest engine, without a word: what is said of bad input stands alone. */
export const startEngine = (): Promise<EngineInfo> => engine({ quiet: true })

/** Says which engine runs, once all that was given is known to be good. */
export const tellEngine = (info: EngineInfo): void => void process.stderr.write(`${announce(info)}\n`)
