import { matchAll } from './match.ts'

type Numbers = Readonly<Record<string, number>>

/** The value that patterns give each of some modules, by the first pattern that ends its name as PEFT reads it; else the usual one. */
export const patternValues = (
  patterns: Numbers | null,
  paths: readonly string[],
  usually: number,
  at: string,
): ((path: string) => number) => {
  const entries = Object.entries(patterns ?? {})
  const found = matchAll(
    entries.map(([key]) => `(.*\\.)?(${key})$`),
    paths,
    at,
  )
  const values = new Map(
    paths.map((path) => [path, entries[found.findIndex((one) => one.has(path))]?.[1] ?? usually] as const),
  )
  return (path) => values.get(path) ?? usually
}

/** The value that most have, the first of those that are as many. */
export const usual = (values: readonly number[]): number => {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 8
}

/** The values that are other than most, by module: the patterns that say so. */
export const others = (modules: readonly string[], values: readonly number[], most: number): Numbers =>
  Object.fromEntries(
    modules
      .flatMap((module, i) => (values[i] === most ? [] : [[module, values[i] ?? most] as const]))
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
