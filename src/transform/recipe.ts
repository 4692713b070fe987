import * as E from 'fp-ts/lib/Either.js'
import { explained, issue, TransformFailure, written } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { fold, key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { didYouMean } from '../tree/nearest.ts'
import type { AfterRecipe } from './adaptable.ts'
import { methods } from './methods.ts'
import { optionIssues } from './options.ts'

/** One step of a recipe: the name of a method, and its options. */
export type RecipeStep = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>

/** Transforms as data: stored, compared and repeated as JSON. */
export type Recipe = readonly RecipeStep[]

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)

// The compiler gives alike steps of a list each other's keys, as undefined.
const namesIn = (step: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.keys(step).filter((k) => step[k] !== undefined)

const stepIssues = (step: unknown, i: number): readonly Issue[] => {
  const path = `[${i}]`
  const names = isRecord(step) ? namesIn(step) : []
  const [name] = names
  if (!isRecord(step) || name === undefined || names.length !== 1)
    return [
      issue('BadRecipe', path, 'an object with one key, the method', written(step), 'For example { "freeze": {} }.'),
    ]
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  return method === undefined
    ? [issue('BadRecipe', path, 'a method', written(name), didYouMean(name, Object.keys(methods)))]
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
    return E.left([issue('BadRecipe', '', 'a list of steps', written(json), 'For example [{ "freeze": {} }].')])
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
      const [name = ''] = namesIn(step)
      const options = step[name]
      return explained(
        () => methods[name]?.step(options as never, fold(key, i))(m as never),
        (found) => ({ ...found, hint: `${found.hint} (Step [${i}], ${name}.)`.trim() }),
      )
    }, model) as AfterRecipe<M, R>
  }
