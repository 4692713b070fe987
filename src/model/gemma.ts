import * as t from 'io-ts'
import { Finite } from '../kind/number-codecs.ts'
import type { ActivationName, GatedMlp, GroupedAttention } from '../nn/index.ts'
import { decoderSpec, windowIssues, windowProps, windowsOf } from './decoder-config.ts'
import type { DecoderConfig, WindowConfig } from './decoder-config.ts'
import { decoderFamily } from './decoder-family.ts'
import { causalFamilyOf } from './family-run.ts'
import type { CausalFamily } from './family-run.ts'
import type { CausalDecoder, DecoderBlock, DecoderModels, MaybeBiased, Norm, Plain, SandwichBlock } from './decoder.ts'
import type { Family } from './family.ts'
import { Activation, orNull } from './hub-config.ts'

/** What Gemma needs to know of its configuration, in the names of transformers. */
export interface GemmaConfig extends DecoderConfig {
  /** Of the first files `gelu`, which is the approximation by tanh there. */
  readonly hidden_act: ActivationName
  readonly attention_bias: boolean
}

/** What Gemma 2 needs to know of its configuration, in the names of transformers. */
export interface Gemma2Config extends DecoderConfig, WindowConfig {
  readonly hidden_activation: ActivationName
  readonly attention_bias: boolean
  /** Scores of attention are divided by the root of this. */
  readonly query_pre_attn_scalar: number
  /** What scores of attention, and logits, are softly kept below; null for as they are. */
  readonly attn_logit_softcapping: number | null
  readonly final_logit_softcapping: number | null
}

type Attention = GroupedAttention<MaybeBiased, MaybeBiased, null>

/** A fresh Gemma: every parameter trainable. */
export interface Gemma extends CausalDecoder<DecoderBlock<Norm, Attention, GatedMlp<Plain>>> {
  readonly _tag: 'Gemma'
}

/** A fresh Gemma 2: every parameter trainable. */
export interface Gemma2 extends CausalDecoder<SandwichBlock<Norm, Attention, GatedMlp<Plain>>> {
  readonly _tag: 'Gemma2'
}

const defaults = {
  vocab_size: 256000,
  head_dim: 256,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-6,
  pad_token_id: 0,
  tie_word_embeddings: true,
  attention_bias: false,
  attention_dropout: 0,
} as const

/** Gemma as data: its configuration, its kinds, its names in files. */
export const gemmaFamily: Family<GemmaConfig> = decoderFamily<GemmaConfig>({
  name: 'gemma',
  tag: 'Gemma',
  spec: decoderSpec<GemmaConfig>({
    props: { hidden_act: Activation, attention_bias: t.boolean },
    defaults: {
      ...defaults,
      hidden_size: 3072,
      intermediate_size: 24576,
      num_hidden_layers: 28,
      num_attention_heads: 16,
      num_key_value_heads: 16,
      hidden_act: 'gelu_pytorch_tanh',
    },
    only: { use_bidirectional_attention: [false], hidden_activation: ['gelu_pytorch_tanh'] },
  }),
  design: ({ hidden_act, hidden_size, attention_bias }) => ({
    activation: hidden_act === 'gelu' ? 'gelu_pytorch_tanh' : hidden_act,
    bias: { qkv: attention_bias, out: attention_bias },
    normOffset: 1,
    embedScale: Math.sqrt(hidden_size),
  }),
})

/** Gemma 2 as data: its configuration, its kinds, its names in files. */
export const gemma2Family: Family<Gemma2Config> = decoderFamily<Gemma2Config>({
  name: 'gemma2',
  tag: 'Gemma2',
  spec: decoderSpec<Gemma2Config>({
    props: {
      ...windowProps,
      hidden_activation: Activation,
      attention_bias: t.boolean,
      query_pre_attn_scalar: Finite,
      attn_logit_softcapping: orNull(Finite),
      final_logit_softcapping: orNull(Finite),
    },
    defaults: {
      ...defaults,
      hidden_size: 2304,
      intermediate_size: 9216,
      num_hidden_layers: 26,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      hidden_activation: 'gelu_pytorch_tanh',
      query_pre_attn_scalar: 256,
      sliding_window: 4096,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
    },
    only: { use_bidirectional_attention: [false] },
    // Its files say these too, and transformers reads neither.
    harmless: ['hidden_act', 'sliding_window_size', 'cache_implementation'],
    check: windowIssues,
  }),
  design: (config) => ({
    activation: config.hidden_activation,
    bias: { qkv: config.attention_bias, out: config.attention_bias },
    normOffset: 1,
    sandwich: true,
    embedScale: Math.sqrt(config.hidden_size),
    scoreScale: 1 / Math.sqrt(config.query_pre_attn_scalar),
    scoreCap: config.attn_logit_softcapping,
    logitCap: config.final_logit_softcapping,
    windows: windowsOf(config, (i) => i % 2 === 0),
  }),
})

/**
 * Gemma: Llama with embeddings times √d, norms about one, GeGLU, heads of a width of their own and a tied head.
 *
 * `init` makes one from a configuration in the names of transformers; `loadPretrained` reads one from a folder.
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `UnknownKind`.
 * @example
 * ```ts
 * import { gemma, key } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const config = { vocab_size: 50, hidden_size: 9, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 }
 * const model = gemma.init({ ...config, num_key_value_heads: 1, head_dim: 4 }, key(0))
 * model.model.embed_tokens.scale // => 3
 * gemma.apply(model, tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 50]
 * ```
 * @source Gemma Team 2024, "Gemma: Open Models Based on Gemini Research and Technology", §2.
 */
export const gemma: CausalFamily<GemmaConfig, DecoderModels<Gemma>> = causalFamilyOf<GemmaConfig, DecoderModels<Gemma>>(
  gemmaFamily,
)

/**
 * Gemma 2: Gemma with sublayers between two norms, soft caps, and windows in every other layer.
 *
 * `init` makes one from a configuration in the names of transformers; `loadPretrained` reads one from a folder.
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `UnknownKind`.
 * @example
 * ```ts
 * import { gemma2, key } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const config = { vocab_size: 50, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 }
 * const model = gemma2.init({ ...config, num_key_value_heads: 1, head_dim: 4, sliding_window: 2 }, key(0))
 * model.model.layers.map(({ window }) => window) // => [2, 0]
 * gemma2.apply(model, tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 50]
 * ```
 * @source Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size", §2.
 */
export const gemma2: CausalFamily<Gemma2Config, DecoderModels<Gemma2>> = causalFamilyOf<
  Gemma2Config,
  DecoderModels<Gemma2>
>(gemma2Family)
