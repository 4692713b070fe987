import type { EvaluationRecord, StepRecord } from './history.ts'

/** As much of a terminal as a progress bar needs. */
export interface ProgressStream {
  /** Takes text as it comes; what it returns is ignored. */
  readonly write: (text: string) => unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** What the bar counts. */
export interface ProgressOptions {
  /** Steps done before; 0 by default. */
  readonly from?: number
  /** Steps in all. */
  readonly total: number
  readonly perEpoch: number
  /** What `size` of a step counts. */
  readonly unit: 'tokens' | 'examples'
  /** The time in milliseconds. */
  readonly now?: () => number
}

/** A bar that is told of each step. */
export interface Progress {
  /** Tells of a step and of how many tokens or examples it had. */
  readonly step: (record: StepRecord, size: number) => void
  /** Tells of an evaluation, which gets a line of its own. */
  readonly evaluation: (record: EvaluationRecord) => void
  /** Ends the line that is being rewritten. */
  readonly end: () => void
}

/**
 * A progress bar: epoch, step, loss, tokens/s and time left; one line that is rewritten, or lines where there is no
 * terminal.
 *
 * @example
 * ```ts
 * import { progressBar } from 'espalier'
 *
 * const lines: string[] = []
 * const bar = progressBar({ write: (text) => lines.push(text) }, { total: 4, perEpoch: 2, unit: 'tokens', now: () => 0 })
 * bar.step({ kind: 'step', step: 4, epoch: 2, loss: 0.25 }, 10)
 * lines[0]!.startsWith('epoch 2/2  step 4/4  loss 0.2500') // => true
 * ```
 */
export const progressBar = (
  stream: ProgressStream,
  { from = 0, total, perEpoch, unit, now = () => performance.now() }: ProgressOptions,
): Progress => {
  const terminal = stream.isTTY === true
  // A log file wants a line now and then, a terminal ten pictures a second.
  const pause = terminal ? 100 : 5000
  const begun = now()
  let shown = -Infinity
  let counted = 0
  let open = false

  const line = (text: string): void => {
    const fitting = terminal ? text.slice(0, (stream.columns ?? 80) - 1) : text
    stream.write(terminal ? `\r\u001b[K${fitting}` : `${fitting}\n`)
    open = terminal
  }
  const end = (): void => {
    if (open) stream.write('\n')
    open = false
  }
  return {
    step: ({ step, epoch, loss }, size) => {
      counted += size
      if (now() - shown < pause && step < total) return
      shown = now()
      const seconds = (shown - begun) / 1000
      const left = (seconds / (step - from)) * (total - step)
      line(
        [
          `epoch ${epoch}/${Math.ceil(total / perEpoch)}`,
          `step ${step}/${total}`,
          ...(terminal ? [drawn(step / total)] : []),
          `loss ${loss.toFixed(4)}`,
          ...(seconds > 0 ? [`${Math.round(counted / seconds).toLocaleString('en')} ${unit}/s`] : []),
          `${clock(left)} left`,
        ].join('  '),
      )
    },
    evaluation: ({ step, metrics }) => {
      const told = Object.entries(metrics).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
      line(`step ${step}  evaluation: ${told.join('  ')}`)
      end()
    },
    end,
  }
}

const width = 16
const drawn = (share: number): string => {
  const full = Math.round(share * width)
  return '━'.repeat(full) + '·'.repeat(width - full)
}

/** Seconds as h:mm:ss or m:ss. */
const clock = (seconds: number): string => {
  const whole = Math.ceil(seconds)
  const two = (n: number): string => String(n).padStart(2, '0')
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}
