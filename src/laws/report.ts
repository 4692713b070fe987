import type { LawResult } from './run.ts'

/** What became of the laws of one transform, weight, kind or tree function. */
export interface Report {
  /** What was checked, and on what. */
  readonly subject: string
  readonly passed: boolean
  /** Runs of all laws together. */
  readonly runs: number
  readonly results: readonly LawResult[]
}

/**
 * The results of several laws as one report.
 *
 * @example
 * ```ts
 * import fc from 'fast-check'
 * import { reportOf, runLaw, verdict } from 'espalier/laws'
 * import type { Law } from 'espalier/laws'
 * const small: Law<number> = {
 *   name: 'small',
 *   says: 'A number is below ten.',
 *   equality: 'exact',
 *   check: n => verdict(n < 10, `${n}`),
 * }
 * reportOf('numbers', [runLaw(small, fc.nat(5), String, { runs: 10 })]).passed // => true
 * ```
 */
export const reportOf = (subject: string, results: readonly LawResult[]): Report => ({
  subject,
  passed: results.every((r) => r.passed),
  runs: results.reduce((n, r) => n + r.runs, 0),
  results,
})

/** What `assertLaws` throws: the report, readable as the message and as data. */
export class LawFailure extends Error {
  readonly report: Report
  constructor(report: Report) {
    super(formatReport(report))
    this.name = 'LawFailure'
    this.report = report
  }
}

const indent = (text: string): string => text.replaceAll(/^/gm, '      ')

const detail = (r: LawResult): readonly string[] => {
  if (r.passed) return []
  const { counterexample: c } = r
  if (c === undefined) return [`      ${r.why ?? ''}`]
  const replay = `replay with { seed: ${c.seed}, path: '${c.path}' }; made smaller ${c.shrinks} times`
  return [`      it says: ${r.says}`, `      found: ${c.found}`, indent(c.shown), `      ${replay}`]
}

/**
 * A report as a table for people: each law, passed or broken, its runs, and for a broken one the smallest counterexample.
 *
 * @example
 * ```ts
 * import { define, freeze, layer, linear } from 'espalier'
 * import { check, formatReport, idempotent } from 'espalier/laws'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * formatReport(check(freeze, { on: Net, laws: [idempotent], runs: 10, name: 'freeze' }))
 * // => 'freeze on Net: 1 of 1 laws hold, 10 runs\n  ✓ idempotent  10 of 10 runs effective  reference'
 * ```
 */
export const formatReport = ({ subject, results, runs }: Report): string => {
  const width = Math.max(0, ...results.map((r) => r.name.length))
  const passed = results.filter((r) => r.passed).length
  return [
    `${subject}: ${passed} of ${results.length} laws hold, ${runs} runs`,
    ...results.flatMap((r) => [
      `  ${r.passed ? '✓' : '✗'} ${r.name.padEnd(width)}  ${r.effective} of ${r.runs} runs effective  ${r.equality}`,
      ...detail(r),
    ]),
  ].join('\n')
}

/**
 * Throws the report when a law in it is broken; the report itself otherwise.
 *
 * @throws LawFailure with the formatted report as its message.
 * @example
 * ```ts
 * import { define, layer, linear, lora } from 'espalier'
 * import { assertLaws, check, idempotent } from 'espalier/laws'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * assertLaws(check(lora({ at: '**.fc', rank: 2 }), { on: Net, laws: [idempotent], runs: 10 })) // => Error: idempotent
 * ```
 */
export const assertLaws = (report: Report): Report => {
  if (!report.passed) throw new LawFailure(report)
  return report
}
