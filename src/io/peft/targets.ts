import * as t from 'io-ts'
import { linearHeads } from '../../model/head-names.ts'
import { orNull } from '../../model/hub-config.ts'
import type { ConfigSpec } from '../../model/hub-config.ts'
import { reject } from '../issues.ts'
import { Names } from './codecs.ts'
import { matchAll } from './match.ts'
import type { Module } from './modules.ts'
import { otherModel } from './hints.ts'

/** The parts of a configuration that say which modules an adapter is on. */
export interface Targeting {
  readonly target_modules: string | readonly string[] | null
  readonly exclude_modules?: string | readonly string[] | null
  readonly modules_to_save?: readonly string[] | null
  readonly layers_to_transform?: number | readonly number[] | null
  readonly layers_pattern?: string | readonly string[] | null
}

/** How those parts are read, for the codec of each method that has them. */
export const targetingProps: ConfigSpec<Targeting>['props'] = {
  target_modules: orNull(Names),
  exclude_modules: orNull(Names),
  modules_to_save: orNull(t.readonlyArray(t.string)),
  layers_to_transform: orNull(t.union([t.number, t.readonlyArray(t.number)])),
  layers_pattern: orNull(Names),
}

export const listOf = <A>(value: A | readonly A[] | null | undefined): readonly A[] =>
  value === null || value === undefined ? [] : Array.isArray(value) ? (value as readonly A[]) : [value as A]

/** Whether one of some names is a path, or the end of it behind a dot. */
const endsAsOne = (names: ReadonlySet<string>, path: string): boolean =>
  [...path.matchAll(/\./g)].some(({ index }) => names.has(path.slice(index + 1)))

type At = (key: string) => string

const matched = (patterns: readonly string[], paths: readonly string[], at: string): ReadonlySet<string> =>
  new Set(matchAll(patterns, paths, at).flatMap((found) => [...found.keys()]))

const excluded = ({ exclude_modules, modules_to_save }: Targeting, paths: readonly string[], at: At) => {
  const names = new Set(listOf(exclude_modules))
  const out =
    typeof exclude_modules === 'string'
      ? matched([`(?:${exclude_modules})$`], paths, at('exclude_modules'))
      : new Set(paths.filter((path) => names.has(path) || endsAsOne(names, path)))
  const whole = listOf(modules_to_save).map((name) => `(^|.*\\.)${name}($|\\..*)`)
  const saved = matched(whole, paths, at('modules_to_save'))
  return (path: string): boolean => out.has(path) || saved.has(path)
}

/** The modules in the layers that count; the number of a layer is the first in its name that follows something. */
const inLayers = (
  { layers_to_transform, layers_pattern }: Targeting,
  paths: readonly string[],
  at: At,
): ((path: string) => boolean) => {
  const layers = listOf(layers_to_transform)
  if (layers.length === 0) return () => true
  const named = listOf(layers_pattern).map((pattern) => `(?:^|.*?\\.)${pattern}\\.(?P<idx>\\d+)\\.`)
  const patterns = named.length === 0 ? ['.*?\\.[^.]*\\.(?P<idx>\\d+)\\.'] : named
  const found = matchAll(patterns, paths, at('layers_pattern'))
  return (path) => {
    const layer = found.find((one) => one.has(path))?.get(path)
    return layer !== undefined && layers.includes(Number(layer))
  }
}

/** Every linear layer but the head, which is what PEFT's shorthand stands for. */
const allLinear = (modules: readonly Module[]): readonly string[] =>
  modules.filter(({ use, path }) => use === 'linear' && !linearHeads.includes(path)).map(({ path }) => path)

/**
 * The paths that a configuration names, by PEFT's own rules: what is excluded first, then what is saved as a whole; a string is
 * a regular expression for the whole name, a list holds names or their ends; layers count only where an end matches.
 */
export const namedBy = (targeting: Targeting, modules: readonly Module[], at: At): ReadonlySet<string> => {
  const paths = modules.map(({ path }) => path)
  const { target_modules } = targeting
  const isOut = excluded(targeting, paths, at)
  const kept = (found: readonly string[]): ReadonlySet<string> => new Set(found.filter((path) => !isOut(path)))
  if (typeof target_modules === 'string' && target_modules.toLowerCase() !== 'all-linear')
    return kept([...matched([`(?:${target_modules})$`], paths, at('target_modules'))])
  const names = new Set(typeof target_modules === 'string' ? allLinear(modules) : target_modules)
  const counts = inLayers(targeting, paths, at)
  return kept(paths.filter((path) => names.has(path) || (endsAsOne(names, path) && counts(path))))
}

/** The modules that a configuration names. */
export const targetsOf = (targeting: Targeting, modules: readonly Module[], at: At): readonly Module[] => {
  const named = namedBy(targeting, modules, at)
  return modules.filter(({ path }) => named.has(path))
}

/** Throws unless there are targets. */
export const requireTargets = (targets: readonly Module[], { target_modules }: Targeting, at: At): void => {
  if (targets.length === 0)
    reject(
      'NoMatch',
      at('target_modules'),
      'the names of modules of this model',
      JSON.stringify(target_modules).slice(0, 200),
      otherModel,
    )
}

/** Throws unless there are targets, each of which has a weight. */
export const requireWeights = (targets: readonly Module[], config: Targeting, at: At): void => {
  requireTargets(targets, config, at)
  const strange = targets.find(({ use }) => use === undefined)
  if (strange !== undefined)
    reject(
      'NotATarget',
      at('target_modules'),
      'names of linear layers and embeddings',
      `${strange.path}, a ${strange.tag === '' ? 'list' : strange.tag}`,
      'PEFT puts this method on layers with a weight only: name those within.',
    )
}
