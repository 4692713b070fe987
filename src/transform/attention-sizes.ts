import { issue, TransformFailure } from '../tree/error.ts'
import { childrenOf, isBranch } from '../tree/walk.ts'
import { innermost, isWrapper } from '../tree/wrap.ts'
import { kindOf } from './known.ts'
import { bareShape } from './room.ts'

/** The sizes that all attention layers of a model have in common. */
export interface AttentionSizes {
  readonly layers: number
  /** Of keys and values; no more than of queries. */
  readonly heads: number
  /** Of keys, and so of values: heads × d_head. */
  readonly width: number
  /** Of the rows that a projection makes a prefix of: as wide as keys where a family has fewer heads of these. */
  readonly row: number
}

type Node = Readonly<Record<string, unknown>>

/** What makes queries, keys and values in an attention layer, by its kind. */
const projectionsOf = (node: unknown): readonly string[] => kindOf(node)?.projections ?? []

const isAttention = (node: unknown): node is Node => projectionsOf(node).length > 0

/** The attention layers of a model in the order of its layers; what something adds beside its base is none of them. */
const attentions = (node: unknown): readonly Node[] => {
  if (isWrapper(node)) return attentions(node.base)
  if (isAttention(node)) return [node]
  return isBranch(node) ? childrenOf(node).flatMap(([, child]) => attentions(child)) : []
}

const sizesOf = (attention: Node): Omit<AttentionSizes, 'layers'> & { readonly values: number } => {
  const [q = '', k = q, v = q] = projectionsOf(attention)
  const shapeOf = (name: string) => bareShape((innermost(attention[name]) as Node | undefined)?.['weight'])
  const share = k === q ? 3 : 1
  const [d, queries] = shapeOf(q)
  const [width, values] = [shapeOf(k)[1] / share, shapeOf(v)[1] / share]
  // Fewer heads of keys than of queries are as wide as those.
  const heads = (Number(attention['heads']) * width * share) / queries
  return { width, values, heads, row: 'kv_heads' in attention ? width : d }
}

/** What a prefix must fit; throws `NotATarget` for a model without attention, `ShapeMismatch` for layers that differ. */
export const attentionSizes = (model: unknown): AttentionSizes => {
  const tag = (model as { readonly _tag?: unknown } | null)?._tag
  const all = attentions(model)
  const [first, ...others] = all.map(sizesOf)
  if (typeof tag !== 'string' || first === undefined)
    throw new TransformFailure([
      issue(
        'NotATarget',
        '',
        'a model with attention layers',
        typeof tag === 'string' ? `${tag}, which has none` : 'a container',
        'A prefix wraps a model as a whole; of a model inside a larger tree, use modify(tree, path, prefix(…)).',
      ),
    ])
  const odd = [first, ...others].find(
    (s) => s.width !== first.width || s.heads !== first.heads || s.values !== s.width || !Number.isInteger(s.heads),
  )
  if (odd !== undefined || first.width === 0)
    throw new TransformFailure([
      issue(
        'ShapeMismatch',
        '',
        `attention layers that all have ${first.heads} heads and keys and values ${first.width} wide`,
        `one of ${odd?.heads} heads, keys ${odd?.width} and values ${odd?.values} wide`,
        'One table holds the keys and values of all layers, so these must be alike.',
      ),
    ])
  return { layers: all.length, heads: first.heads, width: first.width, row: first.row }
}
