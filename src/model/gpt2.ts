import { at, dropout, embed, fixed, layer, throughBlocks, under } from '../kind/index.ts'
import type { AnyField, Ctx, Dims, Embed, Kind, Kinds, Layer, Model, NodeField, Tokens } from '../kind/index.ts'
import { EmbeddingKind, PositionsKind, activate, attend, linear, norm, splitHeads } from '../nn/index.ts'
import type { ActivationName, Embedding, Linear, Positions, TiedHead } from '../nn/index.ts'
import { add, slice } from '../ops/index.ts'
import type { Matrix, Table } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { besides } from './besides.ts'
import { gpt2Spec } from './gpt2-config.ts'
import type { Gpt2Config } from './gpt2-config.ts'
import { causalFamilyOf } from './family-run.ts'
import type { CausalFamily } from './family-run.ts'
import { besideSublayers } from './family.ts'
import type { Family, Plan } from './family.ts'
import { fixedAll, node, normed, withFields } from './fields.ts'
import type { Dense, Norm } from './fields.ts'
import { languageModelKind, sequenceClassifierKind } from './heads.ts'
import { causalMask } from './masks.ts'

export type { Gpt2Config }

/** Attention whose queries, keys and values are one projection, `c_attn` [d, 3·d]. */
export interface Gpt2Attention<P extends Layer = Layer> extends Layer {
  readonly _tag: 'Gpt2Attention'
  readonly '~role'?: 'layer'
  readonly c_attn: P
  readonly c_proj: P
  readonly heads: number
  readonly scale: number
  readonly attn_pdrop: number
  readonly resid_pdrop: number
}

/** GPT-2's feed-forward layer. */
export interface Gpt2Mlp<P extends Layer = Layer> extends Layer {
  readonly _tag: 'Gpt2Mlp'
  readonly '~role'?: 'layer'
  readonly c_fc: P
  readonly c_proj: P
  readonly activation: ActivationName
  readonly resid_pdrop: number
}

declare module '../kind/kind.ts' {
  interface Sublayers {
    readonly Gpt2Attention: 'attention'
    readonly Gpt2Mlp: 'feedForward'
  }
}

/** A block of GPT-2: attention, then mlp, each after a norm and added to what it was given. */
export interface Gpt2Block<N extends Layer = Layer, A extends Layer = Layer, M extends Layer = Layer> extends Layer {
  readonly _tag: 'Gpt2Block'
  readonly '~role'?: 'layer'
  readonly ln_1: N
  readonly attn: A
  readonly ln_2: N
  readonly mlp: M
}

/** The body of a fresh GPT-2. */
export interface Gpt2Body extends Model {
  readonly _tag: 'Gpt2Body'
  readonly '~role'?: 'model'
  readonly wte: Embedding<Table<'trainable'>>
  readonly wpe: Positions<Table<'trainable'>>
  readonly h: readonly Gpt2Block<Norm, Gpt2Attention<Dense>, Gpt2Mlp<Dense>>[]
  readonly ln_f: Norm
  readonly embd_pdrop: number
}

/** A fresh GPT-2 language model: every parameter trainable, its head the table of embeddings. */
export interface Gpt2 extends Model {
  readonly _tag: 'Gpt2'
  readonly '~role'?: 'model'
  readonly transformer: Gpt2Body
  readonly lm_head: TiedHead<Table<'trainable'>> | Linear<Matrix<'trainable'>, null>
  readonly cap: number
}

/** A fresh GPT-2 that classifies texts by their last token. */
export interface Gpt2Classifier extends Model {
  readonly _tag: 'Gpt2Classifier'
  readonly '~role'?: 'model'
  readonly transformer: Gpt2Body
  readonly score: Linear<Matrix<'trainable'>, null>
  /** The id of padding; -1 for none. */
  readonly pad: number
}

/** The models of this family by task. */
export interface Gpt2Models {
  readonly base: Gpt2Body
  readonly 'causal-lm': Gpt2
  readonly 'sequence-classification': Gpt2Classifier
}

interface BodyShell extends Model {
  readonly wte: Embed
  readonly wpe: Layer
  readonly h: readonly Layer[]
  readonly ln_f: Layer
  readonly embd_pdrop: number
}

