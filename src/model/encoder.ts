import { dropout, embed, fixed, headOf, hiddenOf, layer, outputOf, throughBlocks, under } from '../kind/index.ts'
import type { AnyKind, Ctx, Embed, Embedded, Kind, Layer, Model, NodeField, Output } from '../kind/index.ts'
import { activate, attend, linear, norm, splitHeads } from '../nn/index.ts'
import type { ActivationName } from '../nn/index.ts'
import { reshape, slice, tanh } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import { besides } from './besides.ts'
import type { BertConfig } from './encoder-config.ts'
import type { AdapterSites } from './family.ts'
import { fixedAll, node, normed, withFields } from './fields.ts'
import { paddingMask } from './masks.ts'

/** Attention of three projections; the heads are put together again by the output behind it. */
export interface BertSelfAttention<P extends Layer = Layer> extends Layer {
  readonly _tag: 'BertSelfAttention'
  readonly '~role'?: 'layer'
  readonly query: P
  readonly key: P
  readonly value: P
  readonly heads: number
  readonly attention_probs_dropout_prob: number
}

interface Ending<P extends Layer, N extends Layer> extends Output {
  readonly '~role'?: 'output'
  readonly dense: P
  readonly LayerNorm: N
  readonly hidden_dropout_prob: number
}

/** What ends the first half of a layer: LayerNorm(dense(x) + residual). */
export interface BertSelfOutput<P extends Layer = Layer, N extends Layer = Layer> extends Ending<P, N> {
  readonly _tag: 'BertSelfOutput'
}

/** What ends a layer, in the same way. */
export interface BertOutput<P extends Layer = Layer, N extends Layer = Layer> extends Ending<P, N> {
  readonly _tag: 'BertOutput'
}

declare module '../kind/kind.ts' {
  interface Sublayers {
    readonly BertSelfOutput: 'attention'
    readonly BertOutput: 'feedForward'
  }
}

/** The first half of a layer. */
export interface BertAttention<S extends Layer = Layer, O extends Output = Output> extends Layer {
  readonly _tag: 'BertAttention'
  readonly '~role'?: 'layer'
  readonly self: S
  readonly output: O
}

/** The wide layer between the two halves of a feed-forward. */
export interface BertIntermediate<P extends Layer = Layer> extends Layer {
  readonly _tag: 'BertIntermediate'
  readonly '~role'?: 'layer'
  readonly dense: P
  readonly hidden_act: ActivationName
}

/** A layer of the encoder: attention, then feed-forward, each added to what it was given and normed after that. */
export interface BertLayer<A extends Layer = Layer, I extends Layer = Layer, O extends Output = Output> extends Layer {
  readonly _tag: 'BertLayer'
  readonly '~role'?: 'layer'
  readonly attention: A
  readonly intermediate: I
  readonly output: O
}

/** The layers one after the other. */
export interface BertEncoder<L extends Layer = Layer> extends Layer {
  readonly _tag: 'BertEncoder'
  readonly '~role'?: 'layer'
  readonly layer: readonly L[]
}

/** tanh of a dense layer on the hidden state of the first token: [batch, length, d] to [batch, d]. */
export interface BertPooler<P extends Layer = Layer> extends Layer {
  readonly _tag: 'BertPooler'
  readonly '~role'?: 'layer'
  readonly dense: P
}

interface BodyShell extends Model {
  readonly embeddings: Embed
  readonly encoder: Layer
  readonly pooler: Layer | null
  readonly pooled: boolean
}

/** The hidden state of the first of the tokens: [batch, length, d] to [batch, d]. */
export const firstOf = (hidden: Tensor): Tensor => {
  const [batch = 0, , d = 0] = hidden.shape
  return reshape(slice(hidden, [0, 0, 0], [batch, 1, d]), [batch, d])
}

/** The environment in which every token sees every other that is no padding. */
export const amongTokens = (embedded: Embedded, ctx: Ctx): Ctx => {
  const mask = paddingMask(embedded, ctx)
  return mask === undefined ? ctx : { ...ctx, mask }
}

const SelfAttentionKind: Kind<BertSelfAttention, 'layer', 'd'> = {
  tag: 'BertSelfAttention',
  role: 'layer',
  projections: ['query', 'key', 'value'],
  fields: {
    query: linear('d', 'd'),
    key: linear('d', 'd'),
    value: linear('d', 'd'),
    heads: fixed(1),
    attention_probs_dropout_prob: fixed(0),
  },
  ops: {
    layer: (n, x, ctx) => {
      const heads = (of: 'query' | 'key' | 'value'): Tensor => splitHeads(layer(n[of], x, under(ctx, of)), n.heads)
      const drop = n.attention_probs_dropout_prob
      return attend({ q: heads('query'), k: heads('key'), v: heads('value'), drop }, ctx)
    },
  },
}

const endingKind = {
  role: 'output',
  fields: { dense: linear('in', 'd'), LayerNorm: norm('d'), hidden_dropout_prob: fixed(0) },
  ops: {
    output: (n: Ending<Layer, Layer>, x: Tensor, residual: Tensor, ctx: Ctx): Tensor => {
      const sublayer = (c: Ctx): Tensor =>
        dropout(layer(n.dense, x, under(c, 'dense')), n.hidden_dropout_prob, 'hidden', c)
      return besides(residual, ctx, sublayer, { after: (sum) => layer(n.LayerNorm, sum, under(ctx, 'LayerNorm')) })
    },
  },
} as const

const SelfOutputKind: Kind<BertSelfOutput, 'output', 'in' | 'd'> = {
  tag: 'BertSelfOutput',
  sublayer: 'attention',
  ...endingKind,
}

const OutputKind: Kind<BertOutput, 'output', 'in' | 'd'> = { tag: 'BertOutput', sublayer: 'feedForward', ...endingKind }

