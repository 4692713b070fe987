import { EspalierError } from './error.ts'
import { isHole, isLeaf } from './leaf.ts'
import type { Constant, Hole, Param } from './leaf.ts'
import { isTensor } from './tensor.ts'

/** A plain record or array that a tree is built of. */
export type Branch = Readonly<Record<string, unknown>> | readonly unknown[]

/**
 * One position in a tree.
 *
 * `path` is the name people use: what wraps something lies at the path of what it wraps, since `base` adds no segment.
 * `route` is the physical way there, `base` included, so it names one position only.
 */
export interface Place<N = unknown> {
  readonly node: N
  readonly path: readonly string[]
  readonly route: readonly string[]
  /** The length of the array this position is an element of. */
  readonly siblings?: number
}

/** The key under which every wrapper keeps what it wraps; it is transparent in paths. */
export const BASE = 'base'

/** A leaf, or the hole a partition left in its place. */
export const isLeafOrHole = (x: unknown): x is Param | Constant | Hole => isLeaf(x) || isHole(x)

/** Whether a value is looked into: a plain record or an array, and neither a leaf nor a tensor. */
export const isBranch = (x: unknown): x is Branch =>
  typeof x === 'object' && x !== null && isPlain(x) && !isLeafOrHole(x) && !isTensor(x)

// A Map or a class instance cannot be rebuilt without losing what it is. The prototype of a prototype tells plain
// records of every realm.
const isPlain = (x: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(x)
  return Array.isArray(x) || prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Whether what a branch has under a key is a part of the tree: `_tag` and phantom fields are not, nor is what holds no tree. */
const isChild = (key: string, value: unknown): boolean =>
  typeof value === 'object' && key !== '_tag' && !key.startsWith('~') && (isLeafOrHole(value) || isBranch(value))

const entries = (x: Branch): readonly (readonly [string, unknown])[] =>
  // Not by `map`, which leaves the gaps of a sparse array without a pair.
  Array.isArray(x) ? Array.from(x, (child: unknown, i) => [String(i), child] as const) : Object.entries(x)

/** The children of a branch in path order. */
export const childrenOf = (x: Branch): readonly (readonly [string, unknown])[] =>
  entries(x).filter(([key, value]) => isChild(key, value))

/**
 * Every position of a tree, parents before children, in path order.
 *
 * @throws EspalierError `TooDeep`, which is also how a tree that contains itself shows.
 * @example
 * ```ts
 * import { param, places } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const shared = param('vector', 'w', zeros([2]))
 * Array.from(places({ list: [shared] }), place => place.path.join('.')) // => ['', 'list', 'list.0']
 * ```
 */
export function* places(tree: unknown): Generator<Place> {
  yield* below({ node: tree, path: [], route: [] })
}

/** A position and every position under it. */
export function* below(place: Place): Generator<Place> {
  // A generator within a generator would hand each position up through all levels above it.
  const waiting = [place]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    yield next
    if (isBranch(next.node)) waiting.push(...childPlaces(next as Place<Branch>).toReversed())
  }
}

/**
 * The positions directly under a branch.
 *
 * @throws EspalierError `TooDeep`, which is also how a tree that contains itself shows.
 */
export const childPlaces = ({ node, path, route }: Place<Branch>): readonly Place[] => {
  requireShallow(path, route.length)
  return childrenOf(node).map(([key, child]) => ({
    node: child,
    path: key === BASE ? path : [...path, key],
    route: [...route, key],
    ...(Array.isArray(node) ? { siblings: node.length } : {}),
  }))
}

/** The keys from the root to a position, the last first: a path that is written out only where someone asks for it. */
export type Trail = { readonly key: string; readonly above: Trail } | undefined

/** The path of a trail. */
export const pathOf = (trail: Trail): readonly string[] => {
  const path: string[] = []
  for (let at = trail; at !== undefined; at = at.above) if (at.key !== BASE) path.push(at.key)
  return path.toReversed()
}

/**
 * Calls `f` with every value of a tree, parents before children: its positions, and what stands beside them.
 *
 * @throws EspalierError `TooDeep`.
 */
export const visit = (tree: unknown, f: (value: unknown, trail: Trail) => void): void => {
  const go = (value: unknown, trail: Trail, depth: number): void => {
    f(value, trail)
    if (!isBranch(value)) return
    if (depth > DEEPEST) requireShallow(pathOf(trail), depth)
    for (const [key, child] of entries(value)) {
      const here = { key, above: trail }
      if (isChild(key, child)) go(child, here, depth + 1)
      else f(child, here)
    }
  }
  go(tree, undefined, 0)
}

const DEEPEST = 500

