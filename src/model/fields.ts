import { fixed } from '../kind/index.ts'
import type { AnyField, AnyKind, NodeField } from '../kind/index.ts'
import { norm } from '../nn/index.ts'
import type { LayerNorm, Linear } from '../nn/index.ts'
import type { Matrix, Vector } from '../tree/leaf.ts'

/** A fresh linear layer with a bias, and a fresh layer norm. */
export type Dense = Linear<Matrix<'trainable'>, Vector<'trainable'>>
export type Norm = LayerNorm<Vector<'trainable'>, Vector<'trainable'>>

/** A field that is a node whose dimensions have the names of its parent's. */
export const node = (kind: AnyKind, dims: readonly string[], statics: NodeField['statics'] = {}): NodeField => ({
  _tag: 'NodeField',
  kind,
  dims: Object.fromEntries(dims.map((name) => [name, name])),
  statics,
})

/** A kind whose elements' fields are these; what it does stays the same. */
export const withFields = <K extends AnyKind>(kind: K, fields: Readonly<Record<string, AnyField>>): K => ({
  ...kind,
  fields: { ...kind.fields, ...fields },
})

/** A layer norm over `d` with an epsilon of its own. */
export const normed = (eps: number): AnyField => ({ ...(norm('d') as NodeField), statics: { eps } })

/** Plain data as fields. */
export const fixedAll = (values: Readonly<Record<string, number | string | boolean>>): Record<string, AnyField> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fixed(value)]))
