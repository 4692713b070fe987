import { TransformFailure } from './error.ts'
import type { Issue } from './error.ts'
import { accepts, parseGlob, startState, step } from './glob.ts'
import type { Glob, State } from './glob.ts'
import { isParam } from './leaf.ts'
import { didYouMean, nearestPattern } from './nearest.ts'
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
  /** How many places each pattern hits by itself. */
  readonly perPattern: Readonly<Record<string, number>>
  /** How many parameters lie at or under the hits, a tied one once. */
  readonly parameters: number
}

const list = <A>(x: A | readonly A[] | undefined): readonly A[] =>
  x === undefined ? [] : Array.isArray(x) ? x : [x as A]

const badSelector = (found: unknown, hint: string): Issue => ({
  _tag: 'BadSelector',
  path: '',
  expected: 'a pattern, a list of patterns, { glob, except, kind }, a predicate or a selection',
  found: isBranch(found) ? `{ ${Object.keys(found).slice(0, 4).join(', ')} }` : String(found),
  hint,
})

/** Reads patterns, all mistakes at once. */
const parseAll = (sources: readonly string[]): readonly Glob[] => {
  const parsed = sources.map((s) => (typeof s === 'string' ? parseGlob(s) : badSelector(s, 'A pattern is a string.')))
  const issues = parsed.filter((g): g is Issue => '_tag' in g)
  if (issues.length > 0) throw new TransformFailure(issues)
  return parsed as readonly Glob[]
}

/** Outermost places that satisfy the patterns. */
const match = (
  tree: unknown,
  globs: readonly Glob[],
  keep: (place: Place) => boolean,
  except: readonly Glob[],
): readonly Place[] => {
  const found: Place[] = []
  const go = (place: Place, states: readonly State[], excluded: readonly State[]): void => {
    if (states.every((s) => s.length === 0)) return
    if (except.some((g, i) => accepts(g, excluded[i] ?? []))) return
    const hits = globs.flatMap((g, i) => (accepts(g, states[i] ?? []) ? [i] : []))
    // Exclusions below a hit split it, so the walk goes on to the parts that stay.
    const split =
      hits.length > 0 &&
      except.some((g, i) => (excluded[i] ?? []).length > 0 && mayExcludeBelow(place, g, excluded[i] ?? []))
    if (hits.length > 0 && !split && keep(place)) {
      found.push(place)
      return
    }
    if (!isBranch(place.node)) return
    for (const child of childPlaces(place as Place<Branch>)) {
      const name = child.route.at(-1) ?? ''
      const move = (gs: readonly Glob[], ss: readonly State[]): readonly State[] =>
        name === BASE ? ss : gs.map((g, i) => step(g, ss[i] ?? [], name, child.siblings))
      // Once a pattern has been met, everything below belongs to it.
      const inside = move(globs, states).map((s, i) => (hits.includes(i) ? [...s, globs[i]?.segments.length ?? 0] : s))
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
        childPlaces(p as Place<Branch>).some((c) => {
          const name = c.route.at(-1) ?? ''
          return go(c, name === BASE ? s : step(glob, s, name, c.siblings))
        })))
  return go(place, state)
}

/**
 * The outermost places a selector hits, in path order; a pattern without a hit is an error with the nearest names.
 *
 * @throws TransformFailure `NoMatch`, `BadSelector`.
 * @example
 * ```ts
 * import { find, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
 * find(base, '**.mha.Wq').map(place => place.path[1]) // => ['0', '1']
 * ```
 */
export const find = (tree: unknown, selector: Selector): readonly Place[] => {
  if (typeof selector === 'function') return findBy(tree, (p) => selector(showPath(p.path), p.node))
  if (isSelection(selector)) return findSelected(tree, selector)
  const { sources, except, kind } = readQuery(selector)
  const globs = parseAll(sources)
  const excluded = parseAll(except)
  const ofKind = (p: Place): boolean => kind === undefined || tagOf(p.node) === kind
  if (sources.length === 0) throw new TransformFailure([noHit('at least one pattern', 'an empty list', tree, '')])
  const found = match(tree, globs, ofKind, excluded)
  // Each alone, since all that one pattern hits may lie inside the hits of another.
  const missed = globs.filter((g) => (globs.length === 1 ? found : match(tree, [g], ofKind, excluded)).length === 0)
  if (missed.length > 0) throw new TransformFailure(missed.map((g) => noMatch(tree, g, kind, excluded)))
  const idle = excluded.filter((g) => match(tree, [g], () => true, []).length === 0)
  if (idle.length > 0)
    throw new TransformFailure(
      idle.map((g) =>
        noHit('a pattern of `except` that matches this model', `no match for "${g.source}"`, tree, g.source),
      ),
    )
  return found
}

