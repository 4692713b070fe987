import { dropping } from '../kind/index.ts'
import type { Ctx } from '../kind/index.ts'
import { behind } from '../kind/sequence.ts'
import { add, attention, concat, mul, neg, reshape, slice, transpose } from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'

/** What attention is computed of, and how. */
export interface Attending {
  /** Queries [batch, heads, length, d_head]. */
  readonly q: Tensor
  /** Keys [batch, kv_heads, length, d_head]; heads is a multiple of kv_heads. */
  readonly k: Tensor
  readonly v: Tensor
  /** What scores are multiplied by; 1/√d_head unless told otherwise. */
  readonly scale?: number
  /** Scores are softly kept below this; 0 for as they are. */
  readonly cap?: number
  /** Rate of dropout on the weights of attention, in training. */
  readonly drop?: number
}

/**
 * The heads of what a projection gives: [batch, length, heads × d_head] → [batch, heads, length, d_head].
 *
 * @throws EspalierError `ShapeMismatch` for a width that the heads do not divide.
 */
export const splitHeads = (x: Tensor, heads: number): Tensor => {
  const [batch = 0, length = 0, width = 0] = x.shape
  if (width % heads !== 0)
    throw new EspalierError([
      {
        _tag: 'ShapeMismatch',
        path: 'heads',
        expected: `a width that ${heads} heads divide`,
        found: String(width),
        hint: 'Make what queries, keys and values are projected to heads × d_head wide.',
      },
    ])
  return transpose(reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3])
}

const joinHeads = (x: Tensor): Tensor => {
  const [batch = 0, heads = 0, length = 0, width = 0] = x.shape
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, length, heads * width])
}

/** x [batch, heads, length, d_head] turned by the angles of its positions, its first half against its second. */
const turned = (x: Tensor, { rotary }: Ctx): Tensor => {
  if (rotary === undefined) return x
  const [batch = 0, heads = 0, length = 0, width = 0] = x.shape
  const half = width / 2
  const [first, second] = [0, half].map((from) => slice(x, [0, 0, 0, from], [batch, heads, length, half])) as [
    Tensor,
    Tensor,
  ]
  return add(mul(x, rotary.cos), mul(concat([neg(second), first], 3), rotary.sin))
}

/**
 * Attention over the tokens at hand and the past of the context: [batch, length, heads × d_head].
 *
 * Queries of a group share the keys and values of one head; keys of the past are taken as they are, since they were turned
 * when they were computed.
 *
 * @source Vaswani et al. 2017, "Attention Is All You Need", §3.2; groups: Ainslie et al. 2023, "GQA", §2; rotary positions: Su
 *   et al. 2021, "RoFormer", §3.4.2; caps: Gemma Team 2024, "Gemma 2", §2.
 */
export const attend = ({ q, k, v, scale, cap = 0, drop = 0 }: Attending, ctx: Ctx): Tensor => {
  const own = { keys: turned(k, ctx), values: v }
  ctx.keep?.(own)
  const past = ctx.past?.layers[0]
  const [keys, values] = [behind(past?.keys, own.keys, 2), behind(past?.values, own.values, 2)]
  const dropped = dropping(drop, 'attention', ctx)
  const read = attention(turned(q, ctx), keys, values, {
    cap,
    ...(scale !== undefined && { scale }),
    ...(ctx.mask && { mask: ctx.mask }),
    ...(dropped && { drop: dropped }),
  })
  return joinHeads(read)
}
