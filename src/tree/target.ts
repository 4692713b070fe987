import { EspalierError, TransformFailure } from './error.ts'
import type { Issue } from './error.ts'
import { requireSound } from './labels.ts'
import { nearestPattern } from './nearest.ts'
import { find } from './select.ts'
import type { Query, Selector } from './select.ts'
import { BASE, childPlaces, isBranch, places, showPath } from './walk.ts'
import type { Branch, Place } from './walk.ts'
import { isWrapper } from './wrap.ts'

/** What a method makes of a node: its target, closed to it because it is adapted already, none of its business, or to be looked into. */
export type Verdict = 'take' | 'adapted' | 'pass' | 'into'

/** How a method chooses among the nodes a selector hits. */
export interface Taste<N> {
  /** What the method makes of a node. */
  readonly verdict: (node: unknown) => Verdict
  /** What it takes, for messages: "a weight matrix". */
  readonly wants: string
  /** Whether it keeps to what wrappers wrap, and out of what they have put on. */
  readonly baseOnly?: boolean
  readonly '~node'?: N
}

/**
 * The places under a selection that a method takes.
 *
 * @throws TransformFailure `AlreadyAdapted`, `NotATarget`, `NoMatch`, `BadSelector`, `LabelClash`; all mistakes at once.
 */
export const targets = <N>(tree: unknown, at: Selector, taste: Taste<N>): readonly Place<N>[] => {
  requireSound(tree)
  const issues: Issue[] = []
  const taken: Place<N>[] = []
  const seen = new Set<string>()
  const patterns = eachPattern(at)
  for (const pattern of patterns) {
    const found = attempted(issues, () => find(tree, pattern))
    if (found === undefined) continue
    const here = found.flatMap((place) => outer(tree, place, taste) ?? under(place, taste))
    const adapted = here.filter(([v]) => v === 'adapted')
    issues.push(...adapted.map(([, place]) => alreadyAdapted(place)))
    if (here.length === 0) issues.push(notATarget(tree, pattern, found, taste))
    for (const [v, place] of here) {
      const route = place.route.join('/')
      if (v === 'take' && !seen.has(route)) taken.push(place as Place<N>)
      seen.add(route)
    }
  }
  if (issues.length > 0) throw new TransformFailure(issues)
  return taken
}

// Each pattern must yield something, so each is looked at by itself.
const eachPattern = (at: Selector): readonly Selector[] => {
  if (Array.isArray(at)) return at.length > 0 ? (at as readonly string[]) : [at]
  const glob = typeof at === 'object' && at !== null && 'glob' in at ? at.glob : undefined
  return Array.isArray(glob) && glob.length > 0
    ? (glob as readonly string[]).map((g) => ({ ...(at as Query), glob: g }))
    : [at]
}

const under = <N>(place: Place, taste: Taste<N>): readonly (readonly ['take' | 'adapted', Place])[] => {
  const v = taste.verdict(place.node)
  if (v === 'pass') return []
  if (v !== 'into') return [[v, place]]
  if (!isBranch(place.node)) return []
  return childPlaces(place as Place<Branch>)
    .filter((c) => !putOn(place.node, c.route.at(-1), taste))
    .flatMap((c) => under(c, taste))
}

// A weight of an adapter is none of the model's: a method for all weights takes it neither before nor after the adapter.
const putOn = (parent: unknown, key: string | undefined, { baseOnly = false }: Taste<unknown>): boolean =>
  baseOnly && key !== BASE && isWrapper(parent)

// A pattern that hits nothing must not hide what is wrong with the others.
const attempted = <A>(issues: Issue[], f: () => A): A | undefined => {
  try {
    return f()
  } catch (e) {
    if (!(e instanceof EspalierError)) throw e
    issues.push(...e.issues)
    return undefined
  }
}

/** The place above a hit that the method keeps out of: what lies in an adapter, its base included, is no target. */
const outer = <N>(tree: unknown, hit: Place, taste: Taste<N>): readonly (readonly ['adapted', Place])[] | undefined => {
  let node = tree
  for (const [i, key] of hit.route.entries()) {
    const v = taste.verdict(node)
    if (v === 'adapted') return [['adapted', { ...hit, node, route: hit.route.slice(0, i) }]]
    if (v === 'pass' || putOn(node, key, taste)) return []
    node = (node as Readonly<Record<string, unknown>>)[key]
  }
  return undefined
}

const kindOf = (node: unknown): string => {
  const tag = (node as { _tag?: unknown; form?: unknown } | null)?._tag
  if (tag === 'Param') return `a ${(node as { form: string }).form}`
  return typeof tag === 'string' ? tag : 'a container'
}

const alreadyAdapted = (place: Place): Issue => ({
  _tag: 'AlreadyAdapted',
  path: showPath(place.path),
  expected: 'a place without an adapter',
  found: kindOf(place.node),
  hint: 'Detach or merge the adapter that is there first, or leave this place out with `except`.',
})

const notATarget = <N>(tree: unknown, at: Selector, found: readonly Place[], taste: Taste<N>): Issue => {
  const path = showPath(found[0]?.path ?? [])
  const all = [...places(tree)].filter((p) => taste.verdict(p.node) === 'take' && outer(tree, p, taste) === undefined)
  // A layer is named as readily as its weight.
  const named = all.flatMap((p) => [p.path, p.path.slice(0, -1)])
  return {
    _tag: 'NotATarget',
    path,
    expected: taste.wants,
    found: [...new Set(found.map((p) => kindOf(p.node)))].join(', '),
    hint:
      all.length === 0
        ? `This model does not have ${taste.wants}.`
        : nearestPattern(named, typeof at === 'string' ? at : path),
  }
}

/** The outermost places of a whole tree that a method takes, whatever the selector. */
export const allTargets = <N>(tree: unknown, taste: Taste<N>): readonly Place<N>[] =>
  under({ node: tree, path: [], route: [] }, taste).flatMap(([v, place]) => (v === 'take' ? [place as Place<N>] : []))
