import * as t from 'io-ts'
import { Epsilon, Finite, PositiveWhole, Rate } from '../kind/number-codecs.ts'
import { issue } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { LayerCount, orNull } from './hub-config.ts'
import type { ConfigSpec } from './hub-config.ts'
import { ropeIssues } from './rope.ts'
import type { RopeParameters, RopeSource } from './rope.ts'

/** What every decoder of the Llama family is told, in the names of transformers. */
export interface DecoderConfig extends RopeSource {
  readonly vocab_size: number
  readonly hidden_size: number
  readonly intermediate_size: number
  readonly num_hidden_layers: number
  readonly num_attention_heads: number
  /** Heads of keys and values; null for as many as there are of queries. */
  readonly num_key_value_heads: number | null
  /** Width of a head; null for hidden_size over num_attention_heads. */
  readonly head_dim: number | null
  readonly max_position_embeddings: number
  readonly rms_norm_eps: number
  readonly rope_parameters: RopeParameters | null
  readonly rope_theta: number | null
  readonly attention_dropout: number
  /** Rate of dropout on what a classifier of tokens is given; null for 0.1. */
  readonly classifier_dropout: number | null
  readonly tie_word_embeddings: boolean
  readonly pad_token_id: number | null
}

/** How one layer attends: to all that is before a token, or to the last `sliding_window` only. */
export type LayerType = 'full_attention' | 'sliding_attention'

/** Of a decoder some layers of which attend to a window. */
export interface WindowConfig {
  readonly sliding_window: number | null
  readonly layer_types: readonly LayerType[] | null
}

const decoderProps: ConfigSpec<DecoderConfig>['props'] = {
  vocab_size: PositiveWhole,
  hidden_size: PositiveWhole,
  intermediate_size: PositiveWhole,
  num_hidden_layers: LayerCount,
  num_attention_heads: PositiveWhole,
  num_key_value_heads: orNull(PositiveWhole),
  head_dim: orNull(PositiveWhole),
  max_position_embeddings: PositiveWhole,
  rms_norm_eps: Epsilon,
  rope_parameters: orNull<RopeParameters>(t.UnknownRecord as unknown as t.Type<RopeParameters>),
  rope_theta: orNull(Finite),
  attention_dropout: Rate,
  classifier_dropout: orNull(Rate),
  tie_word_embeddings: t.boolean,
  pad_token_id: orNull(Finite),
}

/** Fields of configurations with windows. */
export const windowProps: ConfigSpec<WindowConfig>['props'] = {
  sliding_window: orNull(PositiveWhole),
  layer_types: orNull(t.readonlyArray(t.keyof({ full_attention: null, sliding_attention: null }))),
}

/** The width of a head. */
export const headWidth = ({ head_dim, hidden_size, num_attention_heads }: DecoderConfig): number =>
  head_dim ?? hidden_size / num_attention_heads

const sizes = (config: DecoderConfig): readonly Issue[] => {
  const { hidden_size, num_attention_heads: heads, num_key_value_heads: groups } = config
  const width = headWidth(config)
  return [
    ...(Number.isInteger(width)
      ? []
      : [issue('BadConfig', 'hidden_size', `a multiple of ${heads}, the heads`, hidden_size, 'Or give head_dim.')]),
    ...(Number.isInteger(width) && width % 2 === 1
      ? [issue('BadConfig', 'head_dim', 'an even number', width, 'Rotary positions turn pairs of features.')]
      : []),
    ...(heads % (groups ?? heads) === 0
      ? []
      : [issue('BadConfig', 'num_key_value_heads', `a divisor of ${heads}`, groups, 'Groups of heads are alike.')]),
  ]
}

/** The windows of all layers, 0 for none: as `layer_types` says, else as `sliding` does. */
export const windowsOf = (
  { num_hidden_layers, sliding_window, layer_types }: DecoderConfig & WindowConfig,
  sliding: (i: number) => boolean,
): readonly number[] =>
  Array.from({ length: num_hidden_layers }, (_, i) =>
    (layer_types === null ? sliding(i) : layer_types[i] === 'sliding_attention') ? (sliding_window ?? 0) : 0,
  )

/** What is wrong with the windows of a configuration. */
export const windowIssues = ({
  num_hidden_layers,
  sliding_window,
  layer_types,
}: DecoderConfig & WindowConfig): readonly Issue[] => {
  if (layer_types === null) return []
  if (layer_types.length !== num_hidden_layers)
    return [issue('BadConfig', 'layer_types', `${num_hidden_layers} layers`, `${layer_types.length}`, '')]
  return sliding_window === null && layer_types.includes('sliding_attention')
    ? [issue('BadConfig', 'sliding_window', 'a positive whole number', 'nothing', 'layer_types has layers that slide.')]
    : []
}

/** A configuration of a family in addition to what every decoder is told. */
export const decoderSpec = <C extends DecoderConfig>(
  own: Omit<ConfigSpec<C>, 'props'> & {
    readonly props: { readonly [K in Exclude<keyof C, keyof DecoderConfig>]-?: t.Decoder<unknown, C[K]> }
  },
): ConfigSpec<C> => ({
  ...own,
  props: { ...decoderProps, ...own.props } as unknown as ConfigSpec<C>['props'],
  only: { partial_rotary_factor: [1], ...own.only },
  harmless: [
    'pretraining_tp',
    'max_sequence_length',
    'is_llama_config',
    'transformers.js_config',
    ...(own.harmless ?? []),
  ],
  aliases: { rope_scaling: 'rope_parameters', ...own.aliases },
  check: (config) => [...sizes(config), ...ropeIssues(config), ...(own.check?.(config) ?? [])],
})
