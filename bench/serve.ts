import { createInterface } from 'node:readline'

/** What a contestant tells of one step. */
export interface Outcome {
  /** The loss, or another figure by which contestants are compared. */
  readonly value?: number
  /** Milliseconds of each part, where a step is several measurements. */
  readonly parts?: Readonly<Record<string, number>>
}

/** A contestant that is ready to be measured. */
export interface Ready {
  /** Versions and settings, for the record. */
  readonly about?: Readonly<Record<string, string | number>>
  readonly step: () => Outcome | Promise<Outcome>
}

/**
 * A contestant's side: a process of its own that does one step whenever a line `step` comes in, answers in lines of JSON,
 * and tells its peak memory when it is asked to `quit`.
 */
export const serve = async <O>(prepare: (options: O) => Ready | Promise<Ready>): Promise<void> => {
  const answer = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`)
  try {
    const { about = {}, step } = await prepare(JSON.parse(process.argv[2] ?? '{}') as O)
    answer({ ready: true, about })
    for await (const line of createInterface({ input: process.stdin })) {
      if (line === 'quit') break
      const start = performance.now()
      const outcome = await step()
      answer({ ms: performance.now() - start, ...outcome })
    }
    answer({ peakMb: process.resourceUsage().maxRSS / 1024 })
  } catch (error) {
    answer({ error: error instanceof Error ? error.message : String(error) })
  }
  process.exit(0)
}

/** Milliseconds of each product, the best of a few calls; operands cycle, or small ones would stay in cache. */
export const timed = (name: string, flops: number, run: () => void): readonly [string, number] => {
  const times = Array.from({ length: flops > 2e9 ? 2 : 4 }, () => {
    const calls = Math.max(1, Math.round(1e8 / flops))
    const start = performance.now()
    for (let i = 0; i < calls; i++) run()
    return (performance.now() - start) / calls
  })
  return [name, Math.min(...times)]
}
