import { at, embed, under } from '../kind/index.ts'
import type { Embed, Kind, Kinds, Layer, Model } from '../kind/index.ts'
import type { Embedding, Positions, Segments } from '../nn/index.ts'
import type { Table } from '../tree/leaf.ts'
import { bertSpec } from './encoder-config.ts'
import type { BertConfig } from './encoder-config.ts'
import { encoderDimNames, encoderDims, summed, summedFields } from './encoder-embeddings.ts'
import type { SummedEmbeddings } from './encoder-embeddings.ts'
import { adapterSites, bodyKind, encoderKinds } from './encoder.ts'
import type {
  BertAttention,
  BertEncoder,
  BertIntermediate,
  BertLayer,
  BertOutput,
  BertPooler,
  BertSelfAttention,
  BertSelfOutput,
  Pooling,
} from './encoder.ts'
import { pooledClassifierKind, tokenClassifierKind } from './encoder-heads.ts'
import { encoderFamilyOf } from './family-run.ts'
import type { EncoderFamily } from './family-run.ts'
import type { Family, Plan } from './family.ts'
import { node, normed } from './fields.ts'
import type { Dense, Norm } from './fields.ts'

/** Words, positions and segments added up and normed. */
export interface BertEmbeddings<
  W extends Embed = Embed,
  P extends Layer = Layer,
  N extends Layer = Layer,
> extends SummedEmbeddings<W, P, N> {
  readonly _tag: 'BertEmbeddings'
  readonly token_type_embeddings: Embed
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
  positions: 'max_position_embeddings',
  adapterSites,
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
