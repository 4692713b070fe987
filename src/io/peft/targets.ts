import * as t from 'io-ts'
import { orNull } from '../../model/hub-config.ts'
import type { ConfigSpec } from '../../model/hub-config.ts'
import { Names } from './codecs.ts'
import type { Module } from './modules.ts'

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

const listOf = <A>(value: A | readonly A[] | null | undefined): readonly A[] =>
  value === null || value === undefined ? [] : Array.isArray(value) ? (value as readonly A[]) : [value as A]

const endsAs = (path: string, name: string): boolean => path === name || path.endsWith(`.${name}`)

const whole = (pattern: string, path: string): boolean => new RegExp(`^(?:${pattern})$`).test(path)

/** The index of the layer that a module is in; by default the first number in its name that follows something. */
const layerOf = (path: string, patterns: readonly string[]): number | undefined => {
  const found =
    patterns.length === 0
      ? /^.*?\.[^.]*\.(\d+)\./.exec(path)
      : patterns.map((p) => new RegExp(`^(?:|.*?\\.)(?:${p})\\.(\\d+)\\.`).exec(path)).find((m) => m !== null)
  return found?.[1] === undefined ? undefined : Number(found[1])
}

/**
 * Whether a configuration names a module, by PEFT's own rules: what is excluded first, then what is saved as a whole; a string is
 * a regular expression for the whole name, a list holds names or their ends; layers count only where an end matches.
 */
export const isTargeted = (
  { target_modules, exclude_modules, modules_to_save, layers_to_transform, layers_pattern }: Targeting,
  path: string,
): boolean => {
  if (
    typeof exclude_modules === 'string'
      ? whole(exclude_modules, path)
      : listOf(exclude_modules).some((n) => endsAs(path, n))
  )
    return false
  if (listOf(modules_to_save).some((name) => new RegExp(`^(?:|.*\\.)(?:${name})(?:$|\\.)`).test(path))) return false
  if (typeof target_modules === 'string') return whole(target_modules, path)
  const names = listOf(target_modules)
  if (names.includes(path)) return true
  if (!names.some((name) => path.endsWith(`.${name}`))) return false
  const layers = listOf(layers_to_transform)
  if (layers.length === 0) return true
  const layer = layerOf(path, listOf(layers_pattern))
  return layer !== undefined && layers.includes(layer)
}

/** The modules that a configuration names. */
export const targetsOf = (targeting: Targeting, modules: readonly Module[]): readonly Module[] =>
  modules.filter(({ path }) => isTargeted(targeting, path))

/** The value that a pattern gives a module, by the first pattern that ends its name as PEFT reads it; else the usual one. */
export const patternValue = (
  patterns: Readonly<Record<string, number>> | null,
  path: string,
  usual: number,
): number => {
  const found = Object.entries(patterns ?? {}).find(([key]) => new RegExp(`^(?:.*\\.)?(?:${key})$`).test(path))
  return found?.[1] ?? usual
}
