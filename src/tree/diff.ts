import { statics } from './show.ts'
import { BASE, isBranch, isLeafOrHole, leaves, places, showPath } from './walk.ts'
import type { Place } from './walk.ts'

/** What became of one place between two trees. */
export interface Change {
  readonly path: string
  readonly change: 'added' | 'removed' | 'replaced'
  readonly from?: string
  readonly to?: string
}

/** How one tree differs from another. */
export interface Diff {
  readonly changes: readonly Change[]
  /** Leaves of the second tree that are the same object in the first. */
  readonly sharedLeaves: number
  /** Leaves of the second tree whose tensor is in the first: a frozen leaf is a new object on the same memory. */
  readonly sharedTensors: number
  /** Leaves of the second tree on memory of their own. */
  readonly newTensors: number
  /** The changes as lines of text: `+` added, `-` removed, `~` replaced, then what is shared. */
  readonly toString: () => string
}

const describe = (node: unknown): string => {
  if (isBranch(node))
    return ((node as { _tag?: string })._tag ?? (Array.isArray(node) ? `[${node.length}]` : '{}')) + statics(node)
  if (!isLeafOrHole(node)) return String(node)
  const leaf = node as { _tag: string; status?: string; value?: { shape: readonly number[] } }
  return [leaf.status, leaf._tag, leaf.value?.shape.join('×')].filter(Boolean).join(' ')
}

/**
 * What changed from one tree to another, and how much they share by reference.
 *
 * Wrapped places are compared with what they wrap, so an adapter shows as one change at its path.
 *
 * @example
 * ```ts
 * import { diff, lora, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const tuned = lora({ at: '**.ln_1', rank: 2 })(base)
 * diff(base, tuned).changes.map(c => c.path)
 * // => ['transformer_blocks.0.mlp.ln_1.weight', 'transformer_blocks.1.mlp.ln_1.weight']
 * ```
 */
export const diff = (from: unknown, to: unknown): Diff => {
  const changes: Change[] = []
  const [before, after] = [byRoute(from), byRoute(to)]
  const bases = new Map([...before.values()].map((p) => [showPath(p.path), p]))
  // What lies inside a place that was itself added, removed or replaced goes without saying.
  const told = new Set<string>()
  const inside = ({ route }: Place): boolean => route.some((_, i) => told.has(routeOf(route.slice(0, i))))
  const tell = (place: Place, change: Change): void => {
    changes.push(change)
    told.add(routeOf(place.route))
  }
  for (const [route, place] of after) {
    const old = before.get(route) ?? (place.route.at(-1) === BASE ? bases.get(showPath(place.path)) : undefined)
    if (old?.node === place.node || inside(place)) continue
    const path = showPath(place.path)
    const [a, b] = [old && describe(old.node), describe(place.node)]
    if (a === undefined) tell(place, { path, change: 'added', to: b })
    else if (a !== b || !isBranch(place.node))
      tell(place, { path, change: 'replaced', from: a, to: a === b ? `${b}, ${valuesOf(old?.node, place.node)}` : b })
  }
  const paths = new Set([...after.values()].map((p) => showPath(p.path)))
  for (const place of before.values()) {
    const path = showPath(place.path)
    if (!paths.has(path) && !inside(place)) tell(place, { path, change: 'removed', from: describe(place.node) })
  }
  const [old, now] = [leaves(from), leaves(to)]
  const [oldLeaves, oldTensors] = [new Set(old), new Set(old.map((l) => l.value))]
  const sharedLeaves = now.filter((l) => oldLeaves.has(l)).length
  const sharedTensors = now.filter((l) => oldTensors.has(l.value)).length
  const newTensors = now.length - sharedTensors
  const toString = (): string =>
    [
      ...changes.map((c) => `${sign(c)} ${c.path}  ${[c.from, c.to].filter(Boolean).join(' → ')}`),
      `${changes.length} places changed; ${sharedTensors} tensors shared by reference, ${newTensors} new`,
    ].join('\n')
  return { changes, sharedLeaves, sharedTensors, newTensors, toString }
}

const valuesOf = (from: unknown, to: unknown): string =>
  (from as { value?: unknown }).value === (to as { value?: unknown }).value ? 'same values' : 'new values'

// The physical way to a place tells a wrapper from what it wraps, which lie at one path.
const routeOf = (route: readonly string[]): string => JSON.stringify(route)
const byRoute = (tree: unknown): ReadonlyMap<string, Place> =>
  new Map(Array.from(places(tree), (p) => [routeOf(p.route), p]))

const sign = (c: Change): string => (c.change === 'added' ? '+' : c.change === 'removed' ? '-' : '~')
