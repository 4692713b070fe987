import * as E from 'fp-ts/lib/Either.js'
import { scope } from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { requireSound } from '../tree/labels.ts'
import { requireOptions } from './options.ts'
import type { Option } from './options.ts'
import type { Selector } from '../tree/select.ts'
import type { Method } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'

/**
 * Runs something that may throw our error, and gives its issues as a value; any other error is a bug and goes on.
 *
 * @example
 * ```ts
 * import { attempt, freeze, set, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * attempt(() => freeze(base))._tag // => 'Right'
 * attempt(() => set(base, 'out_heed' as 'out_head', null))._tag // => 'Left'
 * ```
 */
export const attempt = <A>(f: () => A): E.Either<readonly Issue[], A> => {
  try {
    return E.right(f())
  } catch (e) {
    if (e instanceof EspalierError) return E.left(e.issues)
    throw e
  }
}

/** A method's name and its options besides `at` and `key`, by which calls and recipes are checked. */
export interface Described {
  readonly name: string
  readonly options: Readonly<Record<string, Option>>
}

/** The options that a transform was described by. */
export const optionsOf = (transform: unknown): Readonly<Record<string, Option>> =>
  (transform as { readonly '~options'?: Readonly<Record<string, Option>> })['~options'] ?? {}

/**
 * Makes a transform out of what it does to any model: the typed step, its `either` form and its `unchecked` form.
 *
 * The one cast lies here: that the untyped rewriting does what the type says is what the laws check.
 *
 * @example
 * ```ts
 * import { targeted, places, replaceAt, sllm, key, get } from 'espalier'
 * // A transform of one's own: fewer heads are not better, but easily written.
 * const withHeads = targeted<{ heads: number }, 'same'>((model, { heads }) =>
 *   replaceAt(model, [...places(model)]
 *     .filter(p => (p.node as { _tag?: string })._tag === 'Attention')
 *     .map(p => ({ route: p.route, value: { ...(p.node as object), heads } }))))
 * const model = withHeads({ at: '**', heads: 4 })(sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0)))
 * get(model, 'transformer_blocks.0.mha').heads // => 4
 * ```
 */
export const targeted = <O, K extends Method>(
  run: (model: unknown, options: O & { readonly at: Selector }) => unknown,
  described?: Described,
): Targeted<O, K> => {
  const step = (options: O & { readonly at: Selector }) => (model: unknown) => {
    if (described !== undefined) requireOptions(described.name, described.options, options)
    // What is refused at the end must not leave behind what was allocated until then.
    return scope(() => {
      const after = run(model, options)
      // A label that was taken already would show only at the next, innocent transform.
      requireSound(after)
      return after
    })
  }
  const either = (options: O & { readonly at: Selector }) => (model: unknown) => attempt(() => step(options)(model))
  return Object.assign(step, { either, unchecked: step, '~options': described?.options ?? {} }) as never
}
