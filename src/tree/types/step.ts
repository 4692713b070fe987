import type { Either } from 'fp-ts/lib/Either.js'
import type { Issue } from '../error.ts'
import type { Selector } from '../select.ts'
import type { Globs } from './paths.ts'
import type { Form } from '../leaf.ts'
import type { AnyLeaf, HasHit, Method, RewriteAll, RewriteKey, RewriteSome, Wrapping } from './rewrite.ts'

/** A model with a method applied where the patterns `G` are met. */
export type Rewritten<M, G extends string, K extends Method> = {
  readonly [Q in keyof M]: '**' extends G ? RewriteAll<M[Q], K> : RewriteKey<M[Q], Q, G, K>
}

/** A model, or a single leaf, with a method applied everywhere. */
export type Whole<M, K extends Method> = M extends AnyLeaf | { readonly _tag: string; readonly base: unknown }
  ? RewriteAll<M, K>
  : Everywhere<M, K>

/** A record with a method applied everywhere in it. */
export type Everywhere<M, K extends Method> = { readonly [Q in keyof M]: RewriteAll<M[Q], K> }

/** A model with a method perhaps applied at each place that it takes: what run-time selectors give. */
export type Maybe<M, K extends Method> = { readonly [Q in keyof M]: RewriteSome<M[Q], K> }

/** The patterns in `G` that hit nothing in `M`. */
type Missed<M, G extends string, K extends Method> = G extends unknown
  ? true extends HasHit<M, G, K>
    ? never
    : G
  : never

type LastName<G extends string> = G extends `${string}.${infer R}` ? LastName<R> : G
type Initial<G extends string> = LastName<G> extends `${infer C}${string}` ? C : never
type Alike<M, G extends string, K extends Method> =
  Extract<Tails<Globs<M, K>>, `${Initial<G>}${string}`> extends infer S extends string
    ? [S] extends [never]
      ? Tails<Globs<M, K>>
      : S
    : never
// The one-name patterns, which are what people mistype.
type Tails<G extends string> = G extends `**.${infer N}` ? (N extends `${string}.${string}` ? never : N) : never

// A method is named after what it puts on.
type MethodName<K extends Method> = K extends string
  ? K
  : K extends Wrapping<infer Tag, unknown, Form>
    ? Uncapitalize<Tag>
    : never

/** `unknown` when every pattern hits something in `M`; otherwise a sentence that nothing satisfies. */
export type Legal<M, G extends string, K extends Method> = string extends G
  ? unknown
  : [Missed<M, G, K>] extends [never]
    ? unknown
    : {
        readonly '~error': [Alike<M, Missed<M, G, K>, K>] extends [never]
          ? `nothing is known here of what ${MethodName<K>} takes; name the model's type, or leave the check to run time: ${MethodName<K>}.unchecked(…)`
          : `"${Missed<M, G, K>}" hits nothing here that ${MethodName<K>} takes; did you mean "**.${Alike<M, Missed<M, G, K>, K>}"?`
      }

/** What a step that is a value makes of a model: exact for literal patterns, "may be" for run-time ones. */
export type After<M, G extends string, K extends Method> = string extends G ? Maybe<M, K> : Rewritten<M, G, K>

/** A transform as a value, to be used on any model its patterns fit. */
export type Step<G extends string, K extends Method> = <M>(model: M & Legal<M, G, K>) => After<M, G, K>

/** Where a transform applies: patterns, or any other selector. */
export type AtOption<G extends string> = {
  readonly at: G | readonly G[] | Exclude<Selector, string | readonly string[]>
}

/**
 * A transform that takes a selector.
 *
 * The first form completes paths inside a pipe; the second is a step of its own, for values, run-time strings and queries.
 * `either` gives mistakes as a value; `unchecked` leaves the check of the target to run time, for functions generic in the model.
 */
export interface Targeted<O, K extends Method> {
  <M, const G extends Globs<M, K>>(options: O & { readonly at: G | readonly G[] }): (model: M) => Rewritten<M, G, K>
  <const G extends string = string>(options: O & AtOption<G>): Step<G, K>
  readonly either: TargetedEither<O, K>
  /** The same step without the check of its patterns by the compiler; the run time still checks them. */
  readonly unchecked: <const G extends string = string>(options: O & AtOption<G>) => <M>(model: M) => After<M, G, K>
}

/** The same transform with its mistakes as values. */
export interface TargetedEither<O, K extends Method> {
  <M, const G extends Globs<M, K>>(
    options: O & { readonly at: G | readonly G[] },
  ): (model: M) => Either<readonly Issue[], Rewritten<M, G, K>>
  <const G extends string = string>(
    options: O & AtOption<G>,
  ): <M>(model: M & Legal<M, G, K>) => Either<readonly Issue[], After<M, G, K>>
}
