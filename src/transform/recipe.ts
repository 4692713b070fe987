import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { Embed, Model, Weight } from '../kind/index.ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import type { Prefixed, Prompted } from '../nn/index.ts'
import type { Embed, Layer, Weight } from '../kind/index.ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import type { Adapted, Bottleneck, Prompted, SublayerTag } from '../nn/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { fold, key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Param, Status, Table } from '../tree/leaf.ts'
import { didYouMean } from '../tree/nearest.ts'
import type { RewriteAll } from '../tree/types/rewrite.ts'
import type { Whole } from '../tree/types/step.ts'
import type { Packed } from '../tree/wrap.ts'
import { boft } from './boft.ts'
import { bake } from './bake.ts'
import { bitfit } from './bitfit.ts'
import { bottleneck } from './bottleneck.ts'
import { detach } from './detach.ts'
import { freeze, unfreeze } from './freeze.ts'
import { hra } from './hra.ts'
import { loftq } from './loftq.ts'
import { lora } from './lora.ts'
import { adalora } from './adalora.ts'
import { dora } from './dora.ts'
import { detach } from './detach.ts'
import { freeze, unfreeze } from './freeze.ts'
import { loraOfRecipes } from './lora-recipe.ts'
import { merge } from './merge.ts'
import { oft } from './oft.ts'
import { norms } from './norms.ts'
import { may, must, oneOf, optionIssues, written } from './options.ts'
import type { Option } from './options.ts'
import { prefix } from './prefix.ts'
import { prompt } from './prompt.ts'
import { dequantize, quantize } from './quantize.ts'
import { ptuning } from './ptuning.ts'
import { optionsOf } from './targeted.ts'

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
      ? MaybePrompted<Inside<T> & Embed>
      : T extends Layer & { readonly _tag: SublayerTag }
        ? MaybeBottleneck<Inside<T> & Layer>
        : never

/** A node with everything in it perhaps adapted. */
type Inside<T> = { readonly [K in keyof T]: K extends `~${string}` ? T[K] : RewriteAll<T[K], 'recipe'> }

type MaybeBottleneck<T extends Layer> = T | Adapted<T, Bottleneck<Status>>

type MaybePrompted<T extends Embed> = T | Prompted<T, MaybeWeight<Table>>

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly recipe: MaybeAdapted<T>
  }
}

/** A model after a recipe: every place may be adapted, and either trainable or frozen; a model as a whole may have a prefix. */
export type Adaptable<M> = MaybePrefixed<M, Whole<M, 'recipe'>>

type MaybePrefixed<M, A> = '~role' extends keyof M
  ? M extends Model
    ? A | (A extends Model ? Prefixed<A, MaybeWeight<Table>> : never)
    : A
  : A

/** A model after a recipe of which the compiler sees the methods: without `prefix` among them the root is the model's own. */
export type AfterRecipe<M, R> = [MayPrefix<R>] extends [never] ? Whole<M, 'recipe'> : Adaptable<M>

type MayPrefix<R> = R extends readonly (infer S)[]
  ? S extends unknown
    ? string extends keyof S
      ? true
      : 'prefix' extends keyof S
        ? true
        : never
    : never
  : true

const Globs = t.union([t.string, t.readonlyArray(t.string)], 'a pattern or a list of patterns')
// A mistyped key must not read as "no such condition", which would select everything.
const isKnown = (query: object): boolean => Object.keys(query).every((k) => ['glob', 'except', 'kind'].includes(k))
const At = t.union(
  [Globs, t.refinement(t.partial({ glob: Globs, except: Globs, kind: t.string }), isKnown)],
  'a pattern, a list of patterns, or { glob, except, kind }',
)

type Options = Readonly<Record<string, Option>>

/** One method of recipes: its options, and the transform they stand for. */
interface RecipeMethod {
  readonly options: Options
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
const anywhere = (transform: { readonly unchecked: Unchecked }, own: Options = {}): RecipeMethod => ({
  options: { at: may(At), ...optionsOf(transform), ...own },
  step: (options: object, key) => transform.unchecked({ at: '**', ...options, key } as never),
})

// A recipe holds no tokenizer, and a prompt no length of its own without one.
const PromptInit = t.union(
  [oneOf('random', 'vocabulary'), t.type({ ids: t.readonlyArray(t.number) })],
  "'random', 'vocabulary' or { ids }",
)

/** A method for a model as a whole. */
const whole = (transform: (options: never) => (model: never) => unknown): RecipeMethod => ({
  options: optionsOf(transform),
  step: (options: object, key) => transform({ ...options, key } as never),
})

/** Every method that a recipe may name. */
const methods: Readonly<Record<string, RecipeMethod>> = {
  freeze: part(freeze, freeze.only),
  unfreeze: part(unfreeze, unfreeze.only),
  merge: part(merge, merge.only),
  detach: part(detach, detach.only),
  bake: { options: {}, step: () => bake },
  lora: placed(lora),
  loftq: placed(loftq),
  quantize: placed(quantize),
  dequantize: part(dequantize, dequantize.only),
  oft: placed(oft),
  boft: placed(boft),
  hra: placed(hra),
  bottleneck: anywhere(bottleneck),
  bitfit: anywhere(bitfit),
  norms: anywhere(norms),
  lora: placed(loraOfRecipes),
  dora: placed(dora),
  adalora: placed(adalora),
  prompt: anywhere(prompt, { length: must(PositiveWhole), init: may(PromptInit) }),
  prefix: whole(prefix),
  ptuning: anywhere(ptuning),
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
  <const R extends Recipe>(recipe: R, key: Key = seedKey('recipe')) =>
  <M>(model: M): AfterRecipe<M, R> => {
    const decoded = decodeRecipe(recipe)
    if (E.isLeft(decoded)) throw new TransformFailure(decoded.left)
    return decoded.right.reduce<unknown>((m, step, i) => {
      const [[name, options] = ['', {}]] = Object.entries(step)
      return methods[name]?.step(options as never, fold(key, i))(m as never)
    }, model) as AfterRecipe<M, R>
  }