const everywhere = parseAll(['**'])

const findBy = (tree: unknown, holds: (place: Place) => boolean): readonly Place[] => {
  const found = match(tree, everywhere, holds, [])
  if (found.length === 0) throw new TransformFailure([noHit('a predicate that holds somewhere', 'no hit', tree, '')])
  return found
}

// By path and not by pattern: a name in a path may have a dot or a brace in it.
const findSelected = (tree: unknown, { paths }: Selection): readonly Place[] => {
  const there = new Set([...places(tree)].map((p) => showPath(p.path)))
  const missed = paths.filter((p) => !there.has(p))
  if (missed.length > 0)
    throw new TransformFailure(missed.map((p) => noHit('the places of the selection', `no place at "${p}"`, tree, p)))
  const wanted = new Set(paths)
  return findBy(tree, (p) => wanted.has(showPath(p.path)))
}

const isSelection = (s: Selector): s is Selection => tagOf(s) === 'Selection' && Array.isArray((s as Selection).paths)

const tagOf = (node: unknown): unknown => (node as { _tag?: unknown } | null | undefined)?._tag

interface ReadQuery {
  readonly sources: readonly string[]
  readonly except: readonly string[]
  readonly kind: string | undefined
}

const readQuery = (selector: string | readonly string[] | Query): ReadQuery => {
  if (typeof selector === 'string' || Array.isArray(selector))
    return { sources: list(selector as string | readonly string[]), except: [], kind: undefined }
  const query = selector as Query
  const unknown = isBranch(query)
    ? Object.keys(query).filter((k) => !['glob', 'except', 'kind'].includes(k))
    : undefined
  if (unknown === undefined || !['undefined', 'string'].includes(typeof query.kind))
    throw new TransformFailure([badSelector(selector, 'For example "**.ln_1", or { glob: "**", kind: "Linear" }.')])
  if (unknown.length > 0)
    throw new TransformFailure(unknown.map((k) => badSelector(query, didYouMean(k, ['glob', 'except', 'kind']))))
  return { sources: list(query.glob ?? '**'), except: list(query.except), kind: query.kind }
}

const noMatch = (tree: unknown, glob: Glob, kind: string | undefined, except: readonly Glob[]): Issue => {
  if (match(tree, [glob], () => true, []).length === 0)
    return noHit('a pattern that matches this model', `no match for "${glob.source}"`, tree, glob.source)
  const tags = new Set([...places(tree)].map((p) => tagOf(p.node)).filter((tag) => typeof tag === 'string'))
  return {
    _tag: 'NoMatch',
    path: glob.source,
    expected: kind === undefined ? 'something that `except` leaves' : `a place of kind ${kind}`,
    found: kind === undefined || except.length > 0 ? `nothing left of "${glob.source}"` : `none under "${glob.source}"`,
    hint: kind === undefined ? 'Every hit is excluded: leave a pattern of `except` out.' : didYouMean(kind, tags),
  }
}

const noHit = (expected: string, found: string, tree: unknown, glob: string): Issue => ({
  _tag: 'NoMatch',
  path: glob,
  expected,
  found,
  hint: nearestPattern(
    [...places(tree)].map((p) => p.path),
    glob,
  ),
})

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
  const found = find(tree, selector)
  const params = new Set(found.flatMap((p) => leafPlaces(p.node).map((l) => l.node)))
  return {
    _tag: 'Selection',
    paths: found.map((p) => showPath(p.path)),
    perPattern: perPattern(tree, selector),
    parameters: [...params].reduce((n, l) => n + (isParam(l) ? l.value.size : 0), 0),
  }
}

const perPattern = (tree: unknown, selector: Selector): Selection['perPattern'] => {
  if (typeof selector === 'function' || isSelection(selector)) return {}
  const { sources, except, kind } = readQuery(selector)
  const alone = (glob: string): Query => ({ glob, except, ...(kind === undefined ? {} : { kind }) })
  return Object.fromEntries(sources.map((glob) => [glob, find(tree, alone(glob)).length]))
}
