import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { Embed } from '../kind/index.ts'
import { PositiveWhole, Rate } from '../kind/number-codecs.ts'
import type { Prompted } from '../nn/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { fold, key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Param, Status } from '../tree/leaf.ts'
import { didYouMean } from '../tree/nearest.ts'
import type { Selector } from '../tree/select.ts'
import type { RewriteAll } from '../tree/types/rewrite.ts'
import type { Whole } from '../tree/types/step.ts'
import type { Lora } from '../weight/index.ts'
import { detach } from './detach.ts'
import { freeze, unfreeze } from './freeze.ts'
import { lora } from './lora.ts'
import { merge } from './merge.ts'
import { prompt } from './prompt.ts'

/** A parameter or an embedding after a recipe that the compiler has not read. */
export type MaybeAdapted<T> =
  T extends Param<Status, infer F>
    ? Param<Status, F> | (F extends 'matrix' ? Lora<Param<Status, F>, Status> : never)
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

const Finite = t.refinement(t.number, Number.isFinite, 'a number')
const Globs = t.union([t.string, t.readonlyArray(t.string)], 'a pattern or a list of patterns')
// A mistyped key must not read as "no such condition", which would select everything.
const isKnown = (query: object): boolean => Object.keys(query).every((k) => ['glob', 'except', 'kind'].includes(k))
const Query = t.union(
  [Globs, t.refinement(t.partial({ glob: Globs, except: Globs, kind: t.string }), isKnown)],
  'a pattern, a list of patterns, or { glob, except, kind }',
)
const Scaling = t.keyof(
  { alpha: null, 'alpha/rank': null, 'alpha/sqrt(rank)': null },
  "'alpha', 'alpha/rank' or 'alpha/sqrt(rank)'",
)
const PromptInit = t.union(
  [t.literal('random'), t.literal('vocabulary'), t.type({ ids: t.readonlyArray(t.number) })],
  "'random', 'vocabulary' or { ids }",
)

type Props = Readonly<Record<string, t.Mixed>>

/** One method of recipes: which options it must and may have, and the transform they stand for. */
interface RecipeMethod {
  readonly required: Props
  readonly optional: Props
  readonly step: (options: Readonly<Record<string, unknown>>, key: Key) => (model: unknown) => unknown
}

type Options = { readonly at: Selector } & Readonly<Record<string, never>>

const part =
  (whole: (model: unknown) => unknown, only: (options: Options) => (model: unknown) => unknown): RecipeMethod['step'] =>
  (options) =>
    options['at'] === undefined ? whole : only(options as Options)

const methods: Readonly<Record<string, RecipeMethod>> = {
  freeze: { required: {}, optional: { at: Query }, step: part(freeze, freeze.only.unchecked) },
  unfreeze: { required: {}, optional: { at: Query }, step: part(unfreeze, unfreeze.only.unchecked) },
  merge: { required: {}, optional: { at: Query }, step: part(merge, merge.only.unchecked) },
  detach: { required: {}, optional: { at: Query }, step: part(detach, detach.only.unchecked) },
  lora: {
    required: { at: Query, rank: PositiveWhole },
    optional: { alpha: Finite, scaling: Scaling, dropout: Rate },
    step: (options, key) => lora.unchecked({ ...(options as Options & { rank: number }), key }),
  },
  prompt: {
    required: { length: PositiveWhole },
    optional: { at: Query, init: PromptInit },
    step: (options, key) => prompt.unchecked({ at: '**', ...(options as { length: number }), key }),
  },
}

/** One step of a recipe: the name of a method, and its options. */
export type RecipeStep = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** Transforms as data: stored, compared and repeated as JSON. */
export type Recipe = readonly RecipeStep[]

const issue = (_tag: string, path: string, expected: string, found: unknown, hint: string): Issue => ({
  _tag,
  path,
  expected,
  found: found === undefined ? 'nothing' : written(found),
  hint,
})

const written = (x: unknown): string => {
  try {
    return JSON.stringify(x) ?? String(x)
  } catch {
    return String(x)
  }
}

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)

const optionIssues = (name: string, method: RecipeMethod, options: unknown, path: string): readonly Issue[] => {
  if (!isRecord(options))
    return [issue('BadRecipe', path, `the options of ${name} as an object`, options, `Write { "${name}": {} }.`)]
  const all = { ...method.required, ...method.optional }
  const unknown = Object.keys(options)
    .filter((k) => !Object.hasOwn(all, k))
    .map((k) => issue('BadRecipe', `${path}.${k}`, `an option of ${name}`, k, didYouMean(k, Object.keys(all))))
  const wrong = Object.entries(all).flatMap(([k, codec]) => {
    const given = Object.hasOwn(options, k)
    if (!given && !Object.hasOwn(method.required, k)) return []
    const value = options[k]
    if (given && codec.is(value)) return []
    return [issue('BadRecipe', `${path}.${k}`, codec.name, value, given ? '' : `${name} needs "${k}".`)]
  })
  return [...unknown, ...wrong]
}

const stepIssues = (step: unknown, i: number): readonly Issue[] => {
  const path = `[${i}]`
  const names = isRecord(step) ? Object.keys(step) : []
  const [name] = names
  if (!isRecord(step) || name === undefined || names.length !== 1)
    return [issue('BadRecipe', path, 'an object with one key, the method', step, 'For example { "freeze": {} }.')]
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  return method === undefined
    ? [issue('BadRecipe', path, 'a method', name, didYouMean(name, Object.keys(methods)))]
    : optionIssues(name, method, step[name], `${path}.${name}`)
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
      return methods[name]?.step(options, fold(key, i))(m)
    }, model) as Adaptable<M>
  }
