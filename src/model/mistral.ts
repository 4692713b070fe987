import type { ActivationName, GatedMlp, GroupedAttention } from '../nn/index.ts'
import { decoderSpec, windowProps, windowsOf } from './decoder-config.ts'
import type { DecoderConfig } from './decoder-config.ts'
import { decoderFamily } from './decoder-family.ts'
import { causalFamilyOf } from './family-run.ts'
import type { CausalFamily } from './family-run.ts'
import type { CausalDecoder, DecoderBlock, DecoderModels, Norm, Plain } from './decoder.ts'
import type { Family } from './family.ts'
import { Activation } from './hub-config.ts'

/** What Mistral needs to know of its configuration, in the names of transformers. */
export interface MistralConfig extends DecoderConfig {
  readonly hidden_act: ActivationName
  /** How many of the last tokens each token sees; null for all. */
  readonly sliding_window: number | null
}

/** A fresh Mistral: every parameter trainable. */
export interface Mistral extends CausalDecoder<
  DecoderBlock<Norm, GroupedAttention<Plain, Plain, null>, GatedMlp<Plain>>
> {
  readonly _tag: 'Mistral'
}

/** Mistral as data: its configuration, its kinds, its names in files. */
export const mistralFamily: Family<MistralConfig> = decoderFamily<MistralConfig>({
  name: 'mistral',
  tag: 'Mistral',
  spec: decoderSpec<MistralConfig>({
    props: { hidden_act: Activation, sliding_window: windowProps.sliding_window },
    defaults: {
      vocab_size: 32000,
      hidden_size: 4096,
      intermediate_size: 14336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      hidden_act: 'silu',
      max_position_embeddings: 131072,
      rms_norm_eps: 1e-6,
      tie_word_embeddings: false,
      sliding_window: 4096,
      attention_dropout: 0,
    },
  }),
  adapterHub: true,
  design: (config) => ({
    activation: config.hidden_act,
    windows: windowsOf({ ...config, layer_types: null }, () => true),
  }),
})

/**
 * Mistral: Llama in which each token may see a window of the last ones only.
 *
 * `init` makes one from a configuration in the names of transformers; `loadPretrained` reads one from a folder.
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `UnknownKind`.
 * @example
 * ```ts
 * import { key, mistral } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const config = { vocab_size: 50, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 }
 * const model = mistral.init({ ...config, num_key_value_heads: 1, sliding_window: 2 }, key(0))
 * model.model.layers[0]?.window // => 2
 * mistral.apply(model, tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 50]
 * ```
 * @source Jiang et al. 2023, "Mistral 7B", §2.
 */
export const mistral: CausalFamily<MistralConfig, DecoderModels<Mistral>> = causalFamilyOf<
  MistralConfig,
  DecoderModels<Mistral>
>(mistralFamily)
