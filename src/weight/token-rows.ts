import { allZeros, buffer, lookup, materialize, shapeOf, table } from '../kind/index.ts'
import type { Ctx, Init, Kind, Weight } from '../kind/index.ts'
import { cast, expandDims, gather, greater, maximum, scatterAdd, sub, tensor, where } from '../ops/index.ts'
import type { Constant, Table } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { variant } from './variant.ts'

/** What trained tokens add to a table: the rows that stand in place of its own. */
export interface TokenRowsValues {
  /** The ids, int32 [tokens], each once. */
  readonly ids: Constant
  /** The rows themselves [tokens, width], not what is added to those of the table. */
  readonly rows: Table<'trainable'>
}

/** A table [rows, width] of which some rows are replaced by trained ones. */
export interface TokenRows<W extends Weight = Weight> extends Weight, TokenRowsValues {
  readonly _tag: 'TokenRows'
  readonly base: W
}

const counted = (length: number): Tensor =>
  tensor(
    Int32Array.from({ length }, (_, i) => i),
    [length],
    'int32',
  )

const firstIds: Init = (_, [n = 1]) => counted(n)

/** `base` [..., width] with the rows of trained tokens in place of its own. */
const replaced = (base: Tensor, at: Tensor, w: TokenRowsValues & { readonly base: Weight }, ctx: Ctx): Tensor => {
  const n = w.ids.value.size
  // For each row of the table, the number of the row that replaces it, from 1.
  const numbers = tensor(
    Float32Array.from({ length: n }, (_, i) => i + 1),
    [n],
  )
  const slot = gather(scatterAdd(w.ids.value, numbers, shapeOf(w.base, ctx)[0] ?? 1), at)
  const own = gather(w.rows.value, cast(maximum(sub(slot, 1), 0), 'int32'))
  return where(expandDims(greater(slot, 0), -1), own, base)
}

/** The kind behind `tokens`. */
export const TokenRowsKind: Kind<TokenRows, 'weight', 'out' | 'tokens'> = variant('TokenRows', {
  fields: { ids: buffer(['tokens'], firstIds), rows: table('tokens', 'out', allZeros) },
  materialize: (w, ctx) => replaced(materialize(w.base, ctx), counted(shapeOf(w.base, ctx)[0] ?? 1), w, ctx),
  lookup: (ids, w, ctx) => replaced(lookup(ids, w.base, ctx), ids, w, ctx),
})