const AttentionKind: Kind<Gpt2Attention, 'layer', 'd'> = {
  tag: 'Gpt2Attention',
  role: 'layer',
  sublayer: 'attention',
  projections: ['c_attn'],
  fields: {
    c_attn: linear('d', '3*d'),
    c_proj: linear('d', 'd'),
    heads: fixed(1),
    scale: fixed(1),
    attn_pdrop: fixed(0),
    resid_pdrop: fixed(0),
  },
  ops: {
    layer: (n, x, ctx) => {
      const fused = layer(n.c_attn, x, under(ctx, 'c_attn'))
      const [batch = 0, length = 0, width = 0] = fused.shape
      const d = width / 3
      const part = (i: number): Tensor => splitHeads(slice(fused, [0, 0, i * d], [batch, length, d]), n.heads)
      const [q, k, v] = [part(0), part(1), part(2)]
      const y = attend({ q, k, v, scale: n.scale, drop: n.attn_pdrop }, ctx)
      return dropout(layer(n.c_proj, y, under(ctx, 'c_proj')), n.resid_pdrop, 'resid', ctx)
    },
  },
}

const MlpKind: Kind<Gpt2Mlp, 'layer', 'd' | 'inner'> = {
  tag: 'Gpt2Mlp',
  role: 'layer',
  sublayer: 'feedForward',
  fields: {
    c_fc: linear('d', 'inner'),
    c_proj: linear('inner', 'd'),
    activation: fixed('gelu_new'),
    resid_pdrop: fixed(0),
  },
  ops: {
    layer: (n, x, ctx) => {
      const y = activate(n.activation, layer(n.c_fc, x, under(ctx, 'c_fc')))
      return dropout(layer(n.c_proj, y, under(ctx, 'c_proj')), n.resid_pdrop, 'resid', ctx)
    },
  },
}

const BlockKind: Kind<Gpt2Block, 'layer', 'd' | 'inner'> = {
  tag: 'Gpt2Block',
  role: 'layer',
  fields: {
    ln_1: norm('d'),
    attn: node(AttentionKind, ['d']),
    ln_2: norm('d'),
    mlp: node(MlpKind, ['d', 'inner']),
  },
  ops: {
    layer: (n, x, ctx) => {
      const attended = besides(x, ctx, (c) => layer(n.attn, layer(n.ln_1, x, under(c, 'ln_1')), under(c, 'attn')))
      return besides(attended, ctx, (c) => layer(n.mlp, layer(n.ln_2, attended, under(c, 'ln_2')), under(c, 'mlp')))
    },
  },
}

// Segments are rows of the same table; what stands before the tokens is of none.
const segmented = (wte: Embed, hidden: Tensor, { ids, types }: Tokens, ctx: Ctx): Tensor =>
  types === undefined || hidden.shape[1] !== ids.shape[1]
    ? hidden
    : add(hidden, embed(wte, { ids: types }, under(ctx, 'wte')).hidden)

const BodyKind: Kind<BodyShell, 'model'> = {
  tag: 'Gpt2Body',
  role: 'model',
  fields: {
    wte: node(EmbeddingKind, ['vocab', 'd']),
    wpe: node(PositionsKind, ['length', 'd']),
    h: { _tag: 'ListField', of: node(BlockKind, ['d', 'inner']), length: 'layers' },
    ln_f: norm('d'),
    embd_pdrop: fixed(0),
  },
  ops: {
    hidden: (n, tokens, ctx) => {
      const here = at(tokens, ctx)
      const { hidden, mask } = embed(n.wte, tokens, under(here, 'wte'))
      const typed = segmented(n.wte, hidden, tokens, here)
      const placed = dropout(layer(n.wpe, typed, under(here, 'wpe')), n.embd_pdrop, 'embd', ctx)
      const seen = { ...here, mask: causalMask({ hidden, mask }, ctx) }
      const out = throughBlocks(n.h, placed, under(seen, 'h'))
      return { hidden: layer(n.ln_f, out, under(here, 'ln_f')), mask }
    },
    head: (_, hidden) => hidden,
  },
}

