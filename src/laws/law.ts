/** What one run of a law found. */
export type Verdict =
  | { readonly _tag: 'Holds' }
  /** The run said nothing, because the law had nothing to bite on. */
  | { readonly _tag: 'Vacuous'; readonly why: string }
  /** The law is broken, in words a person can act on. */
  | { readonly _tag: 'Fails'; readonly found: string }

/** In which sense a law says "the same". */
export type Equality = 'reference' | 'bitwise' | 'exact' | 'tolerance'

/**
 * A law as data: what it is called, what it says, in which sense of "equal", and how one run of it is judged.
 *
 * `R` is what a run is given; it is drawn at random and shrunk when the law fails.
 *
 * @example
 * ```ts
 * import { verdict } from 'espalier/laws'
 * import type { Law } from 'espalier/laws'
 * const even: Law<number> = {
 *   name: 'even',
 *   says: 'twice a number is even',
 *   equality: 'exact',
 *   check: n => verdict((2 * n) % 2 === 0, `${2 * n}`),
 * }
 * even.check(3) // => { _tag: 'Holds' }
 * ```
 */
export interface Law<R> {
  readonly name: string
  /** One sentence. */
  readonly says: string
  readonly equality: Equality
  /** Judges one run; what it allocates is freed by whoever runs it. */
  readonly check: (run: R) => Verdict
}

/** The law holds in this run. */
export const holds: Verdict = { _tag: 'Holds' }

/**
 * The law had nothing to bite on in this run, and why; too many of these are a failure of their own.
 *
 * @example
 * ```ts
 * import { vacuous } from 'espalier/laws'
 * vacuous('the model has no tie') // => { _tag: 'Vacuous', why: 'the model has no tie' }
 * ```
 */
export const vacuous = (why: string): Verdict => ({ _tag: 'Vacuous', why })

/**
 * The law is broken in this run, and how.
 *
 * @example
 * ```ts
 * import { fails } from 'espalier/laws'
 * fails('number 3 is 0.5 instead of 1') // => { _tag: 'Fails', found: 'number 3 is 0.5 instead of 1' }
 * ```
 */
export const fails = (found: string): Verdict => ({ _tag: 'Fails', found })

/**
 * Holds, or fails with what was found.
 *
 * @example
 * ```ts
 * import { verdict } from 'espalier/laws'
 * verdict(1 < 2, 'one is not less than two') // => { _tag: 'Holds' }
 * ```
 */
export const verdict = (ok: boolean, found: string): Verdict => (ok ? holds : fails(found))

/**
 * The first verdict that is not `holds`; later ones are not asked for.
 *
 * @example
 * ```ts
 * import { all, fails, holds } from 'espalier/laws'
 * all(() => holds, () => fails('this one'), () => fails('never asked')) // => { _tag: 'Fails', found: 'this one' }
 * ```
 */
export const all = (...verdicts: readonly (() => Verdict)[]): Verdict => {
  for (const ask of verdicts) {
    const answer = ask()
    if (answer._tag !== 'Holds') return answer
  }
  return holds
}

/**
 * The verdict on each element, up to the first that does not hold.
 *
 * @example
 * ```ts
 * import { every, verdict } from 'espalier/laws'
 * every([2, 4, 5], n => verdict(n % 2 === 0, `${n} is odd`)) // => { _tag: 'Fails', found: '5 is odd' }
 * ```
 */
export const every = <A>(items: readonly A[], judge: (item: A) => Verdict): Verdict =>
  all(...items.map((item) => () => judge(item)))
