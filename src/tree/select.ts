import { TransformFailure } from './error.ts'
import type { Issue } from './error.ts'
import { accepts, parseGlob, startState, step } from './glob.ts'
import type { Glob, State } from './glob.ts'
import { isParam } from './leaf.ts'
import { didYouMean } from './nearest.ts'
import { BASE, childPlaces, isBranch, leafPlaces, places, showPath } from './walk.ts'
import type { Branch, Place } from './walk.ts'

/** Picks places by looking at them; its result can be typed only as "may be selected". */
export type Predicate = (path: string, node: unknown) => boolean

/** A selection described by more than one pattern; all that is given must hold. */
export interface Query {
  readonly glob?: string | readonly string[]
  /** Patterns of what to leave out, whole subtrees. */
  readonly except?: string | readonly string[]
  /** The `_tag` a node must have, such as `Linear`. */
  readonly kind?: string
}

/** Everything that says "where": patterns, a query, a predicate, or the result of `select`. */
export type Selector = string | readonly string[] | Query | Predicate | Selection

/** What a selector hits in one model, as a value to print before anything is built. */
export interface Selection {
  readonly _tag: 'Selection'
  /** Paths of the nodes hit, outermost first; a hit never lies inside another. */
  readonly paths: readonly string[]
  /** How many places each pattern hit. */
  readonly perPattern: Readonly<Record<string, number>>
  /** How many parameters lie at or under the hits, a tied one once. */
  readonly parameters: number
}

const isSelection = (s: Selector): s is Selection => typeof s === 'object' && '_tag' in s

const list = <A>(x: A | readonly A[] | undefined): readonly A[] =>
  x === undefined ? [] : Array.isArray(x) ? x : [x as A]

/** Reads patterns, all mistakes at once. */
const parseAll = (sources: readonly string[]): readonly Glob[] => {
  const parsed = sources.map(parseGlob)
  const issues = parsed.filter((g): g is Issue => '_tag' in g)
  if (issues.length > 0) throw new TransformFailure(issues)
  return parsed as readonly Glob[]
}

/** Outermost places that satisfy the patterns, with the pattern indices that hit each. */
const match = (
  tree: unknown,
  globs: readonly Glob[],
  keep: (place: Place) => boolean,
  except: readonly Glob[],
): readonly (readonly [Place, readonly number[]])[] => {
  const found: (readonly [Place, readonly number[]])[] = []
  const go = (place: Place, states: readonly State[], excluded: readonly State[]): void => {
    if (except.some((g, i) => accepts(g, excluded[i] ?? []))) return
    const hits = globs.flatMap((g, i) => (accepts(g, states[i] ?? []) ? [i] : []))
    // Exclusions below a hit split it, so the walk goes on to the parts that stay.
    const split = except.some((g, i) => (excluded[i] ?? []).length > 0 && mayExcludeBelow(place, g, excluded[i] ?? []))
    if (hits.length > 0 && !split && keep(place)) {
      found.push([place, hits])
      return
    }
    if (!isBranch(place.node)) return
    for (const child of childPlaces(place as Place<Branch>)) {
      const name = child.route.at(-1) ?? ''
      const move = (gs: readonly Glob[], ss: readonly State[]): readonly State[] =>
        name === BASE ? ss : gs.map((g, i) => step(g, ss[i] ?? [], name, child.siblings))
      // Once a pattern has been met, everything below belongs to it.
      const inside = move(globs, states).map((s, i) =>
        hits.includes(i) ? [...s, globs[i]?.segments.length ?? 0] : s,
      )
      go(child, inside, move(except, excluded))
    }
  }
  go({ node: tree, path: [], route: [] }, globs.map(startState), except.map(startState))
  return found
}

const mayExcludeBelow = (place: Place, glob: Glob, state: State): boolean => {
  const go = (p: Place, s: State): boolean =>
    s.length > 0 &&
    (accepts(glob, s) ||
      (isBranch(p.node) &&
        childPlaces(p as Place<Branch>).some(c => {
          const name = c.route.at(-1) ?? ''
          return go(c, name === BASE ? s : step(glob, s, name, c.siblings))
        })))
  return go(place, state)
}

