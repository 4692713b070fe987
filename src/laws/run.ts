import * as fc from 'fast-check'
import { scope } from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import { fails, vacuous } from './law.ts'
import type { Equality, Law, Verdict } from './law.ts'

/** How many runs, and from which seed; what is left out is fast-check's own setting. */
export interface RunOptions {
  readonly runs?: number
  /** With `path`, repeats the run that a report names. */
  readonly seed?: number
  readonly path?: string
}

/** The smallest run found that breaks a law. */
export interface Counterexample {
  /** What was found, in words. */
  readonly found: string
  /** The run, for people. */
  readonly shown: string
  readonly seed: number
  readonly path: string
  /** How often it was made smaller. */
  readonly shrinks: number
}

/** What became of one law. */
export interface LawResult {
  readonly name: string
  readonly says: string
  readonly equality: Equality
  readonly passed: boolean
  readonly runs: number
  /** Runs in which the law had something to bite on. */
  readonly effective: number
  /** Why it failed; the counterexample says more. */
  readonly why?: string
  readonly counterexample?: Counterexample
}

// A law that mostly had nothing to bite on has not been checked.
const leastEffective = 0.9

/** One run: a refusal of ours says nothing about the law, any other error breaks it. */
const judge = <R>(law: Law<R>, run: R): Verdict => {
  try {
    return scope(() => law.check(run))
  } catch (error) {
    if (error instanceof EspalierError) return vacuous(`refused: ${error.message}`)
    return fails(`threw ${String(error)}`)
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const most = (reasons: ReadonlyMap<string, number>): string =>
  [...reasons].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? ''

/**
 * Runs a law on drawn runs and shrinks what breaks it; needs no test framework, throws nothing, and frees what it made.
 *
 * Fewer than nine effective runs in ten are a failure too.
 *
 * @example
 * ```ts
 * import fc from 'fast-check'
 * import { runLaw, verdict } from 'espalier/laws'
 * import type { Law } from 'espalier/laws'
 * const small: Law<number> = {
 *   name: 'small',
 *   says: 'A number is below ten.',
 *   equality: 'exact',
 *   check: n => verdict(n < 10, `${n} is not`),
 * }
 * runLaw(small, fc.nat(), String).counterexample?.found // => '10 is not'
 * ```
 */
export const runLaw = <R>(
  law: Law<R>,
  drawing: fc.Arbitrary<R>,
  shown: (run: R) => string,
  { runs, seed, path }: RunOptions = {},
): LawResult =>
  scope(() => {
    let [tried, effective] = [0, 0]
    let broken = false
    const reasons = new Map<string, number>()
    const property = fc.property(drawing, (run) => {
      const answer = judge(law, run)
      if (!broken) {
        tried += 1
        if (answer._tag === 'Vacuous') reasons.set(answer.why, (reasons.get(answer.why) ?? 0) + 1)
        else effective += 1
      }
      if (answer._tag !== 'Fails') return
      broken = true
      throw new Error(answer.found)
    })
    const details = fc.check(property, {
      ...(runs === undefined ? {} : { numRuns: runs }),
      ...(seed === undefined ? {} : { seed }),
      ...(path === undefined ? {} : { path, endOnFailure: true }),
    })
    const { name, says, equality } = law
    const result = { name, says, equality, runs: tried, effective }
    const smallest = details.counterexample?.[0]
    if (details.failed && smallest !== undefined) {
      const found = message(details.errorInstance)
      const counterexample = {
        found,
        shown: shown(smallest),
        seed: details.seed,
        path: details.counterexamplePath ?? '',
        shrinks: details.numShrinks,
      }
      return { ...result, passed: false, why: found, counterexample }
    }
    if (effective >= leastEffective * tried && tried > 0) return { ...result, passed: true }
    return { ...result, passed: false, why: `only ${effective} of ${tried} runs were effective: ${most(reasons)}` }
  })
