import { dropout, fixed, layer, throughBlocks, under } from '../kind/index.ts'
import type { Kind, Layer, NodeField } from '../kind/index.ts'
import { activate, attend, linear, norm, splitHeads } from '../nn/index.ts'
import type { ActivationName } from '../nn/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { besides } from './besides.ts'
import type { DistilBertConfig } from './encoder-config.ts'
import { node, normed, withFields } from './fields.ts'

/** Attention of three projections and one behind them. */
export interface DistilBertAttention<P extends Layer = Layer> extends Layer {
  readonly _tag: 'DistilBertAttention'
  readonly '~role'?: 'layer'
  readonly q_lin: P
  readonly k_lin: P
  readonly v_lin: P
  readonly out_lin: P
  readonly heads: number
  readonly attention_dropout: number
}

/** DistilBERT's feed-forward layer. */
export interface DistilBertFfn<P extends Layer = Layer> extends Layer {
  readonly _tag: 'DistilBertFfn'
  readonly '~role'?: 'layer'
  readonly lin1: P
  readonly lin2: P
  readonly activation: ActivationName
  readonly dropout: number
}

declare module '../kind/kind.ts' {
  interface Sublayers {
    readonly DistilBertAttention: 'attention'
    readonly DistilBertFfn: 'feedForward'
  }
}

/** A block of DistilBERT: attention, then feed-forward, each added to what it was given and normed after that. */
export interface DistilBertBlock<
  A extends Layer = Layer,
  N extends Layer = Layer,
  F extends Layer = Layer,
> extends Layer {
  readonly _tag: 'DistilBertBlock'
  readonly '~role'?: 'layer'
  readonly attention: A
  readonly sa_layer_norm: N
  readonly ffn: F
  readonly output_layer_norm: N
}

/** The blocks one after the other. */
export interface DistilBertTransformer<B extends Layer = Layer> extends Layer {
  readonly _tag: 'DistilBertTransformer'
  readonly '~role'?: 'layer'
  readonly layer: readonly B[]
}

const AttentionKind: Kind<DistilBertAttention, 'layer', 'd'> = {
  tag: 'DistilBertAttention',
  role: 'layer',
  sublayer: 'attention',
  projections: ['q_lin', 'k_lin', 'v_lin'],
  fields: {
    q_lin: linear('d', 'd'),
    k_lin: linear('d', 'd'),
    v_lin: linear('d', 'd'),
    out_lin: linear('d', 'd'),
    heads: fixed(1),
    attention_dropout: fixed(0),
  },
  ops: {
    layer: (n, x, ctx) => {
      const heads = (of: 'q_lin' | 'k_lin' | 'v_lin'): Tensor => splitHeads(layer(n[of], x, under(ctx, of)), n.heads)
      const y = attend({ q: heads('q_lin'), k: heads('k_lin'), v: heads('v_lin'), drop: n.attention_dropout }, ctx)
      return layer(n.out_lin, y, under(ctx, 'out_lin'))
    },
  },
}

const FfnKind: Kind<DistilBertFfn, 'layer', 'd' | 'inner'> = {
  tag: 'DistilBertFfn',
  role: 'layer',
  sublayer: 'feedForward',
  fields: { lin1: linear('d', 'inner'), lin2: linear('inner', 'd'), activation: fixed('gelu'), dropout: fixed(0) },
  ops: {
    layer: (n, x, ctx) => {
      const wide = activate(n.activation, layer(n.lin1, x, under(ctx, 'lin1')))
      return dropout(layer(n.lin2, wide, under(ctx, 'lin2')), n.dropout, 'ffn', ctx)
    },
  },
}

const BlockKind: Kind<DistilBertBlock, 'layer', 'd' | 'inner'> = {
  tag: 'DistilBertBlock',
  role: 'layer',
  fields: {
    attention: node(AttentionKind, ['d']),
    sa_layer_norm: norm('d'),
    ffn: node(FfnKind, ['d', 'inner']),
    output_layer_norm: norm('d'),
  },
  ops: {
    layer: (n, x, ctx) => {
      const after = (name: 'sa_layer_norm' | 'output_layer_norm') => ({
        after: (sum: Tensor) => layer(n[name], sum, under(ctx, name)),
      })
      const attended = besides(x, ctx, (c) => layer(n.attention, x, under(c, 'attention')), after('sa_layer_norm'))
      return besides(attended, ctx, (c) => layer(n.ffn, attended, under(c, 'ffn')), after('output_layer_norm'))
    },
  },
}

const TransformerKind: Kind<DistilBertTransformer, 'layer', 'd' | 'inner' | 'layers'> = {
  tag: 'DistilBertTransformer',
  role: 'layer',
  fields: { layer: { _tag: 'ListField', of: node(BlockKind, ['d', 'inner']), length: 'layers' } },
  ops: { layer: (n, x, ctx) => throughBlocks(n.layer, x, under(ctx, 'layer')) },
}

/** Every norm of DistilBERT has this epsilon, whatever its configuration says. */
export const normal: ReturnType<typeof normed> = normed(1e-12)

/** The kinds of the layers, by tag. */
export const distilBertLayerKinds = {
  DistilBertAttention: AttentionKind,
  DistilBertFfn: FfnKind,
  DistilBertBlock: BlockKind,
  DistilBertTransformer: TransformerKind,
} as const

/** The layers as a configuration has them. */
export const transformerField = (config: DistilBertConfig): NodeField => {
  const { n_heads: heads, attention_dropout, activation, dropout: rate } = config
  const block = withFields(BlockKind, {
    attention: node(AttentionKind, ['d'], { heads, attention_dropout }),
    sa_layer_norm: normal,
    ffn: node(FfnKind, ['d', 'inner'], { activation, dropout: rate }),
    output_layer_norm: normal,
  })
  const blocks = { _tag: 'ListField', of: node(block, ['d', 'inner']), length: 'layers' } as const
  return node(withFields(TransformerKind, { layer: blocks }), ['d', 'inner', 'layers'])
}
