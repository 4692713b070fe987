import { PositiveWhole } from '../kind/number-codecs.ts'
import { pad, scope } from '../ops/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { withValue } from '../tree/leaf.ts'
import { isBranch, rebuild, showPath } from '../tree/walk.ts'
import { scaleOf } from '../weight/index.ts'
import type { Lora } from '../weight/index.ts'
import { must, requireOptions } from './options.ts'
import type { Adapter } from './wear.ts'

const isLora = (node: unknown): node is Lora => (node as { readonly _tag?: unknown } | null)?._tag === 'Lora'

const padded = (node: Lora, rank: number): Lora => {
  const missing = rank - (node.a.value.shape[1] ?? 0)
  if (missing === 0) return node
  return {
    ...node,
    a: withValue(
      node.a,
      pad(node.a.value, [
        [0, 0],
        [0, missing],
      ]),
    ),
    b: withValue(
      node.b,
      pad(node.b.value, [
        [0, missing],
        [0, 0],
      ]),
    ),
    // alpha/rank of the longer factors would be another factor.
    alpha: scaleOf(node),
    scaling: 'alpha',
  }
}

/**
 * The same adapter with every LoRA in it of one rank, the further columns and rows zero: its outputs stay what they are.
 *
 * Adapters of different ranks then have the same shapes, so that what was prepared for one serves the other.
 *
 * @throws TransformFailure `BadDimension` for a rank that is none, or below that of a LoRA in it.
 * @example
 * ```ts
 * import { adapterOf, bytesAtRest, freeze, key, lora, padRank, pipe, sllm } from 'espalier'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * const french = adapterOf(pipe(base, lora({ at: '**.ln_1', rank: 2 })))
 * bytesAtRest(padRank(french, 8)) / bytesAtRest(french) // => 4
 * padRank(french, 1) // => Error: BadDimension
 * ```
 */
export const padRank = <M>(adapter: Adapter<M>, rank: number): Adapter<M> => {
  requireOptions('padRank', { rank: must(PositiveWhole) }, { rank })
  const issues: Issue[] = []
  const go = (node: unknown, path: readonly string[]): unknown => {
    if (!isBranch(node)) return node
    const inner = rebuild(node, (child, key) => go(child, [...path, key]))
    if (!isLora(inner)) return inner
    const own = inner.a.value.shape[1] ?? 0
    if (own <= rank) return padded(inner, rank)
    issues.push({
      _tag: 'BadDimension',
      path: showPath(path),
      expected: `a rank of at least ${own}`,
      found: String(rank),
      hint: "To go below, approximate: combineAdapters([[adapter, 1]], { how: 'svd', rank }).",
    })
    return inner
  }
  return scope(() => {
    const parts = adapter.parts.map((part) => ({ ...part, node: go(part.node, part.path) }))
    if (issues.length > 0) throw new TransformFailure(issues)
    return { ...adapter, parts }
  })
}
