import { at, embed, layer, under } from '../kind/index.ts'
import type { Dims, Embed, Kind, Kinds, Layer, Model } from '../kind/index.ts'
import { linear } from '../nn/index.ts'
import type { Embedding, Positions } from '../nn/index.ts'
import { relu } from '../ops/index.ts'
import type { Table } from '../tree/leaf.ts'
import { distilBertSpec } from './encoder-config.ts'
import type { DistilBertConfig } from './encoder-config.ts'
import { distilBertLayerKinds, normal, transformerField } from './distilbert-layers.ts'
import type { DistilBertAttention, DistilBertBlock, DistilBertFfn, DistilBertTransformer } from './distilbert-layers.ts'
import { summed, summedFields } from './encoder-embeddings.ts'
import type { SummedEmbeddings } from './encoder-embeddings.ts'
import { amongTokens } from './encoder.ts'
import { firstTokenClassifierKind, tokenClassifierKind } from './encoder-heads.ts'
import { encoderFamilyOf } from './family-run.ts'
import type { EncoderFamily } from './family-run.ts'
import { besideSublayers } from './family.ts'
import type { Family, Plan } from './family.ts'
import { node, withFields } from './fields.ts'
import type { Dense, Norm } from './fields.ts'

/** Words and positions added up and normed. */
export interface DistilBertEmbeddings<
  W extends Embed = Embed,
  P extends Layer = Layer,
  N extends Layer = Layer,
> extends SummedEmbeddings<W, P, N> {
  readonly _tag: 'DistilBertEmbeddings'
}

/** A fresh DistilBERT without a head: every parameter trainable. */
export interface DistilBert extends Model {
  readonly _tag: 'DistilBertBody'
  readonly '~role'?: 'model'
  readonly embeddings: DistilBertEmbeddings<Embedding<Table<'trainable'>>, Positions<Table<'trainable'>>, Norm>
  readonly transformer: DistilBertTransformer<DistilBertBlock<DistilBertAttention<Dense>, Norm, DistilBertFfn<Dense>>>
}

/** A fresh DistilBERT that classifies texts. */
export interface DistilBertClassifier extends Model {
  readonly _tag: 'DistilBertClassifier'
  readonly '~role'?: 'model'
  readonly distilbert: DistilBert
  readonly pre_classifier: Dense
  readonly classifier: Dense
  readonly drop: number
}

/** A fresh DistilBERT that classifies tokens. */
export interface DistilBertTokenClassifier extends Model {
  readonly _tag: 'DistilBertTokenClassifier'
  readonly '~role'?: 'model'
  readonly distilbert: DistilBert
  readonly classifier: Dense
  readonly drop: number
}

interface BodyShell extends Model {
  readonly embeddings: Embed
  readonly transformer: Layer
}

const { token_type_embeddings: _, ...embeddingFields } = summedFields

const EmbeddingsKind: Kind<DistilBertEmbeddings, 'embed', 'vocab' | 'length' | 'd'> = {
  tag: 'DistilBertEmbeddings',
  role: 'embed',
  fields: embeddingFields,
  ops: {
    embed: (n, tokens, ctx) => {
      const here = at(tokens, ctx)
      return summed(n, embed(n.word_embeddings, tokens, under(here, 'word_embeddings')), tokens, here)
    },
  },
}

const example: DistilBertConfig = { ...(distilBertSpec.defaults as DistilBertConfig), n_heads: 1 }

const BodyKind: Kind<BodyShell, 'model'> = {
  tag: 'DistilBertBody',
  role: 'model',
  fields: {
    embeddings: node(EmbeddingsKind, ['vocab', 'length', 'd']),
    transformer: transformerField(example),
  },
  ops: {
    hidden: (n, tokens, ctx) => {
      const embedded = embed(n.embeddings, tokens, under(ctx, 'embeddings'))
      const hidden = layer(n.transformer, embedded.hidden, under(amongTokens(embedded, ctx), 'transformer'))
      return { hidden, mask: embedded.mask }
    },
    head: (_n, hidden) => hidden,
  },
}

