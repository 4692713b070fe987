import type * as t from 'io-ts'
import { atLayer, embed, headOf, hiddenOf, initialise, layer, runModel, under } from '../kind/index.ts'
import type { AnyField, Ctx, Embed, Embedded, Fields, Kind, Kinds, Layer, Model, Tokens } from '../kind/index.ts'
import { AttentionKind, EmbeddingKind, MlpKind, PositionsKind, context, linear, norm } from '../nn/index.ts'
import type { Attention, Embedding, LayerNorm, Linear, Mlp, Positions } from '../nn/index.ts'
import {
  add,
  argmax,
  concat,
  crossEntropy,
  full,
  mul,
  ones,
  reshape,
  scope,
  slice,
  takeRows,
  tensor,
} from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import type { Matrix, Table, Vector } from '../tree/leaf.ts'
import { isTensor } from '../tree/tensor.ts'
import type { DType, Tensor } from '../tree/tensor.ts'
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
        const attended = add(x, layer(n.mha, layer(n.ln1, x, under(ctx, 'ln1')), under(ctx, 'mha')))
        return add(attended, layer(n.mlp, layer(n.ln2, attended, under(ctx, 'ln2')), under(ctx, 'mlp')))
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

/** 1 where a query may see a key: the past, and keys up to its own position that are not padding; [batch or 1, 1, length, past + length]. */
const causalMask = (length: number, padding: Tensor | undefined, past: number): Tensor => {
  const width = past + length
  const below = new Float32Array(length * width)
  for (let i = 0; i < length; i++) below.fill(1, i * width, i * width + past + i + 1)
  const causal = tensor(below, [1, 1, length, width])
  if (padding === undefined) return causal
  const batch = padding.shape[0] ?? 0
  const seen = past === 0 ? padding : concat([ones([batch, past], padding.dtype), padding], 1)
  return mul(causal, reshape(seen, [batch, 1, 1, width]))
}

const lengthOf = (hidden: Tensor): number => hidden.shape[1] ?? 0

const body = (model: SllmShell, tokens: Tokens, ctx: Ctx): Embedded => {
  const { hidden, mask } = embed(model.embedding_block, tokens, under(ctx, 'embedding_block'))
  const seen = { ...ctx, mask: causalMask(lengthOf(hidden), mask, ctx.past?.length ?? 0) }
  const out = model.transformer_blocks.reduce(
    (h, block, i) => layer(block, h, atLayer(under(under(seen, 'transformer_blocks'), i), i)),
    hidden,
  )
  return { hidden: layer(model.final_norm, out, ctx), mask }
}

const sllmKind = (config: SllmConfig): Kind<SllmShell, 'model'> => ({
  tag: 'Sllm',
  role: 'model',
  fields: fieldsOf(config),
  ops: { hidden: body, head: (m, h, ctx) => layer(m.out_head, h, ctx) },
})

// With every bias a model may have: the check takes null for a vector, but nothing for an absent field.
const kind: Kind<SllmShell, 'model'> = sllmKind({ ...seed, bias: true })
const own: Kinds = { Sllm: kind, Block: blockKind({ ...seed, bias: true }), EmbeddingBlock: EmbeddingBlockKind }

const inputOf = (input: Tensor | Tokens): Tokens => {
  const tokens: Tokens = isTensor(input) ? { ids: input } : input
  const [batch = 0, length = 0] = requireTokens('ids', tokens?.ids, 'int32')
  if (tokens.mask !== undefined) requireTokens('mask', tokens.mask, undefined, [batch, length])
  return tokens
}

/** The shape of a tensor that must be [batch, tokens], or like another one that is. */
const requireTokens = (path: string, x: unknown, dtype?: DType, like?: readonly number[]): readonly number[] => {
  const good =
    isTensor(x) &&
    (dtype === undefined || x.dtype === dtype) &&
    (like === undefined ? x.shape.length === 2 && x.size > 0 : x.shape.join() === like.join())
  if (good) return x.shape
  throw new EspalierError([
    {
      _tag: 'ShapeMismatch',
      path,
      expected: [dtype, like === undefined ? '[batch, tokens], neither of them 0' : `[${like.join(', ')}]`]
        .filter(Boolean)
        .join(' '),
      found: isTensor(x) ? `${x.dtype} [${x.shape.join(', ')}]` : Array.isArray(x) ? 'an array' : String(x),
      hint: `Make ${path} with tensor([[…]], undefined, "${dtype ?? 'int32'}").`,
    },
  ])
}

