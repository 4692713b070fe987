import * as t from 'io-ts'
import { Epsilon, PositiveWhole, Rate, Whole } from '../kind/number-codecs.ts'
import type { ActivationName } from '../nn/index.ts'
import { Activation, LayerCount, headIssues, orNull } from './hub-config.ts'
import type { ConfigSpec } from './hub-config.ts'

/** What BERT needs to know of its configuration, in the names of transformers. */
export interface BertConfig {
  readonly vocab_size: number
  readonly hidden_size: number
  readonly num_hidden_layers: number
  readonly num_attention_heads: number
  readonly intermediate_size: number
  readonly hidden_act: ActivationName
  readonly hidden_dropout_prob: number
  readonly attention_probs_dropout_prob: number
  readonly max_position_embeddings: number
  readonly type_vocab_size: number
  readonly layer_norm_eps: number
  /** Dropout before the classifier; null for `hidden_dropout_prob`. */
  readonly classifier_dropout: number | null
  /** Whether an encoder without a head has a pooler; absent from files, whose weights tell. */
  readonly add_pooling_layer: boolean
}

/** Reads the configuration of a BERT. */
export const bertSpec: ConfigSpec<BertConfig> = {
  props: {
    vocab_size: PositiveWhole,
    hidden_size: PositiveWhole,
    num_hidden_layers: LayerCount,
    num_attention_heads: PositiveWhole,
    intermediate_size: PositiveWhole,
    hidden_act: Activation,
    hidden_dropout_prob: Rate,
    attention_probs_dropout_prob: Rate,
    max_position_embeddings: PositiveWhole,
    type_vocab_size: PositiveWhole,
    layer_norm_eps: Epsilon,
    classifier_dropout: orNull(Rate),
    add_pooling_layer: t.boolean,
  },
  defaults: {
    vocab_size: 30522,
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    intermediate_size: 3072,
    hidden_act: 'gelu',
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.1,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    layer_norm_eps: 1e-12,
    add_pooling_layer: true,
  },
  check: ({ hidden_size, num_attention_heads }) => headIssues('hidden_size', hidden_size, num_attention_heads),
  only: { is_decoder: [false], position_embedding_type: ['absolute'] },
  // Only a language-model head is tied; the poolers of the first release were never built in transformers.
  harmless: `tie_word_embeddings directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers
    pooler_size_per_head pooler_type`.split(/\s+/),
}

/** What RoBERTa needs to know of its configuration besides. */
export interface RobertaConfig extends BertConfig {
  /** The id of padding, at whose row the table of positions begins. */
  readonly pad_token_id: number
}

/** Reads the configuration of a RoBERTa. */
export const robertaSpec: ConfigSpec<RobertaConfig> = {
  ...bertSpec,
  props: { ...bertSpec.props, pad_token_id: Whole },
  defaults: { ...bertSpec.defaults, vocab_size: 50265, pad_token_id: 1 },
}

/** What DistilBERT needs to know of its configuration, in the names of transformers. */
export interface DistilBertConfig {
  readonly vocab_size: number
  readonly max_position_embeddings: number
  readonly n_layers: number
  readonly n_heads: number
  readonly dim: number
  readonly hidden_dim: number
  readonly dropout: number
  readonly attention_dropout: number
  readonly activation: ActivationName
  readonly seq_classif_dropout: number
}

/** Reads the configuration of a DistilBERT. */
export const distilBertSpec: ConfigSpec<DistilBertConfig> = {
  props: {
    vocab_size: PositiveWhole,
    max_position_embeddings: PositiveWhole,
    n_layers: LayerCount,
    n_heads: PositiveWhole,
    dim: PositiveWhole,
    hidden_dim: PositiveWhole,
    dropout: Rate,
    attention_dropout: Rate,
    activation: Activation,
    seq_classif_dropout: Rate,
  },
  defaults: {
    vocab_size: 30522,
    max_position_embeddings: 512,
    n_layers: 6,
    n_heads: 12,
    dim: 768,
    hidden_dim: 3072,
    dropout: 0.1,
    attention_dropout: 0.1,
    activation: 'gelu',
    seq_classif_dropout: 0.2,
  },
  check: ({ dim, n_heads }) => headIssues('dim', dim, n_heads),
  aliases: { hidden_size: 'dim', num_attention_heads: 'n_heads', num_hidden_layers: 'n_layers' },
  // Sinusoids are what the table of positions begins as; files hold the table.
  harmless: ['tie_word_embeddings', 'tie_weights_', 'qa_dropout', 'sinusoidal_pos_embds', 'output_past'],
}
