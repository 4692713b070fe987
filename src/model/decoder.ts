import { at, buffer, embed, fixed, layer, positionsOf, throughBlocks, under } from '../kind/index.ts'
import type { AnyField, Ctx, Embed, Kind, Layer, Model } from '../kind/index.ts'
import { EmbeddingKind, GatedMlpKind, GroupedAttentionKind, rmsNorm } from '../nn/index.ts'
import type { Embedding, GatedMlp, GroupedAttention, Linear, RmsNorm, TiedHead } from '../nn/index.ts'
import type { Constant, Matrix, Table, Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { innermost } from '../tree/wrap.ts'
import { besides } from './besides.ts'
import { node } from './fields.ts'
import type { Dense } from './fields.ts'
import { causalMask } from './masks.ts'
import { frequenciesOf, ropeOf, rotaryOf } from './rope.ts'

/*
 * Decoders of the Llama family: rotary positions, norms by root mean square before each sublayer, grouped attention, gated
 * feed-forward layers. What one family has otherwise than another is plain data in these nodes, or a field that is null.
 */

/** A fresh norm of these models. */
export type Norm = RmsNorm<Vector<'trainable'>>

/** A fresh linear layer without a bias. */
export type Plain = Linear<Matrix<'trainable'>, null>
/** A fresh linear layer with a bias. */
export type Biased = Dense
/** A fresh linear layer with a bias where the configuration says so. */
export type MaybeBiased = Linear<Matrix<'trainable'>, Vector<'trainable'> | null>

/** Attention, then mlp, each after a norm and added to what it was given. */
export interface DecoderBlock<
  N extends Layer = Layer,
  A extends Layer = GroupedAttention,
  M extends Layer = GatedMlp,
> extends Layer {
  readonly _tag: 'DecoderBlock'
  readonly '~role'?: 'layer'
  readonly input_layernorm: N
  readonly self_attn: A
  readonly post_attention_layernorm: N
  readonly mlp: M
  /** How many of the last tokens each token sees, itself included; 0 for all. */
  readonly window: number
}

/** Attention, then mlp, each between two norms and added to what the first was given. */
export interface SandwichBlock<
  N extends Layer = Layer,
  A extends Layer = GroupedAttention,
  M extends Layer = GatedMlp,
> extends Layer {
  readonly _tag: 'SandwichBlock'
  readonly '~role'?: 'layer'
  readonly input_layernorm: N
  readonly self_attn: A
  readonly post_attention_layernorm: N
  readonly pre_feedforward_layernorm: N
  readonly mlp: M
  readonly post_feedforward_layernorm: N
  /** How many of the last tokens each token sees, itself included; 0 for all. */
  readonly window: number
}

/** The body of a fresh decoder. */
export interface Decoder<B extends Layer = Layer> extends Model {
  readonly _tag: 'Decoder'
  readonly '~role'?: 'model'
  readonly embed_tokens: Embedding<Table<'trainable'>>
  readonly layers: readonly B[]
  readonly norm: Norm
  /** Radians from one position to the next, for each pair of features [head_dim / 2]. */
  readonly inv_freq: Constant
  /** What cosines and sines of positions are multiplied by. */
  readonly rope_scale: number
}

/** A fresh language model on such a body; its head may be the table of embeddings. */
export interface CausalDecoder<B extends Layer = Layer> extends Model {
  readonly '~role'?: 'model'
  readonly model: Decoder<B>
  readonly lm_head: TiedHead<Table<'trainable'>> | Plain
  /** Logits are softly kept below this; 0 for as they are. */
  readonly cap: number
}

/** A fresh classifier of texts by their last token. */
export interface DecoderClassifier<D extends Model = Decoder> extends Model {
  readonly '~role'?: 'model'
  readonly model: D
  readonly score: Plain
  /** The id of padding; -1 for none. */
  readonly pad: number
}

/** A fresh classifier of tokens. */
export interface DecoderTokenClassifier<D extends Model = Decoder> extends Model {
  readonly '~role'?: 'model'
  readonly model: D
  readonly score: Dense
  /** Rate of dropout on what `score` is given. */
  readonly drop: number
}

/** The models by task of a family whose language model is `M`. */
export interface DecoderModels<M extends CausalDecoder> {
  readonly base: M['model']
  readonly 'causal-lm': M
  readonly 'sequence-classification': DecoderClassifier<M['model']>
  readonly 'token-classification': DecoderTokenClassifier<M['model']>
}

interface DecoderShell extends Model {
  readonly embed_tokens: Embed
  readonly layers: readonly Layer[]
  readonly norm: Layer
  readonly inv_freq: Constant
  readonly rope_scale: number
}

/** The names of a block's dimensions. */
export const blockDims = ['d', 'inner', 'heads', 'kv_heads', 'head_dim'] as const

const sublayers = {
  self_attn: node(GroupedAttentionKind, ['d', 'heads', 'kv_heads', 'head_dim']),
  mlp: node(GatedMlpKind, ['d', 'inner']),
}

/** Hidden states through these layers of a block one after the other. */
const through = <K extends string>(n: Readonly<Record<K, Layer>>, names: readonly K[], x: Tensor, ctx: Ctx): Tensor =>
  names.reduce((h, name) => layer(n[name], h, under(ctx, name)), x)

/** The kind of most families' blocks. */
export const DecoderBlockKind: Kind<DecoderBlock<Layer, Layer, Layer>, 'layer', (typeof blockDims)[number]> = {
  tag: 'DecoderBlock',
  role: 'layer',
  fields: {
    input_layernorm: rmsNorm('d'),
    self_attn: sublayers.self_attn,
    post_attention_layernorm: rmsNorm('d'),
    mlp: sublayers.mlp,
    window: fixed(0),
  },
  ops: {
    layer: (n, x, ctx) => {
      const attended = besides(x, ctx, (c) => through(n, ['input_layernorm', 'self_attn'], x, c))
      return besides(attended, ctx, (c) => through(n, ['post_attention_layernorm', 'mlp'], attended, c))
    },
  },
}

/** The kind of Gemma 2's blocks. */
export const SandwichBlockKind: Kind<SandwichBlock<Layer, Layer, Layer>, 'layer', (typeof blockDims)[number]> = {
  tag: 'SandwichBlock',
  role: 'layer',
  fields: {
    input_layernorm: rmsNorm('d'),
    self_attn: sublayers.self_attn,
    post_attention_layernorm: rmsNorm('d'),
    pre_feedforward_layernorm: rmsNorm('d'),
    mlp: sublayers.mlp,
    post_feedforward_layernorm: rmsNorm('d'),
    window: fixed(0),
  },
  ops: {
    layer: (n, x, ctx) => {
      // What an adapter on a sublayer is told is what becomes of it: normed, then added.
      const attended = besides(x, ctx, (c) => through(n, ['input_layernorm', 'self_attn'], x, c), {
        before: (y) => layer(n.post_attention_layernorm, y, under(ctx, 'post_attention_layernorm')),
      })
      return besides(attended, ctx, (c) => through(n, ['pre_feedforward_layernorm', 'mlp'], attended, c), {
        before: (y) => layer(n.post_feedforward_layernorm, y, under(ctx, 'post_feedforward_layernorm')),
      })
    },
  },
}

// The window of a block that an adapter wraps is still its own.
const windowOf = (block: Layer): number => (innermost(block) as { readonly window?: number }).window ?? 0

const usualRope: AnyField = buffer(['pairs'], (_, [pairs = 1]) =>
  frequenciesOf(ropeOf({ rope_parameters: null, rope_theta: null, max_position_embeddings: 1 }, 2 * pairs)),
)

/** The kind of the bodies. */
export const DecoderKind: Kind<DecoderShell, 'model'> = {
  tag: 'Decoder',
  role: 'model',
  fields: {
    embed_tokens: node(EmbeddingKind, ['vocab', 'd']),
    layers: { _tag: 'ListField', of: node(DecoderBlockKind, blockDims), length: 'layers' },
    norm: rmsNorm('d'),
    inv_freq: usualRope,
    rope_scale: fixed(1),
  },
  ops: {
    hidden: (n, tokens, ctx) => {
      const here = at(tokens, ctx)
      const embedded = embed(n.embed_tokens, tokens, under(here, 'embed_tokens'))
      const { hidden, mask } = embedded
      const rotary = rotaryOf(positionsOf(hidden.shape[1] ?? 0, here), n.inv_freq.value, n.rope_scale)
      const windows = n.layers.map(windowOf)
      const masks = new Map([...new Set(windows)].map((window) => [window, causalMask(embedded, ctx, window)]))
      const out = throughBlocks(n.layers, hidden, under({ ...here, rotary }, 'layers'), (own, i) => {
        const seen = masks.get(windows[i] ?? 0)
        return seen === undefined ? own : { ...own, mask: seen }
      })
      return { hidden: layer(n.norm, out, under(here, 'norm')), mask }
    },
    head: (_, hidden) => hidden,
  },
}