const init = (config: SllmConfig, key: Key): Sllm => {
  requireConfig(config)
  const { d_model, d_head, context_window, n_heads, vocab_size, n_layers } = config
  const dims = { d_model, d_head, context_window, n_heads, vocab_size, n_layers }
  return initialise(sllmKind(config), dims, key) as Sllm
}

// What a run of the model makes on the way is freed at its end; a tape that wants it later keeps it.
const tidy =
  <A extends readonly unknown[], R>(run: (...args: A) => R) =>
  (...args: A): R =>
    scope(() => run(...args))

const apply = (model: AnySllm, input: Tensor | Tokens, ctx?: Partial<Ctx>): Tensor =>
  runModel(model, inputOf(input), context(ctx, own))

const hidden = (model: AnySllm, input: Tensor | Tokens, ctx?: Partial<Ctx>): Embedded =>
  hiddenOf(model, inputOf(input), context(ctx, own))

/** The hidden state [batch, d] at the last position that is not padding. */
const lastHidden = (model: AnySllm, input: Tensor | Tokens, ctx?: Partial<Ctx>): Tensor => {
  const { hidden: h, mask } = hidden(model, input, ctx)
  const [batch = 0, length = 0] = h.shape
  if (mask === undefined) return takeRows(h, full([batch], length - 1, 'int32'))
  const order = tensor(
    Float32Array.from({ length }, (_, i) => i + 1),
    [1, length],
  )
  return takeRows(h, argmax(mul(mask, order)))
}

const nextLogits = (model: AnySllm, input: Tensor | Tokens, ctx?: Partial<Ctx>): Tensor =>
  headOf(model, lastHidden(model, input, ctx), context(ctx, own))

/** Mean cross-entropy of each next token; `labels` [batch, tokens] lie beside `ids`, −100 does not count. */
const loss = (model: AnySllm, batch: Tokens & { readonly labels: Tensor }, ctx?: Partial<Ctx>): Tensor => {
  const { ids } = inputOf(batch)
  requireTokens('labels', batch.labels, 'int32', ids.shape)
  const { hidden: h } = hidden(model, batch, ctx)
  const [rows = 0, length = 0, d = 0] = h.shape
  const virtual = length - lengthOf(batch.ids)
  const labels = virtual === 0 ? batch.labels : concat([full([rows, virtual], -100, 'int32'), batch.labels], 1)
  const from = reshape(slice(h, [0, 0, 0], [rows, length - 1, d]), [rows * (length - 1), d])
  const to = reshape(slice(labels, [0, 1], [rows, length - 1]), [rows * (length - 1)])
  return crossEntropy(headOf(model, from, context(ctx, own)), to)
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
export const sllm: {
  readonly config: { readonly seed: SllmConfig; readonly codec: t.Type<SllmConfig> }
  readonly kind: Kind<SllmShell, 'model'>
  readonly kinds: Kinds
  /** A fresh model, wholly trainable. Errors: `BadConfig`. */
  readonly init: (config: SllmConfig, key: Key) => Sllm
  /** Logits [batch, n + tokens, vocab], the n rows of a soft prompt first. */
  readonly apply: (model: AnySllm, input: Tensor | Tokens, ctx?: Partial<Ctx>) => Tensor
  /** Hidden states [batch, n + tokens, d_model] after the last norm, and their mask. */
  readonly hidden: (model: AnySllm, input: Tensor | Tokens, ctx?: Partial<Ctx>) => Embedded
  /** The hidden state [batch, d_model] at the last position that is not padding. */
  readonly lastHidden: (model: AnySllm, input: Tensor | Tokens, ctx?: Partial<Ctx>) => Tensor
  /** Logits [batch, vocab] of the token that follows each text. */
  readonly nextLogits: (model: AnySllm, input: Tensor | Tokens, ctx?: Partial<Ctx>) => Tensor
  /** Mean cross-entropy of each next token, a scalar; `labels` int32 [batch, tokens], -100 where nothing is learnt. */
  readonly loss: (model: AnySllm, batch: Tokens & { readonly labels: Tensor }, ctx?: Partial<Ctx>) => Tensor
} = {
  config: { seed, codec: ConfigCodec },
  kind,
  kinds: own,
  init,
  apply: tidy(apply),
  hidden: tidy(hidden),
  lastHidden: tidy(lastHidden),
  nextLogits: tidy(nextLogits),
  loss: tidy(loss),
}
