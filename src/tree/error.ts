/**
 * One thing that is wrong, as data: where, what was expected, what was found, and what to do about it.
 *
 * `_tag` names the kind of mistake (`NoMatch`, `AlreadyAdapted`, `LabelClash`, `ShapeMismatch`, …) for programs; the rest is for people.
 */
export interface Issue {
  readonly _tag: string
  /** Path in the tree, file or configuration; `''` is the root. */
  readonly path: string
  readonly expected: string
  readonly found: string
  readonly hint: string
}

/**
 * Issues as one readable message, a paragraph each; what is wrong alike at many places is one of them.
 *
 * @example
 * ```ts
 * import { formatIssues } from 'espalier'
 * formatIssues([{ _tag: 'NoMatch', path: '**.a', expected: 'a hit', found: 'none', hint: 'Did you mean "**.b"?' }])
 * // => 'NoMatch at **.a: expected a hit, found none.\n  Did you mean "**.b"?'
 * ```
 */
export const formatIssues = (issues: readonly Issue[]): string => {
  const alike = new Map<string, Issue[]>()
  for (const one of issues) {
    const { path: _, ...rest } = one
    const said = JSON.stringify(rest)
    const known = alike.get(said)
    if (known) known.push(one)
    else alike.set(said, [one])
  }
  const all = [...alike.values()].map(formatAlike)
  const more = all.length - MISTAKES
  return [...all.slice(0, MISTAKES), ...(more > 0 ? [`And ${more} more, in \`issues\`.`] : [])].join('\n')
}

// One mistake is often made at every weight of a model: it is told once, with a few of the places.
const SHOWN = 3
// A file can be wrong in another way at each of its tensors.
const MISTAKES = 20

// What was found may be as long as the file that it was found in.
const LONGEST = 500

const short = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text)

const formatAlike = ([first, ...others]: readonly Issue[]): string => {
  const { _tag, expected, found, hint } = first!
  const paths = [first!, ...others].map(({ path }) => (path === '' ? 'the root' : path))
  const more = paths.length - SHOWN
  const places = paths.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '')
  const said = `${_tag} at ${places}: expected ${short(expected)}, found ${short(found)}.`
  return [said, hint && `  ${hint}`].filter(Boolean).join('\n')
}

/**
 * The only class this library throws: an `Error` that carries its issues as data.
 *
 * @example
 * ```ts
 * import { EspalierError, get, param } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * try {
 *   get({ w: param('vector', 'w', zeros([2])) }, 'v' as 'w')
 * } catch (error) {
 *   error instanceof EspalierError && error.issues[0]?._tag // => 'NoMatch'
 * }
 * ```
 */
export class EspalierError extends Error {
  readonly issues: readonly Issue[]
  constructor(issues: readonly Issue[]) {
    super(formatIssues(issues))
    this.name = 'EspalierError'
    this.issues = issues
  }
}

/**
 * What the plain name of a transform throws; its `.either` form gives the same issues as a `Left`.
 *
 * @example
 * ```ts
 * import { TransformFailure, lora, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * const result = lora.either({ at: '**.ln_1', rank: 0 })(base)
 * result._tag === 'Left' && result.left[0]?._tag // => 'BadDimension'
 * try {
 *   lora({ at: '**.ln_1', rank: 0 })(base)
 * } catch (error) {
 *   error instanceof TransformFailure // => true
 * }
 * ```
 */
export class TransformFailure extends EspalierError {
  constructor(issues: readonly Issue[]) {
    super(issues)
    this.name = 'TransformFailure'
  }
}

/** Throws a single issue. */
export const fail = (issue: Issue): never => {
  throw new EspalierError([issue])
}

/** An issue from its parts, what was found as a word. @internal */
export const issue = (tag: string, path: string, expected: string, found: unknown, hint: string): Issue => ({
  _tag: tag,
  path,
  expected,
  found: typeof found === 'string' ? found : typeof found === 'number' ? String(found) : written(found),
  hint,
})

/** A value as a message shows it. @internal */
export const written = (x: unknown): string => {
  if (x === undefined) return 'nothing'
  try {
    return JSON.stringify(x) ?? `a ${typeof x}`
  } catch {
    return `a ${typeof x}`
  }
}

/** What `f` gives; an error of ours comes out with its issues as they are after `more`. @internal */
export const explained = <A>(f: () => A, more: (issue: Issue) => Issue): A => {
  try {
    return f()
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error
    const issues = error.issues.map(more)
    throw error instanceof TransformFailure ? new TransformFailure(issues) : new EspalierError(issues)
  }
}
