import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { Embed, Weight } from '../kind/index.ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import type { Prompted } from '../nn/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { fold, key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Param, Status } from '../tree/leaf.ts'
import { didYouMean } from '../tree/nearest.ts'
import type { RewriteAll } from '../tree/types/rewrite.ts'
import type { Whole } from '../tree/types/step.ts'
import type { Packed } from '../tree/wrap.ts'
import { detach } from './detach.ts'
import { fourierft } from './fourierft.ts'
import { freeze, unfreeze } from './freeze.ts'
import { ia3Both } from './ia3.ts'
import { loha } from './loha.ts'
import { lokr } from './lokr.ts'
import { lora } from './lora.ts'
import { merge } from './merge.ts'
import { may, must, oneOf, optionIssues, written } from './options.ts'
import type { Option } from './options.ts'
import { prompt } from './prompt.ts'
import { optionsOf } from './targeted.ts'
import { tokens } from './tokens.ts'
import { vera } from './vera.ts'

/** A weight in whatever representation a method has put on it. */
export interface AdaptedWeight<W> extends Weight {
  readonly '~role'?: 'weight'
  readonly base: W
}

type MaybeWeight<W> = W | AdaptedWeight<W>

/** A parameter or an embedding after a recipe that the compiler has not read. */
export type MaybeAdapted<T> =
  T extends Param<Status, infer F>
    ? F extends 'vector'
      ? Param<Status, F>
      : MaybeWeight<Param<Status, F> | Packed<F>>
    : T extends Embed & { readonly _tag: 'Embedding' }
      ? MaybePrompted<{ readonly [K in keyof T]: K extends `~${string}` ? T[K] : RewriteAll<T[K], 'recipe'> } & Embed>
      : never

type MaybePrompted<T extends Embed> = T | Prompted<T, Status>

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly recipe: MaybeAdapted<T>
  }
}

/** A model after a recipe: every place may be adapted, and either trainable or frozen. */
export type Adaptable<M> = Whole<M, 'recipe'>

const Globs = t.union([t.string, t.readonlyArray(t.string)], 'a pattern or a list of patterns')
// A mistyped key must not read as "no such condition", which would select everything.
const isKnown = (query: object): boolean => Object.keys(query).every((k) => ['glob', 'except', 'kind'].includes(k))
const At = t.union(
  [Globs, t.refinement(t.partial({ glob: Globs, except: Globs, kind: t.string }), isKnown)],
  'a pattern, a list of patterns, or { glob, except, kind }',
)

type Table = Readonly<Record<string, Option>>

/** One method of recipes: its options, and the transform they stand for. */
interface RecipeMethod {
  readonly options: Table
  readonly step: (options: never, key: Key) => (model: never) => unknown
}

type Unchecked = (options: never) => (model: never) => unknown

/** A method for the whole of a model, or with `at` for a part of it. */
const part = (whole: (model: never) => unknown, only: { readonly unchecked: Unchecked }): RecipeMethod => ({
  options: { at: may(At) },
  step: (options: { readonly at?: unknown }) => (options.at === undefined ? whole : only.unchecked(options as never)),
})

/** A method with the options of its transform, for the places that `at` selects. */
const placed = (transform: { readonly unchecked: Unchecked }): RecipeMethod => ({
  options: { at: must(At), ...optionsOf(transform) },
  step: (options: object, key) => transform.unchecked({ ...options, key } as never),
})

/** The same, for every place there is unless `at` selects some. */
const anywhere = (transform: { readonly unchecked: Unchecked }, own: Table = {}): RecipeMethod => ({
  options: { at: may(At), ...optionsOf(transform), ...own },
  step: (options: object, key) => transform.unchecked({ at: '**', ...options, key } as never),
})

// A recipe holds no tokenizer, and a prompt no length of its own without one.
const PromptInit = t.union(
  [oneOf('random', 'vocabulary'), t.type({ ids: t.readonlyArray(t.number) })],
  "'random', 'vocabulary' or { ids }",
)

/** Every method that a recipe may name. */
const methods: Readonly<Record<string, RecipeMethod>> = {
  freeze: part(freeze, freeze.only),
  unfreeze: part(unfreeze, unfreeze.only),
  merge: part(merge, merge.only),
  detach: part(detach, detach.only),
  lora: placed(lora),
  loha: placed(loha),
  lokr: placed(lokr),
  vera: placed(vera),
  ia3: { options: { at: must(At), inputs: may(At) }, step: ia3Both },
  fourierft: placed(fourierft),
  tokens: anywhere(tokens),
  prompt: anywhere(prompt, { length: must(PositiveWhole), init: may(PromptInit) }),
}

/** One step of a recipe: the name of a method, and its options. */
export type RecipeStep = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** Transforms as data: stored, compared and repeated as JSON. */
export type Recipe = readonly RecipeStep[]

const issue = (_tag: string, path: string, expected: string, found: unknown, hint: string): Issue => ({
  _tag,
  path,
  expected,
  found: written(found),
  hint,
})

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)

const stepIssues = (step: unknown, i: number): readonly Issue[] => {
  const path = `[${i}]`
  const names = isRecord(step) ? Object.keys(step) : []
  const [name] = names
  if (!isRecord(step) || name === undefined || names.length !== 1)
    return [issue('BadRecipe', path, 'an object with one key, the method', step, 'For example { "freeze": {} }.')]
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  return method === undefined
    ? [issue('BadRecipe', path, 'a method', name, didYouMean(name, Object.keys(methods)))]
    : optionIssues(name, method.options, step[name], `${path}.${name}`, () => 'BadRecipe')
}

/**
 * Reads a recipe from JSON that came from outside: a list of steps, each an object with one key. Errors: `BadRecipe`.
 *
 * @example
 * ```ts
 * import { decodeRecipe } from 'espalier'
 * decodeRecipe([{ freeze: {} }, { lora: { at: '**.ln_1', rank: 16, alpha: 30 } }])._tag // => 'Right'
 * const bad = decodeRecipe([{ lora: { at: '**', rnak: 4 } }])
 * bad._tag === 'Left' && bad.left.map(i => i.path) // => ['[0].lora.rnak', '[0].lora.rank']
 * ```
 */
export const decodeRecipe = (json: unknown): E.Either<readonly Issue[], Recipe> => {
  if (!Array.isArray(json))
    return E.left([issue('BadRecipe', '', 'a list of steps', json, 'For example [{ "freeze": {} }].')])
  const issues = json.flatMap(stepIssues)
  return issues.length > 0 ? E.left(issues) : E.right(json as Recipe)
}

/**
 * The transform that a recipe stands for: its steps in order, each with a key of its own.
 *
 * @throws TransformFailure `BadRecipe`, and what its steps throw.
 * @example
 * ```ts
 * import { applyRecipe, count, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = applyRecipe([{ freeze: {} }, { lora: { at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30 } }])(base)
 * count(tuned).trainable // => 16_384
 * ```
 */
export const applyRecipe =
  (recipe: Recipe, key: Key = seedKey('recipe')) =>
  <M>(model: M): Adaptable<M> => {
    const decoded = decodeRecipe(recipe)
    if (E.isLeft(decoded)) throw new TransformFailure(decoded.left)
    return decoded.right.reduce<unknown>((m, step, i) => {
      const [[name, options] = ['', {}]] = Object.entries(step)
      return methods[name]?.step(options as never, fold(key, i))(m as never)
    }, model) as Adaptable<M>
  }
