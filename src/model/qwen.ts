import * as t from 'io-ts'
import type { ActivationName, GatedMlp, GroupedAttention } from '../nn/index.ts'
import { decoderSpec, windowIssues, windowProps, windowsOf } from './decoder-config.ts'
import type { DecoderConfig, WindowConfig } from './decoder-config.ts'
import { decoderFamily } from './decoder-family.ts'
import { causalFamilyOf } from './family-run.ts'
import type { CausalFamily } from './family-run.ts'
import type { Biased, CausalDecoder, DecoderBlock, DecoderModels, MaybeBiased, Norm, Plain } from './decoder.ts'
import type { Family } from './family.ts'
import { Activation } from './hub-config.ts'

/** What Qwen2 needs to know of its configuration, in the names of transformers. */
export interface Qwen2Config extends DecoderConfig, WindowConfig {
  readonly hidden_act: ActivationName
  readonly use_sliding_window: boolean
  /** How many of the first layers see all, where windows are used and layer_types does not say. */
  readonly max_window_layers: number
}

/** What Qwen3 needs to know of its configuration besides. */
export interface Qwen3Config extends Qwen2Config {
  readonly attention_bias: boolean
}

/** A fresh Qwen2: every parameter trainable. */
export interface Qwen2 extends CausalDecoder<
  DecoderBlock<Norm, GroupedAttention<Biased, Plain, null>, GatedMlp<Plain>>
> {
  readonly _tag: 'Qwen2'
}

/** A fresh Qwen3: every parameter trainable. */
export interface Qwen3 extends CausalDecoder<
  DecoderBlock<Norm, GroupedAttention<MaybeBiased, MaybeBiased, Norm>, GatedMlp<Plain>>
> {
  readonly _tag: 'Qwen3'
}

const props = {
  ...windowProps,
  hidden_act: Activation,
  use_sliding_window: t.boolean,
  max_window_layers: t.number,
}

const defaults = {
  vocab_size: 151936,
  hidden_size: 4096,
  intermediate_size: 22016,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  hidden_act: 'silu',
  max_position_embeddings: 32768,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: false,
  use_sliding_window: false,
  sliding_window: 4096,
  max_window_layers: 28,
  attention_dropout: 0,
} as const

/** The window counts only where windows are used at all. */
const windowed = <C extends Qwen2Config>(config: C): C =>
  config.use_sliding_window ? config : { ...config, sliding_window: null }

const windows = (config: Qwen2Config): readonly number[] =>
  windowsOf(windowed(config), (i) => i >= config.max_window_layers)

/** Qwen2 as data: its configuration, its kinds, its names in files. */
export const qwen2Family: Family<Qwen2Config> = decoderFamily<Qwen2Config>({
  name: 'qwen2',
  tag: 'Qwen2',
  spec: decoderSpec<Qwen2Config>({ props, defaults, check: (config) => windowIssues(windowed(config)) }),
  design: (config) => ({ activation: config.hidden_act, bias: { qkv: true }, windows: windows(config) }),
})

/** Qwen3 as data: its configuration, its kinds, its names in files. */
export const qwen3Family: Family<Qwen3Config> = decoderFamily<Qwen3Config>({
  name: 'qwen3',
  tag: 'Qwen3',
  spec: decoderSpec<Qwen3Config>({
    props: { ...props, attention_bias: t.boolean },
    defaults: { ...defaults, head_dim: 128, attention_bias: false },
    check: (config) => windowIssues(windowed(config)),
  }),
  design: (config) => ({
    activation: config.hidden_act,
    bias: { qkv: config.attention_bias, out: config.attention_bias },
    headNorms: true,
    windows: windows(config),
  }),
})

/**
 * Qwen2 and Qwen2.5: Llama with biases of queries, keys and values, some of whose layers may see a window only.
 *
 * `init` makes one from a configuration in the names of transformers; `loadPretrained` reads one from a folder.
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `UnknownKind`.
 * @example
 * ```ts
 * import { key, qwen2 } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const config = { vocab_size: 50, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 }
 * const model = qwen2.init({ ...config, num_key_value_heads: 1 }, key(0))
 * model.model.layers[0]?.self_attn.k_proj.bias.value.shape // => [4]
 * qwen2.apply(model, tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 50]
 * ```
 * @source Yang et al. 2024, "Qwen2 Technical Report", §2.2.
 */
export const qwen2: CausalFamily<Qwen2Config, DecoderModels<Qwen2>> = causalFamilyOf<Qwen2Config, DecoderModels<Qwen2>>(
  qwen2Family,
)

/**
 * Qwen3: Llama with norms of each head's queries and keys.
 *
 * `init` makes one from a configuration in the names of transformers; `loadPretrained` reads one from a folder.
 *
 * @throws EspalierError `BadConfig`, `UnsupportedConfig`, `ShapeMismatch`, `UnknownKind`.
 * @example
 * ```ts
 * import { key, qwen3 } from 'espalier'
 * import { tensor } from 'espalier/ops'
 * const config = { vocab_size: 50, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 }
 * const model = qwen3.init({ ...config, num_key_value_heads: 1, head_dim: 6 }, key(0))
 * model.model.layers[0]?.self_attn.q_norm.scale.value.shape // => [6]
 * qwen3.apply(model, tensor([[5, 7, 9]], undefined, 'int32')).shape // => [1, 3, 50]
 * ```
 * @source Yang et al. 2025, "Qwen3 Technical Report", §2.
 */
export const qwen3: CausalFamily<Qwen3Config, DecoderModels<Qwen3>> = causalFamilyOf<Qwen3Config, DecoderModels<Qwen3>>(
  qwen3Family,
)
