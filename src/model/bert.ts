import { at, dropout, embed, fixed, layer, under } from '../kind/index.ts'
import type { Ctx, Dims, Embed, Embedded, Kind, Kinds, Layer, Model, Tokens } from '../kind/index.ts'
import { EmbeddingKind, PositionsKind, SegmentsKind, norm } from '../nn/index.ts'
import type { Embedding, LayerNorm, Linear, Positions, Segments } from '../nn/index.ts'
import { add, concat, zeros } from '../ops/index.ts'
import type { Matrix, Table, Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { bertSpec } from './encoder-config.ts'
import type { BertConfig } from './encoder-config.ts'
import { bodyKind, encoderKinds } from './encoder.ts'
import type {
  BertAttention,
  BertEncoder,
  BertIntermediate,
  BertLayer,
  BertOutput,
  BertPooler,
  BertSelfAttention,
  BertSelfOutput,
  EncoderConfig,
  Pooling,
} from './encoder.ts'
import { pooledClassifierKind, tokenClassifierKind } from './encoder-heads.ts'
import { encoderFamilyOf } from './family-run.ts'
import type { EncoderFamily } from './family-run.ts'
import type { Family, Plan } from './family.ts'
import { node, normed } from './fields.ts'

type Dense = Linear<Matrix<'trainable'>, Vector<'trainable'>>
type Norm = LayerNorm<Vector<'trainable'>, Vector<'trainable'>>

/** Words, positions and segments added up and normed. */
export interface BertEmbeddings<
  W extends Embed = Embed,
  P extends Layer = Layer,
  N extends Layer = Layer,
> extends Embed {
  readonly _tag: 'BertEmbeddings'
  readonly '~role'?: 'embed'
  readonly word_embeddings: W
  readonly position_embeddings: P
  readonly token_type_embeddings: Embed
  readonly LayerNorm: N
  readonly hidden_dropout_prob: number
}

/** The layers of a fresh encoder. */
export type FreshEncoder = BertEncoder<
  BertLayer<
    BertAttention<BertSelfAttention<Dense>, BertSelfOutput<Dense, Norm>>,
    BertIntermediate<Dense>,
    BertOutput<Dense, Norm>
  >
>

/** A fresh BERT without a head: every parameter trainable. */
export interface Bert extends Model {
  readonly _tag: 'BertBody'
  readonly '~role'?: 'model'
  readonly embeddings: BertEmbeddings<Embedding<Table<'trainable'>>, Positions<Table<'trainable'>>, Norm> & {
    readonly token_type_embeddings: Segments<Table<'trainable'>>
  }
  readonly encoder: FreshEncoder
  readonly pooler: BertPooler<Dense> | null
  /** Whether it answers with the pooled state of each text, as a classifier wants it, and not with the state of each token. */
  readonly pooled: boolean
}

/** A fresh BERT that classifies texts, or tokens. */
export interface BertClassifier<Tag extends string = 'BertClassifier' | 'BertTokenClassifier'> extends Model {
  readonly _tag: Tag
  readonly '~role'?: 'model'
  readonly bert: Bert
  readonly classifier: Dense
  readonly drop: number
}

/** Segments as the tokens say, all 0 by default; rows that were put before the tokens are of segment 0. */
const typesOf = ({ ids, types }: Tokens, length: number): Tensor => {
  const [batch = 0, tokens = 0] = ids.shape
  if (types === undefined) return zeros([1, 1], 'int32')
  return length === tokens ? types : concat([zeros([batch, length - tokens], 'int32'), types], 1)
}

/** What embeddings give that add up words, positions and segments. */
export const summed = (
  n: Pick<BertEmbeddings, 'position_embeddings' | 'LayerNorm' | 'hidden_dropout_prob'> & {
    readonly token_type_embeddings?: Embed
  },
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
  token_type_embeddings: { _tag: 'NodeField', kind: SegmentsKind, dims: { vocab: 'types', d: 'd' }, statics: {} },
  LayerNorm: norm('d'),
  hidden_dropout_prob: fixed(0),
} as const

const EmbeddingsKind: Kind<BertEmbeddings, 'embed', 'vocab' | 'length' | 'types' | 'd'> = {
  tag: 'BertEmbeddings',
  role: 'embed',
  fields: summedFields,
  ops: {
    embed: (n, tokens, ctx) => {
      const here = at(tokens, ctx)
      return summed(n, embed(n.word_embeddings, tokens, under(here, 'word_embeddings')), tokens, here)
    },
  },
}

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

const bertBody = (config: BertConfig, pooling: Pooling): ReturnType<typeof bodyKind> => {
  const fields = { ...summedFields, LayerNorm: normed(config.layer_norm_eps) }
  const { hidden_dropout_prob } = config
  const embeddings = node({ ...EmbeddingsKind, fields }, ['vocab', 'length', 'types', 'd'], { hidden_dropout_prob })
  return bodyKind('BertBody', embeddings, config, pooling)
}

const base = (config: BertConfig): Plan => ({
  kind: bertBody(config, config.add_pooling_layer ? 'unused' : 'none'),
  dims: encoderDims(config),
})

const classifierOf =
  (tag: string, pooling: Pooling, kindOf: typeof tokenClassifierKind) =>
  (config: BertConfig, labels: number): Plan => ({
    kind: kindOf({
      tag,
      body: 'bert',
      of: node(bertBody(config, pooling), encoderDimNames),
      drop: config.classifier_dropout ?? config.hidden_dropout_prob,
    }),
    dims: { ...encoderDims(config), labels },
  })

const texts = classifierOf('BertClassifier', 'asked', pooledClassifierKind)
const tokens = classifierOf('BertTokenClassifier', 'none', tokenClassifierKind)

const example: BertConfig = { ...(bertSpec.defaults as BertConfig), num_attention_heads: 1, classifier_dropout: null }

const kinds: Kinds = {
  ...encoderKinds,
  BertEmbeddings: EmbeddingsKind,
  BertBody: base(example).kind,
  BertClassifier: texts(example, 2).kind,
  BertTokenClassifier: tokens(example, 2).kind,
}

/** BERT as data: its configuration, its kinds, its names in files. MiniLM is one. */
export const bertFamily: Family<BertConfig> = {
  name: 'bert',
  modelTypes: ['bert'],
  spec: bertSpec,
  kinds,
  plans: {
    base: { architecture: 'BertModel', build: base },
    'sequence-classification': { architecture: 'BertForSequenceClassification', build: texts },
    'token-classification': { architecture: 'BertForTokenClassification', build: tokens },
  },
  body: 'bert',
  optional: { add_pooling_layer: /(^|\.)pooler\./ },
  ignored: /^(bert\.)?(embeddings\.position_ids$|pooler\.|cls\.|classifier\.|qa_outputs\.)/,
}

/** The models of this family by task. */
export interface BertModels {
  readonly base: Bert
  readonly 'sequence-classification': BertClassifier<'BertClassifier'>
  readonly 'token-classification': BertClassifier<'BertTokenClassifier'>
}

/**
 * BERT: learned positions and segments, post-norm layers in which every token sees every other, and a pooler.
 *
 * `init` makes one from a configuration in the names of transformers; `loadPretrained` reads one from a folder. Without a head
 * `apply` gives hidden states [batch, tokens, d]; a classifier of texts gives [batch, labels], of tokens [batch, tokens, labels].
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `ContextOverflow`, `UnknownKind`.
 * @example
 * ```ts
 * import { bert, key } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const small = { vocab_size: 50, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 16 }
 * const ids = tensor([[5, 7, 9]], undefined, 'int32')
 * bert.apply(bert.init(small, key(0)), ids).shape // => [1, 3, 8]
 * const classifier = bert.init(small, key(0), { task: 'sequence-classification', labels: 4 })
 * bert.apply(classifier, ids).shape // => [1, 4]
 * ```
 * @source Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", §3.
 */
export const bert: EncoderFamily<BertConfig, BertModels> = encoderFamilyOf<BertConfig, BertModels>(bertFamily)
