import * as t from 'io-ts'
import { Epsilon, Finite, PositiveWhole, Rate } from '../kind/number-codecs.ts'
import type { ActivationName } from '../nn/index.ts'
import { Activation, LayerCount, headIssues, orNull } from './hub-config.ts'
import type { ConfigSpec } from './hub-config.ts'

/** What GPT-2 needs to know of its configuration, in the names of transformers. */
export interface Gpt2Config {
  readonly vocab_size: number
  readonly n_positions: number
  readonly n_embd: number
  readonly n_layer: number
  readonly n_head: number
  /** Width of the feed-forward layers; null for 4 × n_embd. */
  readonly n_inner: number | null
  readonly activation_function: ActivationName
  readonly resid_pdrop: number
  readonly embd_pdrop: number
  readonly attn_pdrop: number
  readonly layer_norm_epsilon: number
  readonly scale_attn_weights: boolean
  readonly scale_attn_by_inverse_layer_idx: boolean
  readonly tie_word_embeddings: boolean
  readonly pad_token_id: number | null
}

/** Reads the configuration of a GPT-2. */
export const gpt2Spec: ConfigSpec<Gpt2Config> = {
  props: {
    vocab_size: PositiveWhole,
    n_positions: PositiveWhole,
    n_embd: PositiveWhole,
    n_layer: LayerCount,
    n_head: PositiveWhole,
    n_inner: orNull(PositiveWhole),
    activation_function: Activation,
    resid_pdrop: Rate,
    embd_pdrop: Rate,
    attn_pdrop: Rate,
    layer_norm_epsilon: Epsilon,
    scale_attn_weights: t.boolean,
    scale_attn_by_inverse_layer_idx: t.boolean,
    tie_word_embeddings: t.boolean,
    pad_token_id: orNull(Finite),
  },
  defaults: {
    vocab_size: 50257,
    n_positions: 1024,
    n_embd: 768,
    n_layer: 12,
    n_head: 12,
    activation_function: 'gelu_new',
    resid_pdrop: 0.1,
    embd_pdrop: 0.1,
    attn_pdrop: 0.1,
    layer_norm_epsilon: 1e-5,
    scale_attn_weights: true,
    scale_attn_by_inverse_layer_idx: false,
    tie_word_embeddings: true,
  },
  check: ({ n_embd, n_head }) => headIssues('n_embd', n_embd, n_head),
  // Only in mixed precision does the order of attention's products matter.
  harmless: [
    'n_ctx',
    'reorder_and_upcast_attn',
    'summary_activation',
    'summary_first_dropout',
    'summary_proj_to_labels',
  ].concat(['summary_type', 'summary_use_proj']),
}
