import { layer } from '../kind/index.ts'
import type { Kind, Layer } from '../kind/index.ts'
import { fixed } from '../kind/index.ts'
import { broadcastTo, concat, matmul, mul, reshape, softmax, transpose } from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import type { Tensor } from '../tree/tensor.ts'
import { linear } from './linear.ts'

/**
 * Multi-head attention over hidden states [batch, length, d]; who may see whom is the context's mask, causal or not.
 *
 * @source Vaswani et al. 2017, "Attention Is All You Need", §3.2.
 */
export interface Attention<P extends Layer = Layer, O extends Layer = P> extends Layer {
  readonly _tag: 'Attention'
  readonly '~role'?: 'layer'
  readonly Wq: P
  readonly Wk: P
  readonly Wv: P
  readonly projection_out: O
  readonly heads: number
}

const splitHeads = (x: Tensor, heads: number): Tensor => {
  const [batch = 0, length = 0, width = 0] = x.shape
  if (width % heads !== 0)
    throw new EspalierError([
      {
        _tag: 'ShapeMismatch',
        path: 'heads',
        expected: `a width that ${heads} heads divide`,
        found: String(width),
        hint: 'Make the outputs of Wq, Wk and Wv heads × d_head wide.',
      },
    ])
  return transpose(reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3])
}

const joinHeads = (x: Tensor): Tensor => {
  const [batch = 0, heads = 0, length = 0, width = 0] = x.shape
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, length, heads * width])
}

/** Keys or values of the past before those of the tokens at hand, along the sequence; one past may serve a whole batch. */
const after = (past: Tensor | undefined, own: Tensor): Tensor => {
  if (past === undefined) return own
  const [, heads = 0, length = 0, width = 0] = past.shape
  return concat([broadcastTo(past, [own.shape[0] ?? 0, heads, length, width]), own], 2)
}

/** The kind behind the attention of every model. */
export const AttentionKind: Kind<Attention, 'layer', 'd' | 'heads' | 'd_head'> = {
  tag: 'Attention',
  role: 'layer',
  fields: {
    Wq: linear('d', 'heads*d_head', { bias: false }),
    Wk: linear('d', 'heads*d_head', { bias: false }),
    Wv: linear('d', 'heads*d_head', { bias: false }),
    projection_out: linear('heads*d_head', 'd'),
    heads: fixed(1),
  },
  ops: {
    layer: (n, x, ctx) => {
      const [q, own, seen] = [n.Wq, n.Wk, n.Wv].map((w) => splitHeads(layer(w, x, ctx), n.heads)) as [
        Tensor,
        Tensor,
        Tensor,
      ]
      const before = ctx.past?.layers[0]
      const [k, v] = [after(before?.keys, own), after(before?.values, seen)]
      const scores = mul(matmul(q, k, { transposeB: true }), 1 / Math.sqrt(q.shape[3] ?? 1))
      const attention = softmax(scores, ctx.mask === undefined ? {} : { mask: ctx.mask })
      return layer(n.projection_out, joinHeads(matmul(attention, v)), ctx)
    },
  },
}
