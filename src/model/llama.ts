import * as t from 'io-ts'
import type { ActivationName, GatedMlp, GroupedAttention } from '../nn/index.ts'
import { decoderSpec } from './decoder-config.ts'
import type { DecoderConfig } from './decoder-config.ts'
import { decoderFamily } from './decoder-family.ts'
import { causalFamilyOf } from './family-run.ts'
import type { CausalFamily } from './family-run.ts'
import type { CausalDecoder, DecoderBlock, DecoderModels, MaybeBiased, Norm } from './decoder.ts'
import type { Family } from './family.ts'
import { Activation } from './hub-config.ts'

/** What Llama needs to know of its configuration, in the names of transformers. */
export interface LlamaConfig extends DecoderConfig {
  readonly hidden_act: ActivationName
  readonly attention_bias: boolean
  readonly mlp_bias: boolean
}

/** A fresh Llama: every parameter trainable. */
export interface Llama extends CausalDecoder<
  DecoderBlock<Norm, GroupedAttention<MaybeBiased, MaybeBiased, null>, GatedMlp<MaybeBiased>>
> {
  readonly _tag: 'Llama'
}

/** Llama as data: its configuration, its kinds, its names in files. */
export const llamaFamily: Family<LlamaConfig> = decoderFamily<LlamaConfig>({
  name: 'llama',
  tag: 'Llama',
  spec: decoderSpec<LlamaConfig>({
    props: { hidden_act: Activation, attention_bias: t.boolean, mlp_bias: t.boolean },
    defaults: {
      vocab_size: 32000,
      hidden_size: 4096,
      intermediate_size: 11008,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      hidden_act: 'silu',
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-6,
      tie_word_embeddings: false,
      attention_bias: false,
      attention_dropout: 0,
      mlp_bias: false,
    },
  }),
  adapterHub: true,
  design: ({ hidden_act, attention_bias, mlp_bias }) => ({
    activation: hidden_act,
    bias: { qkv: attention_bias, out: attention_bias, mlp: mlp_bias },
  }),
})

/**
 * Llama 1, 2, 3 and 3.1: rotary positions, norms by root mean square, grouped attention, SwiGLU.
 *
 * `init` makes one from a configuration in the names of transformers; `loadPretrained` reads one from a folder.
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `UnknownKind`.
 * @example
 * ```ts
 * import { count, key, llama } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const config = { vocab_size: 50, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 }
 * const model = llama.init({ ...config, num_key_value_heads: 1 }, key(0))
 * llama.apply(model, tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 50]
 * ```
 * @source Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models", §2.2; Llama Team 2024, "The Llama 3 Herd
 *   of Models", §3.2.
 */
export const llama: CausalFamily<LlamaConfig, DecoderModels<Llama>> = causalFamilyOf<LlamaConfig, DecoderModels<Llama>>(
  llamaFamily,
)
