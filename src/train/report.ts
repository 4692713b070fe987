import type { EvaluationRecord, StepRecord } from './history.ts'
import type { FitOptions } from './options.ts'
import { progressBar } from './progress.ts'
import type { ProgressStream } from './progress.ts'

/** Where a training stands as `report` begins. @internal */
export interface Extent {
  /** Steps done before. */
  readonly from: number
  /** Steps in all. */
  readonly total: number
  readonly perEpoch: number
}

/** Tells people and files how training goes. @internal */
export interface Reporter {
  readonly step: (record: StepRecord, size: number) => Promise<void>
  readonly evaluation: (record: EvaluationRecord) => Promise<void>
  readonly end: () => Promise<void>
}

type Told = Pick<FitOptions<never, never, never, never>, 'progress' | 'metrics'> & { readonly tokens?: unknown }

/** @internal */
export const report = async (
  { progress = 'auto', metrics, tokens }: Told,
  { from, total, perEpoch }: Extent,
): Promise<Reporter> => {
  const begun = performance.now()
  const stream = stderr()
  const shown = progress === 'auto' ? stream?.isTTY === true : progress
  const bar =
    shown && stream !== undefined
      ? progressBar(stream, { from, total, perEpoch, unit: tokens === undefined ? 'examples' : 'tokens' })
      : undefined
  // Only Node has files: nothing of it is loaded where none is asked for.
  const file = metrics === undefined ? undefined : await (await import('./jsonl.ts')).openLines(metrics)
  let rested = begun
  const rest = async (): Promise<void> => {
    // Steps are synchronous: timers, signals and other promises get their turn now and then.
    if (performance.now() - rested < 50) return
    await new Promise((resolve) => setTimeout(resolve, 0))
    rested = performance.now()
  }
  const write = async (record: object): Promise<void> => {
    await file?.write({ ...record, seconds: Math.round(performance.now() - begun) / 1000 })
    await rest()
  }
  return {
    step: (record, size) => {
      bar?.step(record, size)
      return write(tokens === undefined ? record : { ...record, tokens: size })
    },
    evaluation: (record) => {
      bar?.evaluation(record)
      return write(record)
    },
    end: async () => {
      bar?.end()
      await file?.close()
    },
  }
}

const stderr = (): ProgressStream | undefined => (typeof process === 'undefined' ? undefined : process.stderr)
