/** Named numbers that an evaluation gives. */
export type Metrics = Readonly<Record<string, number>>

/** A training step: its number and its epoch count from 1, its loss is that before the step. */
export interface StepRecord {
  readonly kind: 'step'
  readonly step: number
  readonly epoch: number
  readonly loss: number
}

/** An evaluation after a step. */
export interface EvaluationRecord {
  readonly kind: 'evaluation'
  readonly step: number
  readonly epoch: number
  readonly metrics: Metrics
}

/** What happened in a training, in order; equal for equal runs, so without times. */
export type History = readonly (StepRecord | EvaluationRecord)[]

/** Which metric tells the best model. */
export interface Monitor {
  readonly metric: string
  readonly best: 'lowest' | 'highest'
}

/** Where the best evaluation lies, and how many came after it without being better. @internal */
export const standing = (
  history: History,
  { metric, best }: Monitor,
): { readonly best: EvaluationRecord | undefined; readonly since: number } => {
  const sign = best === 'lowest' ? 1 : -1
  let found: EvaluationRecord | undefined
  let since = 0
  for (const record of history) {
    if (record.kind !== 'evaluation') continue
    const value = sign * (record.metrics[metric] ?? Number.NaN)
    // NaN is never better, and anything is better than nothing.
    const better = value < sign * (found?.metrics[metric] ?? sign * Infinity)
    if (better) found = record
    since = better ? 0 : since + 1
  }
  return { best: found, since }
}