const bodyOf = (config: DistilBertConfig): typeof BodyKind => {
  const embeddings = withFields(EmbeddingsKind, { LayerNorm: normal })
  return withFields(BodyKind, {
    embeddings: node(embeddings, ['vocab', 'length', 'd'], { hidden_dropout_prob: config.dropout }),
    transformer: transformerField(config),
  })
}

const dimsOf = (config: DistilBertConfig): Dims => ({
  vocab: config.vocab_size,
  length: config.max_position_embeddings,
  d: config.dim,
  inner: config.hidden_dim,
  layers: config.n_layers,
})

const base = (config: DistilBertConfig): Plan => ({ kind: bodyOf(config), dims: dimsOf(config) })

const fieldOf = (config: DistilBertConfig): ReturnType<typeof node> =>
  node(bodyOf(config), ['vocab', 'length', 'd', 'inner', 'layers'])

const texts = (config: DistilBertConfig, labels: number): Plan => ({
  kind: firstTokenClassifierKind(
    {
      tag: 'DistilBertClassifier',
      body: 'distilbert',
      of: fieldOf(config),
      before: { pre_classifier: linear('d', 'd') },
      drop: config.seq_classif_dropout,
    },
    (n, first, ctx) => relu(layer(n['pre_classifier'] as Layer, first, under(ctx, 'pre_classifier'))),
  ),
  dims: { ...dimsOf(config), labels },
})

const tokens = (config: DistilBertConfig, labels: number): Plan => ({
  kind: tokenClassifierKind({
    tag: 'DistilBertTokenClassifier',
    body: 'distilbert',
    of: fieldOf(config),
    drop: config.dropout,
  }),
  dims: { ...dimsOf(config), labels },
})

const kinds: Kinds = {
  DistilBertEmbeddings: EmbeddingsKind,
  ...distilBertLayerKinds,
  DistilBertBody: BodyKind,
  DistilBertClassifier: texts(example, 2).kind,
  DistilBertTokenClassifier: tokens(example, 2).kind,
}

/** DistilBERT as data: its configuration, its kinds, its names in files. */
export const distilBertFamily: Family<DistilBertConfig> = {
  name: 'distilbert',
  modelTypes: ['distilbert'],
  spec: distilBertSpec,
  kinds,
  plans: {
    base: { architecture: 'DistilBertModel', build: base },
    'sequence-classification': { architecture: 'DistilBertForSequenceClassification', build: texts },
    'token-classification': { architecture: 'DistilBertForTokenClassification', build: tokens },
  },
  body: 'distilbert',
  ignored:
    /^(distilbert\.)?(embeddings\.position_ids$|vocab_(transform|layer_norm|projector)\.|(pre_)?classifier\.|qa_outputs\.)/,
  positions: 'max_position_embeddings',
  adapterSites: besideSublayers('transformer.layer', 'attention', 'ffn'),
}

/** The models of this family by task. */
export interface DistilBertModels {
  readonly base: DistilBert
  readonly 'sequence-classification': DistilBertClassifier
  readonly 'token-classification': DistilBertTokenClassifier
}

/**
 * DistilBERT: BERT without segments and pooler, in half as many blocks.
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `ContextOverflow`, `UnknownKind`.
 * @example
 * ```ts
 * import { distilbert, key } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const small = { vocab_size: 50, dim: 8, n_layers: 2, n_heads: 2, hidden_dim: 16 }
 * distilbert.apply(distilbert.init(small, key(0)), tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 8]
 * ```
 * @source Sanh et al. 2019, "DistilBERT, a distilled version of BERT", §3.
 */
export const distilbert: EncoderFamily<DistilBertConfig, DistilBertModels> = encoderFamilyOf<
  DistilBertConfig,
  DistilBertModels
>(distilBertFamily)
