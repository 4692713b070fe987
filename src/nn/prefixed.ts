import { affineOf, allZeros, fixed, headOf, hiddenOf, materialize, shapeOf, table } from '../kind/index.ts'
import type { Ctx, KeysValues, Kind, Model, Past, Weight } from '../kind/index.ts'
import { behind } from '../kind/sequence.ts'
import { add, concat, full, ones, reshape, slice, transpose } from '../ops/index.ts'
import type { Table } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'

/**
 * A model whose every attention layer sees trained keys and values before those of the tokens.
 *
 * `prefix` is [n, 2·layers·heads·d_head], one row for each virtual token: read as (n, 2·layers, heads, d_head), layer ℓ has
 * its keys in slot 2ℓ and its values in slot 2ℓ + 1. Tokens stand at positions n and on, or n behind where they are said to
 * stand; logits are those of the tokens only.
 *
 * @source Li and Liang 2021, "Prefix-Tuning: Optimizing Continuous Prompts for Generation", §4.2; the layout is PEFT's.
 */
export interface Prefixed<M extends Model = Model, P extends Weight = Table<'trainable'>> extends Model {
  readonly _tag: 'Prefixed'
  readonly '~role'?: 'model'
  readonly base: M
  readonly prefix: P
  /** How many attention layers the model has. */
  readonly layers: number
  /** How many heads of keys and values each of them has. */
  readonly heads: number
}

/** What the caller's own past hides of itself stays hidden behind a prefix that is seen. */
const maskOf = (length: number, { past }: Ctx): Tensor | undefined =>
  past?.mask === undefined
    ? undefined
    : concat([ones([past.mask.shape[0] ?? 0, length], past.mask.dtype), past.mask], 1)

/** Keys or values of the caller's own past behind those of the prefix: a prefix comes before all there is. */
const before = (front: Tensor, own: Tensor | undefined): Tensor => (own === undefined ? front : behind(front, own, 2))

const pastOf = ({ prefix, layers, heads }: Prefixed<Model, Weight>, ctx: Ctx): Past => {
  const rows = materialize(prefix, ctx)
  const [length = 0, width = 0] = rows.shape
  const wide = width / (2 * layers * heads)
  const slots = transpose(reshape(rows, [length, 2 * layers, heads, wide]), [1, 2, 0, 3])
  const slot = (i: number): Tensor => slice(slots, [i, 0, 0, 0], [1, heads, length, wide])
  return {
    length: length + (ctx.past?.length ?? 0),
    mask: maskOf(length, ctx),
    layers: Array.from({ length: layers }, (_, i): KeysValues => {
      const own = ctx.past?.layers[i]
      return { keys: before(slot(2 * i), own?.keys), values: before(slot(2 * i + 1), own?.values) }
    }),
  }
}

/** The kind behind `prefix`. */
export const PrefixedKind: Kind<Prefixed<Model, Weight>, 'model', 'length' | 'width'> = {
  tag: 'Prefixed',
  role: 'model',
  fields: { prefix: table('length', 'width', allZeros), layers: fixed(1), heads: fixed(1) },
  ops: {
    hidden: (n, tokens, ctx) => {
      const { positions } = tokens
      const [length = 0] = shapeOf(n.prefix, ctx)
      // Whoever says where tokens stand counts the text alone.
      const here =
        positions === undefined ? tokens : { ...tokens, positions: add(positions, full([1], length, 'int32')) }
      return hiddenOf(n.base, here, { ...ctx, past: pastOf(n, ctx) })
    },
    head: (n, hidden, ctx) => headOf(n.base, hidden, ctx),
    affine: (n, hidden, ctx) => affineOf('model', n.base, hidden, ctx),
  },
}