/** The body as a configuration has it: which kinds are in it never depends on that, only their plain data does. */
const bodyKind = (config: Gpt2Config): typeof BodyKind => {
  const { resid_pdrop, attn_pdrop, embd_pdrop, n_head: heads, activation_function: activation } = config
  const normal = normed(config.layer_norm_epsilon)
  const root = config.scale_attn_weights ? 1 / Math.sqrt(config.n_embd / heads) : 1
  const block = (i: number): AnyField => {
    const scale = root / (config.scale_attn_by_inverse_layer_idx ? i + 1 : 1)
    const fields = {
      ln_1: normal,
      attn: node(AttentionKind, ['d'], { heads, scale, attn_pdrop, resid_pdrop }),
      ln_2: normal,
      mlp: node(MlpKind, ['d', 'inner'], { activation, resid_pdrop }),
    }
    return node(withFields(BlockKind, fields), ['d', 'inner'])
  }
  const each = Array.from({ length: config.n_layer }, (_, i) => block(i))
  return withFields(BodyKind, {
    h: { _tag: 'ListField', of: node(BlockKind, ['d', 'inner']), length: 'layers', each },
    ln_f: normal,
    ...fixedAll({ embd_pdrop }),
  })
}

const bodyField = (config: Gpt2Config): NodeField => node(bodyKind(config), ['vocab', 'length', 'd', 'inner', 'layers'])
const dimsOf = (config: Gpt2Config): Dims => ({
  vocab: config.vocab_size,
  length: config.n_positions,
  d: config.n_embd,
  inner: config.n_inner ?? 4 * config.n_embd,
  layers: config.n_layer,
})

const base = (config: Gpt2Config): Plan => ({ kind: bodyKind(config), dims: dimsOf(config) })

const causal = (config: Gpt2Config): Plan => ({
  kind: languageModelKind({
    tag: 'Gpt2',
    body: 'transformer',
    of: bodyField(config),
    d: 'd',
    vocab: 'vocab',
    tied: config.tie_word_embeddings,
  }),
  dims: dimsOf(config),
  ...(config.tie_word_embeddings ? { ties: { 'lm_head.weight': 'transformer.wte.weight' } } : {}),
})

const classifier = (config: Gpt2Config, labels: number): Plan => ({
  kind: sequenceClassifierKind({
    tag: 'Gpt2Classifier',
    body: 'transformer',
    of: bodyField(config),
    d: 'd',
    pad: config.pad_token_id,
  }),
  dims: { ...dimsOf(config), labels },
})

const example: Gpt2Config = { ...(gpt2Spec.defaults as Gpt2Config), n_inner: null, pad_token_id: null }

const kinds: Kinds = {
  Gpt2Attention: AttentionKind,
  Gpt2Mlp: MlpKind,
  Gpt2Block: BlockKind,
  Gpt2Body: BodyKind,
  Gpt2: causal(example).kind,
  Gpt2Classifier: classifier(example, 2).kind,
}

/** GPT-2 as data: its configuration, its kinds, its names in files. */
export const gpt2Family: Family<Gpt2Config> = {
  name: 'gpt2',
  modelTypes: ['gpt2'],
  spec: gpt2Spec,
  kinds,
  plans: {
    base: { architecture: 'GPT2Model', build: base },
    'causal-lm': { architecture: 'GPT2LMHeadModel', build: causal },
    'sequence-classification': { architecture: 'GPT2ForSequenceClassification', build: classifier },
  },
  body: 'transformer',
  untransposed: /(^|\.)h\.\d+\.(attn|mlp)\./,
  ignored: /(^|\.)h\.\d+\.attn\.(bias|masked_bias)$/,
  positions: 'n_positions',
  mlx: true,
  adapterSites: besideSublayers('h', 'attn', 'mlp'),
}

/**
 * GPT-2: learned positions, pre-norm blocks, causal attention of one projection, a head that is the table of embeddings.
 *
 * `init` makes one from a configuration in the names of transformers; `loadPretrained` reads one from a folder.
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `ContextOverflow`, `UnknownKind`.
 * @example
 * ```ts
 * import { gpt2, count, key } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const model = gpt2.init({ vocab_size: 50, n_positions: 16, n_embd: 8, n_layer: 2, n_head: 2 }, key(0))
 * gpt2.apply(model, tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 50]
 * ```
 * @source Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", §2.3.
 */
export const gpt2: CausalFamily<Gpt2Config, Gpt2Models> = causalFamilyOf<Gpt2Config, Gpt2Models>(gpt2Family)
