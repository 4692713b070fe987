import type * as t from 'io-ts'
import { affineOf, at, embed, initialise, layer, throughBlocks, under } from '../kind/index.ts'
import type { AnyField, Ctx, Embed, Embedded, Fields, Kind, Kinds, Layer, Model, Tokens } from '../kind/index.ts'
import { AttentionKind, EmbeddingKind, MlpKind, PositionsKind, linear, norm } from '../nn/index.ts'
import type { Attention, Embedding, LayerNorm, Linear, Mlp, Positions } from '../nn/index.ts'
import type { Key } from '../tree/key.ts'
import type { Matrix, Table, Vector } from '../tree/leaf.ts'
import { besides } from './besides.ts'
import { causalMask } from './masks.ts'
import { causalRunOf } from './run.ts'
import type { CausalRun } from './run.ts'
import { ConfigCodec, requireConfig, seed } from './sllm-config.ts'
import type { SllmConfig } from './sllm-config.ts'

export type { SllmConfig }

type Dense = Linear<Matrix<'trainable'>, Vector<'trainable'> | null>
type Norm = LayerNorm<Vector<'trainable'>, Vector<'trainable'> | null>

/** The chapter's embedding block: token rows plus position rows. */
export interface EmbeddingBlock<T extends Embed = Embed, P extends Layer = Layer> extends Embed {
  readonly _tag: 'EmbeddingBlock'
  readonly '~role'?: 'embed'
  readonly token_embdgs: T
  readonly position_embdgs: P
}

/** A pre-norm transformer block: attention, then mlp, each added to what it was given. */
export interface Block<N extends Layer = Layer, A extends Layer = Layer, M extends Layer = Layer> extends Layer {
  readonly _tag: 'Block'
  readonly '~role'?: 'layer'
  readonly ln1: N
  readonly mha: A
  readonly ln2: N
  readonly mlp: M
}

/** A fresh SLLM: every parameter trainable, nothing wrapped. */
export interface Sllm extends Model {
  readonly _tag: 'Sllm'
  readonly '~role'?: 'model'
  readonly embedding_block: EmbeddingBlock<Embedding<Table<'trainable'>>, Positions<Table<'trainable'>>>
  readonly transformer_blocks: readonly SllmBlock[]
  readonly final_norm: Norm
  readonly out_head: Dense
}

/** A block of a fresh SLLM. */
export interface SllmBlock extends Block<Norm, Attention<Dense>, Mlp<Dense>> {}

/** Any SLLM, adapted in whatever way: what `apply` takes. */
export type AnySllm = SllmShell | WrappedSllm

/** An SLLM that something wraps as a whole, such as a prefix. */
export interface WrappedSllm extends Model {
  readonly base: Model
}

/** An SLLM of which only the roles of its parts are known. */
export interface SllmShell extends Model {
  readonly _tag: 'Sllm'
  readonly '~role'?: 'model'
  readonly embedding_block: Embed
  readonly transformer_blocks: readonly Layer[]
  readonly final_norm: Layer
  readonly out_head: Layer
}

const EmbeddingBlockKind: Kind<EmbeddingBlock, 'embed', 'vocab' | 'length' | 'd'> = {
  tag: 'EmbeddingBlock',
  role: 'embed',
  fields: {
    token_embdgs: { _tag: 'NodeField', kind: EmbeddingKind, dims: { vocab: 'vocab', d: 'd' }, statics: {} },
    position_embdgs: { _tag: 'NodeField', kind: PositionsKind, dims: { length: 'length', d: 'd' }, statics: {} },
  },
  ops: {
    embed: (n, tokens, ctx) => {
      const { hidden, mask } = embed(n.token_embdgs, tokens, ctx)
      return { hidden: layer(n.position_embdgs, hidden, ctx), mask }
    },
  },
}

