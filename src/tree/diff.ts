import { statics } from './show.ts'
import { isBranch, isLeafOrHole, leaves, places, showPath } from './walk.ts'
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
  const outer = (tree: unknown): ReadonlyMap<string, Place> => {
    const map = new Map<string, Place>()
    for (const p of places(tree)) {
      const path = showPath(p.path)
      if (!map.has(path)) map.set(path, p)
    }
    return map
  }
  const [before, after] = [outer(from), outer(to)]
  const inside = (path: string): boolean => changes.some(c => path !== c.path && path.startsWith(`${c.path}.`))
  for (const [path, place] of after) {
    const old = before.get(path)
    if (old?.node === place.node || inside(path)) continue
    const [a, b] = [old && describe(old.node), describe(place.node)]
    if (a === undefined) changes.push({ path, change: 'added', to: b })
    else if (a !== b || !isBranch(place.node)) changes.push({ path, change: 'replaced', from: a, to: b })
  }
  for (const [path, place] of before)
    if (!after.has(path) && !inside(path)) changes.push({ path, change: 'removed', from: describe(place.node) })
  const [old, now] = [leaves(from), leaves(to)]
  const [oldLeaves, oldTensors] = [new Set(old), new Set(old.map(l => l.value))]
  const sharedLeaves = now.filter(l => oldLeaves.has(l)).length
  const sharedTensors = now.filter(l => oldTensors.has(l.value)).length
  const newTensors = now.length - sharedTensors
  const toString = (): string =>
    [
      ...changes.map(c => `${sign(c)} ${c.path}  ${[c.from, c.to].filter(Boolean).join(' → ')}`),
      `${changes.length} places changed; ${sharedTensors} tensors shared by reference, ${newTensors} new`,
    ].join('\n')
  return { changes, sharedLeaves, sharedTensors, newTensors, toString }
}

const sign = (c: Change): string => (c.change === 'added' ? '+' : c.change === 'removed' ? '-' : '~')
