import { at, embed, dropout, fixed, layer, positionsOf, under } from '../kind/index.ts'
import type { Embed, Kind, Kinds, Layer, Model, Tokens } from '../kind/index.ts'
import { linear } from '../nn/index.ts'
import { add, cast, equal, matmul, mul, sub, tanh, tensor } from '../ops/index.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Bert } from './bert.ts'
import { robertaSpec } from './encoder-config.ts'
import type { RobertaConfig } from './encoder-config.ts'
import { encoderDimNames, encoderDims, summed, summedFields } from './encoder-embeddings.ts'
import type { SummedEmbeddings } from './encoder-embeddings.ts'
import { adapterSites, bodyKind, encoderKinds } from './encoder.ts'
import type { Pooling } from './encoder.ts'
import { firstTokenClassifierKind, tokenClassifierKind } from './encoder-heads.ts'
import { encoderFamilyOf } from './family-run.ts'
import type { EncoderFamily } from './family-run.ts'
import type { Family, Plan } from './family.ts'
import { node, normed } from './fields.ts'
import type { Dense } from './fields.ts'

/** Words, positions and segments added up and normed; positions count the tokens that are no padding. */
export interface RobertaEmbeddings<
  W extends Embed = Embed,
  P extends Layer = Layer,
  N extends Layer = Layer,
> extends SummedEmbeddings<W, P, N> {
  readonly _tag: 'RobertaEmbeddings'
  readonly token_type_embeddings: Embed
  readonly padding_idx: number
}

/** The head of a classifier of texts: two layers with a tanh between them. */
export interface RobertaClassificationHead<P extends Layer = Layer> extends Layer {
  readonly _tag: 'RobertaClassificationHead'
  readonly '~role'?: 'layer'
  readonly dense: P
  readonly out_proj: P
  readonly drop: number
}

/** A fresh RoBERTa without a head: every parameter trainable. */
export interface Roberta extends Omit<Bert, '_tag' | 'embeddings'> {
  readonly _tag: 'RobertaBody'
  readonly embeddings: Omit<Bert['embeddings'], '_tag'> & Pick<RobertaEmbeddings, '_tag' | 'padding_idx'>
}

/** A fresh RoBERTa that classifies texts. */
export interface RobertaClassifier extends Model {
  readonly _tag: 'RobertaClassifier'
  readonly '~role'?: 'model'
  readonly roberta: Roberta
  readonly classifier: RobertaClassificationHead<Dense>
  readonly drop: number
}

/** A fresh RoBERTa that classifies tokens. */
export interface RobertaTokenClassifier extends Model {
  readonly _tag: 'RobertaTokenClassifier'
  readonly '~role'?: 'model'
  readonly roberta: Roberta
  readonly classifier: Dense
  readonly drop: number
}

/** 1 where a column is not before its row. */
const upTo = (length: number): Tensor =>
  tensor(
    Float32Array.from({ length: length * length }, (_, i) => (i % length >= Math.floor(i / length) ? 1 : 0)),
    [length, length],
  )

/** How many tokens that are no padding there are up to each, behind the padding's own row; padding stands at that row. */
const countedPositions = ({ ids }: Tokens, padding: number, past: number): Tensor => {
  const real = cast(sub(1, equal(ids, padding)), 'float32')
  return cast(add(mul(add(matmul(real, upTo(ids.shape[1] ?? 0)), past), real), padding), 'int32')
}

const EmbeddingsKind: Kind<RobertaEmbeddings, 'embed', 'vocab' | 'length' | 'types' | 'd'> = {
  tag: 'RobertaEmbeddings',
  role: 'embed',
  fields: { ...summedFields, padding_idx: fixed(1) },
  ops: {
    embed: (n, tokens, ctx) => {
      const embedded = embed(n.word_embeddings, tokens, under(ctx, 'word_embeddings'))
      const length = embedded.hidden.shape[1] ?? 0
      const asked = at(tokens, ctx)
      // Among rows that are no tokens, nobody can tell what is padding.
      const isCounted = asked.positions === undefined && tokens.ids.shape[1] === length
      const positions = isCounted
        ? countedPositions(tokens, n.padding_idx, ctx.past?.length ?? 0)
        : positionsOf(length, asked, n.padding_idx + 1)
      return summed(n, embedded, tokens, { ...ctx, positions })
    },
  },
}

