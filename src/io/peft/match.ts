import { runInNewContext } from 'node:vm'
import { reject } from '../issues.ts'
import { fromPython } from './python-pattern.ts'

/** Of one pattern: the names it matches from their beginning on, each with the number that its group `idx` found. */
export type Matches = ReadonlyMap<string, string>

// Names of modules are short: whoever takes longer than this backtracks without end.
const limitMs = 2000

// A pattern comes from a file, and one that never ends can only be stopped from outside of its engine.
const script = `JSON.stringify(JSON.parse(patterns).map(([source, flags]) => {
  try {
    const pattern = new RegExp('^(?:' + source + ')', flags)
    return JSON.parse(names).flatMap((name) => {
      const found = pattern.exec(name)
      return found === null ? [] : [[name, found.groups?.idx ?? '']]
    })
  } catch (error) {
    return String(error.message)
  }
}))`

/** The names that each of several patterns of Python matches; throws `BadPattern` at a place in a configuration. */
export const matchAll = (patterns: readonly string[], names: readonly string[], at: string): readonly Matches[] => {
  if (patterns.length === 0) return []
  const bad = (pattern: string, why: string): never =>
    reject(
      'BadPattern',
      at,
      'regular expressions that this library can run as Python would',
      `${JSON.stringify(pattern.length > 80 ? `${pattern.slice(0, 77)}…` : pattern)}: ${why}`,
      'Write it in a simpler way, or list the full names of the modules.',
    )
  const translated = patterns.map((pattern) => {
    const to = fromPython(pattern)
    return 'problem' in to ? bad(pattern, `${to.problem} has no counterpart here`) : [to.source, to.flags]
  })
  const globals = { patterns: JSON.stringify(translated), names: JSON.stringify(names) }
  const run = (): string => {
    try {
      return runInNewContext(script, globals, { timeout: limitMs }) as string
    } catch (error) {
      const isLate = (error as { readonly code?: unknown }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
      return bad(patterns[0] ?? '', isLate ? `it did not end within ${limitMs / 1000} seconds` : String(error))
    }
  }
  const found = JSON.parse(run()) as readonly (string | readonly (readonly [string, string])[])[]
  return found.map((one, i) => new Map(typeof one === 'string' ? bad(patterns[i] ?? '', one) : one))
}

/** Whether a pattern is a plain name, in which no character but the dot could mean anything but itself. */
export const isPlainName = (pattern: string): boolean => /^[\w.]*$/.test(pattern)
