import * as t from 'io-ts'
import { Finite, PositiveWhole } from '../kind/number-codecs.ts'
import type { Issue } from '../tree/error.ts'
import { TransformFailure, written } from '../tree/error.ts'
import { didYouMean } from '../tree/nearest.ts'

/** One option of a method: what it may be, and whether it must be given. */
export interface Option {
  readonly codec: t.Mixed
  readonly required: boolean
}

/** Every option of a method but its key: said once, and checked alike in a call and in a recipe. */
export type OptionTable<O> = { readonly [K in Exclude<keyof O, 'key'>]-?: Option }

/**
 * An option that must be given.
 *
 * @example
 * ```ts
 * import * as t from 'io-ts'
 * import { must } from 'espalier'
 * must(t.number).required // => true
 * ```
 */
export const must = (codec: t.Mixed): Option => ({ codec, required: true })
/**
 * An option that may be left out.
 *
 * @example
 * ```ts
 * import { may, oneOf } from 'espalier'
 * may(oneOf('mlp', 'lstm')).required // => false
 * ```
 */
export const may = (codec: t.Mixed): Option => ({ codec, required: false })

/**
 * The codec of one of a few words.
 *
 * @example
 * ```ts
 * import { oneOf } from 'espalier'
 * oneOf('mlp', 'lstm').is('lstm') // => true
 * oneOf('mlp', 'lstm').name // => "'mlp' or 'lstm'"
 * ```
 */
export const oneOf = <W extends string>(...words: readonly W[]): t.Type<W> =>
  new t.Type<W>(
    words.length === 1
      ? `'${words[0]}'`
      : `${words
          .slice(0, -1)
          .map((w) => `'${w}'`)
          .join(', ')} or '${words.at(-1)}'`,
    (u): u is W => words.includes(u as W),
    (u, context) => (words.includes(u as W) ? t.success(u as W) : t.failure(u, context)),
    t.identity,
  )

/**
 * A length of a kind's own dimension, as an option: a call checks it at each weight, so that the message has the weight's path.
 *
 * @example
 * ```ts
 * import { Dimension, must } from 'espalier'
 * must(Dimension).codec.name // => 'a positive whole number'
 * ```
 */
export const Dimension: t.Type<number> = t.refinement(t.number, PositiveWhole.is, PositiveWhole.name)

const isPatterns =
  (value: t.Mixed) =>
  (u: unknown): u is Readonly<Record<string, number>> =>
    typeof u === 'object' && u !== null && !Array.isArray(u) && Object.values(u).every((v) => value.is(v))

const patterns = (value: t.Type<number>): t.Type<Readonly<Record<string, number>>> =>
  new t.Type(
    `patterns, each with ${value.name}`,
    isPatterns(value),
    (u, context) => (isPatterns(value)(u) ? t.success(u) : t.failure(u, context)),
    t.identity,
  )

/** A rank for each pattern. */
export const Ranks: t.Type<Readonly<Record<string, number>>> = patterns(PositiveWhole)
/** A number for each pattern. */
export const Numbers: t.Type<Readonly<Record<string, number>>> = patterns(Finite)

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)

/** What is wrong with options: unknown ones, missing ones, and values that are not what the table says. */
export const optionIssues = (
  name: string,
  table: Readonly<Record<string, Option>>,
  options: unknown,
  path: string,
  tag: (option?: Option) => string,
): readonly Issue[] => {
  const issue = (at: string, expected: string, found: string, hint: string, option?: Option): Issue => ({
    _tag: tag(option),
    path: at,
    expected,
    found,
    hint,
  })
  if (!isRecord(options))
    return [issue(path, `the options of ${name} as an object`, written(options), `Write { "${name}": {} }.`)]
  const unknown = Object.keys(options)
    .filter((k) => !Object.hasOwn(table, k))
    .map((k) => issue(`${path}.${k}`, `an option of ${name}`, written(k), didYouMean(k, Object.keys(table))))
  const wrong = Object.entries(table).flatMap(([k, option]) => {
    const value = Object.hasOwn(options, k) ? options[k] : undefined
    if (value === undefined ? !option.required : option.codec.is(value)) return []
    const hint = value === undefined ? `${name} needs "${k}".` : `See the options of ${name}.`
    return [issue(`${path}.${k}`, option.codec.name, shown(value), hint, option)]
  })
  return [...unknown, ...wrong]
}

// NaN and the infinities have no JSON.
const shown = (x: unknown): string => (typeof x === 'number' ? String(x) : written(x))

/** Throws `BadOption` for every mistake in the options of a call, `BadDimension` for a size that is none. */
export const requireOptions = (name: string, table: Readonly<Record<string, Option>>, options: object): void => {
  const elsewhere = (k: string): boolean => k === 'at' || k === 'key' || table[k]?.codec === Dimension
  const given = Object.fromEntries(Object.entries(options).filter(([k]) => !elsewhere(k)))
  const tag = (option?: Option): string => (option?.codec === PositiveWhole ? 'BadDimension' : 'BadOption')
  const checked = Object.fromEntries(Object.entries(table).filter(([k]) => !elsewhere(k)))
  const issues = optionIssues(name, checked, given, name, tag)
  if (issues.length > 0) throw new TransformFailure(issues)
}
