import { layer } from '../kind/index.ts'
import type { Kind, Layer } from '../kind/index.ts'
import { fixed } from '../kind/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { attend, splitHeads } from './attend.ts'
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

declare module '../kind/kind.ts' {
  interface Sublayers {
    readonly Attention: 'attention'
  }
}

/** The kind behind the attention of every model. */
export const AttentionKind: Kind<Attention, 'layer', 'd' | 'heads' | 'd_head'> = {
  tag: 'Attention',
  role: 'layer',
  sublayer: 'attention',
  projections: ['Wq', 'Wk', 'Wv'],
  fields: {
    Wq: linear('d', 'heads*d_head', { bias: false }),
    Wk: linear('d', 'heads*d_head', { bias: false }),
    Wv: linear('d', 'heads*d_head', { bias: false }),
    projection_out: linear('heads*d_head', 'd'),
    heads: fixed(1),
  },
  ops: {
    layer: (n, x, ctx) => {
      const [q, k, v] = [n.Wq, n.Wk, n.Wv].map((w) => splitHeads(layer(w, x, ctx), n.heads)) as [Tensor, Tensor, Tensor]
      return layer(n.projection_out, attend({ q, k, v }, ctx), ctx)
    },
  },
}