const requireShallow = (path: readonly string[], depth: number): void => {
  if (depth <= DEEPEST) return
  throw new EspalierError([
    {
      _tag: 'TooDeep',
      path: `${showPath(path.slice(0, 6))}…`,
      expected: `a tree at most ${DEEPEST} levels deep`,
      found: 'a deeper one, or one that contains itself',
      hint: 'A model is a tree: take out what points back to a parent.',
    },
  ])
}

/**
 * The positions of all leaves, in path order.
 *
 * @example
 * ```ts
 * import { leafPlaces, param } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const shared = param('vector', 'w', zeros([2]))
 * leafPlaces({ a: shared, b: [shared] }).map(place => place.path.join('.')) // => ['a', 'b.0']
 * ```
 */
export const leafPlaces = (tree: unknown): readonly Place<Param | Constant>[] =>
  [...places(tree)].filter((p): p is Place<Param | Constant> => isLeaf(p.node))

/**
 * The leaves themselves, a tied one once.
 *
 * @example
 * ```ts
 * import { leaves, param } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const shared = param('vector', 'w', zeros([2]))
 * leaves({ a: shared, b: [shared] }).length // => 1
 * ```
 */
export const leaves = (tree: unknown): readonly (Param | Constant)[] => [
  ...new Set(leafPlaces(tree).map((p) => p.node)),
]

/**
 * A path as people write it; `''` is the root.
 *
 * @example
 * ```ts
 * import { showPath } from 'espalier'
 * showPath(['blocks', '0', 'mlp']) // => 'blocks.0.mlp'
 * ```
 */
export const showPath = (path: readonly string[]): string => path.join('.')

/** What to put at a position. */
export interface Edit {
  readonly route: readonly string[]
  readonly value: unknown
}

/**
 * The tree with other nodes at some routes; everything off the way to them is the same reference.
 *
 * An edit that puts back what was there changes nothing, so the tree itself is returned.
 *
 * @example
 * ```ts
 * import { replaceAt } from 'espalier'
 * const tree = { a: { b: 1 }, c: { d: 2 } }
 * const after = replaceAt(tree, [{ route: ['a', 'b'], value: 3 }]) as typeof tree
 * after // => { a: { b: 3 }, c: { d: 2 } }
 * after.c === tree.c // => true
 * ```
 */
export const replaceAt = (tree: unknown, edits: readonly Edit[]): unknown => {
  const here = edits.find((e) => e.route.length === 0)
  if (here !== undefined) return here.value
  if (edits.length === 0 || !isBranch(tree)) return tree
  const byKey = new Map<string, Edit[]>()
  for (const { route, value } of edits) {
    const [key = '', ...rest] = route
    const group = byKey.get(key)
    if (group) group.push({ route: rest, value })
    else byKey.set(key, [{ route: rest, value }])
  }
  return rebuild(tree, (child, key) => {
    const group = byKey.get(key)
    return group === undefined ? child : replaceAt(child, group)
  })
}

/** A branch with each own value mapped; the same reference when no value changed. */
export const rebuild = (x: Branch, f: (child: unknown, key: string) => unknown): Branch => {
  let changed = false
  const visit = (child: unknown, key: string): unknown => {
    const after = f(child, key)
    if (after !== child) changed = true
    return after
  }
  // Array.from, since the gaps of a sparse array hold the places of what follows them.
  if (Array.isArray(x)) {
    const next = Array.from(x, (child: unknown, i) => visit(child, String(i)))
    return changed ? next : x
  }
  const values = Object.entries(x).map(([key, child]) => visit(child, key))
  return changed ? Object.fromEntries(Object.keys(x).map((key, i) => [key, values[i]])) : x
}

/**
 * The tree with each leaf mapped; one leaf object becomes one leaf object, so ties stay ties.
 *
 * Subtrees in which no leaf changed are the same reference.
 *
 * @throws EspalierError `TooDeep`.
 * @example
 * ```ts
 * import { mapLeaves, param } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const shared = param('vector', 'w', zeros([2]))
 * const after = mapLeaves({ a: shared, b: shared }, leaf => ({ ...leaf, label: 'v' })) as { a: unknown; b: unknown }
 * after.a === after.b // => true
 * mapLeaves(after, leaf => leaf) === after // => true
 * ```
 */
export const mapLeaves = (
  tree: unknown,
  f: (leaf: Param | Constant | Hole, path: readonly string[]) => unknown,
): unknown => {
  const done = new Map<object, unknown>()
  const go = (node: unknown, path: readonly string[], depth: number): unknown => {
    requireShallow(path, depth)
    if (isLeafOrHole(node)) {
      if (!done.has(node)) done.set(node, f(node, path))
      return done.get(node)
    }
    if (!isBranch(node)) return node
    const seen = done.get(node)
    if (seen !== undefined) return seen
    const after = rebuild(node, (c, k) => (isChild(k, c) ? go(c, k === BASE ? path : [...path, k], depth + 1) : c))
    done.set(node, after)
    return after
  }
  return go(tree, [], 0)
}