const HeadKind: Kind<RobertaClassificationHead, 'layer', 'd' | 'labels'> = {
  tag: 'RobertaClassificationHead',
  role: 'layer',
  fields: { dense: linear('d', 'd'), out_proj: linear('d', 'labels'), drop: fixed(0) },
  ops: {
    layer: (n, x, ctx) => {
      const inner = tanh(layer(n.dense, x, under(ctx, 'dense')))
      return layer(n.out_proj, dropout(inner, n.drop, 'inner', ctx), under(ctx, 'out_proj'))
    },
  },
}

const robertaBody = (config: RobertaConfig, pooling: Pooling): ReturnType<typeof bodyKind> => {
  const fields = { ...EmbeddingsKind.fields, LayerNorm: normed(config.layer_norm_eps) }
  const statics = { hidden_dropout_prob: config.hidden_dropout_prob, padding_idx: config.pad_token_id }
  const embeddings = node({ ...EmbeddingsKind, fields }, ['vocab', 'length', 'types', 'd'], statics)
  return bodyKind('RobertaBody', embeddings, config, pooling)
}

const base = (config: RobertaConfig): Plan => ({
  kind: robertaBody(config, config.add_pooling_layer ? 'unused' : 'none'),
  dims: encoderDims(config),
})

const dropOf = (config: RobertaConfig): number => config.classifier_dropout ?? config.hidden_dropout_prob

const headed = (
  config: RobertaConfig,
): { readonly body: string; readonly of: ReturnType<typeof node>; readonly drop: number } => ({
  body: 'roberta',
  of: node(robertaBody(config, 'none'), encoderDimNames),
  drop: dropOf(config),
})

const texts = (config: RobertaConfig, labels: number): Plan => ({
  kind: firstTokenClassifierKind({
    tag: 'RobertaClassifier',
    ...headed(config),
    classifier: node(HeadKind, ['d', 'labels'], { drop: dropOf(config) }),
  }),
  dims: { ...encoderDims(config), labels },
})

const tokens = (config: RobertaConfig, labels: number): Plan => ({
  kind: tokenClassifierKind({ tag: 'RobertaTokenClassifier', ...headed(config) }),
  dims: { ...encoderDims(config), labels },
})

const example: RobertaConfig = {
  ...(robertaSpec.defaults as RobertaConfig),
  num_attention_heads: 1,
  classifier_dropout: null,
}

const kinds: Kinds = {
  ...encoderKinds,
  RobertaEmbeddings: EmbeddingsKind,
  RobertaClassificationHead: HeadKind,
  RobertaBody: base(example).kind,
  RobertaClassifier: texts(example, 2).kind,
  RobertaTokenClassifier: tokens(example, 2).kind,
}

/** RoBERTa as data: its configuration, its kinds, its names in files. */
export const robertaFamily: Family<RobertaConfig> = {
  name: 'roberta',
  modelTypes: ['roberta'],
  spec: robertaSpec,
  kinds,
  plans: {
    base: { architecture: 'RobertaModel', build: base },
    'sequence-classification': { architecture: 'RobertaForSequenceClassification', build: texts },
    'token-classification': { architecture: 'RobertaForTokenClassification', build: tokens },
  },
  body: 'roberta',
  optional: { add_pooling_layer: /(^|\.)pooler\./ },
  ignored: /^(roberta\.)?(embeddings\.position_ids$|pooler\.|lm_head\.|classifier\.|qa_outputs\.)/,
  positions: 'max_position_embeddings',
  adapterSites,
}

/** The models of this family by task. */
export interface RobertaModels {
  readonly base: Roberta
  readonly 'sequence-classification': RobertaClassifier
  readonly 'token-classification': RobertaTokenClassifier
}

/**
 * RoBERTa: BERT's layers, positions that count the tokens that are no padding, and a classifier of texts with a layer more.
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `UnknownKind`.
 * @example
 * ```ts
 * import { key, roberta } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const small = { vocab_size: 50, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 16 }
 * const classifier = roberta.init(small, key(0), { task: 'sequence-classification', labels: 4 })
 * roberta.apply(classifier, tensor([[0, 7, 2]], undefined, 'int32')).shape // => [1, 4]
 * ```
 * @source Liu et al. 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach", §3; positions as transformers counts them.
 */
export const roberta: EncoderFamily<RobertaConfig, RobertaModels> = encoderFamilyOf<RobertaConfig, RobertaModels>(
  robertaFamily,
)