/** The outermost places a selector hits, in path order; a pattern without a hit is an error with the nearest names. */
export const find = (tree: unknown, selector: Selector): readonly Place[] => hits(tree, selector).map(([p]) => p)

const hits = (tree: unknown, selector: Selector): readonly (readonly [Place, readonly string[]])[] => {
  if (typeof selector === 'function') {
    const all = match(tree, parseAll(['**']), p => selector(showPath(p.path), p.node), [])
    if (all.length === 0) throw new TransformFailure([noHit('a predicate that holds somewhere', 'no hit', tree, '')])
    return all.map(([p]) => [p, []])
  }
  const query: Query =
    typeof selector === 'string' || Array.isArray(selector)
      ? { glob: selector as string | readonly string[] }
      : isSelection(selector)
        ? { glob: selector.paths.map(p => (p === '' ? '**' : p)) }
        : (selector as Query)
  const sources = list(query.glob ?? '**')
  const globs = parseAll(sources)
  const except = parseAll(list(query.except))
  const ofKind = (p: Place): boolean =>
    query.kind === undefined || (p.node as { _tag?: unknown } | null)?._tag === query.kind
  const found = match(tree, globs, ofKind, except)
  const missed = sources.filter((_, i) => !found.some(([, at]) => at.includes(i)))
  if (sources.length === 0) throw new TransformFailure([noHit('at least one pattern', 'an empty list', tree, '')])
  if (missed.length > 0)
    throw new TransformFailure(
      missed.map(g => {
        const what = query.kind === undefined ? '' : ` of kind ${query.kind}`
        return noHit(`a pattern that matches this model${what}`, `no match for "${g}"`, tree, g)
      }),
    )
  return found.map(([p, at]) => [p, at.map(i => sources[i] ?? '')])
}

const noHit = (expected: string, found: string, tree: unknown, glob: string): Issue => ({
  _tag: 'NoMatch',
  path: glob,
  expected,
  found,
  hint: didYouMean(glob, spellings(tree, glob)),
})

/** How the places of a tree could be written in the style of a pattern: indices as `*`, tails after `**`. */
const spellings = (tree: unknown, like: string): readonly string[] => {
  const full = [...places(tree)].filter(p => p.path.length > 0).map(p => starred(p))
  if (!like.startsWith('**')) return full.map(showPath)
  const tail = like.split('.').length - 1
  return full.filter(p => p.length >= tail).map(p => `**.${showPath(p.slice(p.length - Math.max(1, tail)))}`)
}

const starred = (p: Place): readonly string[] => p.path.map(s => (/^\d+$/.test(s) ? '*' : s))

/**
 * Says what a selector hits in a model, and how many parameters that is, before anything is built.
 *
 * @throws TransformFailure `NoMatch` for a pattern without a hit, `BadSelector` for one that cannot be read.
 * @example
 * ```ts
 * import { select, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * select(base, '**.ln_1').paths // => ['transformer_blocks.0.mlp.ln_1', 'transformer_blocks.1.mlp.ln_1']
 * select(base, { glob: 'transformer_blocks.{-1..-1}', except: '**.mha' }).parameters // => 33_024
 * ```
 */
export const select = (tree: unknown, selector: Selector): Selection => {
  const found = hits(tree, selector)
  const perPattern: Record<string, number> = {}
  for (const [, globs] of found) for (const g of globs) perPattern[g] = (perPattern[g] ?? 0) + 1
  const params = new Set(found.flatMap(([p]) => leafPlaces(p.node).map(l => l.node)))
  return {
    _tag: 'Selection',
    paths: found.map(([p]) => showPath(p.path)),
    perPattern,
    parameters: [...params].reduce((n, l) => n + (isParam(l) ? l.value.size : 0), 0),
  }
}
