import * as t from 'io-ts'
import { Finite, PositiveWhole, Rate } from '../../kind/number-codecs.ts'
import { orNull } from '../../model/hub-config.ts'
import type { ConfigSpec, HubConfig } from '../../model/hub-config.ts'
import { dictionary } from '../codec.ts'
import { Numbers } from './codecs.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'

/** Which biases of the base are trained: none, all, or those of the layers that LoRA is on. */
export type Biases = 'none' | 'all' | 'lora_only'

/** Ids of trained tokens: of the token embedding, or by module. */
export type TokenIds = readonly number[] | Readonly<Record<string, readonly number[]>>

/** What LoRA reads in a configuration. */
export interface LoraConfig extends Targeting {
  readonly r: number
  readonly lora_alpha: number
  readonly lora_dropout: number
  readonly use_rslora: boolean
  readonly use_dora: boolean
  readonly lora_bias: boolean
  readonly bias: Biases
  readonly rank_pattern: Readonly<Record<string, number>> | null
  readonly alpha_pattern: Readonly<Record<string, number>> | null
  readonly fan_in_fan_out: boolean
  readonly init_lora_weights: boolean | string
  readonly trainable_token_indices: TokenIds | null
  readonly ensure_weight_tying: boolean
  readonly target_parameters: readonly string[] | null
}

const Ids: t.Type<readonly number[]> = t.readonlyArray(t.number, 'a list of token ids')

export const Bias: t.Type<Biases> = t.keyof({ none: null, all: null, lora_only: null }, "'none', 'all' or 'lora_only'")

/** What of LoRA would compute something that is not computed here, under any type that has its options. */
export const refusedOptions: Readonly<Record<string, readonly unknown[]>> = {
  alora_invocation_tokens: [],
  arrow_config: [],
  kasa_config: [],
  layer_replication: [],
  megatron_config: [],
  monteclora_config: [],
  use_bdlora: [],
  use_qalora: [],
  velora_config: [],
}

/** Options of beginnings and of machines, of which nothing that was trained depends. */
export const harmlessOptions: readonly string[] = [
  'corda_config',
  'eva_config',
  'loftq_config',
  'lora_ga_config',
  'megatron_core',
  'qalora_group_size',
  'runtime_config',
]

/** How LoRA's configuration is read. */
export const loraSpec: ConfigSpec<LoraConfig> = {
  props: {
    ...targetingProps,
    r: PositiveWhole,
    lora_alpha: Finite,
    lora_dropout: Rate,
    use_rslora: t.boolean,
    use_dora: t.boolean,
    lora_bias: t.boolean,
    bias: Bias,
    rank_pattern: orNull(Numbers),
    alpha_pattern: orNull(Numbers),
    fan_in_fan_out: t.boolean,
    init_lora_weights: t.union([t.boolean, t.string]),
    trainable_token_indices: orNull(
      t.union([
        Ids,
        dictionary(Ids as t.Type<readonly number[], unknown>, 'lists of token ids by module'),
      ]) as t.Type<TokenIds>,
    ),
    ensure_weight_tying: t.boolean,
    target_parameters: orNull(t.readonlyArray(t.string)),
  },
  defaults: {
    r: 8,
    lora_alpha: 8,
    lora_dropout: 0,
    use_rslora: false,
    use_dora: false,
    lora_bias: false,
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    ensure_weight_tying: false,
  },
  only: refusedOptions,
  harmless: harmlessOptions,
}

/** What PEFT writes beside `peft_type` and what it has in common with others. */
export const loraDefaults: HubConfig = {
  alora_invocation_tokens: null,
  alpha_pattern: {},
  arrow_config: null,
  bias: 'none',
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_alpha: 8,
  lora_bias: false,
  lora_dropout: 0,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: 'megatron.core',
  modules_to_save: null,
  monteclora_config: null,
  qalora_group_size: 16,
  r: 8,
  rank_pattern: {},
  target_modules: null,
  target_parameters: null,
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  use_rslora: false,
  velora_config: null,
}
