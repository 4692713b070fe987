import { dropout, embed, fixed, layer, under } from '../kind/index.ts'
import type { Ctx, Dims, Embed, Embedded, Layer, Tokens } from '../kind/index.ts'
import { EmbeddingKind, PositionsKind, SegmentsKind, norm } from '../nn/index.ts'
import { add, concat, zeros } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { EncoderConfig } from './encoder.ts'
import { node } from './fields.ts'

/** Words and positions, and perhaps segments, added up and normed. */
export interface SummedEmbeddings<
  W extends Embed = Embed,
  P extends Layer = Layer,
  N extends Layer = Layer,
> extends Embed {
  readonly '~role'?: 'embed'
  readonly word_embeddings: W
  readonly position_embeddings: P
  readonly LayerNorm: N
  readonly hidden_dropout_prob: number
}

/** Segments as the tokens say, all 0 by default; rows that were put before the tokens are of segment 0. */
const typesOf = ({ ids, types }: Tokens, length: number): Tensor => {
  const [batch = 0, tokens = 0] = ids.shape
  if (types === undefined) return zeros([1, 1], 'int32')
  return length === tokens ? types : concat([zeros([batch, length - tokens], 'int32'), types], 1)
}

/** What embeddings give that add up words, positions and segments. */
export const summed = (
  n: SummedEmbeddings & { readonly token_type_embeddings?: Embed },
  { hidden, mask }: Embedded,
  tokens: Tokens,
  ctx: Ctx,
): Embedded => {
  const segments = n.token_type_embeddings
  const types = (of: Embed): Tensor =>
    embed(of, { ids: typesOf(tokens, hidden.shape[1] ?? 0) }, under(ctx, 'token_type_embeddings')).hidden
  const typed = segments === undefined ? hidden : add(hidden, types(segments))
  const placed = layer(n.position_embeddings, typed, under(ctx, 'position_embeddings'))
  const normal = layer(n.LayerNorm, placed, under(ctx, 'LayerNorm'))
  return { hidden: dropout(normal, n.hidden_dropout_prob, 'hidden', ctx), mask }
}

/** The fields of embeddings with segments. */
export const summedFields = {
  word_embeddings: node(EmbeddingKind, ['vocab', 'd']),
  position_embeddings: node(PositionsKind, ['length', 'd']),
  token_type_embeddings: { ...node(SegmentsKind, ['d']), dims: { vocab: 'types', d: 'd' } },
  LayerNorm: norm('d'),
  hidden_dropout_prob: fixed(0),
} as const

/** The lengths that an encoder of this configuration has. */
export const encoderDims = (config: EncoderConfig): Dims => ({
  vocab: config.vocab_size,
  length: config.max_position_embeddings,
  types: config.type_vocab_size,
  d: config.hidden_size,
  inner: config.intermediate_size,
  layers: config.num_hidden_layers,
})

/** The names of those lengths. */
export const encoderDimNames = ['vocab', 'length', 'types', 'd', 'inner', 'layers'] as const