const blockKind = ({ bias, n_heads, dropout }: SllmConfig): Kind<Block, 'layer', 'd' | 'heads' | 'd_head'> => {
  const dense = (i: string, o: string): AnyField => (bias ? linear(i, o) : linear(i, o, { bias: false }))
  const normed: AnyField = bias ? norm('d') : norm('d', { shift: false })
  const wide = dense('d', 'heads*d_head')
  const mha = { ...AttentionKind, fields: { ...AttentionKind.fields, Wq: wide, Wk: wide, Wv: wide } }
  const mlp = { ...MlpKind, fields: { ...MlpKind.fields, ln_1: dense('d', 'd'), c_proj: dense('d', 'd') } }
  const all = { d: 'd', heads: 'heads', d_head: 'd_head' }
  return {
    tag: 'Block',
    role: 'layer',
    fields: {
      ln1: normed,
      mha: { _tag: 'NodeField', kind: mha, dims: all, statics: { heads: n_heads } },
      ln2: normed,
      mlp: { _tag: 'NodeField', kind: mlp, dims: { d: 'd' }, statics: { dropout } },
    },
    ops: {
      layer: (n, x, ctx) => {
        const attended = besides(x, ctx, (c) => layer(n.mha, layer(n.ln1, x, under(c, 'ln1')), under(c, 'mha')))
        return besides(attended, ctx, (c) => layer(n.mlp, layer(n.ln2, attended, under(c, 'ln2')), under(c, 'mlp')))
      },
    },
  }
}

const fieldsOf = (config: SllmConfig): Fields => ({
  embedding_block: {
    _tag: 'NodeField',
    kind: EmbeddingBlockKind,
    dims: { vocab: 'vocab_size', length: 'context_window', d: 'd_model' },
    statics: {},
  },
  transformer_blocks: {
    _tag: 'ListField',
    of: {
      _tag: 'NodeField',
      kind: blockKind(config),
      dims: { d: 'd_model', heads: 'n_heads', d_head: 'd_head' },
      statics: {},
    },
    length: 'n_layers',
  },
  final_norm: config.bias ? norm('d_model') : norm('d_model', { shift: false }),
  out_head: linear('d_model', 'vocab_size'),
})

const body = (model: SllmShell, tokens: Tokens, ctx: Ctx): Embedded => {
  const here = at(tokens, ctx)
  const embedded = embed(model.embedding_block, tokens, under(here, 'embedding_block'))
  const seen = { ...here, mask: causalMask(embedded, ctx) }
  const out = throughBlocks(model.transformer_blocks, embedded.hidden, under(seen, 'transformer_blocks'))
  return { hidden: layer(model.final_norm, out, ctx), mask: embedded.mask }
}

const sllmKind = (config: SllmConfig): Kind<SllmShell, 'model'> => ({
  tag: 'Sllm',
  role: 'model',
  fields: fieldsOf(config),
  ops: {
    causal: true,
    hidden: body,
    head: (m, h, ctx) => layer(m.out_head, h, ctx),
    affine: (m, h, ctx) => affineOf('layer', m.out_head, h, ctx),
  },
})

// With every bias a model may have: the check takes null for a vector, but nothing for an absent field.
const kind: Kind<SllmShell, 'model'> = sllmKind({ ...seed, bias: true })
const own: Kinds = { Sllm: kind, Block: blockKind({ ...seed, bias: true }), EmbeddingBlock: EmbeddingBlockKind }

const init = (config: SllmConfig, key: Key): Sllm => {
  requireConfig(config)
  const { d_model, d_head, context_window, n_heads, vocab_size, n_layers } = config
  const dims = { d_model, d_head, context_window, n_heads, vocab_size, n_layers }
  return initialise(sllmKind(config), dims, key) as Sllm
}

/**
 * The small GPT-like model of the chapter: learned positions, pre-norm blocks, causal attention, an untied head.
 *
 * `init` makes one; `apply` gives logits [batch, n + tokens, vocab], rows of a soft prompt of length n first;
 * `nextLogits` only those of the token that follows [batch, vocab]; `loss` the language-model loss.
 *
 * @throws EspalierError `BadConfig`, `BadDimension`, `ShapeMismatch`, `ContextOverflow`, `UnknownKind`.
 * @example
 * ```ts
 * import { sllm, key } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const model = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * sllm.apply(model, tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 100]
 * ```
 */
export const sllm: CausalRun<AnySllm> & {
  readonly config: { readonly seed: SllmConfig; readonly codec: t.Type<SllmConfig> }
  readonly kind: Kind<SllmShell, 'model'>
  readonly kinds: Kinds
  /** A fresh model, wholly trainable. Errors: `BadConfig`. */
  readonly init: (config: SllmConfig, key: Key) => Sllm
} = { config: { seed, codec: ConfigCodec }, kind, kinds: own, init, ...causalRunOf<AnySllm>(own) }
