import type { Issue } from './error.ts'

/** One segment of a pattern. */
type Segment =
  | { readonly _tag: 'Any' }
  | { readonly _tag: 'AnyDepth' }
  | { readonly _tag: 'OneOf'; readonly names: readonly string[] }
  | { readonly _tag: 'Range'; readonly from: number; readonly to: number }

/** A parsed pattern; see `docs/selectors.md` for the grammar. */
export interface Glob {
  readonly source: string
  readonly segments: readonly Segment[]
}

const RANGE = /^(-?\d+)\.\.(-?\d+)$/

// A dot inside braces belongs to a range, so the pattern is not simply split at dots.
const split = (source: string): readonly string[] =>
  source.match(/(?:\{[^}]*\}|[^.{}]|[{}])+|(?<=\.|^)(?=\.|$)/g) ?? ['']

const parseSegment = (text: string): Segment | string => {
  if (text === '**') return { _tag: 'AnyDepth' }
  if (text === '*') return { _tag: 'Any' }
  const inner = /^\{(.*)\}$/.exec(text)?.[1]
  if (inner === undefined)
    return text === '' || /[*{}]/.test(text)
      ? `"${text}" is not a segment: write a name, *, **, {a,b} or {0..3}`
      : { _tag: 'OneOf', names: [text] }
  const range = RANGE.exec(inner)
  if (range) {
    const [from, to] = [Number(range[1]), Number(range[2])]
    if (from <= to || (from >= 0 && to < 0)) return { _tag: 'Range', from, to }
    return `the range "${text}" runs backwards`
  }
  const names = inner.split(',').map((s) => s.trim())
  return names.some((n) => n === '' || /[*{}.]/.test(n))
    ? `"${text}" must list names, like {a,b}, or a range, like {0..3}`
    : { _tag: 'OneOf', names }
}

/** Reads a pattern, or says what is wrong with it. */
export const parseGlob = (source: string): Glob | Issue => {
  const segments = split(source).map(parseSegment)
  const wrong = segments.find((s) => typeof s === 'string')
  return typeof wrong === 'string'
    ? {
        _tag: 'BadSelector',
        path: '',
        expected: 'a pattern such as "**.ln_1" or "transformer_blocks.{0..3}.mlp"',
        found: `"${source}"`,
        hint: wrong,
      }
    : { source, segments: segments as readonly Segment[] }
}

const fits = (segment: Segment, name: string, siblings: number | undefined): boolean => {
  switch (segment._tag) {
    case 'Any':
    case 'AnyDepth':
      return true
    case 'OneOf':
      return segment.names.includes(name)
    case 'Range': {
      if (siblings === undefined) return false
      const index = Number(name)
      const absolute = (i: number): number => (i < 0 ? siblings + i : i)
      return index >= absolute(segment.from) && index <= absolute(segment.to)
    }
  }
}

/** Where a walk down the tree stands in one pattern: indices of the segments still to be met. */
export type State = readonly number[]

const closure = (glob: Glob, at: readonly number[]): State => {
  const all = new Set<number>()
  const add = (i: number): void => {
    all.add(i)
    if (glob.segments[i]?._tag === 'AnyDepth') add(i + 1)
  }
  at.forEach(add)
  return [...all]
}

/** The state at the root. */
export const startState = (glob: Glob): State => closure(glob, [0])

/** The state one segment further down; empty when the pattern cannot match below. */
export const step = (glob: Glob, state: State, name: string, siblings?: number): State =>
  closure(
    glob,
    state.flatMap((i) => {
      const segment = glob.segments[i]
      return segment !== undefined && fits(segment, name, siblings) ? [segment._tag === 'AnyDepth' ? i : i + 1] : []
    }),
  )

/** Whether the pattern is met exactly here. */
export const accepts = (glob: Glob, state: State): boolean => state.includes(glob.segments.length)