const outputField = (inputs: string, kind: AnyKind): NodeField => ({
  ...node(kind, ['d']),
  dims: { in: inputs, d: 'd' },
})

const AttentionKind: Kind<BertAttention, 'layer', 'd'> = {
  tag: 'BertAttention',
  role: 'layer',
  fields: { self: node(SelfAttentionKind, ['d']), output: outputField('d', SelfOutputKind) },
  ops: { layer: (n, x, ctx) => outputOf(n.output, layer(n.self, x, under(ctx, 'self')), x, under(ctx, 'output')) },
}

const IntermediateKind: Kind<BertIntermediate, 'layer', 'd' | 'inner'> = {
  tag: 'BertIntermediate',
  role: 'layer',
  fields: { dense: linear('d', 'inner'), hidden_act: fixed('gelu') },
  ops: { layer: (n, x, ctx) => activate(n.hidden_act, layer(n.dense, x, under(ctx, 'dense'))) },
}

const LayerKind: Kind<BertLayer, 'layer', 'd' | 'inner'> = {
  tag: 'BertLayer',
  role: 'layer',
  fields: {
    attention: node(AttentionKind, ['d']),
    intermediate: node(IntermediateKind, ['d', 'inner']),
    output: outputField('inner', OutputKind),
  },
  ops: {
    layer: (n, x, ctx) => {
      const attended = layer(n.attention, x, under(ctx, 'attention'))
      const wide = layer(n.intermediate, attended, under(ctx, 'intermediate'))
      return outputOf(n.output, wide, attended, under(ctx, 'output'))
    },
  },
}

const EncoderKind: Kind<BertEncoder, 'layer', 'd' | 'inner' | 'layers'> = {
  tag: 'BertEncoder',
  role: 'layer',
  fields: { layer: { _tag: 'ListField', of: node(LayerKind, ['d', 'inner']), length: 'layers' } },
  ops: { layer: (n, x, ctx) => throughBlocks(n.layer, x, under(ctx, 'layer')) },
}

const PoolerKind: Kind<BertPooler, 'layer', 'd'> = {
  tag: 'BertPooler',
  role: 'layer',
  fields: { dense: linear('d', 'd') },
  ops: { layer: (n, hidden, ctx) => tanh(layer(n.dense, firstOf(hidden), under(ctx, 'dense'))) },
}

const bodyOps: Kind<BodyShell, 'model'>['ops'] = {
  hidden: (n, tokens, ctx) => {
    const embedded = embed(n.embeddings, tokens, under(ctx, 'embeddings'))
    const hidden = layer(n.encoder, embedded.hidden, under(amongTokens(embedded, ctx), 'encoder'))
    return { hidden, mask: embedded.mask }
  },
  head: (n, hidden, ctx) => (n.pooled && n.pooler !== null ? layer(n.pooler, hidden, under(ctx, 'pooler')) : hidden),
}

/** The kinds of every encoder that is built as BERT's is, by tag. */
export const encoderKinds = {
  BertSelfAttention: SelfAttentionKind,
  BertSelfOutput: SelfOutputKind,
  BertOutput: OutputKind,
  BertAttention: AttentionKind,
  BertIntermediate: IntermediateKind,
  BertLayer: LayerKind,
  BertEncoder: EncoderKind,
  BertPooler: PoolerKind,
} as const

/** Where AdapterHub's adapters are in every such encoder. */
export const adapterSites: AdapterSites = {
  blocks: 'encoder.layer',
  mh_adapter: ['attention.output', 'attention.output.dense'],
  output_adapter: ['output', 'output.dense'],
}

/** What of a configuration an encoder is built from. */
export type EncoderConfig = Omit<BertConfig, 'add_pooling_layer'>

/** The layers as a configuration has them. */
const encoderField = (config: EncoderConfig): NodeField => {
  const { hidden_dropout_prob, attention_probs_dropout_prob, hidden_act, num_attention_heads: heads } = config
  const own = { LayerNorm: normed(config.layer_norm_eps), ...fixedAll({ hidden_dropout_prob }) }
  const attention = withFields(AttentionKind, {
    self: node(SelfAttentionKind, ['d'], { heads, attention_probs_dropout_prob }),
    output: outputField('d', withFields(SelfOutputKind, own)),
  })
  const one = withFields(LayerKind, {
    attention: node(attention, ['d']),
    intermediate: node(IntermediateKind, ['d', 'inner'], { hidden_act }),
    output: outputField('inner', withFields(OutputKind, own)),
  })
  const of = node(one, ['d', 'inner'])
  const all = withFields(EncoderKind, { layer: { _tag: 'ListField', of, length: 'layers' } })
  return node(all, ['d', 'inner', 'layers'])
}

/** What the answer of a body is: every token's state, with or without a pooler that nobody asks, or the pooled state. */
export type Pooling = 'none' | 'unused' | 'asked'

/** The kind of a body: embeddings and what is built on them as the configuration says. */
export const bodyKind = (
  tag: string,
  embeddings: NodeField,
  config: EncoderConfig,
  pooling: Pooling,
): Kind<BodyShell, 'model'> => ({
  tag,
  role: 'model',
  fields: {
    embeddings,
    encoder: encoderField(config),
    pooler: pooling === 'none' ? { _tag: 'AbsentField' } : node(PoolerKind, ['d']),
    pooled: fixed(pooling === 'asked'),
  },
  ops: bodyOps,
})

/** The pooled state of each text: what the body answers, of all its tokens. */
export const pooledBy = (body: Model, tokens: Parameters<typeof hiddenOf>[1], ctx: Ctx): Tensor =>
  headOf(body, hiddenOf(body, tokens, ctx).hidden, ctx)
